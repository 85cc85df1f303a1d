# SPDX-License-Identifier: Apache-2.0
"""Columns that change at the source, in tables of every mode: the target's table follows, and keeps what it has."""

import pytest

from support.modes import modes_of

TABLE = """create table goods (id int primary key, a int, b text, c numeric(6,2), big text);
    alter table goods alter column big set storage external;
    insert into goods select g, g, 'b' || g, g, case when g % 3 = 0 then repeat(md5(g::text), 100) end from generate_series(1, 60) g"""
# Each, and the columns but the key after it. Large values are left alone by most, so they are not sent.
CHANGES = [
    ("alter table goods add column d text default 'o''ld'; insert into goods (id, d) values (100, 'new'); update goods set d = 'e' where id < 10; delete from goods where id = 11", "a, b, c, big, d"),
    ("alter table goods rename column b to bee; update goods set bee = 'n' where id between 8 and 20; update goods set id = 200 where id = 12", "a, bee, c, big, d"),
    ("alter table goods alter column c type numeric(12,2); update goods set c = 9999999999.99 where id = 21", "a, bee, c, big, d"),
    ("alter table goods rename column big to x; alter table goods rename column bee to big; alter table goods rename column x to bee;"
     "update goods set big = 'short' where id between 15 and 30; update goods set bee = repeat(md5(id::text), 200) where id = 33; update goods set a = 0 where id = 33", "a, bee, c, big, d"),
    ("begin; insert into goods (id, big) values (101, 'x'); alter table goods add column e int default 3; update goods set e = id where id < 20; alter table goods rename column e to f;"
     "update goods set f = -f where id < 15; delete from goods where id = 40; alter table goods add column g int; update goods set g = 1 where id < 5; commit", "a, bee, c, big, d, f, g"),
    ("alter table goods add column a_new bigint default 7; update goods set a_new = a; alter table goods drop column a; insert into goods (id) values (102);"
     "alter table goods rename column a_new to a; update goods set a = 5000000000 where id = 50", "a, bee, c, big, d, f, g"),
]
MANY = """begin; insert into goods (id, a) select g, g from generate_series(1000, 2000) g; alter table goods add column h int default 9; update goods set h = -h where id > 1100;
    alter table goods rename column h to i; update goods set i = 1 where id % 2 = 0; delete from goods where id % 5 = 0; commit"""


@pytest.fixture
def modes(pipeline):
    pipeline.source.execute(TABLE)
    with modes_of(pipeline) as made:
        yield made


def columns(database, table):
    return dict(database.execute("select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attnum > 0"
                                 " and not attisdropped and attname not like '\\_pgcdc%%'", (table,)))


def assert_columns(modes, kept):
    expected = columns(modes.source, "goods") | kept
    for mode, database in modes.of.items():
        assert columns(database, f"kept.goods_{mode}") == expected, mode


def test_every_mode_follows(modes):
    modes.start()
    for sql, names in CHANGES:
        modes.source.execute(sql)
        modes.assert_exact("id", names)
    modes.source.execute(MANY)
    modes.assert_exact("id", names + ", i")
    modes.assert_verified()
    assert_columns(modes, {"a_dropped_2": "integer"})
    for mode, database in modes.of.items():
        assert database.value(f"select count(*) from kept.goods_{mode} where a_dropped_2 is not null") >= 60, mode
        assert database.value(f"select count(*) from kept.goods_{mode} where id in (102, 1000) and a_dropped_2 is not null") == 0, mode


@pytest.mark.parametrize("killed", [False, True], ids=["with lag", "killed"])
def test_changes_that_wait(modes, killed):
    modes.show_columns()
    for number, (sql, names) in enumerate(CHANGES[:5]):
        modes.source.execute(sql)
        if killed and number % 2 == 1:
            modes.start()
            modes.engine.kill()
            modes.pipeline.wait_slot_free()
    modes.start()
    modes.assert_exact("id", names)
    modes.assert_verified()
    assert_columns(modes, {})


def test_names_of_columns_that_were_not_sent_follow(modes):
    """Also names that are exchanged, and that of a column which is kept under another name."""
    modes.start()
    source = modes.source
    source.execute("alter table goods add column other text; alter table goods alter column other set storage external; update goods set other = repeat('other', 1000) where id = 3")
    source.execute("update goods set a = 1 where id = 3")
    assert modes.wait() is None and modes.rows("append", "_pgcdc_unchanged", "_pgcdc_lsn desc limit 1") == [(["big", "other"],)]
    source.execute("alter table goods rename column big to x; alter table goods rename column other to big; alter table goods rename column x to other; update goods set a = 2 where id = 1")
    assert modes.wait() is None and modes.rows("append", "_pgcdc_unchanged", "_pgcdc_lsn desc offset 1 limit 1") == [(["other", "big"],)]
    source.execute("alter table goods drop column big; update goods set a = 2 where id = 2; alter table goods rename column other to big; update goods set a = 3 where id = 3")
    modes.assert_exact("id", "a, b, c, big")
    modes.assert_verified()
    assert modes.rows("append", "_pgcdc_unchanged", "_pgcdc_lsn desc limit 1") == [(["big"],)]
    assert modes.rows("append", "_pgcdc_unchanged", "_pgcdc_lsn desc offset 3 limit 1") == [(["big", "big_dropped_6"],)]


