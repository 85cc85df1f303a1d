# SPDX-License-Identifier: Apache-2.0
"""Replica identities, keys that change, unchanged TOAST, unique columns: which row an old tuple means."""

import json
import threading

import pytest
from support.tail import Tail
from support.wait import wait_until

LONG = "(select string_agg(md5(x::text), '') from generate_series(1, 300) x)"


def follow(pipeline, tables, *transactions):
    pipeline.source.execute(tables)
    pipeline.start()
    for transaction in transactions:
        pipeline.source.execute(transaction)
    pipeline.assert_follows()


# Tables without a key

FULL_SHAPES = {
    "plain": "(a int, b text)",
    "json": "(a int, b json)",
    "point": "(a int, b point)",
    "xml": "(a int, b xml)",
    "box": "(a int, b box)",
    "arrays": "(a int, b int[])",
    "numeric": "(a int, b numeric)",
    "float": "(a float8, b float8)",
    "rows": "(a int, b pair)",
    "indexed": "(a int, b text); create index on t (b, a)",
    "indexed arrays": "(a int, b int[]); create index on t (a); create index on t ((a + 1)); create index on t (b) where a = 1",
    "nocase": "(a int, b text collate nocase); create index on t (b)",
}
BEFORE = """create type pair as (j json, t text);
    create collation nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"""
FULL_VALUES = {
    "plain": ["'x'", "''", "'NULL'"],
    "json": ["""'{"a": 1}'""", """'{"a":1}'""", "'null'"],
    "point": ["'(0,0)'", "'(-0,0)'", "'(1e-300,NaN)'"],
    "xml": ["'<a/>'", "'<b/>'"],
    "box": ["'(1,1),(0,0)'", "'(2,0.5),(0,0)'"],
    "arrays": ["'{}'", "'{NULL}'", "'{{1}}'"],
    "numeric": ["1", "1.0", "1.00", "'NaN'"],
    "float": ["0", "'-0'", "'NaN'"],
    "rows": ["""'("{}",x)'""", "'(,)'", """'(,"")'"""],
    "indexed": ["'x'", "''", "'X'"],
    "indexed arrays": ["'{}'", "'{NULL}'", "'{1}'"],
    "nocase": ["'x'", "'X'", "''"],
}


@pytest.mark.parametrize("shape", FULL_SHAPES)
def test_exactly_one_of_several_duplicates_is_touched(pipeline, shape):
    values = ", ".join(f"({a}, {b})" for a in ("1", "null") for b in [*FULL_VALUES[shape], "null"])
    pipeline.target.execute(BEFORE + f"create table t {FULL_SHAPES[shape]}")
    follow(
        pipeline, BEFORE + f"create table t {FULL_SHAPES[shape]}; alter table t replica identity full;"
        f"insert into t values {values}; insert into t values {values}; insert into t values {values}",
        "delete from t where ctid in (select min(ctid) from t group by a, b::text)",
        f"update t set b = {FULL_VALUES[shape][0]} where ctid in (select min(ctid) from t where a is null group by b::text)",
        "update t set a = 7 where ctid in (select min(ctid) from t where b is null group by a)",
        "delete from t where a is null and b is null",
        "insert into t select * from t",
        "update t set a = coalesce(a, 0) + 1")


def test_a_row_is_found_whatever_attributes_its_row_types_had(pipeline):
    """
    A value of a row type keeps the shape of the day when it was written, so the bytes of a value that came later differ from it,
    also inside of arrays, domains and ranges.
    """
    grow = """alter type c add attribute d date; alter type c drop attribute b; alter type r add attribute z text"""
    follow(
        pipeline, """create type c as (a int, b text, j json); create type r as (n int); create type deep as (x c, y c[]);
        create domain dc as c; create domain dd as dc;
        create table t (o c, m c[], p deep, e dd, r r, v text); alter table t replica identity full;
        insert into t select row(g, 'b', '{}')::c, array[row(g, 'b', null)::c, null], row(row(g, 'x', '[]')::c, array[null::c])::deep,
            row(g, '', null)::dd, row(g)::r, 'x' from generate_series(1, 20) g;
        insert into t select * from t; insert into t default values; insert into t (v) values ('x')""",
        "update t set v = 'y' where (o).a = 1")
    pipeline.execute_both(grow)
    pipeline.source.execute("update t set v = 'z' where (o).a = 2; delete from t where ctid = (select min(ctid) from t where (o).a = 3)")
    pipeline.source.execute("update t set o = row(5, '{}', '2024-01-01')::c where (o).a = 5; delete from t where o is null and v is null")
    pipeline.source.execute("update t set v = v || 'w'")
    pipeline.assert_follows()


