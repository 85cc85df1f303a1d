# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify` under a mapping: what the rules make of the source's rows is compared with the target's, and no hidden value is shown."""

import json
import signal
import threading

import pytest

from support.load import ROWS, SCHEMA, Load
from support.pipeline import SINK

EQUAL, DIFFERENT = 0, 4
KEY = b"0123456789abcdef-for-tests"
SECRET = "Ann@Example.com"

TABLES = """
create table customers (id int primary key, name text, email text, phone varchar(20), iban text, age int, notes text, price numeric(12,2), at timestamptz, fixed char(5), gone text, j jsonb);
insert into customers select g, E'  Mr \\t ' || g, ' Ann@Example.com ' || g, '+49 170 1234' || g, 'DE00 1234 ' || g + 100000, g % 90, 'never to be seen', g / 4.0, '2020-01-01 12:00+02', 'ab',
  'x', '{"b": 1.0, "a": 2}' from generate_series(1, 4000) g;
insert into customers (id) values (5000);
create table tokens (token text primary key, n int); insert into tokens select 'token ' || g, g from generate_series(1, 500) g;
create table keyless (v text, n int); alter table keyless replica identity full; insert into keyless select '  row ' || g % 50, g % 3 from generate_series(1, 200) g;
create table tree (id int, part int, v text, primary key (part, id)) partition by list (part);
create table tree_1 partition of tree for values in (1); create table tree_2 partition of tree for values in (2);
insert into tree select g, 1 + g % 2, 'v' || g from generate_series(1, 300) g;
create table plain (id int primary key, v text); insert into plain select g, 'v' from generate_series(1, 100) g;
create table renamed (id bigint primary key, v text, dropped text); insert into renamed select g, 'v' || g, 'secret' from generate_series(1, 5000) g;
create table codes (id bigint primary key, v text); insert into codes select g + 100000000, 'v' || g from generate_series(1, 4000) g;
create type mood as enum ('sad', 'ok');
create table odd (id int primary key, "a b" text, m mood, c text); insert into odd select g, 'x', 'sad', 'A' from generate_series(1, 10) g;
"""
# Other columns, types and orders than the source's; the rest is created by the copy.
TARGET = """
create schema crm; create schema docs; create type public.mood as enum ('sad', 'ok');
create domain crm.code as text check (value <> '');
create table crm.seat (more text default 'own', spot numeric, nr bigint primary key, "was it" text, bank text, _lsn text);
create table crm.kind (extra int generated always as (7) stored, "A B" text, id bigint, m text, state public.mood, tag crm.code, primary key (id, tag, state));
create table crm.measures (v text, part bigint, nr int, primary key (part, nr));
"""


def hashed(key_file, length=0):
    return {"mask": {"hash": "sha256", "key_file": key_file, **({"length": length} if length else {})}}


def rules(key_file):
    return [
        {"match": "public.customers", "to": "crm.customer", "columns": {
            "id": {"as": "customer_id"}, "name": ["trim", "squeeze", {"nullif": ""}], "email": {"steps": ["trim", "lower"], **hashed(key_file, 16)},
            "phone": {"mask": {"partial": {"keep_last": 2, "with": "*"}}}, "iban": {"mask": {"fpe": "digits", "key_file": key_file}},
            "age": {"steps": [{"default": "7"}], "type": "smallint"}, "notes": "drop", "fixed": {"mask": {"fixed": "zz"}}, "gone": {"mask": "null"},
            "source": {"const": "bank_a"}, "origin": {"meta": "table"}, "_op": {"meta": "operation"}, "_lsn": {"meta": "commit_lsn"}}},
        {"match": "public.tokens", "columns": {"token": hashed(key_file)}},
        {"match": "public.codes", "columns": {"id": {"mask": {"fpe": "digits", "key_file": key_file}, "type": "bigint", "accept_loss": True}}},
        {"match": "public.keyless", "to": "crm.keyless", "columns": {"v": ["trim", "upper", {"truncate": 6}]}},
        {"match": "public.tree", "to": "crm.measures", "columns": {"id": {"as": "nr"}, "v": ["upper"]}},
        {"match": "public.renamed", "to": "crm.other", "columns": {"id": {"as": "nr"}, "dropped": "drop", "source": {"const": "a'b"}, "origin": {"meta": "table"}, "_op": {"meta": "operation"}}},
        {"match": "public.odd", "to": "crm.kind", "columns": {"a b": {"as": "A B"}, "c": "drop", "state": {"const": "ok"}, "tag": {"const": "t"}}},
        {"match": "public.seat", "to": "crm.seat", "columns": {"id": {"as": "nr"}, "place": {"as": "spot"}, "was": {"as": "was it"}, "bank": {"const": "a"}, "_lsn": {"meta": "commit_lsn"}}},
        {"match": "public.document", "to": "docs.paper", "columns": {"id": hashed(key_file), "title": ["upper"]}},
        {"match": "public.part", "columns": {"version": hashed(key_file, 20)}},
        {"match": "public.account", "to": "crm.account", "columns": {"pad": hashed(key_file)}},
    ]


