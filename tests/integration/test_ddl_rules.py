# SPDX-License-Identifier: Apache-2.0
"""`ddl`: for some tables another policy for schema changes than the sink's options say."""

import json

import pytest

TABLES = "create table a (id int primary key, x int, y int); create table b (id int primary key, x int, y int); create schema audit; create table audit.c (id int primary key, x int, y int)"


@pytest.fixture
def three(pipeline):
    pipeline.source_configuration["tables"] = ["public.*", "audit.*"]
    pipeline.source.execute(TABLES)
    pipeline.target.execute("create schema audit")
    return pipeline


def columns(database, table):
    return [name for name, in database.execute("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum", (table,))]


def test_each_table_has_its_policy(three):
    three.engine.configuration["ddl"] = [{"match": "public.a", "drop_column": "apply"}, {"match": "/audit\\..*/", "sinks": ["warehouse"], "drop_column": "keep", "add_column": "stop"}]
    three.sink_configuration.update(rename_column="stop")
    three.engine.catch_up()
    for table in ("a", "b", "audit.c"):
        three.source.execute(f"alter table {table} drop column y; insert into {table} values (1, 1)")
    three.source.execute("alter table a add column z int; insert into a values (2, 2, 2)")
    three.engine.catch_up()
    assert [columns(three.target, table) for table in ("a", "b", "audit.c")] == [["id", "x", "z"], ["id", "x", "y"], ["id", "x", "y"]]
    three.source.execute("alter table audit.c add column z int; insert into audit.c values (2, 2, 2)")
    for _ in range(2):
        result = three.engine.command("run", "--until", "caught-up")
        assert result.returncode == 1 and "was added at the source, and add_column is stop" in result.stderr, result.stderr
    assert columns(three.target, "audit.c") == ["id", "x", "y"] and three.target.value("select count(*) from audit.c") == 1
    three.target.execute('alter table audit.c add column "z" integer')
    three.engine.catch_up()
    assert three.target.execute("select id, x, z from audit.c order by 1") == [(1, 1, None), (2, 2, 2)]
    three.source.execute("alter table b rename column x to renamed; insert into b values (3, 3)")
    result = three.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "was renamed at the source, and rename_column is stop" in result.stderr, result.stderr


def test_a_rule_lets_one_table_follow(three):
    """The sink's options are all stop. A mapping does not change by which name a table is found."""
    three.sink_configuration.update(dict.fromkeys(("add_column", "drop_column", "rename_column", "widen_type"), "stop"))
    three.engine.configuration |= {"ddl": [{"match": "public.a", "add_column": "apply", "rename_column": "apply"}], "mapping": [{"match": "public.a", "to": "audit.a_there"}]}
    three.engine.catch_up()
    three.source.execute("alter table a add column z int default 4; alter table a rename column x to x2; insert into a values (2, 2, 2)")
    three.engine.catch_up()
    assert columns(three.target, "audit.a_there") == ["id", "x2", "y", "z"]
    three.source.execute("alter table b add column z int; insert into b values (1)")
    result = three.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "was added at the source, and add_column is stop" in result.stderr, result.stderr


@pytest.mark.parametrize("rule,text", [
    ({"match": "public.a", "drop_column": "drop"}, "ddl[0].drop_column: expected apply, stop or keep"),
    ({"match": "public.a", "add_column": "keep"}, "ddl[0].add_column: expected apply, stop or ignore"),
    ({"match": "public.a", "sinks": ["nobody"]}, "ddl[0].sinks: entry 1 is not the name of a sink"),
    ({"match": "public.a", "sinks": ["lines"]}, "ddl[0].sinks: sink lines of type stdout alters no tables"),
    ({"match": "/(/"}, "ddl[0].match"),
    ({"add_column": "stop"}, "ddl[0].match"),
])
def test_a_rule_that_says_nothing_possible_is_refused(three, rule, text):
    three.engine.configuration["sinks"].append({"name": "lines", "type": "stdout"})
    three.engine.configuration["ddl"] = [rule]
    result = three.engine.command("check")
    assert result.returncode == 2 and text in result.stderr, result.stderr


@pytest.mark.parametrize("option,rule", [("apply", "stop"), ("stop", "apply")])
def test_check_foresees_what_the_rule_does(three, option, rule):
    three.sink_configuration["add_column"] = option
    three.engine.configuration["ddl"] = [{"match": "public.a", "add_column": rule}]
    three.engine.catch_up()
    for table in ("a", "b"):
        three.source.execute(f"alter table {table} add column z int")
    found = {(one["code"], one["what"].replace('"', "").split("public.")[-1][0]) for one in json.loads(three.engine.command("check", "--json").stdout)["findings"]}
    adds, stops = ("a", "b") if rule == "apply" else ("b", "a")
    assert ("target_column_followed", adds) in found and ("target_column", stops) in found, found


def test_check_says_that_nothing_follows(three):
    """By the options, or for want of a right, which its SQL grants."""
    def notes():
        return [(one["severity"], one["what"]) for one in json.loads(three.engine.command("check", "--json").stdout)["findings"] if one["code"] == "target_not_followed"]

    assert notes() == []
    three.engine.catch_up()
    assert notes() == []
    role = f"follower_{three.target.name}"
    three.target.execute(f"create role {role} login; grant usage on schema pgcdc to {role}; grant all on pgcdc.position to {role}; grant all on a, b, audit.c to {role}; grant usage on schema audit to {role}")
    three.sink_configuration["dsn"] = three.target.dsn(role)
    assert [text.startswith(f'no table follows the source\'s columns, because role "{role}" may not read and write pgcdc.columns') for _, text in notes()] == [True], notes()
    three.target.execute(three.engine.command("check", "--sql", "target").stdout)
    assert notes() == []
    three.target.execute("drop table pgcdc.columns")
    assert "may not create pgcdc.columns" in str(notes())
    three.target.execute(three.engine.command("check", "--sql", "target").stdout)
    assert notes() == []
    three.sink_configuration.update(dict.fromkeys(("add_column", "drop_column", "rename_column", "widen_type"), "stop"))
    assert "are all stop" in str(notes())
    three.engine.configuration["ddl"] = [{"match": "public.a", "add_column": "apply"}]
    assert notes() == []
