# SPDX-License-Identifier: Apache-2.0
"""`pgcdc check`: every problem is found before run meets it, what it prints fixes it, and it cries no wolf."""

import json

import psycopg2
import pytest

from support.wait import wait_until

T = "create table t (id int primary key, v text)"


def check(pipeline, code=None):
    """The report of `check --json`; code: the exit code that it must end with."""
    result = pipeline.engine.command("check", "--json")
    report = json.loads(result.stdout)
    assert result.returncode == (2 if report["problems"] else 0) if code is None else code, result.stderr
    assert report["ready"] == (report["problems"] == 0)
    return report


def found(report, severity):
    return sorted(finding["code"] for finding in report["findings"] if finding["severity"] == severity)


def problems(pipeline):
    return found(check(pipeline), "problem")


def the(report, code):
    """The one finding of that code."""
    findings = [finding for finding in report["findings"] if finding["code"] == code]
    assert len(findings) == 1, report
    return findings[0]


def assert_ready(pipeline):
    report = check(pipeline)
    assert found(report, "problem") == [], report
    assert found(report, "warning") == [], report


def catalogs(pipeline):
    """Whatever check could have created."""
    return [database.execute("select 'slot', slot_name from pg_replication_slots union all"
                             " select 'publication', pubname from pg_publication union all"
                             " select 'schema', nspname from pg_namespace where nspname = 'pgcdc' union all"
                             " select 'table', relname from pg_class where relkind = 'r' and relname = 't'"
                             " order by 1, 2")
            for database in (pipeline.source, pipeline.target)]


@pytest.fixture
def roles(pipeline):
    """roles.create(database, ATTRIBUTES): a role without rights, dropped at the end."""
    made = []

    class Roles:
        def create(self, database, attributes=""):
            name = f"role_{database.name}"
            database.execute(f"create role {name} login {attributes}")
            made.append((database, name))
            return name

    yield Roles()
    for database, name in made:
        database.execute(f"drop owned by {name} cascade; drop role {name}")


def dsn_as(database, role):
    return database.dsn().replace("user=postgres", f"user={role}")


# Nothing to find

def test_a_superuser_and_empty_target_are_ready_and_stay_as_they_are(pipeline):
    pipeline.source.execute(T)
    before = catalogs(pipeline)
    assert_ready(pipeline)
    assert catalogs(pipeline) == before, "check changes nothing"
    assert list(pipeline.state.iterdir()) == []


def test_a_pipeline_that_runs_is_ready(pipeline):
    pipeline.source.execute(T + "; insert into t values (1, 'a')")
    pipeline.start()
    pipeline.wait_applied()
    assert_ready(pipeline)
    assert "running" in found(check(pipeline), "note")
    pipeline.engine.stop()
    assert_ready(pipeline)


def test_a_role_with_replication_and_select_is_enough(pipeline, roles):
    pipeline.source.execute(T + "; create publication shop for table t")
    reader = roles.create(pipeline.source, "replication")
    pipeline.source.execute(f"grant select on t to {reader}")
    pipeline.source_configuration["dsn"] = dsn_as(pipeline.source, reader)
    assert_ready(pipeline)


def test_people_read_it_too(pipeline):
    pipeline.source.execute(T)
    result = pipeline.engine.command("check")
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "shop: ready"
    pipeline.source.execute("create table u (v int)")
    result = pipeline.engine.command("check")
    assert result.returncode == 2
    assert 'problem  source: table "public"."u" has no usable replica identity' in result.stdout
    assert 'alter table "public"."u" replica identity full;' in result.stdout
    assert result.stdout.splitlines()[-1] == "shop: not ready, 1 problem, 0 warnings"


