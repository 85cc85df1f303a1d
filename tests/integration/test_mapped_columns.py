# SPDX-License-Identifier: Apache-2.0
"""Columns that change at the source, under a mapping: the sink's table follows what no rule is about, and nothing passes unmasked."""

import signal

import pytest

TABLE = """create table people (id int primary key, email text, notes text, a int, b text, c varchar(5), amount numeric(6,2));
    insert into people select g, ' P' || g || '@Example.com', 'secret note', g, 'b' || g, 'c', g from generate_series(1, 50) g"""
RULE = {"match": "public.people", "to": "crm.person", "columns": {
    "id": {"as": "person_id"}, "email": {"steps": ["trim", "lower"], "mask": {"partial": {"keep_last": 4, "with": "*"}}}, "notes": "drop",
    "amount": {"as": "total"}, "source": {"const": "x"}}}


@pytest.fixture
def people(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.target.execute("create schema crm; create table people (id int primary key, a text)")  # of the source's name, and not ours
    pipeline.engine.configuration["mapping"] = [RULE]
    return pipeline


def columns(database, table):
    return dict(database.execute("select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass and attnum > 0"
                                 " and not attisdropped", (table,)))


CHANGES = [
    "alter table people add column d text default 'old'; insert into people (id, email, d) values (100, ' New@Example.com', 'new')",
    "alter table people rename column b to bee; update people set bee = 'n' where id < 10",
    "alter table people alter column amount type numeric(12,2), alter column c type varchar(9);"
    "update people set amount = 9999999999.99, c = '123456789' where id = 11",
    "alter table people rename column c to x; alter table people rename column bee to c; alter table people rename column x to bee; update people set bee = 'x' where id = 12",
    "begin; alter table people add column e int default 3; update people set e = id where id < 20; alter table people rename column e to f; delete from people where id = 40; commit",
]
# With lag the definitions before the first would have two explanations, and the second takes the constant of d away.
LIVE_CHANGES = [
    "alter table people drop column notes, add column notes text; update people set notes = 'another secret' where id = 13",
    "alter table people alter column a type bigint; update people set a = 5000000000 where id = 14",
]


@pytest.mark.parametrize("way", ["live", "with lag", "killed"])
def test_what_no_rule_is_about_is_followed(people, way):
    people.engine.catch_up()
    if way == "live":
        people.start()
    for number, sql in enumerate(CHANGES + (LIVE_CHANGES if way == "live" else [])):
        people.source.execute(sql)
        if way == "live":
            people.wait_applied()
        if way == "killed" and number % 2 == 1:
            people.start()
            people.engine.kill()
            people.wait_slot_free()
    if way != "live":
        people.engine.catch_up()
    assert columns(people.target, "crm.person") == {
        "person_id": "integer", "email": "text", "a": "bigint" if way == "live" else "integer", "c": "text", "bee": "character varying(9)", "total": "numeric(12,2)", "source": "text", "d": "text",
        "f": "integer"}
    result = people.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert columns(people.target, "people") == {"id": "integer", "a": "text"}
    assert people.target.value("select count(*) from crm.person where email like '%x%' or email like '%p%'") == 0


def test_a_column_less_is_kept(people):
    people.engine.catch_up()
    people.source.execute("alter table people drop column b; insert into people (id) values (100)")
    people.engine.catch_up()
    assert people.target.execute("select b from crm.person where person_id in (1, 100) order by 1") == [("b1",), (None,)]


@pytest.mark.parametrize("sql", [
    "alter table people rename column email to other; alter table people rename column b to email",  # the addresses would pass as other
    "alter table people rename column notes to other; alter table people rename column b to notes",
    "alter table people drop column email; alter table people add column email text default 'a default'",
    "alter table people rename column amount to other; alter table people add column amount numeric default 1",
])
def test_a_name_of_a_rule_that_is_another_column_stops(people, sql):
    people.engine.catch_up()
    people.source.execute(sql)
    people.source.execute("insert into people (id) values (100); update people set a = 0 where id < 5")
    before = people.target.execute("select * from crm.person order by 1")
    for _ in range(2):
        result = people.engine.command("run", "--until", "caught-up")
        assert result.returncode != 0 and "is another column at the source now, and a rule of the mapping is about its name" in result.stderr, result.stderr
    assert "correct the rules to the columns as they are, drop table crm.person at the target" in result.stderr.replace('"', "")
    assert people.target.execute("select * from crm.person order by 1") == before
    assert "secret" not in result.stderr and "@" not in result.stderr


def test_a_new_column_may_come_with_its_rule(people):
    """Its name was nobody's before. The stop says what to add."""
    people.engine.catch_up()
    people.source.execute("alter table people add column code int; insert into people (id, code) values (100, 17)")
    people.engine.configuration["mapping"] = [RULE | {"columns": RULE["columns"] | {"code": {"as": "coded", "steps": ["trim"]}}}]
    result = people.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and 'add column "coded" to table crm.person at the target, with a type that holds its values; then start again' in result.stderr, result.stderr
    people.target.execute('alter table "crm"."person" add column "coded" text')
    people.engine.catch_up()
    result = people.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert people.target.value("select coded from crm.person where person_id = 100") == "17"


def test_the_remedy_of_such_a_stop_helps(people):
    people.engine.catch_up()
    people.source.execute("alter table people rename column email to other; alter table people rename column b to email; insert into people (id, other) values (100, 'N@x')")
    assert people.engine.command("run", "--until", "caught-up").returncode != 0
    rules = people.engine.configuration["mapping"][0] = RULE | {"columns": {("other" if name == "email" else name): rule for name, rule in RULE["columns"].items()}}
    assert "other" in rules["columns"]
    people.target.execute("drop table crm.person")
    result = people.engine.command("table copy", "public.people")
    assert result.returncode == 0, result.stderr
    people.engine.catch_up()
    people.source.execute("update people set other = ' Q@x.example ' where id = 1; alter table people add column g int default 4; insert into people (id) values (101)")
    people.engine.catch_up()
    result = people.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert people.target.execute("select email, other, g from crm.person where person_id = 1") == [("b1", "*******mple", 4)]


@pytest.mark.parametrize("rule, mode", [("email", "merge"), ("notes", "merge"), ("email", "soft_delete")])  # masked, and dropped
def test_names_are_exchanged_while_the_table_is_copied(people, rule, mode):
    """A chunk is read with the names of now, before the stream comes to the change."""
    people.engine.configuration["mapping"] = [{**RULE, "mode": mode}]
    people.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "8kB"}
    people.source.execute("insert into people select g, ' P' || g || '@Example.com', 'secret note', g, 'b' || g, 'c', g from generate_series(51, 2000) g")
    people.engine.start(environment={"PGCDC_FAULT": "chunk-committed:3"})
    assert people.engine.wait_exit() == -signal.SIGKILL
    people.source.execute(f"alter table people rename column {rule} to other; alter table people rename column b to {rule};"
                          "alter table people rename column other to b")
    log = people.assert_refused(f'"{rule}" of table ', "is another column at the source now", code=1)
    assert people.target.value("select count(*) from crm.person where b like '%Example%' or b like '%secret%'") == 0
    assert "Example" not in log and "secret" not in log
    assert people.engine.command("drop").returncode == 0
    people.target.execute("drop table crm.person")
    people.engine.catch_up()
    assert people.target.value("select count(*) from crm.person") == 2000
