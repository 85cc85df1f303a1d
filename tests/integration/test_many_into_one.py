# SPDX-License-Identifier: Apache-2.0
"""Several tables, and several pipelines, into one table: each removes and replaces its own rows only."""

import json
import random
import signal
import time

import pytest

from support.wait import wait_until

ROWS = 3000
TABLE = "create table account (id int primary key, owner text, note text)"
FILL = f"insert into account select g, %s || g, repeat('n', 40) from generate_series(1, {ROWS}) g"
ALL = "select source, id, owner, note from accounts order by 1, 2"


def bank(pipeline, name, mode, **rule):
    """A source of accounts, which are told apart by the bank's name."""
    pipeline.source.execute(TABLE)
    pipeline.source.execute(FILL, (name,))
    pipeline.engine.configuration["copy"] = {"mode": mode} | ({"workers": "2", "chunk_bytes": "64kB"} if mode == "live" else {})
    pipeline.engine.configuration["mapping"] = [{"match": "public.account", "to": "public.accounts", "columns": {"source": {"const": name}}} | rule]


@pytest.fixture
def banks(new_pipeline, shared_clusters, request):
    """Two pipelines from two databases into one."""
    both = [new_pipeline(shared_clusters("source"), shared_clusters("target"), name) for name in ("north", "south")]
    both[1].target = both[0].target
    both[1].sink_configuration["dsn"] = both[0].target.dsn()
    for pipeline in both:
        bank(pipeline, pipeline.name, getattr(request, "param", "live"))
    return both


def copy_is_finished(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and \
        pipeline.target.value("select count(*) from pgcdc.copy where pipeline = %s", (pipeline.name,)) == 0


def expected(pipelines):
    rows = []
    for pipeline in pipelines:
        rows += pipeline.source.execute("select %s, id, owner, note from account", (pipeline.name,))
    return sorted(rows)


def assert_verified(pipelines):
    """The rows of others are not looked at."""
    for pipeline in pipelines:
        result = pipeline.engine.command("verify")
        assert result.returncode == 0, result.stdout + result.stderr


def change(pipeline, text):
    pipeline.source.execute("update account set owner = %s where id %% 7 = 0", (text,))
    pipeline.source.execute("delete from account where id % 11 = 0; insert into account select g + 100000, 'late' from generate_series(1, 50) g on conflict do nothing")
    pipeline.source.execute("update account set id = id + 50000 where id between 100 and 120")


@pytest.mark.parametrize("banks", ["simple", "live"], indirect=True)
def test_two_banks_merge(banks):
    north, south = banks
    north.start()
    change(north, "before south")
    south.start()  # into a table that has rows
    for pipeline in banks:
        change(pipeline, f"owner of {pipeline.name}")
    for pipeline in banks:
        pipeline.wait_while_running(lambda p=pipeline: copy_is_finished(p) or p.engine.configuration["copy"]["mode"] == "simple", "the copy")
        pipeline.wait_applied()
    assert north.target.execute(ALL) == expected(banks)
    assert north.target.execute("select attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)"
                                " where indrelid = 'accounts'::regclass and indisprimary order by attname") == [("id",), ("source",)]
    north.target.execute("create table child () inherits (accounts); insert into child values (7, 'own', 'x', 'south')")  # the target's own, as for TRUNCATE
    south.source.execute("truncate account; insert into account values (1, 'again', 'x')")
    south.wait_applied()
    assert north.target.execute("select id from child") == [(7,)]
    north.target.execute("drop table child")
    assert north.target.execute(ALL) == expected(banks) and north.target.value("select count(*) from accounts where source = 'south'") == 1
    assert_verified(banks)
    north.target.execute("update accounts set owner = 'x' where source = 'south'")
    assert south.engine.command("verify").returncode == 4 and north.engine.command("verify").returncode == 0
    south.target.execute("update accounts set owner = 'again' where source = 'south'")
    result = north.engine.command("table copy", "public.account")
    assert result.returncode == 0, result.stderr
    north.wait_while_running(lambda: copy_is_finished(north), "the second copy")
    north.wait_applied()
    assert north.target.execute(ALL) == expected(banks)


def test_a_copy_that_is_killed_keeps_the_others_rows(banks):
    """Chunks in flight are removed again, by their range of the key: in a table that others fill, too."""
    north, south = banks
    north.start()
    north.wait_while_running(lambda: copy_is_finished(north), "the copy")
    chance = random.Random(20261201)
    for kill in range(6):
        south.engine.start()
        if kill > 0:
            wait_until(lambda: south.target.value("select count(*) from pgcdc.chunk where pipeline = 'south'") > 0 or copy_is_finished(south), "a plan")
        time.sleep(chance.random() * 0.5)
        south.source.execute("update account set note = %s where id %% 3 = %s", (f"kill {kill}", kill % 3))
        if kill == 3:
            south.source.execute(f"truncate account; insert into account select g, 'new', '' from generate_series(1, {ROWS}) g")
        south.engine.kill()
        south.wait_slot_free()
    south.start()
    south.wait_while_running(lambda: copy_is_finished(south), "the copy")
    for pipeline in banks:
        pipeline.wait_applied()
    assert north.target.execute(ALL) == expected(banks)
    assert north.engine.is_running() and north.engine.process.poll() != -signal.SIGKILL


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_tables_of_one_pattern_become_one(pipeline, mode):
    """The column with the table's name is a part of the key."""
    for number in (1, 2, 3):
        pipeline.source.execute(f"create schema tenant_{number}; create table tenant_{number}.orders (id int primary key, n int);"
                                f"insert into tenant_{number}.orders select g, g * {number} from generate_series(1, 500) g")
    pipeline.source_configuration["tables"] = ["tenant_*.orders"]
    pipeline.engine.configuration["copy"] = {"mode": mode}
    pipeline.engine.configuration["mapping"] = [{"match": r"/tenant_\d+\.orders/", "to": "public.orders", "key": ["tenant", "id"],
                                                "columns": {"tenant": {"meta": "table"}}}]
    pipeline.start()
    pipeline.source.execute("update tenant_1.orders set n = -1 where id < 100; truncate tenant_2.orders; insert into tenant_2.orders values (1, 1);"
                            "delete from tenant_3.orders where id % 2 = 0; update tenant_3.orders set id = id + 1 where id > 400")
    pipeline.source.execute("create schema tenant_4; create table tenant_4.orders (id int primary key, n int); alter publication shop add table tenant_4.orders")
    pipeline.source.execute("insert into tenant_4.orders values (1, 4)")
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from orders where tenant = 'tenant_4.orders'") == 1, "the table that came later")
    pipeline.wait_applied()
    rows = " union all ".join(f"select 'tenant_{number}.orders', id, n from tenant_{number}.orders" for number in (1, 2, 3, 4))
    assert pipeline.target.execute("select tenant, id, n from orders order by 1, 2") == sorted(pipeline.source.execute(rows))
    assert_verified([pipeline])


def test_a_topic_of_several_tables_is_accounted(kafka_pipeline):
    pipeline = kafka_pipeline
    for number in (1, 2):
        pipeline.source.execute(f"create table orders_{number} (id int primary key, n int); insert into orders_{number} select g, {number} from generate_series(1, 50) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.orders_*", "to": "public.orders", "key": ["id", "origin"], "columns": {"origin": {"meta": "table"}}}]
    pipeline.sink_configuration["format"] = "debezium-json"
    pipeline.engine.catch_up()
    pipeline.source.execute("update orders_1 set n = -1 where id < 10; delete from orders_2 where id = 50")
    pipeline.engine.catch_up()
    keys = [json.loads(message.key()) for message in pipeline.read_topic(f"{pipeline.name}.public.orders") if message.key()]
    assert len({(key["id"], key["origin"]) for key in keys}) == 100 and set(keys[0]) == {"id", "origin"}