def test_a_dropped_column_may_be_dropped(modes):
    for sink in modes.engine.configuration["sinks"]:
        sink["drop_column"] = "apply"
    modes.start()
    modes.source.execute("update goods set a = 2 where id = 3; alter table goods drop column big; update goods set a = 3 where id = 3")
    modes.assert_exact("id", "a, b, c")
    assert_columns(modes, {})
    assert modes.of["append"].value("select count(*) from kept.goods_append where _pgcdc_unchanged is not null") == 0


def test_a_history_has_the_constant_in_all_versions(modes):
    """As the source's own older rows; so current versions are equal, and what is not sent is filled from them."""
    modes.start()
    modes.source.execute("update goods set a = 0 where id = 1")
    modes.source.execute("alter table goods add column d text not null default 'old'; update goods set d = 'new' where id = 1")
    modes.assert_exact("id", "a, b, c, big, d")
    assert modes.rows("history", "d", "_pgcdc_lsn, _pgcdc_index")[-3:] == [("old",), ("old",), ("new",)]
    modes.assert_verified()


@pytest.mark.parametrize("mode, when", [("append", "at the start"), ("history", "renamed"), ("soft_delete", "added")])
def test_names_of_modes_are_reserved(pipeline, mode, when):
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["mapping"] = [{"match": "public.goods", "to": "kept.goods", "mode": mode}]
    if when != "at the start":
        pipeline.engine.catch_up()
    pipeline.source.execute("alter table goods rename column b to _pgcdc_more" if when != "added" else "alter table goods add column _pgcdc_more text")
    pipeline.source.execute("update goods set _pgcdc_more = 'x' where id = 1")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode != 0 and "column _pgcdc_more of table public.goods has a name that begins as those of the columns that modes add" in result.stderr, result.stderr
    pipeline.engine.configuration["mapping"][0]["columns"] = {"_pgcdc_more": {"as": "b"}}
    if when == "at the start":
        pipeline.engine.catch_up()
        assert pipeline.target.value("select count(*) from kept.goods where b = 'x'") >= 1


RULE = {"columns": {"b": {"mask": {"fixed": "hidden"}}}}


@pytest.mark.parametrize("mode", ["append", "soft_delete", "history"])
def test_the_remedy_of_a_rule_whose_name_is_another_column_keeps_the_rows(pipeline, mode):
    source, target = pipeline.source, pipeline.target
    source.execute("create table goods (id int primary key, a text, b text); insert into goods select g, 'a' || g, 'secret' || g from generate_series(1, 20) g")
    rule = {"match": "public.goods", "to": "kept.goods", "mode": mode}
    pipeline.engine.configuration["mapping"] = [rule | RULE]
    pipeline.engine.catch_up()
    source.execute("alter table goods rename column a to x; alter table goods rename column b to a; alter table goods rename column x to b; update goods set b = 'new' where id = 1")
    before = target.execute("select * from kept.goods order by id")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "is another column at the source now, and a rule of the mapping is about its name" in result.stderr, result.stderr
    assert target.execute("select * from kept.goods order by id") == before
    statement = result.stderr.split("run `", 1)[1].split("`", 1)[0]
    pipeline.engine.configuration["mapping"] = [rule | {"columns": {"a": RULE["columns"]["b"]}}]
    target.execute("alter table kept.goods rename column a to x; alter table kept.goods rename column b to a; alter table kept.goods rename column x to b")
    target.execute(statement)
    pipeline.engine.catch_up()
    source.execute("alter table goods add column c int default 4; update goods set c = 5 where id = 2")
    pipeline.engine.catch_up()
    assert target.value("select count(*) from kept.goods where a <> 'hidden' or a is null") == 0
    assert target.value("select count(*) from kept.goods where b = 'new' and c = 4") == 1 and target.value("select count(*) from kept.goods where c = 5") == 1
    assert "secret" not in str(target.execute("select * from kept.goods"))


@pytest.mark.parametrize("mode", ["append", "history"])
def test_a_value_that_only_the_source_knows_stops(pipeline, mode):
    """What is kept cannot be copied again, so the remedy is a column that is filled by hand."""
    source, target = pipeline.source, pipeline.target
    source.execute(TABLE)
    pipeline.engine.configuration["mapping"] = [{"match": "public.goods", "to": "kept.goods", "mode": mode}]
    pipeline.engine.catch_up()
    source.execute("alter table goods add column d float default random(); update goods set a = 0 where id = 1")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "add column \"d\" to table kept.goods at the target, with a type that holds its values; then start again" in result.stderr, result.stderr
    target.execute("alter table kept.goods add column d float")
    pipeline.engine.catch_up()
    assert target.value("select count(*) from kept.goods where d is not null") == 1


def test_check_says_that_a_column_is_followed(modes):
    modes.show_columns()
    modes.source.execute("alter table goods add column d int")
    findings = [finding for finding in modes.engine.json("check")["findings"] if finding["code"] == "target_column_followed"]
    assert len(findings) == 3, modes.engine.json("check")["findings"]
