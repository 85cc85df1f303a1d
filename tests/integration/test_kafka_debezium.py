# SPDX-License-Identifier: Apache-2.0
"""debezium-json through a real broker: what a consumer that was written for Debezium gets. That a real one sends the same is tests/golden/debezium's."""

import json
from collections import namedtuple

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

Event = namedtuple("Event", "key value headers")


def events(pipeline, table):
    """Everything of the topic, in order; value None is a tombstone."""
    messages = pipeline.read(table)
    assert all(message.timestamp()[0] == TIMESTAMP_CREATE_TIME for message in messages)
    return [Event(_json(message.key()), _json(message.value()), {name: _json(value) for name, value in message.headers() or []})
            for message in messages]


def _json(text):
    return None if text is None else json.loads(text)


def told(event):
    """What a change is, without where and when."""
    value = event.value and (event.value["op"], event.value["before"], event.value["after"])
    return event.key, value, event.headers


@pytest.fixture
def debezium(kafka_pipeline):
    kafka_pipeline.sink_configuration.update({"format": "debezium-json", "skipped.operations": "none"})
    kafka_pipeline.source.execute("create table item (id int primary key, v text); insert into item values (1, 'there')")
    kafka_pipeline.publish()
    return kafka_pipeline


def test_every_operation_arrives(debezium):
    debezium.engine.catch_up()
    for sql in ("insert into item values (2, 'new')", "update item set v = 'paid' where id = 2", "update item set id = 3 where id = 2",
                "delete from item where id = 1", "truncate item", "insert into item values (4, null)"):
        debezium.source.execute(sql)
    debezium.engine.catch_up()
    found = events(debezium, "item")
    assert list(map(told, found)) == [
        ({"id": 1}, ("r", None, {"id": 1, "v": "there"}), {}),
        ({"id": 2}, ("c", None, {"id": 2, "v": "new"}), {}),
        ({"id": 2}, ("u", None, {"id": 2, "v": "paid"}), {}),
        ({"id": 2}, ("d", {"id": 2, "v": None}, None), {"__debezium.newkey": {"id": 3}}),
        ({"id": 2}, None, {"__debezium.newkey": {"id": 3}}),
        ({"id": 3}, ("c", None, {"id": 3, "v": "paid"}), {"__debezium.oldkey": {"id": 2}}),
        ({"id": 1}, ("d", {"id": 1, "v": None}, None), {}),
        ({"id": 1}, None, {}),
        (None, ("t", None, None), {}),
        ({"id": 4}, ("c", None, {"id": 4, "v": None}), {}),
    ]
    assert_sources(debezium, [event.value for event in found if event.value])


def assert_sources(pipeline, values):
    """Who, where and when, as the source's own functions have it."""
    committed = {change.xid: change.commit_lsn for change in pipeline.witness.changes()}
    for value in values:
        assert list(value) == ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"]
        source = value["source"]
        assert (source["connector"], source["name"], source["db"]) == ("postgresql", pipeline.name, pipeline.source.name)
        assert (source["schema"], source["table"]) == ("public", "item")
        assert source["ts_ms"] == source["ts_us"] // 1000 == source["ts_ns"] // 10**6 <= value["ts_ms"]
        assert value["transaction"] is None
        if value["op"] == "r":
            assert (source["snapshot"], source["txId"]) == ("true", None)
        else:
            assert source["snapshot"] == "false"
            assert json.loads(source["sequence"]) == [str(committed[source["txId"]]), str(source["lsn"])]


def test_a_consumer_that_keeps_rows_by_key_has_the_table(debezium):
    """A tombstone forgets, as compaction does."""
    debezium.sink_configuration["transaction_changes"] = 50
    debezium.start()
    debezium.source.execute("insert into item select g, 'v' from generate_series(100, 300) g")
    debezium.source.execute("update item set id = id + 1000 where id % 3 = 0; delete from item where id % 5 = 0; "
                            "update item set v = v || id where id % 2 = 0")
    debezium.wait_applied()
    rows = {}
    for event in events(debezium, "item"):
        if event.value is None:
            rows.pop(event.key["id"], None)
        elif event.value["after"] is not None:
            rows[event.key["id"]] = event.value["after"]["v"]
    assert sorted(rows.items()) == debezium.source.execute("select id, v from item order by id")