@pytest.mark.parametrize("version", [14, 16, 17, 18])
def test_every_version_is_ready_and_is_found_wanting(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    pipeline.source.execute(T + "; create table u (v int)")
    assert problems(pipeline) == ["replica_identity"]
    pipeline.source.execute("alter table u replica identity full")
    assert_ready(pipeline)
    pipeline.engine.catch_up()
    assert_ready(pipeline)


def test_a_password_that_everybody_can_read(pipeline):
    pipeline.source.execute(T)
    pipeline.source_configuration["dsn"] += " password=geheim"
    pipeline.engine.write_configuration()
    pipeline.engine.config_path.chmod(0o644)
    report = check(pipeline)
    assert found(report, "warning") == ["file_mode"]
    assert "geheim" not in json.dumps(report)
    pipeline.engine.config_path.chmod(0o640)
    assert_ready(pipeline)


# The source

def test_an_unreachable_source_hides_nothing_else(pipeline):
    pipeline.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=nobody dbname=none"
    pipeline.sink_configuration["dsn"] = "host=127.0.0.1 port=2 user=nobody dbname=none"
    report = check(pipeline)
    assert [finding["where"] for finding in report["findings"] if finding["code"] == "connection"] == \
        ["source", "sink warehouse"]


def test_a_cluster_that_is_not_prepared(own_cluster, new_pipeline, shared_clusters):
    source = own_cluster("plain", settings={"wal_level": "replica", "max_replication_slots": 0,
                                            "wal_sender_timeout": "1s", "max_slot_wal_keep_size": "64MB",
                                            "synchronous_commit": "off"})
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute(T)
    report = check(pipeline)
    assert found(report, "problem") == ["max_replication_slots", "wal_level"]
    assert found(report, "warning") == ["max_slot_wal_keep_size", "wal_sender_timeout"]
    assert "synchronous_commit" in found(report, "note")
    assert the(report, "wal_level")["fix"].startswith("alter system set wal_level = 'logical';")


def test_all_senders_taken(own_cluster, new_pipeline, shared_clusters):
    source = own_cluster("full", settings={"max_wal_senders": 0})
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute(T)
    report = check(pipeline)
    assert found(report, "problem") == ["replication_connection"]
    assert "max_wal_senders" in the(report, "replication_connection")["fix"]


def test_a_role_without_replication(pipeline, roles):
    pipeline.source.execute(T + "; create publication shop for table t")
    role = roles.create(pipeline.source)
    pipeline.source.execute(f"grant select on t to {role}")
    pipeline.source_configuration["dsn"] = dsn_as(pipeline.source, role)
    finding = the(check(pipeline), "replication_connection")
    assert finding["fix"] == f'alter role "{role}" with replication;'
    pipeline.source.execute(finding["fix"])
    assert_ready(pipeline)


def test_pg_hba_that_lets_nobody_in(own_cluster, new_pipeline, shared_clusters):
    source = own_cluster("closed")
    pipeline = new_pipeline(source, shared_clusters("target"))
    (source.data / "pg_hba.conf").write_text("local all all trust\nhost postgres all all trust\n")
    connection = psycopg2.connect(pipeline.source.dsn().replace(f"dbname={pipeline.source.name}", "dbname=postgres"))
    connection.autocommit = True
    connection.cursor().execute("select pg_reload_conf()")
    connection.close()
    wait_until(lambda: problems(pipeline) == ["connection"], "the server to turn us away")
    assert "pg_hba.conf" in the(check(pipeline), "connection")["fix"]
    (source.data / "pg_hba.conf").write_text("local all all trust\nhost all all all trust\n")


# Publication and tables

def test_a_role_that_may_not_create_the_publication(pipeline, roles):
    pipeline.source.execute(T)
    role = roles.create(pipeline.source, "replication")
    pipeline.source.execute(f"grant select on t to {role}")
    pipeline.source_configuration["dsn"] = dsn_as(pipeline.source, role)
    finding = the(check(pipeline), "publication_missing")
    assert finding["fix"] == ("create publication \"shop\" for table \"public\".\"t\""
                              " with (publish_via_partition_root = true);  -- as the tables' owner")
    pipeline.source.execute(finding["fix"])
    assert_ready(pipeline)


def test_all_tables_need_a_superuser(pipeline, roles):
    pipeline.source.execute(T)
    del pipeline.source_configuration["tables"]
    assert_ready(pipeline)
    role = roles.create(pipeline.source, "replication")
    pipeline.source.execute(f"grant select on t to {role}")
    pipeline.source_configuration["dsn"] = dsn_as(pipeline.source, role)
    finding = the(check(pipeline), "publication_missing")
    assert finding["fix"].startswith("create publication \"shop\" for all tables with")
    assert finding["fix"].endswith("-- as a superuser")


def test_a_publication_that_does_not_fit(pipeline):
    pipeline.source.execute(T + "; create table more (id int primary key); create schema x;"
                            " create table x.other (id int primary key);"
                            " create publication shop for table t, x.other with (publish = 'insert, update')")
    report = check(pipeline)
    assert found(report, "problem") == ["publication_has_more", "publication_lacks_table"]
    assert found(report, "warning") == ["publication_operations", "publication_operations"]
    pipeline.source.execute(the(report, "publication_lacks_table")["fix"])
    pipeline.source.execute(the(report, "publication_has_more")["fix"])
    pipeline.source.execute([finding["fix"] for finding in report["findings"]
                             if finding["code"] == "publication_operations"][0])
    assert_ready(pipeline)


def test_partitions_are_no_missing_tables(pipeline):
    pipeline.source.execute("create table p (id int primary key) partition by range (id);"
                            "create table p1 partition of p for values from (0) to (10);"
                            "create publication shop for table p")
    report = check(pipeline)
    assert found(report, "problem") == []
    pipeline.source.execute("alter publication shop set (publish_via_partition_root = true)")
    assert_ready(pipeline)


def test_no_table_matches(pipeline):
    pipeline.source_configuration["tables"] = ["nowhere.*"]
    assert problems(pipeline) == ["no_tables"]


IDENTITIES = [
    ("create table u (v int)", 'alter table "public"."u" replica identity full;'),
    ("create table u (v int primary key deferrable)", 'alter table "public"."u" replica identity full;'),
    ("create table u (v int not null unique)", 'alter table "public"."u" replica identity using index "u_v_key";'),
    ("create table u (v int primary key); alter table u replica identity nothing",
     'alter table "public"."u" replica identity using index "u_pkey";'),
    ("create table u (v int) partition by range (v); create table u1 partition of u for values from (0) to (9)",
     'alter table "public"."u1" replica identity full;'),
]


@pytest.mark.parametrize("table,fix", IDENTITIES)
def test_a_table_without_replica_identity(pipeline, table, fix):
    pipeline.source.execute(table)
    finding = the(check(pipeline), "replica_identity")
    assert finding["fix"].split("  --")[0] == fix
    pipeline.source.execute(finding["fix"])
    assert problems(pipeline) == []


def test_identity_does_not_matter_to_inserts(pipeline):
    pipeline.source.execute("create table u (v int); create publication shop for table u with (publish = 'insert')")
    assert problems(pipeline) == []


def test_rights_that_the_copy_needs(pipeline, roles):
    pipeline.source.execute('create schema "S x"; create table "S x"."T y" (id int primary key);' + T +
                            '; alter table t enable row level security;'
                            ' create publication shop for table t, "S x"."T y"')
    pipeline.source_configuration["tables"] = ["public.*", "S x.*"]
    role = roles.create(pipeline.source, "replication")
    pipeline.source_configuration["dsn"] = dsn_as(pipeline.source, role)
    report = check(pipeline)
    assert found(report, "problem") == ["row_security", "schema_usage", "table_select"]
    for finding in report["findings"]:
        if finding["severity"] == "problem":
            pipeline.source.execute(finding["fix"])
    assert_ready(pipeline)


def test_a_large_table_that_is_copied_from_one_snapshot(pipeline):
    """The sizes are real for the server; the files have holes."""
    pipeline.source.execute("create table huge (n int); alter table huge replica identity full;"
                            "create table twin (id int primary key, code int unique); create table fit (id int primary key)")
    pipeline.target.execute("create table twin (id int primary key, code int unique)")
    for table in ("huge", "twin", "fit"):
        path = pipeline.source.cluster.data / pipeline.source.value(f"select pg_relation_filepath('{table}')")
        for segment in range(11):
            with open(f"{path}.{segment}" if segment > 0 else path, "ab") as file:
                file.truncate(1 << 30)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    report = pipeline.engine.json("check")
    assert [finding["objects"] for finding in report["findings"] if finding["code"] == "copy_one_snapshot"] \
        == [['"public"."huge"'], ['"public"."twin"']]
    pipeline.source.execute("drop table huge, twin, fit")


def test_unlogged_tables(pipeline):
    pipeline.source.execute(T + "; create unlogged table u (id int primary key)")
    report = check(pipeline)
    assert found(report, "problem") == []
    assert the(report, "unlogged")["fix"] == 'alter table "public"."u" set logged;'


# Slot and positions

def test_what_the_slot_would_wait_for(pipeline):
    pipeline.source.execute(T)
    writer = psycopg2.connect(pipeline.source.dsn())
    writer.cursor().execute("begin; insert into t values (1, 'a'); prepare transaction 'it''s'")
    try:
        report = check(pipeline)
        assert found(report, "problem") == []
        assert ": commit prepared 'it''s', or: rollback prepared 'it''s'" in the(report, "prepared_transaction")["fix"]
    finally:
        writer.close()
        pipeline.source.execute("rollback prepared 'it''s'")


def test_a_slot_of_somebody_else(pipeline):
    pipeline.source.execute(T)
    pipeline.source.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    report = check(pipeline)
    assert "slot shop exists but no sink has a position" in the(report, "refusal")["what"]
    assert "pgcdc drop" in the(report, "refusal")["fix"] or "snapshot" in the(report, "refusal")["fix"]
    pipeline.source.execute("select pg_drop_replication_slot('shop')")
    assert_ready(pipeline)


def test_a_missing_slot_is_found_before_run_refuses_it(pipeline):
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    assert_ready(pipeline)
    pipeline.source.execute("select pg_drop_replication_slot('shop')")
    assert "slot shop is missing" in the(check(pipeline), "refusal")["what"]


def test_a_source_that_went_back_is_found(pipeline):
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    pipeline.target.execute("update pgcdc.position set end_lsn = 'FFFF/0'")
    assert "beyond the end of the source's WAL" in the(check(pipeline), "refusal")["what"]
    pipeline.target.execute("update pgcdc.position set timeline = 7,"
                            f" end_lsn = '{pipeline.source.value('select pg_current_wal_flush_lsn()')}'")
    assert "timeline" in the(check(pipeline), "refusal")["what"]


def test_an_engine_elsewhere(pipeline):
    pipeline.source.execute(T)
    pipeline.start()
    pipeline.engine.configuration["state"] = str(pipeline.state) + "2"
    assert "slot_active" in problems(pipeline)
    pipeline.engine.configuration["state"] = str(pipeline.state)


# State

def test_a_state_directory_that_cannot_be(pipeline):
    pipeline.source.execute(T)
    pipeline.engine.configuration["state"] = "/nowhere/at/all"
    assert problems(pipeline) == ["state"]
    pipeline.engine.configuration["state"] = str(pipeline.engine.config_path)
    assert problems(pipeline) == ["state"]


# The target

@pytest.fixture
def loader(pipeline, roles):
    """A role without any right at the target."""
    role = roles.create(pipeline.target)
    pipeline.sink_configuration["dsn"] = dsn_as(pipeline.target, role)
    return role


def fix_target(pipeline, report):
    for finding in report["findings"]:
        if finding["severity"] == "problem":
            pipeline.target.execute(finding["fix"].split("\n")[0])


def test_a_loader_that_may_create_nothing(pipeline, loader):
    pipeline.source.execute(T + "; create schema s; create table s.u (id int primary key)")
    pipeline.source_configuration["tables"] = ["public.*", "s.*"]
    report = check(pipeline)
    assert found(report, "problem") == ["position_schema", "target_schema", "target_schema"]
    fix_target(pipeline, report)
    assert_ready(pipeline)
    pipeline.engine.catch_up()
    assert_ready(pipeline)


def test_a_loader_that_may_not_write(pipeline, loader):
    pipeline.source.execute(T)
    pipeline.target.execute(T + f"; create schema pgcdc authorization {loader}")
    report = check(pipeline)
    assert found(report, "problem") == ["target_rights"]
    assert the(report, "target_rights")["fix"] == \
        f'grant select, insert, update, delete, truncate on table "public"."t" to "{loader}";'
    fix_target(pipeline, report)
    assert_ready(pipeline)


def test_triggers_that_a_loader_may_not_switch_off(pipeline, loader):
    tables = "create table a (id int primary key); create table b (id int primary key references a)"
    pipeline.source.execute(tables)
    pipeline.target.execute(tables + f"; create schema pgcdc authorization {loader};"
                            f" grant all on a, b to {loader}")
    report = check(pipeline)
    assert found(report, "problem") == ["target_triggers"]
    pipeline.sink_configuration["triggers"] = "fire"
    assert_ready(pipeline)
    del pipeline.sink_configuration["triggers"]
    pipeline.target.execute([finding["fix"].split("\n")[0] for finding in report["findings"]
                             if finding["code"] == "target_triggers"][0])
    assert_ready(pipeline)


def test_tables_that_do_not_fit(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text, n int, g int generated always as (n) stored)")
    pipeline.target.execute("create table t (id bigint, v text, extra int not null, fine int not null default 0);"
                            " insert into t values (1, 'a', 1)")
    report = check(pipeline)
    assert found(report, "problem") == ["target_column", "target_column", "target_rows"]
    assert found(report, "warning") == ["target_column_type", "target_key"]
    for finding in report["findings"]:
        if finding["severity"] != "note":
            pipeline.target.execute(finding["fix"])
    assert_ready(pipeline)
    pipeline.engine.catch_up()


def test_columns_that_only_one_side_generates(pipeline):
    """The copy refuses what check refuses, and its remedy is right; what the source does not send, both only warn of or leave."""
    pipeline.source.execute("create table t (id int primary key, a int, b int generated always as (id) stored); insert into t values (1, 7)")
    pipeline.target.execute("create table t (id int primary key, a int generated always as (1) stored, b int)")
    report = check(pipeline)
    assert found(report, "problem") == ["target_generated"] and found(report, "warning") == ["source_generated"]
    pipeline.assert_refused("generated at the target only", "alter column \"a\" drop expression", code=2)
    pipeline.target.execute(next(finding["fix"] for finding in report["findings"] if finding["code"] == "target_generated"))
    assert problems(pipeline) == []
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (2, 8)")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select * from t order by id") == [(1, 7, None), (2, 8, None)]


