# SPDX-License-Identifier: Apache-2.0
"""`pgcdc plan`: everything that a database holds is listed, with the way in which it moves, and nothing is changed."""

import json
import os
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import psycopg2
import pytest

from integration.test_findings_followed import psql
from support.cluster import Database
from support.server import DEFAULT_VERSION, as_server_user, newest_pg_dump, server_programs, server_user
from support.wait import wait_until
from support.wire_proxy import WireProxy

ROOT = Path(__file__).resolve().parents[2]

HOSTILE = ["it's", 'double"quote', "line\nfeed", "tab\tesc\x1b[31m", "back\\slash", "emoji 🐘", "dot.ted", "<b>&amp;", "%s {1}", "ü" * 31 + "x"]

SHOP = """
    create schema "S x"; create type mood as enum ('sad', 'happy'); create domain positive as int check (value > 0);
    create function add(a int, b int) returns int language sql as 'select a + b';
    create procedure nothing() language sql as '';
    create table customers (id int primary key, name text, mood mood);
    create table orders (id bigint generated always as identity primary key, customer int references customers, paid positive);
    create index on orders (customer);
    create table log (line text) partition by list (line);
    create table log_a partition of log for values in ('a'); create table log_rest partition of log default;
    create unlogged table session (id int primary key);
    create view rich as select * from orders where paid > 100;
    create materialized view totals as select customer, count(*) from orders group by 1;
    create sequence "S x".numbers; select nextval('"S x".numbers');
    create function noop() returns trigger language plpgsql as 'begin return new; end';
    create trigger t before insert on customers for each row execute function noop();
    create rule r as on insert to session do also nothing;
    create policy p on customers; create statistics st on id, customer from orders; create collation german from "C";
    create function watch() returns event_trigger language plpgsql as 'begin end'; create event trigger ddl on ddl_command_end execute function watch();
    create foreign data wrapper w; create server s foreign data wrapper w; create foreign table far (i int) server s;
    create publication other for table customers; create extension hstore;
    select lo_create(0); select lo_create(0); alter default privileges grant select on tables to public;
    grant select on customers to public; grant select (id) on orders to public; comment on table customers is 'c'
"""
# class: how many, and how they move
EXPECTED = {
    "schemas": (2, "schema"), "extensions": (1, "schema"), "types": (2, "schema"), "functions": (4, "schema"), "foreign_tables": (1, "schema"),
    "sequences": (2, "switch"), "views": (1, "schema"), "materialized_views": (1, "switch"), "indexes": (4, "schema"), "constraints": (1, "schema"),
    "triggers": (1, "schema"), "rules": (1, "schema"), "policies": (1, "schema"), "operators": (0, None), "others": (3, "schema"),
    "event_triggers": (1, "schema"), "foreign_servers": (1, "schema"), "default_privileges": (1, "schema"), "grants": (1, "schema"),
    "security_labels": (0, None), "roles": (1, "globals"), "settings": (0, None), "publications": (1, "hand"), "subscriptions": (0, None),
    "large_objects": (1, "hand"),
}


def plan(pipeline, *arguments):
    """The report of `plan --json`."""
    result = pipeline.engine.command("plan", "--json", *arguments)
    report = json.loads(result.stdout)
    assert result.returncode == (2 if report["problems"] else 0), result.stderr
    assert report["ready"] == (report["problems"] == 0)
    return report


def codes_of(report):
    return {finding["code"] for finding in report["findings"]}


def names_of(report, name):
    return [one["name"] for one in report["inventory"][name]["objects"]]


def dump(database):
    """The names of all relations, publications and slots: what plan could have created."""
    return database.execute("select 'relation', oid::text from pg_class union all select 'publication', pubname from pg_publication"
                            " union all select 'slot', slot_name from pg_replication_slots order by 1, 2")


@pytest.fixture
def reader(pipeline):
    """A role at the source that may log in and nothing else."""
    name = f"reader_{pipeline.source.name}"
    pipeline.source.execute(f"create role {name} login")
    yield name
    pipeline.source.execute(f"drop owned by {name} cascade; drop role {name}")


@pytest.mark.parametrize("version", [14, 15, 16, 17, 18])
def test_every_class_of_object_is_counted_with_its_way(pipeline, version):
    pipeline.source.execute(SHOP)
    before = dump(pipeline.source), dump(pipeline.target)
    report = plan(pipeline)
    inventory = report["inventory"]
    assert {name: (one["count"], one["objects"][0]["moves"] if one["objects"] else None)
            for name, one in inventory.items() if name != "tables"} == EXPECTED
    assert {one["name"]: (one["moves"], one["detail"]) for one in inventory["tables"]["objects"]} == {
        "customers": ("rows", ""), "orders": ("rows", ""), "log": ("rows", "partitioned"), "log_a": ("rows", "partition"),
        "log_rest": ("rows", "partition"), "session": ("stays", "unlogged")}
    assert inventory["large_objects"]["rows"] == 2
    assert report["servers"][0]["version"].startswith(f"{version}.")
    assert not [finding for finding in report["findings"] if finding["code"] == "unchecked"], report
    assert (dump(pipeline.source), dump(pipeline.target)) == before, "plan changes nothing"


