# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks into tables with other names and other values, under load, killed again and again."""

import random
import time

import pytest

from support.chunk_load import ROWS, SCHEMA, ChunkLoad
from support.wait import wait_until

KILLS = 12
KILLS_LONG = 150

MAPPING = [
    {"match": "public.number", "to": "copied.brief", "columns": {"id": {"as": "key"}, "n": {"as": "m"}, "pad": ["upper"]}},
    {"match": "public.brief", "to": "copied.number", "columns": {"n": {"as": "id"}, "id": {"as": "n"}}},  # names that others have at the source
    {"match": "public.ident", "to": "copied.ident", "columns": {"pad": "drop", "n": {"as": "m"}, "tag": {"const": "x"}}},
    {"match": "public.words", "to": "copied.words", "columns": {"word": {"as": "term"}, "pad": {"mask": {"partial": {"keep_last": 1, "with": "*"}}}}},
    {"match": "public.wide", "to": "copied.wide", "columns": {"title": {"as": "body"}, "body": {"as": "title"}}},
    {"match": "public.heap", "to": "copied.heap", "columns": {"pad": ["upper"]}},
    {"match": r"/public\.(.*)/", "to": "copied.$1"},
]
# The rows of a table as they must be, and as they are.
SAME = {
    "brief": ("select id, n, upper(pad) from number", "select key, m, pad from copied.brief"),
    "number": ("select id, n from brief", "select n, id from copied.number"),
    "ident": ("select id, n, 'x' from ident", "select id, m, tag from copied.ident"),
    "words": ("select word, n, regexp_replace(pad, '.(?=.)', '*', 'g') from words", "select term, n, pad from copied.words"),
    "wide": ("select id, title, body from wide", "select id, body, title from copied.wide"),
    "heap": ("select n, upper(pad) from heap", "select n, pad from copied.heap"),
} | {table: (f"select * from {table}", f"select * from copied.{table}") for table in (
    "scattered", "pair", "names", "days", "moments", "prints", "amounts", "titles", "labels", "moods", "twins", "whole", "tree")}


@pytest.fixture
def mapped(pipeline):
    """Some tables have the names of others in the sink, and some columns, so a name of the wrong side is found."""
    pipeline.source.execute(SCHEMA)
    pipeline.source.execute(ROWS)
    pipeline.target.execute("create schema copied; create table number (id int primary key, n text); insert into number values (1, 'stays')")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    pipeline.engine.configuration["mapping"] = MAPPING
    return pipeline


def copy_is_finished(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and \
        pipeline.target.value("select count(*) from pgcdc.copy") == 0


def sum_of(database, query):
    return database.execute(f"select count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text from ({query}) t")[0]


def finish(pipeline):
    if not pipeline.engine.is_running():
        pipeline.engine.start()
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    for table, (there, here) in SAME.items():
        assert sum_of(pipeline.source, there) == sum_of(pipeline.target, here), f"copied.{table} is not what the mapping says"
    assert pipeline.target.execute("select * from public.number") == [(1, "stays")]
    pipeline.engine.stop()


def test_a_mapped_copy_under_load_is_exact(mapped):
    with ChunkLoad(mapped.source):
        mapped.start()
        mapped.wait_while_running(lambda: copy_is_finished(mapped), "the copy to end")
    finish(mapped)


def test_a_mapped_copy_is_killed_again_and_again(mapped, request):
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261130)
    with ChunkLoad(mapped.source):
        for kill in range(kills):
            mapped.engine.start()
            if kill > 1:
                wait_until(lambda: mapped.target.value("select to_regclass('pgcdc.chunk') is not null"), "a plan")
            time.sleep(chance.random() * 0.7)
            mapped.engine.kill()
            mapped.wait_slot_free()
    finish(mapped)


def test_a_new_table_gets_its_rule(mapped):
    """A table that is published while the engine runs, with rows, is mapped and copied."""
    mapped.start()
    mapped.source.execute("create table later (id int primary key, n int); insert into later select g, g from generate_series(1, 500) g")
    mapped.wait_while_running(lambda: mapped.target.value("select to_regclass('copied.later') is not null"), "the new table")
    mapped.source.execute("update later set n = -n where id > 400")
    mapped.wait_while_running(lambda: copy_is_finished(mapped), "the copy to end")
    mapped.wait_applied()
    assert sum_of(mapped.source, "select * from later") == sum_of(mapped.target, "select * from copied.later")
    finish(mapped)


def test_rows_older_than_the_publication_of_a_mapped_table_are_found(pipeline):
    """The target is asked for the row under its names, and with the key's value as the steps make it."""
    pipeline.source.execute("create table a (id int primary key); create table b (code text primary key, n int); insert into b values (' One ', 1);"
                            "create publication shop for table a")
    pipeline.source_configuration["tables"] = ["public.*"]
    pipeline.engine.configuration["copy"] = {"mode": "simple"}
    pipeline.engine.configuration["mapping"] = [{"match": "public.b", "to": "public.d", "columns": {
        "code": {"as": "key", "steps": ["trim", "lower"], "accept_loss": "true"}, "tag": {"const": "x"}}}]
    del pipeline.source_configuration["tables"]
    pipeline.engine.catch_up()
    pipeline.target.execute("create table d (key text, n int, tag text, primary key (key, tag))")
    pipeline.source.execute("alter publication shop add table b")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "has rows that are older than its publication" in result.stderr, result.stderr
    assert "target_old_rows" in {finding["code"].rpartition(".")[2] for finding in pipeline.engine.json("check")["findings"]}
    pipeline.target.execute("insert into d values ('one', 1, 'x')")
    pipeline.engine.catch_up()


def test_a_mapped_table_is_truncated_and_copied_again(mapped):
    """Rows are removed in the table that the sink has, whatever the source's table is called."""
    mapped.start()
    mapped.wait_while_running(lambda: copy_is_finished(mapped), "the copy to end")
    mapped.source.execute("truncate number, wide; insert into number select g, 1, 'again' from generate_series(1, 50) g; "
                          "insert into wide values (1, 't', 'b')")
    mapped.target.execute("delete from copied.number where n < 100")
    result = mapped.engine.command("table copy", "public.brief")
    assert result.returncode == 0, result.stderr
    mapped.wait_while_running(lambda: copy_is_finished(mapped), "the second copy to end")
    finish(mapped)
