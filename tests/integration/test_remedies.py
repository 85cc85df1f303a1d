# SPDX-License-Identifier: Apache-2.0
"""
Every printed remedy is right when followed to the letter: a fault is brought about, what was printed is executed as it
stands, and both sides are equal and ready after.
"""

import json
import subprocess

import pytest

from support import oracle

# What stops the engine: at the source before and after the first run, what check calls it, and a part of the remedy.
STOPS = {
    "columns with constant defaults": (
        "create table t (id int primary key, v text); insert into t values (1, 'x'), (2, 'y')",
        "alter table t add column status text not null default 'o''pen', add column score int default 7,"
        " add column tags text[] default '{a,\"b c\"}', add column at timestamptz not null default '2020-01-01 00:00+00',"
        " add column plain numeric(5,2); insert into t values (3, 'z', 'closed', 9)",
        "target_column", "add column \"status\" text default 'o''pen' not null, add column \"score\" integer default '7'"),
    "a default that was constant when it was asked for": (
        "create table t (id int primary key); insert into t values (1)",
        "alter table t add column at timestamptz not null default now(); insert into t values (2)",
        "target_column", "not null"),
    "a default that changed since": (
        "create table t (id int primary key); insert into t values (1)",
        "alter table t add column c text default 'a'; alter table t alter column c set default 'b'; insert into t values (2)",
        "target_column", "default 'a'"),
    "a column of a partitioned table": (
        "create table t (id int primary key) partition by range (id);"
        "create table t1 partition of t for values from (0) to (10);"
        "create table t2 partition of t for values from (10) to (20); insert into t values (1), (11)",
        "alter table t add column c int not null default 7; insert into t values (2, 8), (12, 9)",
        "target_column", "default '7' not null"),
    "a renamed column in the middle": (
        "create table t (id int primary key, note text, v text); insert into t values (1, 'n', 'v')",
        "alter table t rename column note to remark; update t set remark = 'm' where id = 1; insert into t values (2, 'o', 'w')",
        "target_column_renamed", 'rename column "note" to "remark"'),
    "a renamed column at the end": (
        "create table t (id int primary key, note text); insert into t values (1, 'n')",
        "alter table t rename column note to remark; insert into t values (2, 'o')",
        "target_column_renamed", 'rename column "note" to "remark"'),
    "a column renamed and another added": (
        "create table t (id int primary key, note text, v int); insert into t values (1, 'n', 5)",
        "alter table t rename column note to remark; alter table t add column w int default 3; insert into t values (2, 'o', 6)",
        "target_column_renamed", 'rename column "note" to "remark"'),
    "a new label of an enum": (
        "create type mood as enum ('b', 'd'); create table t (id int primary key, m mood, a mood[]); insert into t values (1, 'b', '{d}')",
        "alter type mood add value 'c' after 'b'; alter type mood add value 'a' before 'b'; alter type mood add value 'e';"
        " insert into t values (2, 'c', '{a,e}')",
        "target_enum", "alter type \"public\".\"mood\" add value 'a' before 'b'"),
    "a renamed label of an enum": (
        "create type mood as enum ('a', 'b'); create table t (id int primary key, m mood); insert into t values (1, 'a')",
        "alter type mood rename value 'a' to 'z'; insert into t values (2, 'z')",
        "target_enum", "rename value 'a' to 'z'"),
    "a domain's check that was dropped": (
        "create domain small as int constraint low check (value < 10) not null; create table t (id int primary key, v small);"
        " insert into t values (1, 1)",
        "alter domain small drop constraint low; insert into t values (2, 20)",
        "target_domain", 'alter domain "public"."small" drop constraint low'),
    "a constraint that is deferrable at the source only": (
        "create table t (id int primary key, pos int constraint spot unique); insert into t select g, g from generate_series(1, 9) g",
        "alter table t drop constraint spot, add constraint other unique (pos) deferrable initially deferred;"
        " update t set pos = 3 - pos where id < 3",
        "target_deferrable", "deferrable initially deferred"),
}

# The copy makes no constraint but the primary key; these are the target's own.
AT_TARGET = {"a constraint that is deferrable at the source only": "alter table t add constraint spot unique (pos)"}


@pytest.fixture(autouse=True)
def stops_at_changes(request):
    """The sinks of this page do not follow the source's columns: test_columns_followed.py."""
    if "pipeline" in request.fixturenames:
        request.getfixturevalue("pipeline").sink_configuration.update(
            {"add_column": "stop", "drop_column": "stop", "rename_column": "stop", "widen_type": "stop"})


