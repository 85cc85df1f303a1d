# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify` of tables of mode append: the rows that remain when their events are carried out are those of the source."""

import json

import pytest

from support.modes import modes_of

EQUAL, DIFFERENT = 0, 4
TABLE = """create table goods (id int primary key, a int, b text, big text, other text, j json);
    alter table goods alter column big set storage external; alter table goods alter column other set storage external;
    insert into goods select g, g, 'b' || g, repeat(md5(g::text), 100), case when g % 2 = 0 then repeat(md5((-g)::text), 100) end, '{"a": 1}' from generate_series(1, 60) g"""
# Values that were not sent: of the version before, of several, of a row that had other keys, of one that came back.
CHANGES = [
    "update goods set a = a + 1; update goods set a = a + 1 where id < 20; update goods set big = 'short' where id = 3; update goods set a = 0 where id = 3",
    "delete from goods where id = 4; insert into goods values (4, 4, 'again', 'new', repeat('x', 5000)); update goods set a = 5 where id = 4",
    "update goods set id = 104 where id = 6; update goods set a = 7 where id = 104; update goods set id = 204 where id = 104; update goods set id = 6 where id = 204; update goods set a = 8 where id = 6",
    "begin; update goods set id = 300 where id = 8; update goods set id = 8 where id = 9; update goods set id = 9 where id = 300; update goods set a = -a; commit",
    "begin; update goods set id = 500 where id = 10; delete from goods where id = 500; insert into goods (id, big) values (10, 'ten'); update goods set id = 501 where id = 12; insert into goods (id) values (12); commit",
    "update goods set big = repeat('more', 1000), a = 1 where id = 501; update goods set id = 502 where id = 501; update goods set j = null where id % 7 = 0; delete from goods where id > 55",
]


@pytest.fixture
def append(pipeline):
    pipeline.source.execute(TABLE)
    with modes_of(pipeline, "goods", ["append"]) as modes:
        modes.log = modes.of["append"]
        yield modes


def verify(modes, *more):
    result = modes.engine.command("verify", "--json", *more)
    assert result.returncode in (EQUAL, DIFFERENT), result.stdout + result.stderr
    return result.returncode, json.loads(result.stdout)["sinks"][0]["tables"][0]


def assert_equal(modes):
    code, table = verify(modes)
    assert code == EQUAL and table["result"] == "equal", table
    return table


def test_events_leave_the_rows_of_the_source(append):
    append.start()
    assert_equal(append)
    for sql in CHANGES:
        append.source.execute(sql)
        append.wait()
        assert_equal(append)
    append.source.execute("truncate goods")
    append.source.execute("insert into goods (id, big) select g, repeat('y', 3000) from generate_series(1, 9) g; update goods set a = 1 where id < 5; delete from goods where id = 9")
    append.wait()
    table = assert_equal(append)
    assert table["source_rows"] == 8 and table["target_rows"] == 8, table


@pytest.mark.parametrize("damage, found", [
    ("delete from kept.goods_append where id = 3 and _pgcdc_op = 'u' and b = 'last'", (0, 0, 1)),
    ("delete from kept.goods_append where id = 5 and _pgcdc_op = 'd'", (0, 1, 0)),
    ("delete from kept.goods_append where _pgcdc_op = 't'", (0, 51, 0)),
    ("update kept.goods_append set big = 'other' where id = 2 and big is not null", (0, 0, 1)),
    ("update kept.goods_append set _pgcdc_unchanged = null where id = 2 and _pgcdc_unchanged is not null", (0, 0, 1)),
    ("update kept.goods_append set j = '{\"a\":1}' where id = 7 and _pgcdc_op = 'c'", (0, 0, 1)),
    ("insert into kept.goods_append (id, _pgcdc_lsn, _pgcdc_index, _pgcdc_op, _pgcdc_source) values (999, '1/1', 1, 'c', 'public.goods')", (0, 1, 0)),
], ids=["an update is lost", "a deletion is lost", "a truncate is lost", "a value before is another", "a value is lost", "a value is another", "an event too many"])
def test_what_differs_is_found(append, damage, found):
    append.start()
    append.source.execute("truncate goods; insert into goods select g + case when g > 9 then 1000 else 0 end, g, 'b', case when g = 2 then repeat('v', 3000) end, null, '{\"a\": 1}' from generate_series(1, 20) g")
    append.source.execute("update goods set a = 0 where id = 2; delete from goods where id = 5; update goods set b = 'last' where id = 3")
    append.wait()
    assert_equal(append)
    append.log.execute(damage)
    code, table = verify(append, "--keys", "100")
    assert code == DIFFERENT and (table["missing"], table["extra"], table["different"]) == found, table


