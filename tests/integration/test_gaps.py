# SPDX-License-Identifier: Apache-2.0
"""Columns of a sink's table that do not fit the map: `check` finds them under the sink's names, with a remedy that is right, and `map` shows them."""

import json
import os
import pty
import subprocess

import pytest


def gaps(pipeline, table="public.people"):
    result = pipeline.engine.command("map", "--json")
    assert result.returncode == 0, result.stderr
    found, = [one for one in json.loads(result.stdout)["sinks"][0]["tables"] if f'{one["schema"]}.{one["table"]}' == table]
    return {gap["column"]: (gap["code"], gap["severity"]) for gap in found["gaps"]}


def findings(pipeline, *codes):
    return [finding for finding in json.loads(pipeline.engine.command("check", "--json").stdout)["findings"] if finding["code"] in codes]


@pytest.fixture
def people(pipeline):
    pipeline.source.execute("create table people (id int primary key, name text, born timestamptz, paid numeric, points bigint, secret text)")
    pipeline.source.execute("insert into people values (1, 'a', '2020-01-01 10:00+00', 1.234, 7, 's')")
    pipeline.engine.configuration["mapping"] = [{"match": "public.people", "to": "public.person", "columns": {
        "id": {"as": "person_id"}, "name": {"as": "full_name"}, "secret": "drop", "source": {"const": "bank's"}}}]
    return pipeline


def test_each_kind_of_gap_is_found(people):
    people.target.execute("""create table person (person_id int, full_name varchar(5), born date, paid numeric(8,2), points int, source text,
        primary key (person_id, source), extra text, made text default 'x', needed text not null)""")
    assert gaps(people) == {
        "full_name": ("target_column_type", "problem"), "born": ("target_column_type", "problem"), "paid": ("target_column_type", "problem"),
        "points": ("target_column_type", "warning"), "extra": ("target_column_unfilled", "warning"),
        "made": ("target_column_unfilled", "note"), "needed": ("target_column", "problem")}
    unfilled, = [one for one in findings(people, "target_column_unfilled") if one["severity"] == "warning"]
    assert unfilled["what"] == 'the rule for table public.people of the source gives no value to column "extra" of table "public"."person", which stays null'
    needed, = findings(people, "target_column")
    assert needed["fix"].splitlines() == ['alter table "public"."person" alter column "needed" drop not null;', "or give it a value in the rule's columns"]


def test_the_remedies_of_a_rule_are_right(people):
    """Said in the rule: the type that is meant, a value for what is empty. Then nothing is left to say."""
    people.target.execute("create table person (person_id int, full_name varchar(5), born date, paid numeric(8,2), points int, source text,"
                          " primary key (person_id, source), extra text, needed text not null)")
    fix, = [one["fix"] for one in findings(people, "target_column_type") if '"born"' in one["what"]]
    assert fix.splitlines()[1] == "or, if the target's type is meant, say type: date in the column's rule"
    people.engine.configuration["mapping"][0]["columns"] |= {
        "name": {"as": "full_name", "type": "varchar(5)"}, "born": {"type": "date"}, "paid": {"type": "numeric(8,2)"}, "points": {"type": "integer"},
        "extra": {"sql": "upper(name)"}, "needed": {"const": "y"}}
    people.target.execute("alter table person drop constraint person_pkey, add primary key (person_id, source, needed)")
    assert gaps(people) == {} and people.engine.json("check")["ready"]
    people.engine.catch_up()
    assert people.target.execute("select full_name, born::text, paid::text, extra, needed from person") == [("a", "2020-01-01", "1.23", "A", "y")]


def test_a_column_that_another_table_fills_is_no_gap(pipeline):
    pipeline.source.execute("create table one (id int primary key, a text); create table two (id int primary key, b text)")
    pipeline.target.execute("create table both_of (id int, tab text, a text, b text, c text, primary key (id, tab))")
    pipeline.engine.configuration["mapping"] = [{"match": "/public\\.(one|two)/", "to": "public.both_of", "key": ["id", "tab"], "columns": {"tab": {"meta": "table"}}}]
    assert gaps(pipeline, "public.one") == gaps(pipeline, "public.two") == {"c": ("target_column_unfilled", "warning")}


