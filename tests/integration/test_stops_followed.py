# SPDX-License-Identifier: Apache-2.0
"""
What stops a run is brought about, what the last line says is done to the letter, and then it is ready, catches up and is equal.
Findings that check has as well are in test_findings_followed.py, changes of the schema in test_remedies.py.
"""

import pytest
from test_findings_followed import assert_goes_on, codes_of, follow_sql, make_role, psql, report_of

# name: tables at both sides, more at the target, the change, what the remedy says, what is done for it at the target.
AT_TARGET = {
    "a row that only the target has": (
        "create table t (id int primary key, v int unique); insert into t values (1, 1)",
        "insert into t values (9, 9)", "insert into t values (9, 8)",
        "the target already has this row, or another with the same unique value: delete it there", "delete from t where id = 9"),
    "a unique value that only the target has": (
        "create table t (id int primary key, v int unique); insert into t values (1, 1)",
        "alter table t add unique (v); insert into t values (9, 7)", "insert into t values (2, 7)",
        "another with the same unique value: delete it there", "delete from t where id = 9"),
    "an exclusion constraint of the target": (
        "create table t (id int primary key, v int4range); insert into t values (1, '[1,2)')",
        "alter table t add exclude using gist (v with &&); insert into t values (9, '[5,9)')", "insert into t values (2, '[6,7)')",
        "a row that only the target has conflicts with it: delete it there", "delete from t where id = 9"),
    "a column that is not null at the target only": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "alter table t alter column v set not null", "insert into t values (2)",
        "drop the not-null constraint of that column on the target", "alter table t alter column v drop not null"),
    "a check of the target": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "alter table t add constraint low check (v < 5)", "insert into t values (2, 7)",
        "drop the check constraint on the target, or replace it with the source's", "alter table t drop constraint low"),
    "a row that is gone, of an update": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "delete from t", "update t set v = 2",
        "compare them with pgcdc verify and restore the row, whose key pgcdc why shows", "insert into t values (1, 1)"),
    "a row that is gone, of a delete": (
        "create table t (id int primary key, v int); insert into t values (1, 1), (2, 2)",
        "delete from t where id = 1", "delete from t where id = 1",
        "compare them with pgcdc verify and restore the row, whose key pgcdc why shows", "insert into t values (1, 1)"),
    "a key that is not unique": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "alter table t drop constraint t_pkey; insert into t values (1, 1)", "update t set v = 2",
        "the key is not unique on the target: delete the surplus rows, and make it a primary key",
        "delete from t where ctid = (select max(ctid) from t); alter table t add primary key (id)"),
    "a trigger that takes rows away": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "create function nothing() returns trigger language plpgsql as 'begin return null; end';"
        " create trigger taker before insert on t for each row execute function nothing(); alter table t enable always trigger taker",
        "insert into t values (2, 2)", "taker of the target suppresses inserted rows: drop it there", "drop trigger taker on t"),
    "a trigger that takes updates away": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "create function nothing() returns trigger language plpgsql as 'begin return null; end';"
        " create trigger taker before update on t for each row execute function nothing(); alter table t enable always trigger taker",
        "update t set v = 2", "taker of the target may suppress such a change", "drop trigger taker on t"),
    "a rule that takes rows away": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "create rule taker as on delete to t do instead nothing; alter table t enable always rule taker", "delete from t",
        "a rule of the target may suppress such a change: drop it there", "drop rule taker on t"),
    "a column of the target that is generated": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "alter table t drop column v, add column v int generated always as (id) stored", "insert into t values (2, 7)",
        'alter table "public"."t" alter column "v" drop expression', 'alter table "public"."t" alter column "v" drop expression'),
    "a table that became unlogged": (
        "create table t (id int primary key, v int); insert into t values (1, 1)",
        "alter table t set unlogged", "insert into t values (2, 7)",
        "alter table public.t set logged", "alter table public.t set logged"),
    "a text that is too long": (
        "create table t (id int primary key, v varchar(9)); insert into t values (1, 'a')",
        "alter table t alter column v type varchar(2)", "insert into t values (2, 'abc')",
        'alter table "public"."t" alter column "v" type character varying(9);',
        'alter table "public"."t" alter column "v" type character varying(9)'),
}


def stopped(pipeline, code=1):
    """The last line of a run that stops."""
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == code, result.stderr
    return result.stderr.splitlines()[-1]