def test_many_rows_without_a_key_are_found_in_one_pass(pipeline):
    """Of every type, several alike, changed more than once in a transaction, with and without an index whose columns are NULL at times."""
    more = "(a int, b text, n numeric(9, 3), f float8, j json, p point, m money, c char(7), big text, o pair, e feeling, d word)"
    pipeline.execute_both(BEFORE + f"""create type feeling as enum ('good', 'bad'); create domain word as text check (value <> 'never');
        create table t {more}; create table i {more}; create index on i (b); create index on i (n, a); create index on i (f)""")
    pipeline.source.execute("""insert into t select g % 50, nullif(g % 7, 0)::text, nullif(g % 4, 0) / 10.0, ('{0,-0,NaN}'::float8[])[1 + g % 3],
            '{}', point(0, g % 2), 1, g % 3, repeat(md5((g % 5)::text), 90), row(null, g % 2)::pair, 'good', 'x' from generate_series(1, 600) g;
        insert into t select * from t; insert into i select * from t; alter table t replica identity full; alter table i replica identity full""")
    pipeline.start()
    pipeline.assert_follows()
    before = pipeline.target.value("select pg_stat_get_numscans('t'::regclass)")
    pipeline.source.execute("".join(f"""begin;
        update {table} set c = 'new', o = row('[]', b)::pair where a < 40 and (a % 2 = 0 or b is null);
        update {table} set big = 'small', d = null, e = 'bad' where a % 3 = 0;
        update {table} set f = -f, n = n + 1, b = nullif(b, '3') where c = 'new' and n <> 'NaN';
        delete from {table} where ctid in (select min(ctid) from {table} group by a);
        insert into {table} select * from {table} where a = 1;
        update {table} set p = null, m = m * 2 where a in (1, 2); commit;""" for table in ("t", "i")))
    pipeline.assert_follows()
    wait_until(lambda: pipeline.target.value("select pg_stat_get_tuples_updated('t'::regclass)") > 300, "the updates to be counted")
    scans = pipeline.target.value("select pg_stat_get_numscans('t'::regclass)") - before
    assert scans < 30, scans  # for some 1,500 changes; comparing takes some, too


def test_a_row_that_is_equal_only_for_its_columns_is_found(pipeline):
    """As a native subscription finds it; but an identical row is preferred, whichever comes first."""
    tables = BEFORE + """create extension citext; create table t (a int, b {}, c citext, n numeric, v text);
        create table i (b {}, v text); create index on i (b)"""
    pipeline.source.execute(tables.format("text", "text") + "; alter table t replica identity full; alter table i replica identity full")
    pipeline.target.execute(tables.format("text collate nocase", "text collate nocase"))
    pipeline.source.execute("insert into t values (1, 'abc', 'x', 1.0), (2, 'DEF', 'Y', null), (3, null, 'z', 2), (4, 'x', 'x', 1);"
                            "insert into i values ('abc', null), ('null', null), (null, null)")
    pipeline.start()
    pipeline.target.execute("delete from t where a = 4; update t set b = upper(b), c = upper(c::text), n = n + 0.00; update i set b = upper(b);"
                            "insert into t values (4, 'X', 'x', 1), (4, 'x', 'x', 1), (4, 'X', 'x', 1.0)")
    pipeline.source.execute("update t set v = 'found' where a <> 4; update i set v = 'found'")
    pipeline.source.execute("delete from t where a = 4; delete from t where a = 2")
    pipeline.wait_applied()
    assert pipeline.target.execute("select a, b, c, n::text, v from t order by a, n") == [
        (1, "abc", "x", "1.0", "found"), (3, None, "z", "2", "found"), (4, "X", "x", "1", None), (4, "X", "x", "1.0", None)]
    assert pipeline.target.execute("select v, count(*) from i group by 1") == [("found", 3)]
    assert pipeline.target.execute("select b from i order by b") == [("abc",), ("null",), (None,)]