def test_a_missing_column_is_added_as_the_source_has_it(people):
    """The source's numbers were looked up by the sink's names, so an added constant, and what was renamed, needed a new copy."""
    people.sink_configuration.update({"add_column": "stop", "rename_column": "stop"})
    people.engine.catch_up()
    people.source.execute("alter table people add column state text not null default 'new', add column level int; alter table people rename column points to score")
    people.source.execute("insert into people (id, level, score) values (2, 3, 4)")
    people.engine.configuration["mapping"][0]["columns"] |= {"level": {"as": "grade"}, "state": {"as": "phase"}}
    added, = findings(people, "target_column")
    assert added["fix"] == 'alter table "public"."person" add column "phase" text default \'new\' not null, add column "grade" integer;'
    renamed, = findings(people, "target_column_renamed")
    assert renamed["fix"].splitlines()[0] == 'if it was renamed at the source: alter table "public"."person" rename column "points" to "score";'
    assert gaps(people) == {"phase": ("target_column", "problem"), "grade": ("target_column", "problem"), "score": ("target_column_renamed", "problem"),
                            "points": ("target_column_unfilled", "warning")}
    people.target.execute(added["fix"])
    people.target.execute('alter table "public"."person" rename column "points" to "score"')
    people.engine.catch_up()
    assert people.engine.command("verify").returncode == 0
    assert people.target.execute("select person_id, phase, grade, score from person order by 1") == [(1, "new", None, 7), (2, "new", 3, 4)]


def test_a_constant_is_added_with_its_value_and_what_is_computed_by_a_copy(people):
    people.engine.catch_up()
    people.engine.configuration["mapping"][0]["columns"] |= {"kind": {"const": "it's"}, "loud": {"sql": "upper(name)"}}
    people.engine.configuration["mapping"][0]["key"] = ["person_id", "source"]
    people.source.execute("insert into people (id, name) values (2, 'b')")
    added, = findings(people, "target_column")
    assert added["fix"] == 'alter table "public"."person" add column "kind" text default \'it\'\'s\';'
    copied, = findings(people, "target_column_copy")
    assert copied["fix"] == ('add it to table "public"."person" at the target, with a type that holds the rule\'s values; run '
                             "`pgcdc table copy public.people`, and start again")
    people.target.execute(added["fix"])
    people.target.execute("alter table person add column loud text")
    result = people.engine.command("table copy", "public.people")
    assert result.returncode == 0, result.stderr
    people.engine.catch_up()
    result = people.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    assert people.target.execute("select person_id, kind, loud from person order by 1") == [(1, "it's", "A"), (2, "it's", "B")]


def test_a_column_that_the_sink_will_add_is_no_gap(people):
    people.engine.catch_up()
    people.source.execute("alter table people add column later int default 5; insert into people (id) values (2)")
    note, = findings(people, "target_column_followed", "target_column", "target_column_copy")
    assert (note["code"], note["severity"]) == ("target_column_followed", "note") and people.engine.json("check")["ready"] and gaps(people) == {}
    people.engine.catch_up()
    assert people.target.execute("select later from person order by person_id") == [(5,), (5,)]
    people.source.execute("alter table people add column made float default random()")
    assert findings(people, "target_column_followed") == [] and gaps(people) == {"made": ("target_column_copy", "problem")}


def on_a_terminal(pipeline, *words):
    """What the program prints where its output is a terminal."""
    pipeline.engine.write_configuration()
    reader, writer = pty.openpty()
    process = subprocess.Popen([pipeline.engine.program, *words, "-c", pipeline.engine.config_path], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    output = b""
    try:
        while chunk := os.read(reader, 65536):
            output += chunk
    except OSError:  # the other end has closed
        pass
    os.close(reader)
    errors = process.communicate()[1]
    assert process.returncode == 0, errors
    return output.decode()


def test_a_gap_is_red_on_a_terminal_only(people):
    people.target.execute("create table person (person_id int, full_name text, born timestamptz, paid numeric, points int, source text, primary key (person_id, source), made text default 'x')")
    plain, shown = people.engine.command("map").stdout, on_a_terminal(people, "map").replace("\r\n", "\n")
    assert "\033" not in plain and 'warning: column "points" of table "public"."person" is integer, at the source bigint' in plain
    red = [line for line in shown.splitlines() if line.startswith("\033[31m") and line.endswith("\033[0m")]
    assert len(red) == 2 and "points" in red[0] and "warning: " in red[1] and 'note: the rule for table public.people' in shown
    assert shown.replace("\033[31m", "").replace("\033[0m", "") == plain


def test_a_map_needs_no_target(people):
    people.sink_configuration["dsn"] += " port=1"
    result = people.engine.command("map", "--json")
    assert result.returncode == 0 and "so gaps are not known: " in result.stderr, result.stderr
    assert json.loads(result.stdout)["sinks"][0]["tables"][0]["gaps"] is None