@pytest.mark.parametrize("identity", ["full", "using index goods_b", "full, with a step"])
def test_other_identities(append, identity):
    append.source.execute("alter table goods alter column b set not null; create unique index goods_b on goods (b); alter table goods replica identity " + identity.split(",")[0])
    if "step" in identity:
        append.engine.configuration["mapping"][0]["columns"] = {"b": ["upper"], "id": "drop", "bank": {"const": "a"}}
    append.start()
    for sql in CHANGES[:1] + ["update goods set a = 9 where id = 1; update goods set id = 400 where id = 2; update goods set b = 'moved', a = 1 where id = 5; delete from goods where id = 6; update goods set b = 'b5', id = 6 where id = 5"]:
        append.source.execute(sql)
        append.wait()
        assert_equal(append)
    append.log.execute("delete from kept.goods_append where _pgcdc_op = 'd' and lower(b) = 'moved'")
    assert verify(append)[0] == DIFFERENT
    append.engine.stop()


@pytest.mark.parametrize("identity", ["full", "default"])
def test_a_table_without_a_key(append, identity):
    append.source.execute(f"create table log (line text, n int, j json); alter table log replica identity {identity}; insert into log select 'line ' || g % 3, g % 2, '[]' from generate_series(1, 50) g; drop table goods")
    if identity == "default":
        append.source.execute("create publication shop for table log with (publish = 'insert, truncate')")
    append.engine.configuration["mapping"][0] |= {"match": "public.log", "to": "kept.goods_append"}
    append.start()
    append.source.execute("insert into log select 'more', 1, '[1]' from generate_series(1, 10) g")
    if identity == "full":
        append.source.execute("update log set n = 5 where line = 'line 1'; delete from log where ctid in (select ctid from log where line = 'more' limit 3); update log set n = n")
    append.wait()
    table = assert_equal(append)
    assert table["target_rows"] == (57 if identity == "full" else 60)
    append.log.execute("delete from kept.goods_append where ctid = (select min(ctid) from kept.goods_append where line = 'more' and _pgcdc_op <> 'd')")
    assert verify(append)[0] == DIFFERENT
    append.source.execute("truncate log")
    append.wait()
    assert assert_equal(append)["target_rows"] == 0


def test_large_keys_that_are_not_sent(pipeline):
    """A key that is stored apart is in the old row of an update, and not in the new one."""
    pipeline.source.execute("create table names (name text primary key, n int, big text); alter table names alter column name set storage external; alter table names alter column big set storage external;"
                            "insert into names select repeat(md5(g::text), 70), g, repeat(md5((-g)::text), 100) from generate_series(1, 10) g")
    with modes_of(pipeline, "names") as modes:
        modes.start()
        modes.source.execute("update names set n = n + 1; update names set n = n + 1 where n < 5; update names set name = 'b' || name where n = 6; update names set name = 'short' where n = 7; delete from names where n = 8")
        modes.assert_exact("name", "n, big")
        modes.assert_verified()


def test_two_sources_share_a_log(pipeline):
    pipeline.source.execute("create schema b; create table goods (id int primary key, v text); create table b.goods (id int primary key, v text);"
                            "insert into goods select g, repeat('a', 3000) from generate_series(1, 9) g; insert into b.goods select g, repeat('b', 3000) from generate_series(5, 20) g;")
    pipeline.source_configuration["tables"] = ["public.*", "b.*"]
    pipeline.engine.configuration["mapping"] = [{"match": r"/.*\.goods/", "to": "kept.goods", "mode": "append", "key": ["id", "whose"], "columns": {"whose": {"meta": "table"}}}]
    pipeline.engine.catch_up()
    pipeline.source.execute("truncate b.goods; insert into b.goods values (1, 'new'), (2, 'x'); update goods set id = id + 100; delete from goods where id = 105")
    pipeline.engine.catch_up()
    result = pipeline.engine.command("verify")
    assert result.returncode == EQUAL, result.stdout + result.stderr
    pipeline.target.execute("delete from kept.goods where whose = 'b.goods' and _pgcdc_op = 't'")
    assert pipeline.engine.command("verify", "--table", "public.goods").returncode == EQUAL
    assert pipeline.engine.command("verify", "--table", "b.goods").returncode == DIFFERENT


def test_events_that_do_not_tell_rows_apart_are_refused(append):
    """The remedy names the other tables."""
    append.source.execute("create table other (id int primary key); insert into other values (1)")
    append.engine.configuration["mapping"][0]["columns"] = {"id": "drop"}
    append.engine.catch_up()
    result = append.engine.command("verify")
    assert result.returncode not in (EQUAL, DIFFERENT) and "a column of the key is not in the sink, or a rule can make two keys equal" in result.stderr, result.stderr
    assert append.engine.command("verify", "--table", "public.other").returncode == EQUAL


def test_conditions_and_repair(append):
    append.engine.configuration["mapping"][0]["where"] = "a < 1000"
    append.source.execute("alter table goods drop column big, drop column other, replica identity full")
    append.start()
    append.source.execute("update goods set a = 2000 where id < 5; update goods set a = 3 where id = 2; delete from goods where id = 7")
    append.wait()
    assert assert_equal(append)["target_rows"] == 56
    append.log.execute("update kept.goods_append set b = 'x' where id = 30")
    assert verify(append, "--where", "id < 30")[0] == EQUAL and verify(append, "--where", "id >= 30")[0] == DIFFERENT
    result = append.engine.command("verify", "--repair")
    assert result.returncode not in (EQUAL,) and "would remove what is kept" in result.stderr, result.stdout + result.stderr
    append.engine.stop()
