# SPDX-License-Identifier: Apache-2.0
"""Rules for tables and columns: a copied row and a streamed one become the same, in tables and in topics, and what is masked is nowhere."""

import hashlib
import hmac
import json
import re

import pytest

from support.tail import Tail

KEY = b"0123456789abcdef-for-tests"
SECRETS = ["Ann@Example.com", "BOB@example.com", "+49 170 1234567", "never to be seen"]


def column_names(database, table):
    return [row[0] for row in database.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum", (table,))]


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "mask.key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def customers(pipeline, key_file):
    """A table with one rule of every kind, and a row on each side of the copy."""
    pipeline.source.execute("""create schema crm;
        create table customers (id int primary key, name text, email text, phone text, card text, age int, notes text, plain numeric(8,2));
        insert into customers values (1, E'  Ann \\t Müller ', ' Ann@Example.com ', '+49 170 1234567', '4111-1111-1111-1111', 30, 'never to be seen', 1.50),
                                     (2, '', null, null, null, null, null, null)""")
    pipeline.engine.configuration["mapping"] = [{
        "match": "public.customers", "to": "crm.customer",
        "columns": {
            "id": {"as": "customer_id"},
            "name": ["trim", "squeeze", {"nullif": ""}],
            "email": {"steps": ["trim", "lower"], "mask": {"hash": "sha256", "key_file": key_file, "length": 16}},
            "phone": {"mask": {"partial": {"keep_last": 2, "with": "*"}}},
            "card": {"mask": {"fpe": "digits", "key_file": key_file}},
            "age": {"type": "smallint"},
            "notes": "drop",
            "source": {"const": "bank_a"},
            "_op": {"meta": "operation"},
            "_lsn": {"meta": "commit_lsn"},
        }}]
    return pipeline


ROW = "select name, email, phone, age, plain::text, source, _op from crm.customer where customer_id = %s"


def hashed(text):
    return hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()[:16]


def test_a_copied_row_and_a_streamed_one_are_the_same(customers):
    customers.target.execute("create schema crm")
    customers.start()
    customers.source.execute("insert into customers select id + 10, name, email, phone, card, age, notes, plain from customers")
    customers.source.execute("update customers set phone = '12345' where id = 12; delete from customers where id = 2")
    customers.wait_applied()
    target = customers.target
    assert column_names(target, "crm.customer") == ["customer_id", "name", "email", "phone", "card", "age", "plain", "source", "_op", "_lsn"]
    expected = ("Ann Müller", hashed("ann@example.com"), "*" * 13 + "67", 30, "1.50", "bank_a")
    assert target.execute(ROW, (1,)) == [(*expected, "r")] and target.execute(ROW, (11,)) == [(*expected, "c")]
    assert target.execute(ROW, (12,)) == [(None, None, "***45", None, None, "bank_a", "u")] and target.execute(ROW, (2,)) == []
    cards = target.execute("select card from crm.customer where card is not null order by customer_id")
    assert cards[0] == cards[1] and re.fullmatch(r"\d{4}-\d{4}-\d{4}-\d{4}", cards[0][0]) and cards[0][0] != "4111-1111-1111-1111"
    assert target.value("select _lsn is null from crm.customer where customer_id = 1") and \
        target.value("select _lsn::pg_lsn > '0/0' from crm.customer where customer_id = 11")
    assert target.value("select atttypid::regtype::text from pg_attribute where attrelid = 'crm.customer'::regclass and attname = 'age'") == "smallint"


def test_no_secret_is_anywhere(customers, tmp_path):
    customers.target.execute("create schema crm")
    customers.start()
    customers.source.execute("insert into customers select 11, name, 'BOB@example.com', phone, card, age, notes, plain from customers where id = 1")
    customers.wait_applied()
    customers.target.execute("alter table crm.customer add constraint narrow check (customer_id < 20)")
    customers.source.execute("insert into customers select 21, name, email, phone, card, age, notes, plain from customers where id = 1")
    assert customers.engine.wait_exit(60) == 1
    seen = [customers.engine.log_text(), str(customers.target.execute("select * from crm.customer")),
            customers.engine.command("why").stdout, customers.engine.command("map").stdout]
    seen += [path.read_bytes().decode("latin-1") for path in customers.state.rglob("*") if path.is_file() and not path.is_socket()]
    for text in seen:
        for secret in SECRETS:
            assert secret.lower() not in text.lower(), secret


def test_the_map_says_what_becomes_of_each_column(customers):
    result = customers.engine.command("map", "--json")
    assert result.returncode == 0, result.stderr
    table, = json.loads(result.stdout)["sinks"][0]["tables"]
    assert (table["to_schema"], table["to_table"], table["dropped"]) == ("crm", "customer", ["notes"])
    found = {column["to"]: (column["from"], column["source"], column["type"], column["steps"], column["uniqueness"]) for column in table["columns"]}
    assert found["customer_id"] == ("id", "column", "integer", [], "preserved")
    assert found["email"] == ("email", "column", "text", ["trim", "lower", "hash"], "lost")
    assert found["card"] == ("card", "column", "text", ["digits"], "preserved")
    assert found["source"] == (None, "const", "text", [], "preserved")
    assert "card                     -> card" in customers.engine.command("map").stdout


def assert_no_secret(text):
    for secret in SECRETS:
        assert secret.lower() not in text.lower(), secret


def test_a_dry_run_shows_rows_as_the_sink_would_get_them(customers):
    customers.source.execute("insert into customers select g, 'n', 'x@y.example', '123', '4111-1111-1111-1111', 1 from generate_series(10, 30) g; create table other (id int primary key)")
    customers.source.execute("insert into other values (1)")
    result = customers.engine.command("map", "--dry-run")
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 5 and {(line["op"], line["schema"], line["table"]) for line in lines} == {("read", "crm", "customer")}
    assert (lines[0]["after"]["name"], lines[0]["after"]["email"], lines[0]["after"]["source"], lines[0]["key"]) == \
        ("Ann Müller", hashed("ann@example.com"), "bank_a", {"customer_id": 1, "source": "bank_a"})
    assert_no_secret(result.stdout)
    assert customers.target.value("select to_regclass('crm.customer') is null")


def test_tail_shows_changes_as_a_sink_gets_them(customers):
    customers.target.execute("create schema crm")
    customers.start()
    with Tail(customers, "--mapped", "--table", "crm.customer") as tail:
        customers.source.execute("insert into customers values (3, ' Bob ', 'BOB@example.com', '12345', null, 3, 'never to be seen')")
        customers.source.execute("update customers set age = 4 where id = 3; delete from customers where id = 3")
        insert, update, delete = tail.wait_lines(3)
        assert_no_secret(tail.path.read_text(encoding="utf-8"))
    assert insert["after"] == {"customer_id": 3, "name": "Bob", "email": hashed("bob@example.com"), "phone": "***45", "card": None, "age": 3,
                               "plain": None, "source": "bank_a", "_op": "c", "_lsn": insert["commit_lsn"]}
    assert (update["after"]["age"], update["after"]["_op"], delete["key"]) == (4, "u", {"customer_id": 3, "source": "bank_a"})


@pytest.mark.parametrize("words, problem", [
    (["map", "--sink", "warehouse"], "--sink needs --dry-run"),
    (["map", "--dry-run", "--sink", "other"], "no sink has the name other"),
    (["tail", "--sink", "warehouse"], "--sink needs --mapped"),
    (["tail", "--mapped"], "has several sinks: name one with --sink"),
    (["map", "--dry-run"], "has several sinks: name one with --sink"),
])
def test_the_sink_that_is_shown_is_one(customers, words, problem):
    if len(words) < 3:
        customers.engine.configuration["sinks"].append({"name": "second", "type": "null"})
    result = customers.engine.command(*words)
    assert result.returncode == 2 and problem in result.stderr, result.stderr


def test_check_sees_the_mapped_tables(customers):
    customers.target.execute("create schema crm; create table crm.customer (customer_id int primary key)")
    codes = {finding["code"]: finding["what"] for finding in customers.engine.json("check")["findings"] if finding["where"] != "source"}
    assert any('"crm"."customer" has no column "name"' in what for what in codes.values()), codes


@pytest.mark.parametrize("columns, problem", [
    ({"nmae": "drop"}, "column nmae of table public.customers does not exist"),
    ({"name": {"as": "email"}}, "column email of table public.customers would exist twice"),
    ({"id": "drop"}, "is part of the key, and cannot be dropped"),
    ({"id": {"mask": "null"}}, "its steps can make two keys equal"),
    ({"id": {"mask": {"fpe": "digits", "key_file": "mask.key"}}}, "its steps can make two keys equal"),  # a number loses leading zeros
])
def test_a_rule_that_does_not_fit_is_refused(customers, key_file, columns, problem):
    customers.engine.configuration["mapping"][0]["columns"] = json.loads(json.dumps(columns).replace("mask.key", key_file))
    for arguments in (("map",), ("run", "--until", "caught-up")):
        result = customers.engine.command(*arguments)
        assert result.returncode == 2 and problem in result.stderr, result.stderr
    assert customers.target.value("select to_regclass('crm.customer')") is None


@pytest.mark.parametrize("rule, problem", [
    ({"match": "customers"}, "mapping[0].match: expected schema.table"),
    ({"match": "/a(/"}, "mapping[0].match: the regular expression is wrong at character"),
    ({"match": "/a(b)/", "to": "x.$2"}, "mapping[0].to: $2 refers to a group that the pattern has not"),
    ({"match": "a.*", "to": "x.one"}, "mapping[0].to: several tables would have this name in the sink"),
    ({"match": "/a\\..*/", "to": "x.one"}, "mapping[0].to: several tables would have this name in the sink"),
    ({"match": "a.b", "to": "c"}, "mapping[0].to: expected schema.table"),
    ({"match": "a.b", "sinks": ["nowhere"]}, "entry 1 is not the name of a sink"),
    ({"match": "a.b", "columns": {"c": "remove"}}, "mapping[0].columns.c: expected drop"),
    ({"match": "a.b", "columns": {"c": ["trim", "shout"]}}, "expected a step: trim"),
    ({"match": "a.b", "columns": {"c": {"mask": {"hash": "md5", "key_file": "/nowhere"}}}}, "columns.c.mask.hash: expected sha256"),
    ({"match": "a.b", "columns": {"c": {"mask": {"hash": "sha256", "key_file": "/nowhere"}}}}, "columns.c.mask.key_file: "),
    ({"match": "a.b", "columns": {"c": {"const": "x", "meta": "xid"}}}, "const and meta cannot be together"),
    ({"match": "a.b", "columns": {"c": {"const": "x", "steps": ["trim"]}}}, "such a column has no steps"),
    ({"match": "a.b", "colunms": {}}, "did you mean columns?"),
])
def test_a_wrong_rule_names_its_place(pipeline, rule, problem):
    pipeline.engine.configuration["mapping"] = [rule]
    result = pipeline.engine.command("map")
    assert result.returncode == 2 and problem in result.stderr, result.stderr


def test_tables_of_many_schemas_by_an_expression(pipeline):
    """The first rule that matches is a table's rule; $1 is a part of its name; others stay as they are."""
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute("create schema tenant_1; create schema tenant_2; create table tenant_1.orders (id int primary key, v text);"
                            "create table tenant_2.orders (id int primary key, v text); create table tenant_2.log (id int primary key);"
                            "insert into tenant_1.orders values (1, 'one'); insert into tenant_2.orders values (1, 'two'); insert into tenant_2.log values (5)")
    pipeline.target.execute("create schema all_of_them")
    pipeline.engine.configuration["mapping"] = [{"match": r"/tenant_(\d+)\.(orders)/", "to": "all_of_them.$2_of_$1"},
                                                {"match": "tenant_1.orders", "to": "all_of_them.never"}]
    pipeline.target.execute("create schema tenant_2")
    pipeline.start()
    pipeline.source.execute("update tenant_2.orders set v = 'changed'; truncate tenant_2.log; insert into tenant_2.log values (6); truncate tenant_1.orders")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from all_of_them.orders_of_2") == [(1, "changed")]
    assert pipeline.target.execute("select * from all_of_them.orders_of_1") == []
    assert pipeline.target.execute("select * from tenant_2.log") == [(6,)]


def test_two_tables_of_one_name_are_refused(pipeline):
    pipeline.source.execute("create table a (id int primary key); create table b (id int primary key)")
    pipeline.engine.configuration["mapping"] = [{"match": "/public\\.(a|b)()/", "to": "public.one$2"}]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "tables public.a and public.b would both be public.one" in result.stderr, result.stderr


def test_large_values_that_are_not_sent_stay(pipeline):
    pipeline.source.execute("create table t (id int primary key, n int, large text); alter table t alter large set storage external;"
                            "insert into t values (1, 1, repeat('Ab', 4000))")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"large": ["lower"], "n": {"as": "m"}}}]
    pipeline.start()
    pipeline.source.execute("update t set n = 2")
    pipeline.wait_applied()
    assert pipeline.target.execute("select id, m, large = repeat('ab', 4000) from t") == [(1, 2, True)]