CONST = {"columns": {"source": {"const": "a"}}}


@pytest.mark.parametrize("rules, problem", [
    ([{"match": "public.one", "to": "public.both"}, {"match": "public.two", "to": "public.both"}], "would both be public.both in the sink"),
    ([{"match": "public.one", "to": "public.both"} | CONST, {"match": "public.two", "to": "public.both"} | CONST], "would both be public.both in the sink"),
    ([{"match": "public.one", "to": "public.both"} | CONST, {"match": "public.two", "to": "public.both", "columns": {"source": {"const": "b"}}, "key": ["id"]}],
     "would both be public.both in the sink"),
    ([{"match": "public.one", "key": ["source"]} | CONST], "column id of table public.one is part of the key, and is not in the list key"),
    ([{"match": "public.one", "key": ["id", "n"]}], "column n of table public.one is in the list key, but a row is not found by it"),
    ([{"match": "public.one", "key": ["id", "other"]}], "column other of table public.one is in the list key, and the sink gets no column of this name"),
    ([{"match": "public.one", "key": ["id", "x"], "columns": {"x": {"meta": "xid"}}}], "a row is not found by it"),
    ([{"match": "public.*", "to": "public.both", "columns": {"t": {"meta": "table"}}}], "several tables would have this name in the sink"),
])
def test_rows_that_could_meet_are_refused(pipeline, rules, problem):
    pipeline.source.execute("create table one (id int primary key, n int); create table two (id int primary key, n int); insert into one values (1, 1);"
                            "insert into two values (1, 2)")
    pipeline.engine.configuration["mapping"] = rules
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and problem in result.stderr, result.stderr
    assert pipeline.target.value("select to_regclass('public.both') is null")