def report_of(pipeline):
    return json.loads(pipeline.engine.command("check", "--json").stdout)


def findings_of(pipeline, code):
    return [finding for finding in report_of(pipeline)["findings"] if finding["code"] == code]


def execute_each(database, statements):
    """A label must be committed before it is used."""
    for statement in statements.split("; "):
        database.execute(statement)


def execute_sql(pipeline, side):
    """What `check --sql` prints, each statement unchanged, as psql runs it."""
    database = pipeline.source if side == "source" else pipeline.target
    for line in pipeline.engine.command("check", "--sql", side).stdout.splitlines():
        if not line.startswith("--"):
            database.execute(line)


def follow_rename(pipeline, finding):
    """A rename is inferred: psql runs none of it, and both statements are printed."""
    renamed, added = finding["fix"].splitlines()
    assert "cannot be known" in finding["what"] and added.startswith("if it was added: alter table")
    assert not [line for line in pipeline.engine.command("check", "--sql", "target").stdout.splitlines()
                if " rename column " in line and not line.startswith("--")]
    pipeline.target.execute(renamed.removeprefix("if it was renamed at the source: "))


def assert_ready_and_equal(pipeline):
    assert report_of(pipeline)["ready"], report_of(pipeline)
    tables = oracle.published_tables(pipeline.source, "shop")
    oracle.assert_equal(pipeline.source, pipeline.target, tables)


@pytest.mark.parametrize("stop", STOPS)
def test_the_remedy_of_a_stop(pipeline, stop):
    before, change, code, remedy = STOPS[stop]
    pipeline.source.execute(before)
    pipeline.engine.catch_up()
    if stop in AT_TARGET:
        pipeline.target.execute(AT_TARGET[stop])
    execute_each(pipeline.source, change)
    result = pipeline.engine.command("run", "--until", "caught-up")
    last = result.stderr.splitlines()[-1]
    assert result.returncode == 1, result.stderr
    assert remedy.lower() in last.lower(), last
    [finding] = findings_of(pipeline, code)
    assert finding["fix"].split("\n")[0] in last
    kept = pipeline.engine.json("status")["last_error"]
    assert finding["fix"].split("\n")[0] in kept["remedy"], kept
    execute_sql(pipeline, "target")
    if code == "target_column_renamed":
        follow_rename(pipeline, finding)
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