def test_any_index_serves_to_find_a_row_without_a_key(pipeline):
    """Not unique, with NULLs, of several columns: a scan of the table for each change would take its square."""
    pipeline.execute_both("create table t (a int, b text, c int, j json, v text); create index on t (b, a); alter table t replica identity full")
    pipeline.source.execute("insert into t select g, case when g % 10 > 0 then 'b' || g / 2 end, g, '{}', 'x' from generate_series(1, 3000) g;"
                            "insert into t select * from t where a < 100")
    pipeline.start()
    pipeline.target.execute("analyze t")
    pipeline.source.execute("update t set v = 'y' where a % 3 = 0; update t set a = null where a % 30 = 0; update t set v = 'z' where a is null")
    pipeline.source.execute("delete from t where ctid in (select min(ctid) from t where a < 100 group by a); update t set j = null, b = null")
    pipeline.source.execute("update t set v = 'last' where c % 100 = 0")
    pipeline.wait_applied()
    pipeline.engine.stop()
    assert pipeline.target.value("select seq_scan from pg_stat_user_tables where relname = 't'") < 10, "thousands of rows were looked for by scans"
    pipeline.assert_equal()


def test_full_identity_with_unchanged_toast(pipeline):
    follow(
        pipeline, f"create table t (n int, body text); alter table t replica identity full;"
        f"insert into t select g, {LONG} || g from generate_series(1, 10) g; insert into t select * from t",
        "update t set n = n + 100 where n < 5", "delete from t where n = 7", "update t set body = null where n = 8")


def test_full_identity_on_a_table_with_a_key(pipeline):
    follow(
        pipeline, "create table t (id int primary key, j json, n numeric); alter table t replica identity full;"
        "insert into t select g, '{}', null from generate_series(1, 100) g",
        "update t set j = '[1]' where id % 2 = 0", "update t set id = id + 1000 where id % 10 = 0",
        "delete from t where id % 3 = 0")


def test_identity_by_a_unique_index(pipeline):
    follow(
        pipeline, """create table t (id int primary key, code text not null, v text);
        create unique index by_code on t (code); alter table t replica identity using index by_code;
        insert into t select g, 'c' || g, 'v' from generate_series(1, 100) g""",
        "update t set v = 'w' where id < 50", "update t set code = 'd' || id where id < 20", "delete from t where id > 90",
        "update t set id = id + 1000 where id between 60 and 70")


def test_identity_nothing_takes_inserts(pipeline):
    follow(pipeline, "create table t (v text); alter table t replica identity nothing; insert into t values ('a');"
           "create publication shop for table t with (publish = 'insert, truncate')",
           "insert into t select null from generate_series(1, 100)", "truncate t", "insert into t values ('b')")


# TOAST

def test_unchanged_toast_stays(pipeline):
    follow(
        pipeline, f"create table t (id int primary key, n int, a text, b jsonb);"
        f"insert into t select g, 0, {LONG} || g, jsonb_build_object('v', {LONG}) from generate_series(1, 20) g",
        "update t set n = 1",
        "update t set a = 'short' where id = 2",
        "update t set id = 103, n = 3 where id = 3",
        "update t set n = 4 where id = 4; update t set a = a || 'x' where id = 4; update t set n = 5 where id = 4",
        f"begin; insert into t select 200, 0, {LONG}, '{{}}'; update t set n = 9 where id = 200; update t set n = 10 where id = 200; commit",
        "begin; update t set n = 11 where id = 6; update t set id = 106 where id = 6; update t set n = 12 where id = 106; commit",
        f"begin; update t set n = 1 where id = 7; delete from t where id = 7; insert into t select 7, 2, {LONG} || 'again', null; update t set n = 3 where id = 7; commit",
        "begin; update t set a = null where id = 8; update t set n = 8 where id = 8; commit")


def test_unchanged_toast_survives_in_a_backlog(pipeline):
    """One group holds insert and updates of one key: merged, never overwritten with nothing."""
    pipeline.source.execute("create table t (id int primary key, n int, a text)")
    pipeline.engine.catch_up()
    for number in range(30):
        pipeline.source.execute(f"insert into t select {number}, 0, {LONG} || {number}")
        pipeline.source.execute(f"update t set n = n + 1 where id >= {number} - 10")
        if number % 5 == 0:
            pipeline.source.execute(f"update t set id = id + 1000 where id = {number}")
            pipeline.source.execute(f"update t set n = -1 where id = {number + 1000}")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


# Keys that change