def test_a_column_that_is_not_sent_may_not_be_needed(pipeline):
    pipeline.source.execute("create table t (id int primary key, b int generated always as (id) stored)")
    pipeline.target.execute("create table t (id int primary key, b int not null)")
    assert problems(pipeline) == ["target_column"]


def test_a_generated_column_that_no_identity_may_have(new_pipeline, shared_clusters):
    """18 refuses changes with it. An identity column cannot be added to the parent of others, and each of them can be one."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    generated = "(a int, b int generated always as (a * 2) stored)"
    pipeline.source.execute(f"create table alone {generated}; create table p {generated}; create table child () inherits (p); create table grandchild () inherits (child);"
                            f"create table root {generated} partition by list (a); create table leaf partition of root for values in (1)")
    fixes = [line for finding in check(pipeline)["findings"] if finding["code"] == "replica_identity" for line in finding["fix"].splitlines()]
    steps = [fix for fix in fixes if fix.startswith('give the table whose partition is "public"."leaf" a primary key')]
    assert len(fixes) == 5 and len(steps) == 1
    pipeline.source.execute("alter table root add primary key (a)")
    for fix in fixes:
        if fix not in steps:
            pipeline.source.execute(fix)
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into child (a) values (1), (2); update child set a = 3 where a = 1; delete from child where a = 2")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select a, b from child") == [(3, 6)]


@pytest.mark.parametrize("publication", ["for table t with (publish_generated_columns = stored)", "for table t (id, g)"])
@pytest.mark.parametrize("target", ["plain", "none", "generated"])
def test_a_generated_column_that_is_published_is_copied_and_streamed(new_pipeline, shared_clusters, publication, target):
    """The stream had its values, and the copy could not read them: COPY of a table has no generated columns."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    pipeline.source.execute("create table t (id int primary key, g int generated always as (id * 40) stored); insert into t values (1);"
                            f"create publication shop {publication}")
    if target != "none":
        pipeline.target.execute("create table t (id int primary key, g int" + (" generated always as (id * 40) stored)" if target == "generated" else ")"))
    report = check(pipeline)
    assert found(report, "problem") == [] and found(report, "warning") == []
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (2)")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select * from t order by id") == [(1, 40), (2, 80)]
    if target == "plain":
        pipeline.target.execute("alter table t drop column g")
        pipeline.source.execute("insert into t values (3)")
        pipeline.assert_refused("has no column", code=1)
        pipeline.target.execute(next(finding["fix"] for finding in check(pipeline)["findings"] if finding["code"] == "target_column"))
        pipeline.engine.catch_up()
        assert pipeline.target.execute("select * from t order by id") == [(1, 40), (2, 80), (3, 120)]