def test_sizes_and_times_are_added_up(pipeline):
    pipeline.source.execute("create table big (id int primary key, v text); insert into big select g, repeat('x', 100) from generate_series(1, 20000) g;"
                            "create table left_out (id int primary key); analyze")
    pipeline.source_configuration["tables"] = ["public.big"]
    report = plan(pipeline, "--rate", "1")
    big, left_out = report["inventory"]["tables"]["objects"]
    assert (big["moves"], big["rows"], left_out["moves"]) == ("rows", 20000, "stays")
    estimate = report["estimate"]
    assert (estimate["tables"], estimate["rows"], estimate["bytes"]) == (1, 20000, big["bytes"])
    assert estimate["unknown_rows"] == 0
    assert estimate["copy_ms"] == big["bytes"] * 1000 // (1 << 20)
    assert estimate["disk_bytes"] == (big["bytes"] + big["index_bytes"]) // 100 * 150
    text = pipeline.engine.command("plan").stdout
    for part in ("inventory", "order of work", "estimate, assuming", "public.left_out", "locks: source: ACCESS SHARE", "shop: "):
        assert part in text


def test_a_sum_says_when_a_part_of_it_is_not_known(pipeline):
    pipeline.source.execute("create table known (id int primary key); insert into known values (1), (2); analyze known; create table unknown (id int primary key);"
                            "insert into unknown values (1)")
    report = plan(pipeline)
    assert (report["estimate"]["rows"], report["estimate"]["unknown_rows"], report["inventory"]["tables"]["unknown_rows"]) == (2, 1, 1)
    assert re.search(r"^  tables +2 +> 2 ", pipeline.engine.command("plan").stdout, re.M)


def test_hostile_names_are_shown_and_harm_nothing(pipeline):
    connection = pipeline.source.connect()
    with connection.cursor() as cursor:
        for name in HOSTILE:
            quoted = '"' + name.replace('"', '""') + '"'
            cursor.execute(f"create schema {quoted}; create table {quoted}.{quoted} ({quoted} int primary key)".replace("%", "%%"), ())
    connection.close()
    pipeline.source_configuration["tables"] = ["*.*"]
    report = plan(pipeline)
    assert sorted(names_of(report, "tables")) == sorted(HOSTILE)
    text = pipeline.engine.command("plan").stdout
    assert "\x1b" not in text and "line\\nfeed" in text and "emoji 🐘" in text


def test_a_locked_table_is_not_waited_for(pipeline):
    pipeline.source.execute("create table t (id int primary key); create table held (id int primary key); insert into held values (1); analyze held")
    connection = pipeline.source.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("lock table held")
        report = plan(pipeline)
    connection.close()
    held = next(one for one in report["inventory"]["tables"]["objects"] if one["name"] == "held")
    assert held["bytes"] > 0 and held["rows"] == 1


def test_a_role_that_may_only_look_is_enough(pipeline, reader):
    pipeline.source.execute(SHOP)
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(reader)
    report = plan(pipeline)
    assert report["inventory"]["tables"]["count"] == 6
    assert "replication_connection" in codes_of(report) and "table_select" in codes_of(report)
    pipeline.source.execute("alter table orders add constraint later check (customer > 0) not valid")
    assert [finding["what"] for finding in findings_of(plan(pipeline, "--data"), "unchecked")] == [
        'broken_check of table "public"."orders" could not be checked: source: permission denied for table orders (SQLSTATE 42501)']


def test_thousands_of_tables_cost_no_more_queries_than_one(pipeline):
    """At the source: one query a class and a finding, whatever the number of tables."""
    pipeline.source.execute(f"alter database {pipeline.source.name} set log_statement = 'all'; create table t0 (id int primary key)")
    cluster = pipeline.source.cluster

    def count_queries(table_count):
        cluster.mark_log()
        assert plan(pipeline, "--data")["inventory"]["tables"]["count"] == table_count
        return len(re.findall(r" pgcdc:shop LOG:  (?:execute|statement)", cluster.log_text()))
    alone = count_queries(1)
    pipeline.source.execute("do $$ begin for i in 1..1500 loop execute format('create table t%s (id int primary key, v text)', i); end loop; end $$")
    assert alone > 50 and count_queries(1501) == alone


def test_a_source_that_cannot_be_reached_is_a_finding(pipeline):
    pipeline.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=u dbname=d"
    report = plan(pipeline)
    assert "connection" in codes_of(report) and "inventory" not in report


# Every finding is brought about, what is printed is done to the letter, and it is gone.

class Bad:
    """source, target: SQL that brings it about. step: what a person does whose fix is no SQL. objects: what it is about, all of it."""

    def __init__(self, code, source="", target="", step="", step_at="source", severity="warning", objects=None):
        self.code, self.source, self.target, self.step, self.step_at = code, source, target, step, step_at
        self.severity, self.objects = severity, objects