def test_a_default_that_is_no_constant_needs_a_copy(pipeline):
    """The rows from before got values that are in no change; adding an empty column would be wrong in silence."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1), (2)")
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t add column r float8 default random(), add column s serial; insert into t values (3)")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert "start over" in result.stderr.splitlines()[-1]
    [finding] = findings_of(pipeline, "target_column_copy")
    assert '"r", "s"' in finding["what"]
    assert not [line for line in pipeline.engine.command("check", "--sql", "target").stdout.splitlines()
                if not line.startswith("--")], "nothing that psql would execute"
    assert pipeline.engine.command("drop").returncode == 0
    pipeline.target.execute("drop table t")
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


def test_what_may_be_a_rename_or_not_is_not_guessed(pipeline):
    pipeline.source.execute("create table t (id int primary key, note text); insert into t values (1, 'n')")
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t drop column note; alter table t add column remark text; insert into t values (2, 'o')")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert "cannot be known" in findings_of(pipeline, "target_column_uncertain")[0]["what"]
    assert "if it was renamed at the source: " in result.stderr.splitlines()[-1]
    fix = findings_of(pipeline, "target_column_uncertain")[0]["fix"].splitlines()[1]
    pipeline.target.execute(fix.removeprefix("if it was added: "))
    pipeline.target.execute("alter table t drop column note")
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


@pytest.mark.parametrize("more,word", [({"dsn": " sslmode=require"}, "sslmode"), ({"dsn": " sslmode=requir"}, "correct sslmode in"),
                                       ({"dsn": " channel_binding=x"}, "correct channel_binding in"), ({"dsn": " port=99999"}, "correct port in"),
                                       ({"dsn": " databse=x"}, "write dbname in the dsn for databse"),
                                       ({"dsn": " username=x"}, "write user in the dsn for username"),
                                       ({"password_file": "/nowhere/password"}, "password_file")])
def test_a_fault_of_files_and_certificates_names_its_key(pipeline, more, word):
    """"correct the dsn" was said of them all."""
    pipeline.source.execute("create table t (id int primary key)")
    for key, value in more.items():
        pipeline.source_configuration[key] = pipeline.source_configuration.get(key, "") + value
    [finding] = findings_of(pipeline, "connection")
    assert word in finding["fix"], finding
    assert not finding["what"].startswith("source: "), "where it was found is said once"


def test_a_right_that_is_missing_at_the_source_is_told_under_the_source(pipeline):
    """It was "sink warehouse: locking the published tables against DDL", without the grant."""
    pipeline.source.execute("create role unread login replication;"
                            " create table t (id int primary key); insert into t values (1); create publication shop for table t")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn() + " user=unread"
    last = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
    assert "source: permission denied" in last and "sink" not in last, last
    assert 'grant select on table "public"."t" to "unread";' in last, last
    execute_sql(pipeline, "source")
    pipeline.engine.catch_up()
    oracle.assert_equal(pipeline.source, pipeline.target, oracle.published_tables(pipeline.source, "shop"))


# A table that is published later: which rows it had, how it came, and what the target has when it is asked.
LATER = {
    "published after its rows": ("create table u (id int primary key); insert into u values (1), (2)", None),
    "whose target table was made by hand": ("create table u (id int primary key); insert into u values (1), (2)",
                                            "create table u (id int primary key)"),
    "whose newer rows have arrived": ("create table u (id int primary key); insert into u values (1), (2)",
                                      "create table u (id int primary key); insert into u values (3)"),
    "without a key": ("create table u (id int); alter table u replica identity full; insert into u values (1)",
                      "create table u (id int)"),
    "partitioned": ("create table u (id int primary key) partition by range (id); create table u1 partition of u"
                    " for values from (0) to (9); insert into u values (1), (2)", "create table u (id int primary key)"),
    "in one transaction": ("begin; create table u (id int primary key); insert into u values (1);"
                           " alter publication shop add table u; commit", "create table u (id int primary key)"),
}


@pytest.mark.parametrize("later", LATER)
def test_a_table_published_later_lacks_its_old_rows(pipeline, later):
    """check said ready, run continued, and the earlier rows never arrived."""
    source, target = LATER[later]
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.source.execute(source)
    if "alter publication" not in source:
        pipeline.source.execute("alter publication shop add table u")
    pipeline.target.execute(target or "select")
    [finding] = findings_of(pipeline, "target_old_rows")
    assert '"public"."u"' in finding["what"] and "start over with a new copy" in finding["fix"]
    assert f"`pgcdc table copy -c {pipeline.engine.config_path} '\"public\".\"u\"'` copies them" in finding["fix"]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "has no initial copy" in result.stderr, result.stderr
    assert pipeline.engine.command("drop").returncode == 0
    pipeline.target.execute("drop table t; drop table if exists u")
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


def test_a_table_published_later_is_copied_as_the_remedy_says(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.source.execute('create table "U 2" (id int primary key); insert into "U 2" values (1), (2); alter publication shop add table "U 2"')
    [finding] = findings_of(pipeline, "target_old_rows")
    command = finding["fix"].split("`")[1].replace("pgcdc", str(pipeline.engine.program), 1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert findings_of(pipeline, "target_old_rows") == []
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


def test_a_table_published_later_with_all_its_rows_goes_on(pipeline):
    """Rows that are newer than the publication arrive as changes; so do those of a table that was published from the start."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.source.execute("create table u (id int primary key); alter publication shop add table u; insert into u values (1)")
    pipeline.source.execute("insert into t values (2)")
    pipeline.target.execute("create table u (id int primary key)")
    assert findings_of(pipeline, "target_old_rows") == []
    pipeline.engine.catch_up()
    assert_ready_and_equal(pipeline)


def test_old_rows_that_are_not_wanted_are_not_asked_for(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.source.execute("create table u (id int primary key); insert into u values (1); alter publication shop add table u")
    pipeline.target.execute("create table u (id int primary key)")
    pipeline.source_configuration["snapshot"] = "never"
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into u values (2)")
    pipeline.engine.catch_up()
    assert report_of(pipeline)["ready"]
    assert pipeline.target.value("select array_agg(id) from u") == [2]


def test_a_logged_remedy_can_be_executed_as_one_line(pipeline):
    """The lines of a fix were joined in the log: after the first one's comment the other statements were part of it."""
    pipeline.source.execute("create table a (id int primary key); create table b (id int primary key)")
    for table in ("a", "b"):
        pipeline.target.execute(f"create table {table} (id int primary key); insert into {table} values (1)")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2, result.stderr
    assert result.stderr.splitlines()[-1].endswith("; pgcdc check prints the statements that empty them; or set snapshot: never when their rows are the source's"), result.stderr
    for line in result.stderr.splitlines():
        assert ";" not in line.partition("  -- ")[2].replace("; then start again", ""), line