def test_a_missing_table_without_a_copy(pipeline):
    pipeline.source.execute(T)
    pipeline.source_configuration["snapshot"] = "never"
    assert problems(pipeline) == ["target_table"]


def test_a_type_of_an_extension(pipeline):
    pipeline.source.execute("create extension hstore; create table h (id int primary key, v hstore)")
    finding = the(check(pipeline), "target_type")
    pipeline.target.execute(finding["fix"])
    assert_ready(pipeline)


def test_a_target_that_is_the_source(pipeline):
    pipeline.source.execute(T)
    pipeline.sink_configuration["dsn"] = pipeline.source.dsn()
    assert "same_database" in problems(pipeline)


def test_a_target_that_is_read_only_by_default_is_written_all_the_same(pipeline):
    pipeline.source.execute(T)
    pipeline.target.execute(f"alter database {pipeline.target.name} set default_transaction_read_only = on")
    assert not problems(pipeline)
    pipeline.engine.catch_up()


def test_a_server_that_takes_idle_slots_away(own_cluster, new_pipeline, shared_clusters):
    """PostgreSQL 18 invalidates a slot that is not read: reported before, and with its own remedy after."""
    pipeline = new_pipeline(own_cluster("idle", 18), shared_clusters("target", 18))
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    pipeline.source.execute("alter system set idle_replication_slot_timeout = '2s'")
    pipeline.source.execute("select pg_reload_conf()")
    wait_until(lambda: found(check(pipeline), "warning") == ["idle_replication_slot_timeout"], "the warning")

    def is_taken():
        pipeline.source.execute("checkpoint")
        return pipeline.slot()["wal_status"] == "lost"

    wait_until(is_taken, "the slot to be taken away")
    report = check(pipeline)
    assert "(idle_timeout)" in the(report, "refusal")["what"]
    assert "idle_replication_slot_timeout" in the(report, "refusal")["fix"]
    assert "max_slot_wal_keep_size" not in the(report, "refusal")["fix"]
    for statement in the(report, "idle_replication_slot_timeout")["fix"].splitlines():
        pipeline.source.execute(statement)
    pipeline.assert_refused("idle_timeout", "raise idle_replication_slot_timeout", "`pgcdc drop`")
