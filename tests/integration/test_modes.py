# SPDX-License-Identifier: Apache-2.0
"""Modes of a table: a row for each change, marks of deleted rows, and a row for each version, each with what the source has, to the last change."""

import json
import re
from pathlib import Path

import pytest

from support.modes import modes_of

BIG = "(select string_agg(md5(g::text || {seed}), '') from generate_series(1, 400) g)"

SCHEMA = """
    create table goods (id int primary key, name text not null, n int, big text);
    alter table goods alter column big set storage external;
    insert into goods values (1, 'one', 1, %s), (2, 'two', 2, null), (3, 'three', 3, null);
""" % BIG.format(seed=1)


@pytest.fixture
def modes(pipeline):
    pipeline.source.execute(SCHEMA)
    with modes_of(pipeline) as made:
        yield made


def test_every_mode_after_a_copy_and_changes(modes):
    modes.start()
    source = modes.source
    source.execute("update goods set n = 10 where id = 1")  # the large value is not sent
    source.execute("begin; insert into goods values (4, 'four', 4, null); update goods set n = 5 where id = 4; update goods set n = 6 where id = 4; commit")
    source.execute("delete from goods where id = 2")
    source.execute("insert into goods values (2, 'two again', 22, null)")
    source.execute("update goods set id = 11 where id = 1")  # the new row's large value is that of the old one
    source.execute("begin; delete from goods where id = 3; insert into goods values (3, 'in one', 3, null); delete from goods where id = 3; commit")
    modes.wait()
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    assert modes.rows("append", "_pgcdc_op, id, name, n, _pgcdc_unchanged", "_pgcdc_lsn, _pgcdc_index, _pgcdc_op") == [
        ("r", 1, "one", 1, None), ("r", 2, "two", 2, None), ("r", 3, "three", 3, None),
        ("u", 1, "one", 10, ["big"]),
        ("c", 4, "four", 4, None), ("u", 4, "four", 5, None), ("u", 4, "four", 6, None),
        ("d", 2, None, None, None), ("c", 2, "two again", 22, None),
        ("d", 1, None, None, None), ("u", 11, "one", 10, ["big"]),
        ("d", 3, None, None, None), ("c", 3, "in one", 3, None), ("d", 3, None, None, None)]
    assert modes.rows("soft_delete", "id, name, n, _pgcdc_deleted, _pgcdc_op, big is not null") == [
        (1, "one", 10, True, "d", True), (2, "two again", 22, False, "c", False), (3, "in one", 3, True, "d", False),
        (4, "four", 6, False, "u", False), (11, "one", 10, False, "u", True)]
    assert modes.rows("history", "id, name, n, _pgcdc_op, _pgcdc_current, big is not null", "id, _pgcdc_lsn, _pgcdc_index") == [
        (1, "one", 1, "r", False, True), (1, "one", 10, "u", False, True),
        (2, "two", 2, "r", False, False), (2, "two again", 22, "c", True, False),
        (3, "three", 3, "r", False, False), (3, "in one", 3, "c", False, False),
        (4, "four", 4, "c", False, False), (4, "four", 5, "u", False, False), (4, "four", 6, "u", True, False),
        (11, "one", 10, "u", True, True)]


def test_history_has_no_gap_and_no_overlap(modes):
    modes.start()
    for n in range(5):
        modes.source.execute(f"update goods set n = {n}; begin; update goods set n = n + 1; update goods set n = n + 1; commit")
    modes.wait()
    assert modes.of["history"].value("""select count(*) from (
        select _pgcdc_valid_to, lead(_pgcdc_valid_from) over w as next, _pgcdc_current, row_number() over w as place, count(*) over (partition by id) as all_of
        from kept.goods_history window w as (partition by id order by _pgcdc_lsn, _pgcdc_index)) v
        where _pgcdc_valid_to is distinct from next or _pgcdc_current <> (place = all_of)""") == 0
    assert modes.of["history"].value("select count(*) from kept.goods_history where id = 1") == 1 + 15
    moment = modes.source.value("select pg_xact_commit_timestamp(xmin)::text from goods where id = 1") \
        if modes.source.value("show track_commit_timestamp") == "on" else None
    if moment is not None:
        assert modes.of["history"].value("select _pgcdc_valid_from::text from kept.goods_history where id = 1 and _pgcdc_current") == moment