def test_key_changes_leave_nothing_behind(pipeline):
    follow(
        pipeline, "create table t (a int, b text, v int, primary key (a, b)); insert into t select g, 'k', g from generate_series(1, 500) g",
        "update t set a = a + 1000 where a <= 100",
        "update t set b = 'other' where a between 200 and 300",
        "update t set a = -a where a between 1 and 500",
        "begin; update t set a = 5000 where a = 1001; update t set a = 5001 where a = 5000; insert into t values (1001, 'k', 1); commit",
        "begin; delete from t where a = 1002; update t set a = 1002 where a = 1003; update t set a = 1003, v = 9 where a = 1002; commit",
        "begin; update t set a = a + 100000; update t set a = a - 100000; commit")


def test_a_chain_of_keys_moves_in_order(pipeline):
    """Each row takes the key that the row before it has just left."""
    moves = "".join(f"update t set id = {n + 1} where id = {n};" for n in range(100, 0, -1))
    follow(pipeline, "create table t (id int primary key, v int); insert into t select g, g from generate_series(1, 100) g",
           f"begin; {moves} commit", f"begin; delete from t where id = 101; {moves} insert into t values (1, 0); commit")


# Unique columns other than the key

def test_unique_values_change_hands(pipeline):
    follow(
        pipeline, """create table acc (id int primary key, email text unique, bal int);
        create table sw (id int primary key, pos int unique deferrable initially deferred);
        insert into acc select g, 'e' || g, 100 from generate_series(1, 200) g;
        insert into sw select g, g from generate_series(1, 200) g""",
        "begin; delete from acc where id = 1; insert into acc values (1001, 'e1', 100); commit",
        "update sw set pos = 201 - pos",
        "begin; update acc set email = 'tmp' where id = 2; update acc set email = 'e2' where id = 3;"
        " update acc set email = 'e3' where id = 2; commit",
        "".join(f"begin; update acc set email = 'tmp' where id = {n}; update acc set email = 'e{n}' where id = {n + 1};"
                f" update acc set email = 'e{n + 1}' where id = {n}; commit;" for n in range(10, 190, 2)))


def test_unique_values_change_hands_on_a_target_that_checks_them(pipeline):
    """The target has the unique indexes too, one of them checked at once where the source's is deferred."""
    tables = """create table acc (id int primary key, email text unique, bal int);
                create table sw (id int primary key, pos int unique deferrable initially deferred);"""
    pipeline.execute_both(tables)
    follow(
        pipeline, "insert into acc select g, 'e' || g, 100 from generate_series(1, 200) g;"
        "insert into sw select g, g from generate_series(1, 200) g",
        "begin; delete from acc where id = 1; insert into acc values (1001, 'e1', 100); commit",
        "update sw set pos = 201 - pos",
        "".join(f"begin; update acc set email = 'tmp' where id = {n}; update acc set email = 'e{n}' where id = {n + 1};"
                f" update acc set email = 'e{n + 1}' where id = {n}; commit;" for n in range(10, 190, 2)),
        "begin; delete from acc where id % 2 = 0; insert into acc select id + 2000, 'e' || (id + 1), 0 from generate_series(20, 180, 2) id; commit")


# Partitioned tables by their root: what a leaf logged decides

LEAVES = {
    "full root, keyed leaves": """create table t (id int, r int, v text, n int, primary key (id, r)) partition by list (r);
        alter table t replica identity full;""",
    "keys on leaves": "create table t (id int not null, r int not null, v text, n int) partition by list (r);",
    "full leaves": "create table t (id int, r int, v text, n int) partition by list (r);",
    "full and keyed leaves": "create table t (id int not null, r int not null, v text, n int) partition by list (r);",
}
LEAF_IDENTITIES = {
    "full root, keyed leaves": "",
    "keys on leaves": "alter table t_1 add primary key (id); alter table t_2 add primary key (id);",
    "full leaves": "alter table t_1 replica identity full; alter table t_2 replica identity full;",
    "full and keyed leaves": "alter table t_1 replica identity full; alter table t_2 add primary key (id);",
}