@pytest.mark.parametrize("stop", AT_TARGET)
def test_what_the_target_refuses(pipeline, stop):
    tables, before, change, remedy, done = AT_TARGET[stop]
    pipeline.source.execute(tables)
    pipeline.engine.catch_up()
    pipeline.target.execute(before)
    pipeline.source.execute(change)
    last = stopped(pipeline, 2 if "unlogged" in stop else 1)
    assert remedy in last and "then start again" in last, last
    assert remedy in pipeline.engine.json("status")["last_error"]["remedy"]
    pipeline.target.execute(done)
    assert_goes_on(pipeline)
    pipeline.source.execute("insert into t (id) values (77); update t set id = 78 where id = 77; delete from t where id = 78")
    assert_goes_on(pipeline)


@pytest.mark.parametrize("option,value,before,change", [
    ("on_missing", "ignore", "delete from t", "delete from t"), ("on_exists", "overwrite", "insert into t values (2, 9)", "insert into t values (2, 2)")])
def test_a_policy_that_a_stop_names_is_set(pipeline, option, value, before, change):
    pipeline.source.execute("create table t (id int primary key, v int); insert into t values (1, 1)")
    pipeline.engine.catch_up()
    pipeline.target.execute(before)
    pipeline.source.execute(change)
    assert f"set {option}: {value}" in stopped(pipeline)
    pipeline.sink_configuration[option] = value
    assert_goes_on(pipeline)