def test_truncate_keeps_what_was_there(modes):
    modes.start()
    modes.source.execute("insert into goods values (4, 'four', 4, null)")
    modes.source.execute("begin; insert into goods values (5, 'five', 5, null); truncate goods; insert into goods values (1, 'new', 1, null); commit")
    modes.wait()
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    assert modes.rows("append", "_pgcdc_op, id", "_pgcdc_lsn, _pgcdc_index")[-3:] == [("c", 5), ("t", None), ("c", 1)]
    assert modes.rows("soft_delete", "id, _pgcdc_deleted, _pgcdc_op") == [
        (1, False, "c"), (2, True, "t"), (3, True, "t"), (4, True, "t"), (5, True, "t")]
    assert modes.of["history"].value("select count(*) from kept.goods_history where _pgcdc_current") == 1
    assert modes.of["history"].value("select count(*) from kept.goods_history where _pgcdc_valid_to is null") == 1
    assert modes.of["history"].value("select count(*) from kept.goods_history") == 6


def test_many_changes_are_applied_as_sets(modes):
    """So many that they are not applied row by row: inserts, versions, keys that move, and rows that come back."""
    modes.start()
    source = modes.source
    source.execute("insert into goods select g, 'row ' || g, g, null from generate_series(100, 2000) g")
    source.execute("update goods set n = n + 1 where id >= 100")
    source.execute("begin; update goods set n = -n where id between 100 and 900; delete from goods where id between 500 and 1200; "
                   "insert into goods select g, 'back', g, null from generate_series(600, 700) g; commit")
    source.execute("update goods set id = id + 5000 where id between 1300 and 1500")
    source.execute("insert into goods select g, 'back', g, null from generate_series(701, 1250) g where not exists (select from goods where id = g)")
    modes.wait()
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    assert modes.of["history"].value("select count(*) from kept.goods_history") == 3 + 1901 + 1901 + 801 + 101 + 201 + 500


def test_values_that_were_not_sent_are_those_of_the_version_before(modes):
    """Of rows in one transaction: the version before is in the target, in the same span, or has another key. Others are closed between them."""
    modes.start()
    source = modes.source
    source.execute("insert into goods select g, 'one more', g, case when g = 4000 then repeat(md5(g::text), 100) end from generate_series(3900, 4000) g")
    modes.wait()
    source.execute("begin; update goods set n = -1 where id between 3900 and 4000; update goods set n = -2 where id = 4000; delete from goods where id between 3900 and 3999; commit")
    modes.wait()
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    source.execute("delete from goods where id = 4000")
    source.execute("insert into goods select g, 'row ' || g, g, case when g % 2 = 0 then repeat(md5(g::text), 100) end from generate_series(100, 299) g")
    modes.wait()  # else the values would be in the span
    source.execute("begin; update goods set n = n + 1 where id >= 100; update goods set n = n + 1 where id >= 100; update goods set id = id + 1000 where id >= 200; "
                   "delete from goods where id between 101 and 151; insert into goods values (200, 'new', 1, null); update goods set big = 'short' where id = 1202; "
                   "update goods set n = 0 where id >= 100; commit")
    modes.wait()
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    history = modes.of["history"]
    assert history.value("select count(*) from kept.goods_history where id between 100 and 1999 and id <> 1202 and name <> 'new' and "
                         "big is distinct from case when id % 2 = 0 then repeat(md5((case when id > 1000 then id - 1000 else id end)::text), 100) end") == 0
    assert history.execute("select big = 'short', _pgcdc_current from kept.goods_history where id = 1202 order by _pgcdc_lsn, _pgcdc_index") == [
        (False, False), (True, False), (True, True)]
    assert history.value("select count(*) from kept.goods_history where id between 100 and 199") == 4 * 100 - 51
    assert history.value("select count(*) from kept.goods_history where _pgcdc_current is distinct from (_pgcdc_valid_to is null)") == 0


