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


LOOSE = "create table loose (n int, pad text); alter table loose replica identity full;"
LOOSE_PARTITIONS = """
    create table loose (n int, pad text) partition by range (n);
    create table loose_low partition of loose for values from (minvalue) to (1500);
    create table loose_none partition of loose for values from (1500) to (1600);
    create table loose_high partition of loose for values from (1600) to (maxvalue) partition by list (pad);
    create table loose_rest partition of loose_high default;
    alter table loose replica identity full; alter table loose_low replica identity full;
    alter table loose_none replica identity full; alter table loose_rest replica identity full;
"""


@pytest.mark.parametrize("table", [LOOSE, LOOSE_PARTITIONS], ids=["one", "partitions"])
def test_a_table_divided_by_pages_is_copied_again_as_a_whole(pipeline, table):
    """Its chunks are of one snapshot, which an interruption ends; what was copied from it goes first."""
    pipeline.source.execute(table + "insert into loose select g, repeat('l', 100) from generate_series(1, 5000) g")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "64kB"}
    for point in ("chunk-committed:2", "chunk-before-empty", "chunk-emptied", "chunk-before-mark:2"):
        pipeline.engine.start(environment={"PGCDC_FAULT": point})
        pipeline.engine.wait_exit()
        pipeline.source.execute("delete from loose where n % 10 = 1; insert into loose select n + 7, pad from loose where n % 10 = 3;"
                                "update loose set n = n + 1 where n % 10 = 5")
    assert pipeline.target.value("select count(*) from pgcdc.chunk where method = 'pages'") > 5
    finish(pipeline)


KEYED = "create table keyed (a text, b int, n int, pad text, primary key (b, a))"


def has_key(pipeline, table="keyed"):
    return pipeline.target.value(f"select exists (select from pg_index where indrelid = '{table}'::regclass and indisprimary)")


@pytest.fixture
def late(pipeline):
    """A table that pgcdc creates, as one chunk that is large enough to get its key after the rows."""
    pipeline.source.execute(KEYED)
    pipeline.source.execute("insert into keyed select md5(g::text), g, 0, repeat('x', 100) from generate_series(1, 12000) g; analyze")
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1"}
    return pipeline


@pytest.mark.parametrize("point", ["chunk-begun", "chunk-before-mark", "chunk-key-built", "chunk-before-commit", "chunk-committed"])
def test_killed_while_a_key_is_built_after_the_rows(late, point):
    """Rows and key are there together or not at all, whoever changes rows meanwhile."""
    late.engine.start(environment={"PGCDC_FAULT": point})
    late.engine.wait_exit()
    assert has_key(late) == (late.target.value("select count(*) from keyed") > 0) == (point == "chunk-committed")
    late.source.execute("update keyed set n = n + 1 where b % 3 = 0; delete from keyed where b % 5 = 0; update keyed set b = -b where b < 9")
    finish(late)
    assert late.target.value("select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'keyed'::regclass and contype = 'p'") == \
        "PRIMARY KEY (b, a)"


def scatter(pipeline):
    """The rows do not lie in the order of the key, so the table is divided by its pages."""
    pipeline.source.execute("create table keyed (a uuid primary key, b int, n int, pad text);"
                            "insert into keyed select md5(g::text)::uuid, g, 0, repeat('x', 100) from generate_series(1, 5000) g; analyze")
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "2", "chunk_bytes": "64kB"}


def count_chunks(pipeline):
    return pipeline.target.value("select count(*) from pgcdc.chunk where method = 'pages'")


@pytest.mark.threads
def test_the_last_of_many_chunks_brings_the_key(pipeline):
    """The copiers end their chunks at the same time; whoever is killed, the key comes with the last mark."""
    scatter(pipeline)
    for point in ("chunk-committed:2", "chunk-key-built:{}", "chunk-committed:{}"):
        pipeline.engine.start(environment={"PGCDC_FAULT": point.format(count_chunks(pipeline) if "{" in point else "")})
        pipeline.engine.wait_exit()
        waiting = pipeline.target.value("select count(*) from pgcdc.chunk where state = 'waits'")
        assert has_key(pipeline) == (waiting == 0) == (point == "chunk-committed:{}"), (point, waiting)
        pipeline.source.execute("update keyed set n = n + 1 where b % 3 = 0; delete from keyed where b % 7 = 0")
    finish(pipeline)
    assert has_key(pipeline)


def test_a_copy_of_many_chunks_that_is_given_up_leaves_the_key(pipeline):
    scatter(pipeline)
    pipeline.engine.start(environment={"PGCDC_FAULT": "chunk-committed:2"})
    pipeline.engine.wait_exit()
    assert not has_key(pipeline) and count_chunks(pipeline) > 4
    done = pipeline.engine.command("table remove", "public.keyed")
    assert done.returncode == 0 and has_key(pipeline), done.stderr


@pytest.mark.parametrize("command", [["drop"], ["table remove", "public.keyed"]], ids=" ".join)
def test_a_copy_that_is_given_up_leaves_tables_with_their_keys(late, command):
    late.engine.start(environment={"PGCDC_FAULT": "chunk-begun"})
    late.engine.wait_exit()
    assert not has_key(late)
    done = late.engine.command(*command)
    assert done.returncode == 0, done.stderr
    assert has_key(late)


@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_a_table_of_the_targets_own_is_left_as_it_is(late, key):
    late.target.execute(KEYED if key else KEYED.replace(", primary key (b, a)", ""))
    late.engine.start(environment={"PGCDC_FAULT": "chunk-begun"})
    late.engine.wait_exit()
    assert has_key(late) == key
    finish(late)
    assert has_key(late) == key


def test_whole_tables_under_load_are_exact_after_kills(chunked):
    """Chunks of whole tables, of which the large ones get their keys after their rows."""
    chunked.engine.configuration["copy"] = {"mode": "live", "workers": "3"}
    with ChunkLoad(chunked.source, seed=7):
        for point in ("chunk-key-built", "chunk-before-commit:3", "chunk-committed:2", "runner-awaits-chunk"):
            chunked.engine.start(environment={"PGCDC_FAULT": point})
            wait_until(lambda: not chunked.engine.is_running() or copy_is_finished(chunked), "the engine to be killed, or the copy to end")
            if chunked.engine.is_running():
                chunked.engine.kill()
    finish(chunked)
    assert has_key(chunked, "number")
