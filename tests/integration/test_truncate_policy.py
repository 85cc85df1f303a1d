# SPDX-License-Identifier: Apache-2.0
"""`truncate: ignore` leaves the target's rows, says so once and counts; `stop` stops."""

import json
import signal

import pytest

TABLES = "create table a (id int primary key, x int); create table b (id int primary key, x int); insert into a values (1, 1); insert into b values (1, 1)"
IGNORED = [{"match": "public.a", "truncate": "ignore"}]


@pytest.fixture
def two(pipeline):
    pipeline.source.execute(TABLES)
    pipeline.engine.catch_up()
    return pipeline


def rows(pipeline, table):
    return pipeline.target.execute(f"select id from {table} order by 1")


def counted(pipeline):
    return json.loads(pipeline.engine.command("status", "--json").stdout)["sinks"][0]["conflicts"].get("truncate_ignored", 0)


def test_a_table_keeps_its_rows(two):
    """One TRUNCATE of both tables, one alone, one among other changes; verify finds what differs."""
    two.engine.configuration["ddl"] = IGNORED
    two.source.execute("truncate a, b")
    two.source.execute("truncate a")
    two.source.execute("begin; insert into a values (2, 2); insert into b values (2, 2); truncate a; insert into a values (3, 3); insert into b values (3, 3); commit")
    ended = two.engine.catch_up()
    assert rows(two, "a") == [(1,), (2,), (3,)] and rows(two, "b") == [(2,), (3,)]
    assert ended.stderr.count("was truncated at the source and keeps its rows") == 1 and "table public.a:" in ended.stderr, ended.stderr
    assert counted(two) == 3 and "3 truncate_ignored" in two.engine.command("status").stdout
    assert two.engine.command("verify").returncode == 4
    del two.engine.configuration["ddl"]
    two.source.execute("truncate a; insert into a values (9, 9)")
    two.engine.catch_up()
    assert rows(two, "a") == [(9,)] and counted(two) == 3


def test_a_mapping_does_not_change_whose_truncate_it_is(two):
    """Rules are found by the source's name; a rule goes before the sink's option."""
    two.target.execute("alter table a rename to a_there")
    two.sink_configuration["truncate"] = "ignore"
    two.engine.configuration |= {"ddl": [{"match": "public.b", "truncate": "apply"}], "mapping": [{"match": "public.a", "to": "public.a_there"}]}
    two.source.execute("truncate a, b")
    two.engine.catch_up()
    assert rows(two, "a_there") == [(1,)] and rows(two, "b") == []


def test_stop_stops_before_it_and_the_remedy_holds(two):
    two.engine.configuration["ddl"] = [{"match": "public.a", "truncate": "stop"}]
    two.source.execute("insert into b values (2, 2)")
    two.source.execute("begin; insert into b values (3, 3); truncate a, b; commit")
    for _ in range(2):
        result = two.engine.command("run", "--until", "caught-up")
        assert result.returncode == 1 and "table public.a was truncated at the source, and truncate is stop" in result.stderr, result.stderr
        assert rows(two, "a") == [(1,)] and rows(two, "b") == [(1,), (2,)]
    two.engine.configuration["ddl"][0]["truncate"] = "apply"
    two.engine.catch_up()
    assert rows(two, "a") == [] and rows(two, "b") == []


@pytest.mark.parametrize("point", ["truncate-ignored", "postgres-before-commit", "postgres-after-commit"])
def test_a_kill_counts_once(two, point):
    two.engine.configuration["ddl"] = IGNORED
    two.source.execute("begin; truncate a; insert into a values (2, 2); commit")
    assert two.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point}).returncode == -signal.SIGKILL
    two.engine.catch_up()
    assert rows(two, "a") == [(1,), (2,)] and counted(two) == 1
