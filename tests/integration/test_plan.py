# SPDX-License-Identifier: Apache-2.0
"""`pgcdc plan`: everything that a database holds is listed, with the way in which it moves, and nothing is changed."""

import json
import time

import pytest

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
def test_every_class_of_object_is_counted_with_its_way(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
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
    assert estimate["copy_ms"] == big["bytes"] * 1000 // (1 << 20)
    assert estimate["disk_bytes"] == (big["bytes"] + big["index_bytes"]) // 100 * 150
    text = pipeline.engine.command("plan").stdout
    for part in ("inventory", "order of work", "estimate, assuming", "public.left_out", "locks: source: ACCESS SHARE", "shop: "):
        assert part in text


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


def test_thousands_of_tables_are_quick(pipeline):
    """One query a class, not one a table: the part that plan adds to check does not grow with the number of its queries."""
    pipeline.source.execute("do $$ begin for i in 1..1500 loop execute format('create table t%s (id int primary key)', i); end loop; end $$")
    pipeline.source_configuration["tables"] = ["public.t1"]
    began = time.monotonic()
    assert plan(pipeline)["inventory"]["tables"]["count"] == 1500
    assert time.monotonic() - began < 60, "with sanitizers, on a busy machine"


def test_a_source_that_cannot_be_reached_is_a_finding(pipeline):
    pipeline.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=u dbname=d"
    report = plan(pipeline)
    assert "connection" in codes_of(report) and "inventory" not in report