BAD = [
    Bad("no_key", """create table nk_a (v int not null unique, w int); alter table nk_a replica identity full;
        create table nk_b (v int); alter table nk_b replica identity full; insert into nk_b values (1), (1);
        create table "nk ""c" ("k;" int not null unique); alter table "nk ""c" replica identity full;
        create table nk_p (v int); alter table nk_p replica identity full; create table nk_child (id int primary key) inherits (nk_p)""",
        objects={'"public"."nk_a"', '"public"."nk_b"', '"public"."nk ""c"', '"public"."nk_p"'}),
    Bad("identity_full_wide", """create table wide (id int primary key, v text); alter table wide alter v set storage external;
        insert into wide select g, repeat('x', 3000) from generate_series(1, 100) g; alter table wide replica identity full; vacuum analyze wide"""),
    Bad("not_analyzed", "create table na (id int primary key); insert into na values (1)", severity="note"),
    Bad("unused_table", "create table unread (id int primary key); analyze unread", severity="note", step="""
        select format('select from %s limit 1', oid::regclass) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace \\gexec"""),
    Bad("inheritance", "create table parent (id int primary key); create table child () inherits (parent); alter table child add primary key (id)",
        step="alter table child no inherit parent; alter table nk_child no inherit nk_p", severity="note",
        objects={'"public"."parent"', '"public"."co"', '"public"."nk_p"'}),
    Bad("case_collision", """create table "Orders" (id int primary key); create table orders (id int primary key);
        create table cols (id int primary key, "A" int, a int)""", objects={'"public"."orders"', '"public"."cols"'}),
    Bad("long_name", f'create table "{"ü" * 31 + "x"}" (id int primary key)', severity="note"),
    Bad("sequence_full", """create table sq (id serial primary key); select setval('sq_id_seq', 2000000000);
        create table sqi (id int generated always as identity primary key); select setval('sqi_id_seq', 2000000000);
        create sequence alone as smallint; select setval('alone', 30000); create sequence few maxvalue 10; select setval('few', 9)""",
        objects={'"public"."sq_id_seq"', '"public"."sqi_id_seq"', '"public"."alone"', '"public"."few"'}),
    Bad("not_valid", """create table nv (id int primary key); alter table nv add constraint "c;" check (id > 0) not valid"""),
    Bad("invalid_index", """create table inv (id int primary key, v int); create index inv_v on inv (v);
        update pg_index set indisvalid = false where indexrelid = 'inv_v'::regclass"""),
    Bad("identity_always", "create table ia (id int generated always as identity primary key)", severity="note",
        step="alter table ia alter id drop identity; alter table sqi alter id drop identity", objects={'"public"."ia"', '"public"."sqi"'}),
    Bad("text_type", """create type odd; create function odd_in(cstring) returns odd language internal immutable strict as 'int4in';
        create function odd_out(odd) returns cstring language internal immutable strict as 'int4out'; create type odd (input = odd_in, output = odd_out, like = int4);
        create domain odder as odd; create table to_text (id int primary key, o odder)""", severity="note", step="drop table to_text"),
    Bad("column_order", "create table co (id int primary key, a int); create table co_child (b int, a int, id int primary key); alter table co_child inherit co",
        severity="note", step="alter table co_child no inherit co"),
    Bad("exclusion_constraint", "create table ex (id int primary key, r int4range, constraint ex_r exclude using gist (r with &&))", severity="note",
        step="alter table ex drop constraint ex_r"),
    Bad("deferrable_constraint", "create table de (id int primary key, v int, constraint de_v unique (v) deferrable)", severity="note",
        step="alter table de drop constraint de_v"),
    Bad("idle_slot", "select pg_create_logical_replication_slot('left_over', 'pgoutput')"),
    Bad("security_label", "insert into pg_seclabel values ('na'::regclass, 'pg_class'::regclass, 0, 'no provider', 'secret')", severity="note",
        step="delete from pg_seclabel"),
    Bad("large_objects", "select lo_create(0)", step="select lo_unlink(oid) from pg_largeobject_metadata"),
    Bad("foreign_table", "create foreign data wrapper w; create server s foreign data wrapper w; create foreign table far (i int) server s",
        severity="note", step="drop foreign table far"),
    Bad("event_trigger", "create function watch() returns event_trigger language plpgsql as 'begin end'; create event trigger ddl on ddl_command_end execute function watch()",
        severity="note", step="drop event trigger ddl"),
    Bad("extension_older", "create extension hstore", "create extension hstore version '1.4'"),
    Bad("library_function", "create function lib(hstore) returns text language c as '$libdir/hstore', 'hstore_out'", step="drop function lib"),
    Bad("untrusted_language", "update pg_language set lanpltrusted = false where lanname = 'plpgsql'", severity="note",
        step="update pg_language set lanpltrusted = true where lanname = 'plpgsql'"),
    Bad("subscription", "create subscription sub connection 'dbname=nowhere' publication p with (connect = false); alter subscription sub set (slot_name = sub); alter subscription sub enable"),
    Bad("database_setting", "do $$ begin execute format('alter database %I set work_mem = ''7MB''', current_database()); end $$", severity="note",
        step="do $$ begin execute format('alter database %I reset all', current_database()); end $$"),
    Bad("extension_config", "update pg_extension set extconfig = array['na'::regclass::oid], extcondition = array[''] where extname = 'plpgsql'",
        severity="note", step="update pg_extension set extconfig = null, extcondition = null"),
    Bad("extension_missing", "create extension citext; update pg_extension set extname = 'no such' where extname = 'citext'", severity="problem",
        step="update pg_extension set extname = 'citext' where extname = 'no such'; drop extension citext", objects={'"no such"'}),
    Bad("extension_uncreated", 'create schema "ex t"; create extension pg_trgm schema "ex t"', "drop extension plpgsql"),
    Bad("role_missing", 'create role ODD login; create table owned (id int primary key); alter table owned owner to ODD'),
    Bad("target_trigger_always", "create table tt (id int primary key)", """create table tt (id int primary key);
        create function f() returns trigger language internal as 'suppress_redundant_updates_trigger';
        create trigger "al ways" before update on tt for each row execute function f(); alter table tt enable always trigger "al ways" """),
    Bad("target_index", "create table ti (id int primary key, v int)", "create table ti (id int primary key, v int); create index ti_v on ti (v)",
        severity="note", step="drop index ti_v", step_at="target"),
]
# Codes whose cause is not in two databases of shared servers: each has a test of its own below; those of tablespaces: test_globals.py.
ELSEWHERE = {"collation_version", "connections_left", "locale", "open_transaction", "partition_alone", "pooler", "accept_unused", "compression", "generated_child",
             "sequence_select",
             "statistics_hidden", "synchronous_standby", "tablespace", "tablespace_missing", "target_disk", "target_event_trigger", "target_older", "unique_besides_key", "wal_room",
             "wraparound"}