@pytest.fixture
def mapped(pipeline, tmp_path):
    """Tables with every kind of rule, and an engine that streams into them."""
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)
    pipeline.source.execute(SCHEMA + ROWS + TABLES)
    pipeline.target.execute(TARGET)
    pipeline.publish()
    pipeline.engine.configuration["mapping"] = rules(str(key_file))
    pipeline.engine.configuration["copy"] = {"mode": "simple", "chunk_bytes": "64kB"}
    pipeline.start()
    pipeline.wait_applied()
    return pipeline


def verify(pipeline, *arguments):
    result = pipeline.engine.command("verify", "--json", *arguments, timeout_s=300)
    assert result.stdout, result.stderr
    assert SECRET.lower() not in (result.stdout + result.stderr).lower()
    return result.returncode, {table["table"]: table for table in json.loads(result.stdout)["sinks"][0]["tables"]}


def counts_of(table):
    return table["missing"], table["extra"], table["different"]


def unequal(tables):
    return sorted(name for name, table in tables.items() if table["result"] != "equal")


def test_under_load_every_kind_of_rule_is_equal(mapped):
    with Load(mapped.source, threads=3, pause_s=0.002):
        for _ in range(2):
            code, tables = verify(mapped)
            assert code == EQUAL and unequal(tables) == [], tables
        assert all(table["source_rows"] > 0 and table["source_hash"] == table["target_hash"] and table["lsn"] for table in tables.values())
        assert (tables["customers"]["to_schema"], tables["customers"]["to_table"], tables["customers"]["about_changes"]) == ("crm", "customer", "_op, _lsn")
        assert "about_changes" not in tables["tokens"] and "to_table" not in tables["plain"]
        result = mapped.engine.command("verify", timeout_s=300)
        assert result.returncode == EQUAL and "(as crm.customer) (about changes, so not compared: _op, _lsn)" in result.stdout
        assert result.stdout.splitlines()[-1].startswith("equal at LSN ")


DAMAGES = """
update crm.customer set email = 'forged' where customer_id = 17; update crm.customer set age = 1, origin = 'x' where customer_id = 18;
delete from crm.customer where customer_id = 3999; insert into crm.customer (customer_id, source) values (9999, 'bank_a');
update public.tokens set n = -1 where n = 5; delete from public.tokens where n = 6; insert into public.tokens values ('forged', 1);
delete from crm.keyless where ctid = (select min(ctid) from crm.keyless); insert into crm.keyless values ('FORGED', 1);
update crm.measures set v = lower(v) where nr = 7; delete from crm.measures where nr = 8;
update crm.other set v = 'forged' where nr = 5; update crm.other set source = 'other' where nr = 6; delete from crm.other where nr = 7; insert into crm.other values (-1, null, 'a''b');
update crm.kind set m = 'ok' where id = 1;
update public.plain set v = 'forged' where id = 1;
delete from public.codes where id = (select max(id) from public.codes);
update docs.paper set title = 'forged' where id = (select max(id) from docs.paper);
"""
FOUND = {"customers": (1, 1, 2), "tokens": (1, 1, 1), "keyless": (1, 1, 0), "tree": (1, 0, 1), "renamed": (2, 1, 1), "odd": (0, 0, 1), "plain": (0, 0, 1), "codes": (1, 0, 0), "document": (0, 0, 1)}


def test_each_damage_is_named_as_the_target_has_it_and_repaired(mapped):
    """The target's keys and columns; a row that another source has given the table is none of ours."""
    target = mapped.target
    sixth = target.value("select token from tokens where n = 6")
    target.execute(DAMAGES)
    target.execute("insert into crm.other values (77777, 'theirs', 'another bank')")
    code, tables = verify(mapped, "--keys", "9")
    assert code == DIFFERENT and {name: counts_of(tables[name]) for name in unequal(tables)} == FOUND, tables
    assert [tables[name].get("columns") for name in FOUND] == [["email", "age", "origin"], ["n"], None, ["v"], ["v"], ["m"], ["v"], None, ["title"]]
    keys = {name: sorted((key["row"], *key["key"].items()) for key in tables[name]["keys"]) for name in FOUND}
    bank = ("source", "bank_a")
    assert keys["customers"] == [("different", ("customer_id", "17"), bank), ("different", ("customer_id", "18"), bank), ("extra", ("customer_id", "9999"), bank), ("missing", ("customer_id", "3999"), bank)]
    assert ("missing", ("token", sixth)) in keys["tokens"] and len(sixth) == 64
    assert keys["tree"] == [("different", ("nr", "7"), ("part", "2")), ("missing", ("nr", "8"), ("part", "1"))]
    shop = ("source", "a'b")
    assert keys["renamed"] == [("different", ("nr", "5"), shop), ("extra", ("nr", "-1"), shop), ("missing", ("nr", "6"), shop), ("missing", ("nr", "7"), shop)]
    assert ("extra", ("v", "FORGED"), ("n", "1")) in keys["keyless"]

    result = mapped.engine.command("verify", "--repair", "--keys", "9", timeout_s=300)
    assert result.returncode == EQUAL, result.stdout + result.stderr
    assert not any(word in (result.stdout + result.stderr + mapped.engine.log_text()).lower() for word in (SECRET.lower(), "token 6", "never to be seen"))
    code, tables = verify(mapped)
    assert code == EQUAL and unequal(tables) == []