def test_text_and_binary_have_the_same_columns(modes):
    """A step needs text, so the values of the mode are text too. A constant is a part of the key."""
    for rule in modes.engine.configuration["mapping"]:
        rule["columns"] = {"n": {"steps": [{"default": "7"}], "type": "text"}, "bank": {"const": "a"}}
    modes.start()
    modes.source.execute("insert into goods values (7, 'seven', null, null); update goods set n = null where id = 2; delete from goods where id = 3")
    modes.wait()
    for mode, condition in (("soft_delete", "not _pgcdc_deleted"), ("history", "_pgcdc_current")):
        assert modes.of[mode].execute(f"select id, n, bank from kept.goods_{mode} where {condition} order by id") == \
            [(1, "1", "a"), (2, "7", "a"), (7, "7", "a")]
    assert modes.of["history"].execute(
        "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 'kept.goods_history'::regclass") == [
            ("CREATE UNIQUE INDEX goods_history_id_bank_idx ON kept.goods_history USING btree (id, bank) WHERE _pgcdc_current",)]


def test_a_table_without_a_key_is_appended_and_not_more(pipeline):
    pipeline.source.execute("create table log (line text, n int); alter table log replica identity full; insert into log values ('a', 1), ('a', 1)")
    with modes_of(pipeline, "log", ["append"]) as modes:
        modes.start()
        modes.source.execute("update log set n = 2 where ctid = (select min(ctid) from log); delete from log where n = 1")
        modes.wait()
        assert modes.rows("append", "_pgcdc_op, line, n", "_pgcdc_lsn, _pgcdc_index, _pgcdc_op") == [
            ("r", "a", 1), ("r", "a", 1), ("d", "a", 1), ("u", "a", 2), ("d", "a", 1)]
    for mode in ("soft_delete", "history"):
        modes.engine.configuration["mapping"][0]["mode"] = mode
        result = pipeline.engine.command("map")
        assert result.returncode == 2 and f"cannot be kept in mode {mode}: it has no primary key" in result.stderr, result.stderr


def test_an_identity_that_is_not_the_key_is_refused(pipeline):
    pipeline.source.execute("create table goods (id int primary key, n int); alter table goods replica identity full")
    pipeline.engine.configuration["mapping"] = [{"match": "public.goods", "mode": "history"}]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "its replica identity at the source is not its primary key" in result.stderr, result.stderr
    pipeline.source.execute("alter table goods replica identity default")  # the remedy
    pipeline.engine.catch_up()


def test_the_map_shows_modes(modes):
    pairs = {table["to_table"]: table for sink in json.loads(modes.engine.command("map", "--json").stdout)["sinks"] for table in sink["tables"]}
    table = pairs["goods_append"]
    assert table["mode"] == "append"
    types = {column["to"]: column["type"] for column in table["columns"]}
    assert types["_pgcdc_lsn"] == "pg_lsn" and types["_pgcdc_unchanged"] == "text[]"
    assert "mode append" in modes.engine.command("map").stdout


def test_the_manual_lists_the_columns_that_tables_get(modes):
    """Names, types and modes of the page, and the columns of the tables that pgcdc has made."""
    page = (Path(__file__).parents[2] / "cdc/manual/mapping.md").read_text()
    listed = re.findall(r"^\| `(_pgcdc_\w+)` \| `([\w\[\]]+)` \| ([\w, ]+) \|", page, re.M)
    modes.engine.catch_up()
    for mode, database in modes.of.items():
        made = database.execute("select attname::text, case format_type(atttypid, null) when 'timestamp with time zone' then 'timestamptz' else format_type(atttypid, null) end"
                                " from pg_attribute where attrelid = %s::regclass and attname like '\\_pgcdc\\_%%' order by 1", (f"kept.goods_{mode}",))
        assert made == sorted((name, type_) for name, type_, where in listed if where == "all three" or mode in where.split(", ")), mode