STATEMENT = re.compile(r"^(?:alter|analyze|create|drop|grant|reindex|select|vacuum) .*;(?:  -- .*)?$")


def do_fix(pipeline, finding):
    """Runs whatever is SQL in it with psql; true if there was any."""
    lines = finding["fix"].splitlines()
    statements = [line for line in lines if STATEMENT.match(line)] or re.findall(r": (select .*;)$", finding["fix"])
    psql(pipeline.source if finding["where"] == "source" else pipeline.target, "\n".join(statements))
    return bool(statements)


def findings_of(report, code):
    return [finding for finding in report["findings"] if finding["code"] == code]


def probe_codes():
    codes = set()
    for file in (ROOT / "cdc/migrate/plan").glob("*.c"):
        text = file.read_text(encoding="utf-8")
        codes |= set(re.findall(r'\{"([a-z_]+)", SEVERITY_', text)) | set(re.findall(r'findings_add\([^"]*"([a-z_]+)"', text))
    return codes - {"unchecked"}


def test_every_finding_of_plan_has_a_bad_database():
    assert {bad.code for bad in BAD} | {code for code, _ in DATA} | ELSEWHERE == probe_codes()


@pytest.fixture
def version():
    return DEFAULT_VERSION


@pytest.fixture
def pipeline(new_pipeline, shared_clusters, version):
    return new_pipeline(shared_clusters("source", version), shared_clusters("target", version))


@pytest.fixture
def odd_role(pipeline):
    """A role that only the source's server has, until a fix creates it at the target."""
    name = f'odd "{pipeline.source.name}" '
    quoted = '"' + name.replace('"', '""') + '"'
    yield quoted
    if pipeline.source.execute("select 1 from pg_subscription where subname = 'sub'"):
        psql(pipeline.source, "alter subscription sub disable; alter subscription sub set (slot_name = none); drop subscription sub")
    for database in (pipeline.source, pipeline.target):
        if database.execute("select 1 from pg_roles where rolname = %s", (name,)):
            database.execute(f"drop owned by {quoted} cascade; drop role {quoted}")


@pytest.mark.parametrize("version", [14, 15, 18])
def test_every_finding_is_brought_about_fixed_as_printed_and_gone(pipeline, odd_role, version):  # pylint: disable=unused-argument
    for bad in BAD:
        psql(pipeline.source, bad.source.replace("ODD", odd_role))
        psql(pipeline.target, bad.target)
    pipeline.source.execute("select pg_stat_reset()")
    report = plan(pipeline)
    assert not findings_of(report, "unchecked")
    for bad in BAD:
        found = findings_of(report, bad.code)
        assert found and {finding["severity"] for finding in found} == {bad.severity}, (bad.code, report["findings"])
        if bad.objects:
            assert {one for finding in found for one in finding["objects"]} == {one.replace("ODD", odd_role) for one in bad.objects}, found
    for bad in BAD:
        printed = [do_fix(pipeline, finding) for finding in findings_of(report, bad.code)]
        assert all(printed) != bool(bad.step), (bad.code, findings_of(report, bad.code))
        psql(pipeline.source if bad.step_at == "source" else pipeline.target, bad.step)
    left = plan(pipeline)
    assert not codes_of(left) & {bad.code for bad in BAD}, [finding for finding in left["findings"] if finding["code"] in {bad.code for bad in BAD}]


def assert_fixed(pipeline, code, severity="warning", where="source"):
    """It is there, its printed SQL is run, and it is gone."""
    found = [finding for finding in findings_of(plan(pipeline), code) if finding["where"] == where]
    assert [finding["severity"] for finding in found] == [severity], found
    assert do_fix(pipeline, found[0])
    assert not [finding for finding in findings_of(plan(pipeline), code) if finding["where"] == where]