def test_what_is_about_a_change_is_written_by_each_change(pipeline):
    """Also where the source sends the whole old row; a table whose rows are found by all their values cannot have such a column."""
    pipeline.source.execute("create table t (id int primary key, n int, s text); alter table t replica identity full; insert into t values (1, 1, 'x'), (2, 2, 'x');"
                            "create table heap (n int, s text); alter table heap replica identity full; insert into heap values (1, ' a '), (1, ' a '), (2, 'b')")
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.t", "columns": {"_op": {"meta": "operation"}, "_lsn": {"meta": "commit_lsn"}, "_t": {"meta": "table"}, "src": {"const": "a"}}},
        {"match": "public.heap", "columns": {"s": ["trim"], "src": {"const": "a"}, "_op": {"meta": "operation"}}}]
    refused = pipeline.engine.command("map")
    assert refused.returncode == 2 and "column _op cannot be added to table public.heap, whose rows have no key" in refused.stderr
    del pipeline.engine.configuration["mapping"][1]["columns"]["_op"]
    pipeline.start()
    pipeline.source.execute("update t set n = 10 where id = 1")
    pipeline.wait_applied()
    before = pipeline.target.value("select _lsn from t where id = 1")
    assert pipeline.target.execute("select id, n, _op, _t, src from t order by id") == [(1, 10, "u", "public.t", "a"), (2, 2, "r", "public.t", "a")]
    pipeline.source.execute("update t set n = 11 where id = 1; update heap set n = 5 where ctid = (select min(ctid) from heap); delete from heap where n = 2")
    pipeline.wait_applied()
    assert pipeline.target.value("select _lsn::pg_lsn > %s::pg_lsn from t where id = 1", (before,))
    assert pipeline.target.execute("select n, s, src from heap order by n") == [(1, "a", "a"), (5, "a", "a")]
    pipeline.source.execute("delete from t where id = 2; update t set id = 3")
    pipeline.wait_applied()
    assert pipeline.target.execute("select id, _op from t") == [(3, "u")]


