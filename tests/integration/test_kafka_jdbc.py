# SPDX-License-Identifier: Apache-2.0
"""
debezium-json with schemas, read by the JDBC sink that Debezium publishes: its target is equal to the source.

The target's tables are made beforehand with the source's types, as for a sink with schema.evolution=none.
"""

import pytest

from support import oracle
from support.jdbc_sink import JdbcSink, jdbc_sink_classes

TABLES = """
create type mood as enum ('sad', 'ok');
create domain price as numeric(10,2);
create table customer (id int primary key, name text);
create table item (a int, b text, note text, primary key (a, b));
create table value (id int primary key, {columns});
"""
# type, SQL of values; each row of the table has one of each, and one row has none
VALUES = [
    ("bool", ["true", "false"]),
    ("int2", ["-32768", "32767"]),
    ("int4", ["-2147483648", "2147483647"]),
    ("int8", ["-9223372036854775808", "9223372036854775807"]),
    ("oid", ["7"]),
    ("float4", ["1.5e-30", "0.1"]),
    ("float8", ["0.1::float8 + 0.2::float8", "1e23"]),
    ("numeric(12,3)", ["123.450", "-0.001"]),
    ("numeric", ["1e30", "-1.5"]),
    ("price", ["9.99", "-0.01"]),
    ("money", ["12.34", "-5"]),
    ("text", ["'Grüße 😀'", "''", r"E'a \"b\" \\ \n'"]),
    ("varchar(10)", ["'x'"]),
    ("char(5)", ["'tea'"]),
    ("mood", ["'ok'", "'sad'"]),
    ("uuid", ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"]),
    ("json", ["""'{"a": [1]}'"""]),
    ("jsonb", ["""'{"a": [1, null]}'"""]),
    ("xml", ["'<a>1</a>'"]),
    ("bytea", [r"'\x00ff10'", "''"]),
    ("date", ["'2024-02-29'", "'1900-01-01'"]),
    ("time", ["'12:34:56.123456'", "'00:00:00'"]),
    ("time(3)", ["'12:34:56.123'"]),
    ("timetz", ["'12:34:56.123456+00'"]),
    ("timestamp", ["'2024-02-29 12:34:56.123456'", "'1900-01-01'"]),
    ("timestamp(3)", ["'2024-02-29 12:34:56.123'"]),
    ("timestamptz", ["'2024-02-29 12:34:56.123456+02'"]),
    ("interval", ["'1 mon 2 days 03:04:05.5'"]),
    ("inet", ["'10.0.0.1/24'"]),
    ("cidr", ["'10.0.0.0/24'"]),
    ("macaddr", ["'08:00:2b:01:02:03'"]),
    ("int4range", ["'[1,5)'"]),
    ("tstzrange", ["'[2024-01-01 00:00+00,2024-02-01 00:00+00)'"]),
    ("tsvector", ["'a:1 b:2'"]),
    ("int4[]", ["'{1,NULL,3}'", "'{}'"]),
    ("text[]", ["""'{a,"b c",NULL}'"""]),
]


def rows():
    """One with the first value of each type, one with the last, one without any."""
    for pick in (0, -1):
        yield ", ".join(values[pick] for _, values in VALUES)
    yield ", ".join("null" for _ in VALUES)


def tables():
    return TABLES.format(columns=", ".join(f"c{number} {kind}" for number, (kind, _) in enumerate(VALUES)))


def differences(pipeline):
    try:
        oracle.assert_equal(pipeline.source, pipeline.replay, oracle.published_tables(pipeline.source, pipeline.name))
        return ""
    except AssertionError as difference:
        return str(difference)


@pytest.fixture
def jdbc(kafka_pipeline):
    if jdbc_sink_classes() is None:
        pytest.skip("Debezium's JDBC sink is not here (tests/support/install debezium_jdbc)")
    kafka_pipeline.sink_configuration.update({"format": "debezium-json", "schemas": "inline", "interval.handling.mode": "string"})
    for database in (kafka_pipeline.source, kafka_pipeline.replay):
        database.execute(tables())
    return kafka_pipeline


def test_debeziums_jdbc_sink_makes_the_target_equal(jdbc):
    for id, row in enumerate(rows()):
        jdbc.source.execute(f"insert into value values ({id}, {row})")
    jdbc.source.execute("insert into customer select g, 'copied' from generate_series(1, 20) g")
    jdbc.publish()
    jdbc.start()
    with JdbcSink(jdbc.kafka, jdbc.name, jdbc.replay) as sink:
        for id, row in enumerate(rows(), 10):
            jdbc.source.execute(f"insert into value values ({id}, {row})")
        for sql in ("update value set c0 = not c0",
                    "insert into item select g, 'b', 'new' from generate_series(1, 10) g",
                    "update customer set name = name || id where id < 10",
                    "update item set note = 'paid' where a < 5",
                    "update customer set id = id + 100 where id % 2 = 0",
                    "update item set b = 'c', note = null where a = 2",
                    "delete from customer where id % 3 = 0",
                    "delete from item where a > 7",
                    "delete from item where a = 1; insert into item values (1, 'b', 'again')",
                    "insert into customer values (500, null)"):
            jdbc.source.execute(sql)
        jdbc.wait_applied()
        sink.wait_until(lambda: not differences(jdbc), lambda: differences(jdbc))