@pytest.mark.parametrize("shape", LEAVES)
def test_a_row_of_a_leaf_is_found_by_what_the_leaf_logged(pipeline, shape):
    """The server sends the root's letter and the leaf's values; values that are not logged arrive as null, and were taken as null."""
    follow(pipeline, LEAVES[shape] + f"""create table t_1 partition of t for values in (1);
        create table t_2 partition of t for values in (2); alter table t_1 alter v set storage external;
        {LEAF_IDENTITIES[shape]}
        insert into t select x, 1, {LONG}, null from generate_series(1, 5) x;
        insert into t select x, 2, {LONG}, 7 from generate_series(11, 15) x""",
           "update t set id = id + 100 where id in (1, 11)", "update t set n = 5 where id in (2, 12)",
           "delete from t where id in (3, 13)", "update t set v = 'short' where id in (4, 14)",
           "insert into t values (6, 1, 'x', 1), (16, 2, 'y', 1)")


# What is done to leaves while changes wait, each between two rounds of changes.
LEAF_CHANGES = {
    "identity becomes a key": "alter table t_1 add primary key (id); alter table t_1 replica identity default",
    "identity becomes full": "alter table t_1 replica identity full",
    "another key": "alter table t_1 drop constraint t_1_pkey; alter table t_1 add primary key (n)",
    "a keyed leaf comes": "create table t_3 (id int not null, r int not null, v text, n int not null, primary key (id)); alter table t attach partition t_3 for values in (3)",
    "a leaf goes and comes back": "alter table t detach partition t_1; alter table t_1 replica identity full; alter table t attach partition t_1 for values in (1)",
}
LEAVES_BEFORE = {"identity becomes a key": "full", "a keyed leaf comes": "full"}


@pytest.mark.parametrize("shape", LEAF_CHANGES)
def test_leaves_that_change_while_changes_wait_never_make_nulls(pipeline, shape):
    """The catalog of now is not that of the change; what the server announces in the stream is."""
    identity = LEAVES_BEFORE.get(shape, "default")
    keys = "".join(f"alter table t_{n} add primary key (id);" for n in (1, 2) if identity == "default")
    tables = f"""create table t (id int not null, r int not null, v text, n int not null) partition by list (r);
        create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);"""
    pipeline.source.execute(tables + f"""{keys} alter table t replica identity full; create publication shop for table t with (publish_via_partition_root = true);
        alter table t_1 replica identity {identity}; alter table t_2 replica identity {identity};
        insert into t select x, 1 + x % 2, case when x % 3 > 0 then 'v' || x end, x from generate_series(1, 20) x""")
    pipeline.target.execute(tables + "create table t_3 partition of t for values in (3)")
    pipeline.start()
    with Tail(pipeline) as tail:
        pipeline.source.execute("update t set v = null where r = 1 and id < 9")
        pipeline.wait_applied()
        pipeline.engine.freeze()
        pipeline.source.execute("update t set v = 'u' where r = 1 and id < 5; delete from t where id = 6")
        pipeline.source.execute(LEAF_CHANGES[shape])
        pipeline.source.execute("insert into t values (101, 1, null, 101), (102, 1, 'x', 102)")
        if "t_3" in LEAF_CHANGES[shape]:
            pipeline.source.execute("insert into t values (201, 3, 'x', 201); update t set id = 202 where id = 201; update t set v = null where id = 202")
        pipeline.source.execute("update t set id = id + 1000 where r = 1 and id > 9; update t set v = 'z' where r = 1; delete from t where id in (8, 1102)")
        pipeline.engine.thaw()
        pipeline.wait_applied()
        rows = "select * from t order by id"
        assert pipeline.target.execute(rows) == pipeline.source.execute(rows)
        pipeline.source.execute("insert into t values (9999, 1, 'the end', 9999)")
        wait_until(lambda: "the end" in tail.path.read_text(encoding="utf-8"), "tail to see the end")
        befores = [line["before"] for line in tail.lines() if line.get("before")]
        assert len(befores) >= 3
        assert all(value is not None for before in befores for name, value in before.items() if name != "v"), "a null that was not sent"