def test_values_that_are_not_text_are_sent_as_text(pipeline):
    """A step gets a number as text, in the copy and from the stream, although the sink takes binary values."""
    pipeline.source.execute("create table t (id int primary key, n int, d date); insert into t values (1, 1234567, '2024-02-29')")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {
        "n": {"mask": {"partial": {"keep_first": 1, "with": "x"}}}, "d": [{"truncate": 4}]}}]
    pipeline.start()
    pipeline.source.execute("insert into t values (2, 7654321, '2025-01-01')")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from t order by id") == [(1, "1xxxxxx", "2024"), (2, "7xxxxxx", "2025")]


def test_a_type_of_a_rule_is_a_cast(pipeline):
    """The target's type decides about copied and streamed values alike; without a rule such a type is refused."""
    pipeline.source.execute("create table item (id bigint primary key, at timestamptz, n numeric, code uuid); insert into item values (1, '2026-01-02 03:04:05+00', 1.4, md5('1')::uuid)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.item", "columns": {
        "id": {"type": "text"}, "at": {"type": "date"}, "n": {"type": "int"}, "code": {"type": "varchar(40)"}}}]
    pipeline.target.execute("set timezone = 'UTC'; create table item (id text primary key, at date, n numeric(5,0), code varchar(40))")
    assert not [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"].endswith("target_column_type") and finding["severity"] == "problem"]
    pipeline.start()
    pipeline.source.execute("insert into item select id + 1, at, n, code from item; update item set n = n + 1 where id = 1")
    pipeline.wait_applied()
    assert pipeline.target.execute("select id, at::text, n::text, code = md5('1')::uuid::text from item order by id") == [("1", "2026-01-02", "2", True), ("2", "2026-01-02", "1", True)]
    result = pipeline.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr
    pipeline.engine.stop()
    pipeline.engine.configuration["mapping"][0]["columns"] = {"id": {"type": "text"}, "code": {"type": "text"}}
    pipeline.source.execute("insert into item values (9)")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "which can change values silently" in result.stderr, result.stderr


def test_a_masked_column_that_is_renamed_stops_the_stream(customers):
    """It would arrive unmasked under its new name."""
    customers.target.execute("create schema crm")
    customers.start()
    customers.source.execute("alter table customers rename email to mail; insert into customers (id, mail) values (30, 'BOB@example.com')")
    assert customers.engine.wait_exit(60) == 1
    assert "column email of table public.customers does not exist" in customers.engine.log_text()
    assert customers.target.execute(ROW, (30,)) == []


def test_a_generated_column_is_the_targets(pipeline):
    """The source does not send it, so a rule cannot name it, and a target that has one computes it."""
    pipeline.source.execute("create table t (id int primary key, n int, g int generated always as (n * 2) stored); insert into t values (1, 1)")
    pipeline.target.execute("create table t (id int primary key, m int, h int generated always as (m * 2) stored)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"n": {"as": "m"}, "g": {"as": "h"}}}]
    result = pipeline.engine.command("map")
    assert result.returncode == 2 and "column g of table public.t does not exist, or is generated and not sent" in result.stderr
    del pipeline.engine.configuration["mapping"][0]["columns"]["g"]
    pipeline.start()
    pipeline.source.execute("insert into t values (2, 5)")
    pipeline.wait_applied()
    assert pipeline.target.execute("select id, m, h from t order by id") == [(1, 1, 2), (2, 5, 10)]


def test_topics_have_the_mapped_rows(kafka_pipeline, key_file):
    pipeline = kafka_pipeline
    pipeline.source.execute("create table customers (id int primary key, email text, notes text); insert into customers values (1, 'Ann@Example.com', 'never to be seen')")
    pipeline.engine.configuration["mapping"] = [{"match": "public.customers", "to": "crm.customer", "columns": {
        "email": {"steps": ["lower"], "mask": {"hash": "sha256", "key_file": key_file}}, "notes": "drop", "id": {"as": "nr"}, "source": {"const": "a"}}}]
    pipeline.sink_configuration["format"] = "debezium-json"
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into customers select 2, email, notes from customers; delete from customers where id = 1")
    pipeline.engine.catch_up()
    messages = pipeline.read_topic(f"{pipeline.name}.crm.customer")
    rows = [json.loads(message.value())["after"] for message in messages if message.value()]
    full = hmac.new(KEY, b"ann@example.com", hashlib.sha256).hexdigest()
    assert rows[:2] == [{"nr": 1, "email": full, "source": "a"}, {"nr": 2, "email": full, "source": "a"}]
    assert json.loads(messages[-1].key()) == {"nr": 1, "source": "a"}
    assert not any(secret.encode().lower() in (message.value() or b"").lower() for message in messages for secret in SECRETS)


def test_a_killed_copy_begins_again(customers):
    customers.target.execute("create schema crm")
    customers.source.execute("insert into customers (id, name) select g, ' x' from generate_series(100, 3000) g")
    for point in ("snapshot-table-read", "copy-before-commit", "copy-committed"):
        killed = customers.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point})
        assert killed.returncode < 0, killed.stderr
    customers.engine.catch_up()
    assert customers.target.value("select count(*) from crm.customer where name = 'x'") == 2901