def test_rights_that_are_taken_from_the_sinks_role(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.target.execute("create table t (id int primary key); create schema pgcdc")
    role, pipeline.sink_configuration["dsn"] = make_role(pipeline.target)
    pipeline.target.execute(f"grant all on t to {role}; grant all on schema pgcdc to {role}")
    pipeline.engine.catch_up()
    pipeline.target.execute(f"revoke insert, delete on t from {role}")
    pipeline.source.execute("insert into t values (2); delete from t where id = 1")
    assert f'grant insert, delete on table "public"."t" to "{role}";' in stopped(pipeline, 2)
    follow_sql(pipeline, "target")
    assert_goes_on(pipeline)


@pytest.mark.parametrize("way", ["grant create", "create table"])
def test_conflicts_have_no_place_to_be_counted(pipeline, way):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.target.execute("create table t (id int primary key); create schema pgcdc")
    role, pipeline.sink_configuration["dsn"] = make_role(pipeline.target)
    pipeline.target.execute(f"grant all on t to {role}; grant all on schema pgcdc to {role}")
    pipeline.engine.catch_up()
    pipeline.target.execute(f"revoke create on schema pgcdc from {role}; delete from t")
    pipeline.sink_configuration["on_missing"] = "ignore"
    pipeline.source.execute("delete from t; insert into t values (2)")
    last = stopped(pipeline, 2)
    remedy = last.split("conflicts are counted in pgcdc.conflicts: ")[1]
    granted, created = remedy.split(", or create it as an administrator: ")
    psql(pipeline.target, granted if way == "grant create" else created)
    assert_goes_on(pipeline)


def test_an_insert_of_a_missing_row_that_is_not_whole(pipeline):
    """on_missing: insert cannot insert a value that an update did not send."""
    pipeline.source.execute("create table t (id int primary key, big text, n int); alter table t alter column big set storage external;"
                            " insert into t values (1, repeat('x', 9000), 1)")
    pipeline.engine.catch_up()
    pipeline.sink_configuration["on_missing"] = "insert"
    pipeline.target.execute("delete from t")
    pipeline.source.execute("update t set n = 2")
    last = stopped(pipeline)
    assert 'did not send column "big"' in last and "restore the row, or set on_missing: ignore" in last, last
    pipeline.target.execute("insert into t values (1, repeat('x', 9000), 1)")
    assert_goes_on(pipeline)


# ---- slots that do not fit ----

SLOTS = {
    "of another plugin": ("select pg_create_logical_replication_slot('shop', 'test_decoding')", 3, "give source.slot another name, or drop that slot"),
    "physical": ("select pg_create_physical_replication_slot('shop')", 3, "drop that slot"),
    "with two_phase": ("select pg_create_logical_replication_slot('shop', 'pgoutput', false, true)", 3,
                       "create it without, or give source.slot another name"),
    "a left-over": ("select pg_create_logical_replication_slot('shop', 'pgoutput')", 3, "if it is left over from this pipeline, run `pgcdc drop`"),
}


@pytest.mark.parametrize("way", ["another name", "dropped"])
@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_that_is_not_ours(pipeline, slot, way):
    made, code, remedy = SLOTS[slot]
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.source.execute(made)
    last = stopped(pipeline, code)
    assert remedy in last, last
    try:
        if way == "another name":
            pipeline.source_configuration["slot"] = "other"
        elif slot == "a left-over":
            assert pipeline.engine.command("drop").returncode == 0
        else:
            pipeline.source.execute("select pg_drop_replication_slot('shop')")
        assert_goes_on(pipeline)
    finally:
        pipeline.source.execute("select pg_drop_replication_slot('shop') from pg_replication_slots where slot_name = 'shop' and not active")


def test_a_slot_of_another_database(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.source.cluster.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    try:
        last = stopped(pipeline, 3)
        assert "slot shop belongs to database postgres" in last and "give source.slot another name" in last, last
        pipeline.source_configuration["slot"] = "other"
        assert_goes_on(pipeline)
    finally:
        pipeline.source.cluster.execute("select pg_drop_replication_slot('shop')")


def test_a_lost_slot_is_one_problem(pipeline):
    """"or, if they are the source's rows: snapshot: never" was printed as well, which would have left out the lost changes."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.source.execute("select pg_drop_replication_slot('shop')")
    assert codes_of(report_of(pipeline), "problem") == {"refusal"}
    assert "start over with a new copy" in stopped(pipeline, 3)
    assert pipeline.engine.command("drop").returncode == 0
    assert codes_of(report_of(pipeline), "problem") == {"target_rows"}
    pipeline.target.execute("truncate t")
    assert_goes_on(pipeline)


def test_a_second_sink_that_comes_later(pipeline, shared_clusters):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    other = shared_clusters("target").create_database("dst")
    pipeline.engine.configuration["sinks"].append({"name": "ware", "type": "postgres", "dsn": other.dsn()})
    pipeline.source.execute("insert into t values (2)")
    last = stopped(pipeline, 3)
    assert "give it a pipeline of its own, or run `pgcdc drop`, empty the target's tables, and start over with a new copy" in last, last
    assert pipeline.engine.command("drop").returncode == 0
    pipeline.target.execute("truncate t")
    assert_goes_on(pipeline)
    assert other.execute("select id from t order by id") == [(1,), (2,)]


def test_two_sinks_that_are_one_database(pipeline, shared_clusters):
    """Each copied into what the other had copied, and what was left had to be started over."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    twin = {"name": "ware", "type": "postgres", "dsn": pipeline.target.dsn().replace("127.0.0.1", "localhost")}
    pipeline.engine.configuration["sinks"].append(twin)
    assert codes_of(report_of(pipeline), "problem") == {"same_database"}
    last = stopped(pipeline, 2)
    assert "sinks warehouse and ware are the same database" in last and "correct the dsn of one of them" in last, last
    assert pipeline.slot() is None
    twin["dsn"] = shared_clusters("target").create_database("dst").dsn()
    assert_goes_on(pipeline)


# ---- scope ----

@pytest.mark.parametrize("way", ["list it", "start over"])
def test_a_table_that_source_tables_does_not_list(pipeline, way):
    pipeline.source.execute("create table t (id int primary key); create table u (id int primary key); insert into t values (1)")
    pipeline.source_configuration["tables"] = ["public.t"]
    pipeline.engine.catch_up()
    pipeline.start()
    pipeline.source.execute("alter publication shop add table u; insert into u values (1)")
    assert pipeline.engine.wait_exit() == 2
    last = pipeline.engine.log_tail().splitlines()[-1]
    assert 'table "public"."u", which source.tables does not list' in last, last
    if way == "list it":
        assert "list it there, or" in last, last
        pipeline.source_configuration["tables"] = ["public.t", "public.u"]
        follow_sql(pipeline, "target")
    else:
        pipeline.source.execute("alter publication shop drop table u")
        assert pipeline.engine.command("drop").returncode == 0
        pipeline.target.execute("truncate t")
    assert_goes_on(pipeline)
    assert report_of(pipeline)["ready"]
