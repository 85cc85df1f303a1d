# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks under load, killed again and again: each row is there once, as its last change left it."""

import random
import time
from pathlib import Path

import pytest

from support.chunk_load import METHODS, ROWS, SCHEMA, ChunkLoad
from support.wait import wait_until

KILLS = 25
KILLS_LONG = 350
EARLY_KILLS = 3  # those after them come when there is a plan


@pytest.fixture
def chunked(pipeline):
    """Tables of every kind of key, divided into many small chunks."""
    pipeline.source.execute(SCHEMA)
    pipeline.source.execute(ROWS)
    pipeline.target.execute("create table twins (id int primary key, code int unique, pad text)")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    return pipeline


def copy_is_finished(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and \
        pipeline.target.value("select count(*) from pgcdc.copy") == 0


def finish(pipeline):
    if not pipeline.engine.is_running():
        pipeline.engine.start()
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    pipeline.assert_equal()
    pipeline.engine.stop()


def planned_methods(pipeline):
    """How each table is divided: nothing shows it once the copy is complete."""
    if not pipeline.target.value("select to_regclass('pgcdc.chunk') is not null"):
        return {}
    return dict(pipeline.target.execute("select distinct table_name, method from pgcdc.chunk"))


def test_a_copy_under_load_is_exact(chunked):
    with ChunkLoad(chunked.source):
        chunked.start()
        chunked.wait_while_running(lambda: copy_is_finished(chunked), "the copy to end")
    finish(chunked)


def test_killed_again_and_again_under_load(chunked, request):
    """Only what was not committed is read again."""
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261129)
    methods = {}
    with ChunkLoad(chunked.source):
        for number in range(kills):
            chunked.engine.start()
            if number == EARLY_KILLS:
                chunked.wait_while_running(lambda: planned_methods(chunked), "the plan of the copy")
            time.sleep(chance.random() * 0.8)
            if not chunked.engine.is_running():
                raise AssertionError(chunked.engine.log_tail())
            chunked.engine.kill()
            methods.update(planned_methods(chunked))
            if copy_is_finished(chunked):
                break
    finish(chunked)
    assert {table: methods[table] for table in METHODS} == METHODS


def chunk_state(pipeline, table):
    return pipeline.target.value(f"select state from pgcdc.chunk where table_name = '{table}'")


def test_a_table_without_rows_streams_while_others_are_copied(pipeline):
    """One that was truncated after the slot began looks empty to the slot's snapshot, and is copied all the same."""
    pipeline.source.execute("create table large (id int primary key); create table bare (id int primary key, n int);"
                            "create table emptied (id int primary key, n int); insert into emptied values (1, 1);"
                            "insert into large select generate_series(1, 1000)")
    pipeline.target.execute("create table large (id int primary key)")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1"}
    pipeline.engine.start(environment={"PGCDC_FAULT": "copy-tables-created:stop"})
    wait_until(lambda: "State:\tT" in Path(f"/proc/{pipeline.engine.process.pid}/status").read_text(), "the engine to have its snapshot")
    pipeline.source.execute("update emptied set n = 2; truncate emptied; insert into emptied values (2, 2)")
    with pipeline.target.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute("lock table large in share mode")  # no chunk can be written
        pipeline.engine.thaw()
        pipeline.source.execute("insert into bare values (1, 1); update bare set n = 2")
        wait_until(lambda: pipeline.target.value("select to_regclass('bare') is not null")
                   and pipeline.target.value("select (select n from bare)") == 2, "the stream of the empty table")
        assert (chunk_state(pipeline, "bare"), chunk_state(pipeline, "large")) == ("copied", "waits")
    finish(pipeline)
    assert pipeline.target.execute("select id, n from emptied") == [(2, 2)]


def test_chunks_of_a_source_that_commits_asynchronously_wait_for_its_disk(pipeline):
    """The WAL writer is slow, and small chunks follow each other fast."""
    pipeline.source.execute("".join(f"create table t{i} (id int primary key); insert into t{i} values (1);" for i in range(30)))
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "2"}
    with pipeline.source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("set synchronous_commit = off")
        pipeline.engine.start()
        for n in range(2, 200):
            cursor.execute(f"insert into t{n % 30} values ({n})")
    finish(pipeline)


def test_a_table_divided_by_pages_is_copied_again_as_a_whole(pipeline):
    """Its chunks are of one snapshot, which an interruption ends; what was copied from it goes first."""
    pipeline.source.execute("create table loose (n int, pad text); alter table loose replica identity full;"
                            "insert into loose select g, repeat('l', 100) from generate_series(1, 5000) g")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "64kB"}
    for point in ("chunk-committed:2", "chunk-before-empty", "chunk-emptied", "chunk-before-mark:2"):
        pipeline.engine.start(environment={"PGCDC_FAULT": point})
        pipeline.engine.wait_exit()
        pipeline.source.execute("delete from loose where n % 10 = 1; insert into loose select n + 7, pad from loose where n % 10 = 3;"
                                "update loose set n = n + 1 where n % 10 = 5")
    assert pipeline.target.value("select count(*) from pgcdc.chunk where method = 'pages'") > 5
    finish(pipeline)