def test_what_a_role_may_not_see_is_said(pipeline, reader):
    pipeline.source.execute('create sequence "s;"; create table t (id int primary key)')
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(reader)
    assert_fixed(pipeline, "sequence_select")
    assert_fixed(pipeline, "statistics_hidden", "note")


def test_a_transaction_that_stays_open(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    connection = pipeline.source.connect(autocommit=False)
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    wait_until(lambda: findings_of(plan(pipeline), "open_transaction"), "the session to be idle for 5 s")
    assert_fixed(pipeline, "open_transaction")
    connection.close()


def test_a_partition_that_is_sent_alone(pipeline):
    pipeline.source.execute("create table p (id int primary key) partition by range (id); create table p1 partition of p default;"
                            "create publication shop for table p")
    del pipeline.source_configuration["tables"]
    assert_fixed(pipeline, "partition_alone")


def test_a_pooler_answers_for_the_source(pipeline):
    def other_process(_, message):
        return message[:5] + b"\x00\x00\x00\x01" + message[9:] if message[:1] == b"K" else message
    with WireProxy(pipeline.source.cluster.port, other_process) as proxy:
        dsn = pipeline.source_configuration["dsn"]
        pipeline.source_configuration["dsn"] = dsn.replace(f"port={pipeline.source.cluster.port}", f"port={proxy.port} sslmode=disable gssencmode=disable")
        assert findings_of(plan(pipeline), "pooler")
        pipeline.source_configuration["dsn"] = dsn
    assert not findings_of(plan(pipeline), "pooler")


def test_a_disk_that_is_too_small(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, repeat('x', 500) from generate_series(1, 5000) g")
    assert [finding["severity"] for finding in findings_of(plan(pipeline, "--target-disk", "1MB"), "target_disk")] == ["problem"]
    assert not findings_of(plan(pipeline, "--target-disk", "1GB"), "target_disk")


def test_a_target_of_an_older_version_and_of_another_locale(new_pipeline, shared_clusters):
    pipeline = new_pipeline(shared_clusters("source", 16), shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.target.cluster.execute("create database other_locale template template0 lc_collate 'C' lc_ctype 'C'")
    pipeline.sink_configuration["dsn"] = pipeline.target.cluster.dsn("other_locale")
    assert {"target_older", "locale"} <= codes_of(plan(pipeline))
    pipeline.sink_configuration["dsn"] = pipeline.source.cluster.dsn("postgres")
    assert not {"target_older", "locale"} & codes_of(plan(pipeline))
    pipeline.target.cluster.execute("drop database other_locale")


def test_what_another_build_and_a_later_version_refuse(new_pipeline, shared_clusters):
    """Said before the schema is made there. The steps are followed, and the schema can be made."""
    pipeline = new_pipeline(shared_clusters("source", 15), shared_clusters("target", 18))
    pipeline.source.execute("""create table t (id int primary key, "a;" int, b text compression lz4); create materialized view m as select * from t;
        alter materialized view m alter b set compression lz4;
        create table child (id int primary key, "a;" int generated always as (7) stored) inherits (t)""")
    steps = [line for code in ("compression", "generated_child") for finding in findings_of(plan(pipeline), code) for line in finding["fix"].splitlines()]
    assert len(steps) == 4
    for step in steps:
        pipeline.source.execute(re.fullmatch("at the source: (alter .*)", step).group(1))
    assert not codes_of(plan(pipeline)) & {"compression", "generated_child"}
    if newest_pg_dump() is not None:
        pipeline.engine.configuration["schema"] = {"pg_dump": str(newest_pg_dump())}
        result = pipeline.engine.command("schema apply")
        assert result.returncode == 0, result.stderr


def test_what_the_schema_will_bring_is_no_problem(pipeline):
    """A type that the copy cannot create: check says so, and a plan knows that it comes."""
    pipeline.source.execute("create type r as range (subtype = int, subtype_diff = int4range_subdiff); create table t (id int primary key, r r)")
    assert {"target_type"} <= codes_of(pipeline.engine.json("check"))
    assert [finding["severity"] for finding in findings_of(plan(pipeline), "target_type")] == ["note"]
    assert plan(pipeline)["ready"]


def test_an_event_trigger_at_the_target(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.target.execute("create function watch() returns event_trigger language plpgsql as 'begin end';"
                            'create event trigger "d;" on ddl_command_end execute function watch()')
    assert_fixed(pipeline, "target_event_trigger", where="sink warehouse")


def test_a_sink_of_records_and_more_than_one_unique_index(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int unique)")
    assert not findings_of(plan(pipeline), "unique_besides_key")
    pipeline.engine.configuration["sinks"] = [{"name": "nothing", "type": "null"}]
    assert findings_of(plan(pipeline), "unique_besides_key")


def test_a_collation_of_another_version(pipeline):
    if not pipeline.source.execute("select 1 from pg_collation where collname = 'en-x-icu'"):
        pytest.skip("this server has no ICU")
    database = f"{pipeline.source.name}_icu"
    pipeline.source.cluster.execute(f"create database {database} template template0 locale_provider icu icu_locale 'en'")
    pipeline.source = Database(pipeline.source.cluster, database)
    try:
        pipeline.source.execute('create table t (id int primary key, v text collate "de-x-icu"); update pg_collation set collversion = \'0\' where collname = \'de-x-icu\';'
                                "update pg_database set datcollversion = '0' where datname = current_database()")
        pipeline.source_configuration["dsn"] = pipeline.source.dsn()
        found = findings_of(plan(pipeline), "collation_version")
        assert len(found) == 2 and all([do_fix(pipeline, finding) for finding in found])
        assert not findings_of(plan(pipeline), "collation_version")
    finally:
        pipeline.source.drop()


def test_a_server_that_is_short_of_everything(own_cluster, new_pipeline):
    """One cluster for what only a whole server can have; it is the target, too."""
    cluster = own_cluster("short", settings={"max_connections": 9, "max_wal_senders": 4, "synchronous_standby_names": "nowhere", "synchronous_commit": "local",
                                             "max_slot_wal_keep_size": "1MB"})
    pipeline = new_pipeline(cluster, cluster)
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, repeat('x', 1000) from generate_series(1, 20000) g")
    report = plan(pipeline, "--rate", "1")
    assert {"connections_left", "synchronous_standby", "wal_room"} <= codes_of(report)
    assert {finding["severity"] for finding in findings_of(report, "synchronous_standby")} == {"note", "warning"}
    assert all(do_fix(pipeline, finding) for finding in report["findings"]
               if finding["code"] == "wal_room" or (finding["code"] == "synchronous_standby" and finding["severity"] == "warning"))
    cluster.configure({"max_connections": 60})
    cluster.stop()
    # 1.3 billion transactions later; the segment of the transactions' states is what the server would have made.
    (cluster.data / "pg_xact" / f"{1300000000 // 1048576:04X}").write_bytes(bytes(262144))
    subprocess.run(as_server_user(["chmod", "600", cluster.data / "pg_xact" / f"{1300000000 // 1048576:04X}"]), check=False)
    os.chown(cluster.data / "pg_xact" / f"{1300000000 // 1048576:04X}", server_user().pw_uid, server_user().pw_gid)
    subprocess.run(as_server_user([cluster.programs / "pg_resetwal", "-f", "-x", "1300000000", cluster.data]), check=True, capture_output=True)
    cluster.start()
    report = plan(pipeline, "--rate", "1")
    assert not {"connections_left", "synchronous_standby"} & codes_of(report)
    assert_fixed(pipeline, "wraparound")


# Warnings that the file accepts

def test_a_warning_is_accepted_by_name_and_stays_in_the_report(pipeline):
    pipeline.source.execute("""create table log (v int); alter table log replica identity full; create table other (v int);
                               alter table other replica identity full; create table "a.b" (v int); alter table "a.b" replica identity full""")
    assert plan(pipeline)["warnings"] == 1
    pipeline.engine.configuration["accept"] = ["no_key:public.log", 'no_key:"public"."a.b"']
    report = plan(pipeline)
    assert (report["warnings"], report["accepted"]) == (1, 1)
    assert {tuple(finding["objects"]): finding["accepted"] for finding in findings_of(report, "no_key")} == {
        ('"public"."a.b"', '"public"."log"'): True, ('"public"."other"',): False}
    assert "accepted source: tables" in pipeline.engine.command("plan").stdout
    pipeline.engine.configuration["accept"] = ["no_key:*"]
    report = plan(pipeline)
    assert (report["warnings"], report["accepted"]) == (0, 1)
    assert pipeline.engine.command("plan").stdout.splitlines()[-1] == "shop: ready, 1 accepted"


@pytest.mark.parametrize("entry", ["no_key:public.t", "no_key", "no_such_code", "replica_identity:public.u", "no_key:public.a.b", "not_analyzed:*"])
def test_an_entry_that_matches_no_warning_is_said(pipeline, entry):
    """A name without quotes is never taken for another, and a problem is not accepted."""
    pipeline.source.execute('create table t (id int primary key); create table u (v int); create table "a.b" (v int)')
    pipeline.engine.configuration["accept"] = [entry]
    report = plan(pipeline)
    assert [finding["what"] for finding in findings_of(report, "accept_unused")] == [f"accept has {entry}, and there is no such warning"]
    assert report["problems"] == 1 and report["accepted"] == 0


@pytest.mark.parametrize("entry", [":", "no_key:", "No key:t", "no_key t"])
def test_an_entry_that_is_none_is_refused(pipeline, entry):
    pipeline.engine.configuration["accept"] = [entry]
    result = pipeline.engine.command("plan")
    assert result.returncode == 2 and "accept: expected a code of a warning, and its object: no_key:public.log" in result.stderr


# Rows that the target would refuse

DATA_SOURCE = r"""
    create table "P ""t" (id int primary key, "k
y" int); insert into "P ""t" values (1, 1), (2, 2);
    create table "Ch\ild" (id int primary key, "r;" int); insert into "Ch\ild" values (1, 1), (2, 7), (3, 8), (4, null);
    alter table "Ch\ild" add constraint "fk'" foreign key ("r;") references "P ""t" not valid;
    create table checked (id int primary key, v int); insert into checked values (1, 1), (2, -1); alter table checked add constraint positive check (v > 0) not valid;
    create table unbuilt (id int primary key, v int); insert into unbuilt values (1, 5), (2, 5), (3, null), (4, null);
    insert into "P ""t" values (3, 2), (4, null), (5, null);
    create table nulls (id int primary key, v int); insert into nulls values (1, null), (2, 1);
    create table ranges (id int primary key, a bigint, b numeric, c text, d numeric);
    insert into ranges values (1, 40000, 1, 'short', 1), (2, 3, 5e9, 'far too long', 1e30), (3, null, null, null, null);
    create table words (id int primary key, "w'w" text, j json, t text[]);
    insert into words values (1, 'café', null, null), (2, '€', null, null), (3, null, '"日"', null), (4, null, null, '{"ж"}')
"""
DATA_TARGET = r"""
    create table "P ""t" (id int primary key, "k
y" int unique); create table "Ch\ild" (id int primary key, "r;" int); create table checked (id int primary key, v int); create table unbuilt (id int primary key, v int);
    create table nulls (id int primary key, v int not null); create table ranges (id int primary key, a smallint, b int, c varchar(8), d bigint);
    create table words (id int primary key, "w'w" text, j json, t text[])
"""
# code and object: how many rows or values are counted, and how many lines the query lists
DATA = {
    ("orphans", '"public"."Ch\\ild"."fk\'"'): 2, ("broken_check", '"public"."checked"."positive"'): 1,
    ("duplicates", '"public"."unbuilt"."unbuilt_v"'): 1, ("duplicates", '"public"."P ""t".U&"P ""t_k\\000ay_key"'): 1,
    ("null_values", '"public"."nulls"."v"'): 1, ("out_of_range", '"public"."ranges"."a"'): 1, ("out_of_range", '"public"."ranges"."b"'): 1,
    ("out_of_range", '"public"."ranges"."c"'): 1, ("out_of_range", '"public"."ranges"."d"'): 1,
    ("characters", '"public"."words"."j, w\'w"'): 3,
}
CORRECTED = r"""
    update "Ch\ild" set "r;" = 1; update checked set v = 1; delete from unbuilt where id = 2;
    update "P ""t" set "k
y" = id; update nulls set v = 2; update ranges set a = 1, b = 1, c = '', d = 1; delete from words where id > 1
"""


@pytest.mark.parametrize("version", [14, 18])
def test_rows_that_the_target_would_refuse_are_counted_and_listed(pipeline, version):  # pylint: disable=unused-argument
    pipeline.target.cluster.execute("create database latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'")
    latin = Database(pipeline.target.cluster, "latin")
    try:
        pipeline.sink_configuration["dsn"] = latin.dsn()
        psql(pipeline.source, DATA_SOURCE)
        with pytest.raises(AssertionError, match="could not create unique index"):
            psql(pipeline.source, "create unique index concurrently unbuilt_v on unbuilt (v);")
        psql(latin, DATA_TARGET)
        codes = {code for code, _ in DATA}
        assert not codes_of(plan(pipeline)) & codes, "rows are read only when asked for"
        report = plan(pipeline, "--data")
        assert not findings_of(report, "unchecked")
        found = {(finding["code"], finding["objects"][0]): finding for finding in report["findings"] if finding["code"] in codes}
        assert {key: int(re.search(r": (\d+) (?:row|value)s?$", finding["what"])[1]) for key, finding in found.items()} == DATA
        for key, finding in found.items():
            assert finding["where"] == "source" and STATEMENT.match(finding["fix"])
            assert len(pipeline.source.execute(finding["fix"])) == DATA[key]
        text = pipeline.engine.command("plan", "--data")
        assert "far too long" not in text.stdout + text.stderr and "日" not in text.stdout
        psql(pipeline.source, CORRECTED)
        assert not codes_of(plan(pipeline, "--data")) & codes
    finally:
        latin.drop()


def test_bytes_that_are_no_characters(pipeline):
    pipeline.source.cluster.execute("create database raw template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'")
    raw = Database(pipeline.source.cluster, "raw")
    try:
        pipeline.source_configuration["dsn"] = raw.dsn()
        connection = raw.connect()
        connection.set_client_encoding("SQL_ASCII")
        with connection.cursor() as cursor:
            cursor.execute(b"create table t (id int primary key, v text); insert into t values (1, 'plain'), (2, 'caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x90\x98'),"
                           b" (3, '\xff'), (4, 'a\xc3'), (5, '\xed\xa0\x80'), (6, '\xc0\xaf')")
        connection.close()
        assert [finding["what"] for finding in findings_of(plan(pipeline, "--data"), "characters")] == [
            'table "public"."t" has text with characters that the target\'s encoding lacks: 4 rows']
    finally:
        raw.drop()


# The page

class Page(HTMLParser):
    """What a browser would take: the tags in use, the attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def test_the_page_has_all_of_it_and_loads_nothing(pipeline, tmp_path):
    connection = pipeline.source.connect()
    names = [*HOSTILE, "<script>alert(1)</script>", "' onload='x", "<img src=x>", "--></style>", "\u202egnp.exe"]
    with connection.cursor() as cursor:
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            cursor.execute(f"create table {quoted} (v int); alter table {quoted} replica identity full".replace("%", "%%"), ())
    connection.close()
    path = tmp_path / "plan.html"
    result = pipeline.engine.command("plan", "--html", str(path))
    assert result.returncode == 0 and "order of work" in result.stdout
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "br", "div", "span", "table", "tr", "th", "td", "pre",
                         "details", "summary", "small"}
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class", "open"}
    assert not re.search(r"https?:|url\(|@import", text) and "\x1b" not in text and "\u202e" not in text
    for part in ("Migration plan: shop", "Ready: 0 problems, 1 warning", "Order of work", "Inventory", "<script>alert(1)</script>", "emoji 🐘",
                 "line\\nfeed", 'alter table "public"."<img src=x>" add column pgcdc_key'):
        assert part in page.text, part


def test_a_page_that_cannot_be_written_is_an_error(pipeline):
    result = pipeline.engine.command("plan", "--html", "/no/such/folder/plan.html")
    assert result.returncode == 1 and "/no/such/folder/plan.html: No such file or directory" in result.stderr
    result = pipeline.engine.command("plan", "--html", "/dev/full")
    assert result.returncode == 1 and "No space left on device" in result.stderr


# What stays behind

def read_in_place(pipeline, before=""):
    """psql with the SQL of --fdw at the target, and what is typed before it."""
    sql = pipeline.engine.command("plan", "--fdw").stdout
    return sql, subprocess.run(as_server_user([server_programs(DEFAULT_VERSION) / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                                               "-d", pipeline.target.dsn(), "-f", "-"]), input=before + sql, capture_output=True, text=True, check=False)


def test_what_stays_behind_is_read_in_place(pipeline):
    connection = pipeline.source.connect()
    names = [name for name in HOSTILE if name != "ü" * 31 + "x"]
    with connection.cursor() as cursor:
        cursor.execute('create table moved (id int primary key); create table parts (id int) partition by range (id); create table part partition of parts default;'
                       ' insert into parts values (7); create unlogged table gone (id int primary key); create schema "s\'\nx"; create type mood as enum (\'sad\')')
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            cursor.execute(f"create table {quoted} (id int primary key, m mood); insert into {quoted} values (1, 'sad')".replace("%", "%%"), ())
        cursor.execute('create table "s\'\nx".t (id int); insert into "s\'\nx".t values (5)')
    connection.close()
    pipeline.target.execute("create type mood as enum ('sad')")
    pipeline.source_configuration["tables"] = ["public.moved"]
    sql, result = read_in_place(pipeline)
    assert result.returncode != 0 and not pipeline.target.execute("select 1 from pg_foreign_server"), "without a password nothing is made"
    sql, result = read_in_place(pipeline, "\\set password `printf \"%s\" \"it's secret\"`\n")
    assert result.returncode == 0, result.stderr + sql
    assert pipeline.target.execute("select umoptions[2] from pg_user_mappings") == [("password=it's secret",)]
    assert "\x1b" not in sql and "password :'password'" in sql
    for name in names:
        quoted = '"' + name.replace('"', '""').replace("%", "%%") + '"'
        assert pipeline.target.execute(f"select id, m::text from public.{quoted}", ()) == [(1, "sad")]
    assert pipeline.target.execute('select id from parts') == [(7,)] and pipeline.target.execute('select id from "s\'\nx".t') == [(5,)]
    assert sorted(row[0] for row in pipeline.target.execute("select relname::text from pg_class where relkind = 'f'")) == sorted([*names, "parts", "gone", "t"])
    with pytest.raises(psycopg2.Error, match="does not allow inserts"):
        pipeline.target.execute("insert into parts values (8)")
    sql, result = read_in_place(pipeline, "\\set password x\n")
    assert result.returncode != 0 and "already exists" in result.stderr


def test_nothing_stays_behind(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    assert pipeline.engine.command("plan", "--fdw").stdout == "-- Every table moves.\n"
    pipeline.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=u dbname=d password=geheim"
    result = pipeline.engine.command("plan", "--fdw")
    assert result.returncode == 1 and result.stdout == "" and "geheim" not in result.stderr


def test_names_of_fixes_are_pasted_from_the_terminal(pipeline):
    """What `plan` shows for tables with hostile names goes into psql as it is shown."""
    connection = pipeline.source.connect()
    with connection.cursor() as cursor:
        for name in HOSTILE:
            quoted = '"' + name.replace('"', '""') + '"'
            cursor.execute(f"create schema {quoted}; create table {quoted}.{quoted} ({quoted} int not null unique); insert into {quoted}.{quoted} values (1);"
                           f"alter table {quoted}.{quoted} replica identity full".replace("%", "%%"), ())
    connection.close()
    pipeline.source_configuration["tables"] = ["*.*"]
    assert {"no_key", "not_analyzed"} <= codes_of(plan(pipeline))
    shown = re.findall(r"^ {9}((?:alter table .* add primary key|analyze) .*;)$", pipeline.engine.command("plan").stdout, re.M)
    assert len(shown) == 2 * len(HOSTILE)
    psql(pipeline.source, "\n".join(shown))
    assert not {"no_key", "not_analyzed"} & codes_of(plan(pipeline))
