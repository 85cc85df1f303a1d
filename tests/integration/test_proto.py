# SPDX-License-Identifier: Apache-2.0
"""A consumer in another language, generated from the shipped proto/change.proto, reads what pgcdc writes."""

import contextlib
import importlib.util
import math
import re
import struct
import subprocess
from pathlib import Path

import pytest
from google.protobuf import text_format

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
MISSING = 2**32 - 1
# As the engine pins them.
SESSION = ("-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c bytea_output=hex -c extra_float_digits=3 "
           "-c lc_monetary=C")
PEEK = ("select lsn - '0/0'::pg_lsn, data from pg_logical_slot_peek_binary_changes('proto', null, null, "
        "'proto_version', '1', 'publication_names', 'proto')")


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    """The classes that protoc makes of change.proto."""
    folder = tmp_path_factory.mktemp("proto")
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={folder}", "change.proto"], check=True)
    spec = importlib.util.spec_from_file_location("change_pb2", folder / "change_pb2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def read(program, schema):
    """read(recording): [(key or None, Change)] as pgcdc publishes the recorded stream."""

    def take(out, at):
        size = int.from_bytes(out[at:at + 4], "big")
        return (None, at + 4) if size == MISSING else (out[at + 4:at + 4 + size], at + 4 + size)

    def run(recording):
        out = subprocess.run([program.parent.parent / "tests/records", recording], stdout=subprocess.PIPE,
                             check=True).stdout
        messages, at = [], 0
        while at < len(out):
            key, at = take(out, at)
            value, at = take(out, at)
            record = schema.Change.FromString(value)
            assert record.SerializeToString(deterministic=True) == value, "nothing unknown, nothing out of order"
            messages.append((schema.Key.FromString(key) if key is not None else None, record))
        return messages

    return run


@pytest.fixture
def source(shared_clusters):
    database = shared_clusters("source").create_database("proto")
    with contextlib.closing(database.connect(options=SESSION)) as connection:
        yield connection
    database.drop()


@pytest.fixture
def published(source, read, tmp_path):
    """published(tables, work): the messages of what the SQL did."""

    def run(tables, work):
        with source.cursor() as cursor:
            cursor.execute(tables)
            cursor.execute("create publication proto for all tables")
            cursor.execute("select pg_create_logical_replication_slot('proto', 'pgoutput')")
            for statement in work:
                cursor.execute(statement)
            cursor.execute(PEEK)
            recording = b"".join(struct.pack(">QI", int(lsn), len(data)) + bytes(data) for lsn, data in cursor)
        (tmp_path / "stream.bin").write_bytes(recording)
        return read(tmp_path / "stream.bin")

    return run


def values(columns):
    """{name: value}; None is null, Ellipsis is unchanged."""
    found = {}
    for column in columns:
        kind = column.WhichOneof("value")
        assert kind is not None, "a value of a newer version"
        found[column.name] = {"null": None, "unchanged": ...}.get(kind, getattr(column, kind))
    return found


# type, SQL of a value, what the consumer sees, and in which member
KINDS = [
    ("bool", "true", True, "boolean"),
    ("bool", "false", False, "boolean"),
    ("int2", "-32768", -32768, "integer"),
    ("int4", "0", 0, "integer"),
    ("int8", "9223372036854775807", 2**63 - 1, "integer"),
    ("oid", "4294967295", 2**32 - 1, "integer"),
    ("float4", "'1.5e-30'", struct.unpack("f", struct.pack("f", 1.5e-30))[0], "float4"),
    ("float8", "0.1::float8 + 0.2::float8", 0.1 + 0.2, "float8"),
    ("float8", "'-Infinity'", -math.inf, "float8"),
    ("float8", "'5e-324'", 5e-324, "float8"),
    ("text", "'Grüße 😀'", "Grüße 😀", "text"),
    ("text", "''", "", "text"),
    ("varchar(20)", "'tea'", "tea", "text"),
    ("char(5)", "'tea'", "tea  ", "text"),
    ("name", "'me'", "me", "text"),
    ("bytea", r"'\x00ff10'", b"\x00\xff\x10", "bytes"),
    ("bytea", "''", b"", "bytes"),
    ("numeric(10,2)", "12.5", "12.50", "literal"),
    ("numeric", "'NaN'", "NaN", "literal"),
    ("jsonb", """'{"a": [1]}'""", '{"a": [1]}', "literal"),
    ("json", "'[ 1]'", "[ 1]", "literal"),
    ("uuid", "'00000000-0000-0000-0000-0000000000ff'", "00000000-0000-0000-0000-0000000000ff", "literal"),
    ("date", "'0044-03-15 BC'", "0044-03-15 BC", "literal"),
    ("timestamptz(0)", "'2026-01-31 13:00:00+01'", "2026-01-31 12:00:00+00", "literal"),
    ("interval", "'1 day 02:00'", "1 day 02:00:00", "literal"),
    ("int4[]", "'{1,NULL,3}'", "{1,NULL,3}", "literal"),
    ("mood", "'happy'", "happy", "literal"),
    ("mood[]", "'{happy}'", "{happy}", "literal"),
    ("small", "7", 7, "integer"),
]


def test_every_kind_of_value_arrives(published):
    columns = ", ".join(f"c{i} {kind[0]}" for i, kind in enumerate(KINDS))
    row = ", ".join(kind[1] for kind in KINDS)
    (_, record), = published(
        f"create type mood as enum ('happy'); create domain small as int2; create table t ({columns})",
        [f"insert into t values ({row})"])
    seen = values(record.after)
    for i, (name, _, expected, member) in enumerate(KINDS):
        assert record.after[i].WhichOneof("value") == member, name
        assert seen[f"c{i}"] == expected, name


def test_nan_and_null_arrive(published):
    (_, record), = published("create table t (a float4, b float8, c text)",
                             ["insert into t values ('NaN', 'NaN', null)"])
    a, b, c = record.after
    assert math.isnan(a.float4) and math.isnan(b.float8)
    assert c.WhichOneof("value") == "null" and c.null is True


def test_columns_say_their_types(published):
    (_, record), = published(
        "create schema s; create type s.mood as enum ('happy'); create domain s.small as int2;"
        "create table t (id int8 primary key, m s.mood, d s.small, v varchar(20), z time(0), a int4[])",
        ["insert into t values (1)"])
    seen = {c.name: (c.type_schema, c.type, c.type_modifier if c.WhichOneof("modifier") else None, c.key)
            for c in record.after}
    assert seen == {"id": ("", "int8", None, True), "m": ("s", "mood", None, False), "d": ("", "int2", None, False),
                    "v": ("", "varchar", 24, False), "z": ("", "time", 0, False), "a": ("", "_int4", None, False)}


def test_every_operation_arrives_in_order(published, schema):
    messages = published(
        'create table "T.1" (id int primary key, v text, big text); alter table "T.1" alter big set storage external',
        ["""insert into "T.1" values (1, 'one', repeat('x', 10000))""",
         """update "T.1" set v = 'two' where id = 1""",
         """update "T.1" set id = 2 where id = 1""",
         """delete from "T.1" where id = 2""",
         """truncate "T.1" restart identity"""])
    insert, update, moved, rekeyed, delete, truncate = [record for _, record in messages]
    assert [r.operation for _, r in messages] == [1, 2, 3, 2, 3, 4]
    assert all((r.schema, r.table) == ("public", "T.1") for _, r in messages)
    assert values(insert.after) == {"id": 1, "v": "one", "big": "x" * 10000}
    assert not insert.before and values(update.after) == {"id": 1, "v": "two", "big": ...}
    assert not update.before
    assert values(moved.before) == {"id": 1} and values(moved.moved_to.columns) == {"id": 2}
    assert values(rekeyed.before) == {"id": 1} and values(rekeyed.after) == {"id": 2, "v": "two", "big": ...}
    assert (moved.commit_lsn, moved.index) == (rekeyed.commit_lsn, rekeyed.index)
    assert values(delete.before) == {"id": 2} and not delete.after and not delete.HasField("moved_to")
    assert truncate.truncate.restart_identity and not truncate.truncate.cascade
    assert [values(key.columns) for key, _ in messages] == [{"id": 1}, {"id": 1}, {"id": 1}, {"id": 2}, {"id": 2}, {}]
    assert all((key.schema, key.table) == ("public", "T.1") for key, _ in messages)
    assert schema.Operation.Name(truncate.operation) == "OPERATION_TRUNCATE"


def test_the_whole_old_row_arrives_with_identity_full(published, schema):
    messages = published("create table t (id int, v text); alter table t replica identity full",
                         ["insert into t values (1, 'one')", "update t set v = 'two'", "delete from t"])
    insert, update, delete = [record for _, record in messages]
    assert insert.replica_identity == schema.REPLICA_IDENTITY_FULL
    assert values(update.before) == {"id": 1, "v": "one"} and values(update.after) == {"id": 1, "v": "two"}
    assert values(delete.before) == {"id": 1, "v": "two"}
    assert [key for key, _ in messages] == [None, None, None]


def test_a_change_is_named_by_its_transaction_and_index(published, source):
    messages = published("create table t (id int primary key)",
                         ["insert into t values (1), (2)", "insert into t values (3)"])
    first, second, third = [record for _, record in messages]
    assert (first.index, second.index, third.index) == (0, 1, 0)
    assert first.commit_lsn == second.commit_lsn < third.commit_lsn
    assert first.xid == second.xid != third.xid
    with source.cursor() as cursor:
        cursor.execute("select extract(epoch from now()) * 1000000")
        now_us = cursor.fetchone()[0]
    assert 0 <= now_us - third.commit_time_us < 600_000_000


@pytest.mark.parametrize("name", ["columns.text", "identifiers.text", "identity.text", "rows.proto1", "toast.text",
                                  "truncate.text", "types.text", "values.text"])
def test_golden_streams_are_read(read, name):
    messages = read(GOLDEN / f"{name}.bin")
    assert messages
    for _, record in messages:
        assert record.operation and record.schema and record.table and record.commit_lsn
        values(record.before)
        values(record.after)


def test_the_examples_of_the_readme_are_records(schema):
    readme = (ROOT / "proto/README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    (?:operation|commit_lsn|before|after|moved_to|truncate)\b.*\n)+", readme, re.MULTILINE)
    records = [text_format.Parse(block, schema.Change()) for block in blocks]
    assert {record.operation for record in records} == {1, 2, 3, 4, 5}
    for record in records:
        values(record.before)
        values(record.after)
    key, = re.findall(r"message key is `(.*?)`", readme)
    assert values(text_format.Parse(key, schema.Key()).columns) == {"id": 7}