NOT_TOLD = {
    "generated key": ("create table t (code text generated always as ('c' || a::text) stored primary key, a int, v text);"
                      "insert into t (a) values (1), (2)", "update t set v = 'x' where a = 1; delete from t where a = 2", "does not identify its row"),
    "different keys": ("create table t (id int not null, r int not null, v text) partition by list (r);"
                       "create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);"
                       "alter table t_1 add primary key (id); alter table t_2 add primary key (id, r);"
                       "insert into t values (1, 1, 'a'), (1, 2, 'b')", "update t set v = 'x'", "does not identify its row"),
    "generated part of a key": ("create table t (code text generated always as ('c' || a::text) stored, a int, v text, primary key (a, code));"
                                "insert into t (a) values (1)", "update t set a = 2, v = 'x'", "does not identify its row"),
    "row filter": (f"create table t (id int primary key, v text); alter table t alter v set storage external;"
                   f"insert into t select 1, {LONG}; create publication shop for table t where (id > 100)",
                   "update t set id = 101; update t set id = 102", "did not send its large value"),
}
def test_an_update_that_leaves_a_generated_key_alone_is_applied(pipeline):
    """The key is not sent; no other row can have the same values of what it is made of."""
    follow(pipeline, "create table t (code text generated always as ('c' || a::text || coalesce(b, '')) stored primary key, a int, b text, v text);"
           "create table u (half int generated always as (a / 2) stored, k int, a int, v text, primary key (k, half));"
           "insert into t (a, b) select x, case when x % 2 = 0 then 'b' || x end from generate_series(1, 9) x;"
           "insert into u (k, a) select x / 6, x from generate_series(2, 20, 2) x",
           "insert into t (a) values (100); update t set v = 'u' where a in (2, 4); update t set v = v || 'u' where a = 4",
           "update u set v = 'x' where a > 6; insert into u (k, a, v) values (100, 1, 'n'); update u set v = 'm' where k = 100")


FOUND = {"generated key": "generated_key", "generated part of a key": "generated_key", "different keys": "leaf_identities", "row filter": "row_filter_large"}


@pytest.mark.parametrize("shape", NOT_TOLD)
def test_a_row_that_nobody_can_tell_stops_the_stream(pipeline, shape):
    tables, change, reason = NOT_TOLD[shape]
    pipeline.source.execute(tables)
    pipeline.start()
    pipeline.wait_streaming()
    pipeline.engine.stop()
    pipeline.source.execute(change)
    pipeline.assert_refused(reason, "needs a new copy", code=1)


@pytest.mark.parametrize("shape", NOT_TOLD)
def test_check_finds_it_first_and_its_fix_is_enough(pipeline, shape):
    tables, change, _ = NOT_TOLD[shape]
    pipeline.source.execute(tables)
    findings = json.loads(pipeline.engine.command("check", "--json").stdout)["findings"]
    fixes = [finding["fix"] for finding in findings if finding["code"] == FOUND[shape]]
    assert fixes, findings
    for fix in fixes:
        pipeline.source.execute(fix)
    report = json.loads(pipeline.engine.command("check", "--json").stdout)
    assert report["ready"], report
    pipeline.start()
    pipeline.wait_streaming()
    pipeline.source.execute(change)
    pipeline.wait_applied()
    assert pipeline.target.execute("select true from t where v = 'x' or id = 102" if shape == "row filter"
                                   else "select count(*) > 0 from t where v = 'x'") == [(True,)]


@pytest.mark.parametrize("more", ["", ", d date, p pg_lsn, a int[]", ", m mood"], ids=["binary", "other_types", "text"])
def test_a_large_value_that_was_not_sent_is_read_from_the_row(pipeline, more):
    """An update made the row enter the row filter; the row is still the version that it wrote."""
    pipeline.source.execute(f"create type mood as enum ('a'); create table t (id int, k text, v text, b bytea{more}, primary key (id, k));"
                            "alter table t alter v set storage external, alter b set storage external;"
                            f"insert into t (id, k, v, b) select g, 'k\"' || g, {LONG}, decode(repeat('ab', 5000), 'hex')"
                            " from generate_series(1, 3) x, lateral (select x) l (g); create publication shop for table t where (id > 100)")
    pipeline.start()
    pipeline.wait_streaming()
    pipeline.source.execute("update t set id = id + 100 where id < 3")
    pipeline.source.execute("update t set v = 'short' where id = 103")
    pipeline.wait_applied()
    rows = "select id, k, md5(v), md5(b) from t where id > 100 order by id"
    assert pipeline.target.execute(rows) == pipeline.source.execute(rows)
    assert pipeline.target.value("select count(*) from t") == 2


def test_a_row_of_a_transaction_that_waits_for_a_standby_is_read_once_it_is_visible(new_pipeline, own_cluster, shared_clusters):
    """It is sent before others can see it."""
    source = own_cluster("source")
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key, v text); alter table t alter v set storage external;"
                            f"insert into t select x, {LONG} from (values (1)) l (x); create publication shop for table t where (id > 100)")
    pipeline.start()
    pipeline.wait_streaming()
    source.configure({"synchronous_standby_names": "nobody"})
    source.reload()
    connection = pipeline.source.connect()
    connection.autocommit = True
    updating = threading.Thread(target=lambda: connection.cursor().execute("update t set id = 101"))
    try:
        updating.start()
        pipeline.engine.wait_log("is not visible there yet")
    finally:
        source.configure({"synchronous_standby_names": ""})
        source.reload()
        updating.join(60)
        connection.close()
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from t where id = 101 and length(v) > 1000") == 1