def test_a_role_without_temporary_tables_is_told_the_right(mapped):
    mapped.target.execute("revoke temporary on database " + mapped.target.name + " from public")
    mapped.target.execute("create role mapped_reader login; grant pg_read_all_data to mapped_reader; grant usage on schema pgcdc to mapped_reader; grant select on all tables in schema pgcdc to mapped_reader")
    mapped.sink_configuration["dsn"] = mapped.target.dsn(user="mapped_reader")
    result = mapped.engine.command("verify")
    assert result.returncode != EQUAL and "grant the target's role the right TEMPORARY on its database" in result.stderr, result.stderr
    mapped.target.execute("grant temporary on database " + mapped.target.name + " to mapped_reader")
    result = mapped.engine.command("verify", timeout_s=300)
    assert result.returncode == EQUAL, result.stdout + result.stderr
    mapped.target.execute("drop owned by mapped_reader; drop role mapped_reader")


def test_without_an_engine_rounds_compare_the_mapped_rows(mapped):
    mapped.engine.stop()
    code, tables = verify(mapped)
    assert code == EQUAL and unequal(tables) == [], tables
    mapped.target.execute("update public.tokens set n = -1 where n = 5; delete from crm.customer where customer_id = 7")
    mapped.source.execute("update document set title = 'later' where id = 1; update renamed set v = 'later' where id = 1")
    code, tables = verify(mapped, "--keys", "3")
    assert code == DIFFERENT and {name: counts_of(tables[name]) for name in unequal(tables)} == {
        "tokens": (0, 0, 1), "customers": (1, 0, 0), "document": (0, 0, 1), "renamed": (0, 0, 1)}, tables
    assert tables["customers"]["keys"] == [{"row": "missing", "key": {"customer_id": "7", "source": "bank_a"}}]
    result = mapped.engine.command("verify", "--repair", timeout_s=300)
    assert result.returncode == DIFFERENT and "its next start copies" in result.stderr
    mapped.start()
    mapped.wait_applied()
    mapped.wait_while_running(lambda: verify(mapped)[0] == EQUAL, "the ranges to be copied again")


def test_nothing_stays_proven_under_another_rule(mapped):
    """The steps of a rule, and the keys of its masks, are a part of what was compared."""
    for change in (False, True):
        result = mapped.engine.command("verify", "--table", "customers",
                                       environment={"PGCDC_FAULT": "verify-range-compared:3", "PGCDC_INTERVAL_MS": "0"})
        assert result.returncode == -signal.SIGKILL and (mapped.state / f"shop.{SINK}.verify").exists(), result.stderr
        if change:
            mapped.engine.configuration["mapping"][0]["columns"]["phone"]["mask"]["partial"]["keep_last"] = 3
        result = mapped.engine.command("verify", "--table", "customers", "--resume")
        assert ("so all is compared" in result.stderr) == change and result.returncode == (DIFFERENT if change else EQUAL), result.stderr


def test_each_round_reads_the_rows_of_its_own_snapshot(mapped, tmp_path):
    """From another machine there are only rounds; rows that change between two snapshots are equal once they stand still."""
    mapped.engine.configuration["state"] = str(tmp_path)

    def change():
        connection = mapped.source.connect()
        with connection.cursor() as cursor:
            for _ in range(1000):
                cursor.execute("update tokens set n = n + 1 ")
        connection.close()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        result = mapped.engine.command("verify", "--table", "tokens", timeout_s=300)
    finally:
        writer.join()
    assert result.returncode == EQUAL, result.stdout + result.stderr


def test_continuously_mapped_rows_are_proven(pipeline, tmp_path):
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(KEY)
    key_file.chmod(0o600)
    pipeline.source.execute("create table tokens (token text primary key, n int); insert into tokens select 'token ' || g, g from generate_series(1, 500) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.tokens", "columns": {"token": hashed(str(key_file))}}]
    pipeline.engine.configuration["verify"] = {"continuous": "100MB/s"}
    pipeline.start(environment={"PGCDC_INTERVAL_MS": "300"})

    def state():
        table, = json.loads(pipeline.engine.command("status", "--json").stdout)["sinks"][0]["verified"] or [{}]
        return table.get("state")

    pipeline.wait_while_running(lambda: state() == "equal", "the table to be proven equal")
    pipeline.source.execute("update tokens set n = n + 1000; delete from tokens where token = 'token 1'")
    pipeline.wait_applied()
    assert "differs from the source" not in pipeline.engine.log_text()
    pipeline.target.execute("update tokens set n = -1 where n = 1400")
    pipeline.engine.wait_log("0 missing, 0 extra, 1 different")
    pipeline.target.execute("update tokens set n = 1400 where n = -1")
    pipeline.engine.wait_log("table public.tokens is equal again where it differed")
    assert "token 400" not in pipeline.engine.log_text()