def test_check_prints_the_columns_that_a_table_lacks(modes):
    """The statement is run as it is printed, and then the pipeline works."""
    modes.of["append"].execute("create schema if not exists kept; create table kept.goods_append (id int, name text, n int, big text)")
    findings = [finding for finding in modes.engine.json("check")["findings"] if "_pgcdc_lsn" in json.dumps(finding)]
    assert findings, modes.engine.json("check")
    for finding in findings:
        modes.of["append"].execute(finding["fix"])
    modes.start()
    modes.source.execute("insert into goods values (9, 'nine', 9, null)")
    modes.wait()
    assert modes.rows("append", "id, _pgcdc_op") == [(1, "r"), (2, "r"), (3, "r"), (9, "c")]


@pytest.mark.parametrize("rule, sink, problem", [
    ({"mode": "scd2"}, {}, "mapping[0].mode: expected merge, append, soft_delete or history"),
    ({"mode": "history"}, {"on_missing": "ignore"}, "history is not possible with on_missing: ignore"),
    ({"mode": "append"}, {"type": "stdout"}, "append is not possible for sink"),
])
def test_what_a_mode_cannot_be_with(pipeline, rule, sink, problem):
    pipeline.engine.configuration["mapping"] = [{"match": "public.goods", **rule}]
    if "type" in sink:
        pipeline.engine.configuration["sinks"].append({"name": "out", "type": "stdout"})
    else:
        pipeline.sink_configuration.update(sink)
    result = pipeline.engine.command("map")
    assert result.returncode == 2 and problem in result.stderr, result.stderr


def test_a_table_is_copied_again_when_nothing_is_kept(modes):
    """Another copy would remove what is kept. The remedy removes it first."""
    modes.start()
    modes.source.execute("update goods set n = n + 1; delete from goods where id = 2")
    modes.wait()
    result = modes.engine.command("table copy", "public.goods")
    assert result.returncode == 2 and "is kept in mode append and has rows, and a copy would remove what is kept" in result.stderr, result.stderr
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    modes.engine.stop()
    modes.source.execute("update goods set n = n + 1")
    for mode, database in modes.of.items():
        database.execute(f"delete from kept.goods_{mode}")
    result = modes.engine.command("table copy", "public.goods")
    assert result.returncode == 0, result.stderr
    modes.start()
    modes.pipeline.wait_while_running(lambda: all(database.value(f"select count(*) from kept.goods_{mode}") == 2 for mode, database in modes.of.items()), "the copy")
    modes.source.execute("update goods set n = n + 1; insert into goods values (2, 'two', 2, null)")
    modes.assert_exact("id", "name, n, big")
    modes.assert_verified()
    assert modes.rows("append", "_pgcdc_op, id", "_pgcdc_lsn, _pgcdc_index") == [("r", 1), ("r", 3), ("u", 1), ("u", 3), ("c", 2)]


def test_two_tables_of_one_mode_share_a_table(pipeline):
    """Their copied rows have the same places, and a TRUNCATE of one leaves the other's rows."""
    pipeline.source.execute("create schema b; create table goods (id int primary key, n int); create table b.goods (id int primary key, n int);"
                            "insert into goods values (1, 1); insert into b.goods values (1, 100)")
    pipeline.source_configuration["tables"] = ["public.*", "b.*"]
    for mode, expected in (("append", [("b.goods", "r"), ("b.goods", "t"), ("public.goods", "r"), ("public.goods", "u")]),
                           ("soft_delete", [("b.goods", "t"), ("public.goods", "u")]),
                           ("history", [("b.goods", "r"), ("public.goods", "r"), ("public.goods", "u")])):
        pipeline.engine.configuration["mapping"] = [{"match": r"/.*\.goods/", "to": f"kept.{mode}", "mode": mode, "key": ["id", "whose"],
                                                     "columns": {"whose": {"meta": "table"}}}]
        pipeline.engine.catch_up()
        pipeline.source.execute("update goods set n = n + 1; truncate b.goods")
        pipeline.engine.catch_up()
        assert pipeline.target.execute(f"select whose, _pgcdc_op from kept.{mode} order by 1, _pgcdc_lsn, 2") == expected, mode
        assert pipeline.engine.command("drop").returncode == 0
        pipeline.source.execute("insert into b.goods values (1, 100)")
        pipeline.state.mkdir(exist_ok=True)