def test_check_names_leaves_whose_changes_are_not_sent(pipeline):
    pipeline.source.execute("create table t (id int primary key) partition by list (id);"
                            "create unlogged table t_1 partition of t for values in (1)")
    findings = json.loads(pipeline.engine.command("check", "--json").stdout)["findings"]
    [finding] = [finding for finding in findings if finding["code"] == "leaf_unlogged"]
    pipeline.source.execute(finding["fix"])
    assert json.loads(pipeline.engine.command("check", "--json").stdout)["ready"]


def test_check_names_foreign_leaves_whose_changes_are_not_sent(pipeline):
    """Their changes would be lost without a word; nothing but the finding tells."""
    pipeline.source.execute("create extension postgres_fdw; create server there foreign data wrapper postgres_fdw;"
                            "create table t (id int not null) partition by list (id); create table t_1 partition of t for values in (1);"
                            "create foreign table t_2 partition of t for values in (2) server there;"
                            "create publication shop for table t with (publish_via_partition_root = true, publish = 'insert')")
    report = json.loads(pipeline.engine.command("check", "--json").stdout)
    [finding] = [finding for finding in report["findings"] if finding["code"] == "leaf_foreign"]
    assert not report["ready"] and finding["objects"] == ['"public"."t_2"'], report
    pipeline.source.execute(finding["fix"].partition(": ")[2])
    pipeline.target.execute("create table if not exists t (id int not null)")
    assert not [each for each in json.loads(pipeline.engine.command("check", "--json").stdout)["findings"] if each["code"] == "leaf_foreign"]


@pytest.mark.parametrize("change", ["update t set v = 'x' where r = 1", "delete from t where r = 1",
                                    "update t set v = case r when 1 then 'x' else 'y' end"])
def test_a_key_that_rows_of_two_leaves_have_stops_before_either_is_changed(pipeline, change):
    pipeline.source.execute("create table t (id int not null, r int not null, v text) partition by list (r);"
                            "create table t_1 partition of t for values in (1); create table t_2 partition of t for values in (2);"
                            "alter table t_1 add primary key (id); alter table t_2 add primary key (id);"
                            "insert into t values (1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c'), (2, 2, 'd')")
    pipeline.start()
    pipeline.wait_streaming()
    pipeline.engine.stop()
    pipeline.source.execute(change)
    pipeline.assert_refused("t", code=1)
    assert pipeline.target.execute("select * from t order by 1, 2") == [(1, 1, 'a'), (1, 2, 'b'), (2, 1, 'c'), (2, 2, 'd')]


@pytest.mark.parametrize("kind", ["the key", "a part of the key"])
def test_a_generated_key_that_is_published_tells_the_row(new_pipeline, shared_clusters, kind):
    """From PostgreSQL 18 on it is sent when the publication says so; otherwise the server refuses the application's updates."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    key = "code" if kind == "the key" else "a, code"
    follow(pipeline, f"create table t (code text generated always as ('c' || a::text) stored, a int, v text, primary key ({key}));"
           "insert into t (a) select g from generate_series(1, 9) g; create publication shop for table t with (publish_generated_columns = stored)",
           "update t set v = 'u' where a = 1; update t set a = a + 100 where a in (2, 3); delete from t where a = 4",
           "insert into t (a) values (50); update t set a = 51 where a = 50; delete from t where a = 51")


def test_a_generated_key_that_18_does_not_publish_is_found_by_check(new_pipeline, shared_clusters):
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    pipeline.source.execute("create table t (code text generated always as ('c' || a::text) stored primary key, a int, v text);"
                            "create publication shop for table t")
    report = json.loads(pipeline.engine.command("check", "--json").stdout)
    [finding] = [finding for finding in report["findings"] if finding["code"] == "replica_identity"]
    assert not report["ready"] and "generated column" in finding["fix"], report
    pipeline.source.execute(finding["fix"])
    assert json.loads(pipeline.engine.command("check", "--json").stdout)["ready"]