def test_a_row_that_leaves_a_condition_ends_its_version(modes):
    """To the sink it is deleted, and inserted again when it comes back."""
    modes.source.execute("alter table goods drop column big; update goods set n = 5 where id = 1")
    for rule in modes.engine.configuration["mapping"]:
        rule["where"] = "id < 10"
    modes.start()
    modes.source.execute("update goods set id = 12 where id = 1; update goods set n = 7 where id = 12; update goods set id = 1 where id = 12; insert into goods values (20, 'out', 0)")
    modes.wait()
    assert modes.rows("history", "id, n, _pgcdc_op, _pgcdc_current", "id, _pgcdc_lsn, _pgcdc_index") == [
        (1, 5, "r", False), (1, 7, "c", True), (2, 2, "r", True), (3, 3, "r", True)]
    assert modes.rows("soft_delete", "id, n, _pgcdc_op, _pgcdc_deleted") == [(1, 7, "c", False), (2, 2, "r", False), (3, 3, "r", False)]
    assert modes.rows("append", "_pgcdc_op, id, n", "_pgcdc_lsn, _pgcdc_index, _pgcdc_op")[-2:] == [("d", 1, None), ("c", 1, 7)]


def test_rows_and_changes_are_shown_as_a_mode_has_them(modes):
    """`map --dry-run` reads rows, which belong to no transaction."""
    modes.engine.catch_up()
    for mode, sink in modes.sinks.items():
        result = modes.engine.command("map", "--dry-run", "--sink", sink)
        assert result.returncode == 0 and '"_pgcdc_op":"r"' in result.stdout.replace(" ", ""), (mode, result.stdout, result.stderr)


@pytest.mark.parametrize("mode", ["append", "soft_delete", "history"])
def test_a_new_table_is_copied_while_changes_are_applied(pipeline, mode):
    """Of a row there are its copy and the changes since, or the changes only; never both of one change."""
    pipeline.source.execute("create table goods (id int primary key)")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "new_tables": "copy"}
    pipeline.engine.configuration["mapping"] = [{"match": r"/public\.(.*)/", "to": "kept.$1", "mode": mode}]
    pipeline.engine.catch_up()
    source, target = pipeline.source, pipeline.target
    pipeline.engine.start()
    source.execute("create table later (id int primary key, n int); insert into later select g, 0 from generate_series(1, 5000) g")
    for _ in range(20):
        source.execute("update later set n = n + 1 where id % 10 = 0; delete from later where id = (select min(id) from later)")
    source.execute("insert into later values (6000, 1); update later set n = -1 where id = 5000")
    pipeline.wait_while_running(lambda: target.value("select to_regclass('kept.later') is not null") and
                                target.value("select count(*) from kept.later where id = 5000 and n = -1") == 1, "the last change")
    expected = source.execute("select id, n from later order by id")
    if mode == "append":
        events = target.execute("select distinct on (id) id, n, _pgcdc_op from kept.later order by id, _pgcdc_lsn desc, _pgcdc_index desc")
        assert [(key, n) for key, n, op in events if op != "d"] == expected
        assert target.value("select count(*) from kept.later where _pgcdc_op = 'r'") <= 5000
        return
    current = "_pgcdc_current" if mode == "history" else "not _pgcdc_deleted"
    assert target.execute(f"select id, n from kept.later where {current} order by id") == expected
    if mode == "history":
        versions = [n for n, in target.execute("select n from kept.later where id = 5000 order by _pgcdc_lsn, _pgcdc_index")]
        assert versions == [*range(versions[0], 21), -1] or versions == [-1], "a version is missing, or there twice"
    pipeline.engine.stop()
