# SPDX-License-Identifier: Apache-2.0
"""The transaction topic: where each transaction of the source begins, is split and ends, once, whatever is killed."""

import json
import signal

import pytest

from support.topic_reader import COMMITTED, UNCOMMITTED
from support.transaction_checker import told_transactions

TABLES = "create table item (id int primary key, v text); create table note (id int primary key, v text)"


def transactions_topic(pipeline):
    return f"{pipeline.name}-transactions"


@pytest.fixture
def told(kafka_pipeline):
    """A pipeline with a transaction topic, over two tables with a row each to copy."""
    kafka_pipeline.sink_configuration["transaction_topic"] = transactions_topic(kafka_pipeline)
    for database in (kafka_pipeline.source, kafka_pipeline.replay):
        database.execute(TABLES)
    kafka_pipeline.source.execute("insert into item values (1, 'v'); insert into note values (1, 'v')")
    kafka_pipeline.publish()
    return kafka_pipeline


def read(pipeline, isolation=COMMITTED):
    return pipeline.read_topic(transactions_topic(pipeline), isolation=isolation)


def insert(first, last):
    return f"insert into item select g, 'big' from generate_series({first}, {last}) g"


def test_every_transaction_begins_and_ends(told):
    """Counted by table, as the witness has seen them, and in one partition; the copy's rows belong to none."""
    told.sink_configuration.update({"partitions": 4, "transaction_changes": 10})
    told.start()
    told.source.execute("insert into item values (2, 'v'); update item set v = 'w'; delete from note")
    told.source.execute("update item set id = id + 100")
    told.source.execute("truncate item, note")
    told.source.execute("create table unheard (id int); drop table unheard")
    for number in range(4):
        told.source.execute(insert(number * 100 + 10, number * 100 + 40))
    told.source.execute("insert into note values (3, 'v')")
    checker = told.assert_follows()
    assert [(each.tables, each.statuses.count("SPLIT")) for _, each in sorted(checker.told.items())] == [
        ([("public", "item", 3), ("public", "note", 1)], 0), ([("public", "item", 2)], 0),
        ([("public", "item", 1), ("public", "note", 1)], 0), *[([("public", "item", 31)], 3)] * 4, ([("public", "note", 1)], 0)]
    assert len(set.union(*(each.partitions for each in checker.told.values()))) > 1


def test_killed_between_the_parts(told):
    """Each engine counts what the ones before it have published, and tells no boundary twice."""
    told.sink_configuration["transaction_changes"] = 100
    told.engine.catch_up()
    told.source.execute(f"update note set v = 'w'; {insert(1000, 1399)}; update note set v = 'x'; {insert(2000, 2049)}")
    for point, seen in (("kafka-before-split:1", []), ("kafka-after-split:1", ["BEGIN", "SPLIT"]),
                        ("kafka-before-split:2", ["BEGIN", "SPLIT", "SPLIT"]), ("kafka-after-split:1", ["BEGIN"] + ["SPLIT"] * 3)):
        told.engine.start(environment={"PGCDC_FAULT": point})
        assert told.engine.wait_exit() == -signal.SIGKILL, told.engine.log_tail()
        if seen:
            (only,) = told_transactions(read(told)).values()
            assert only.statuses == seen
    told.engine.catch_up()
    (only,) = told.assert_equal().told.values()
    assert only.statuses == ["BEGIN"] + ["SPLIT"] * 4 + ["END"]
    assert only.tables == [("public", "note", 2), ("public", "item", 450)]
    assert len(read(told, UNCOMMITTED)) >= len(read(told))


def test_debezium_json_has_debeziums_boundaries(told):
    """As a real one sent them for the same SQL, but for the LSN: here it is the transaction's, in all of its records."""
    told.sink_configuration["format"] = "debezium-json"
    told.engine.catch_up()
    told.source.execute("insert into item values (2, 'x'), (3, 'y'); insert into note values (2, 'z'); "
                        "update item set v = 'w' where id = 2; delete from note where id = 2; "
                        "update item set id = 10 where id = 3")
    told.source.execute("truncate item, note")  # left out by the format, so nothing is told of it
    told.engine.catch_up()
    begin, end = [(json.loads(message.key()), json.loads(message.value())) for message in read(told)]
    xid, lsn = begin[1]["id"].split(":")
    assert begin[0] == end[0] == {"id": f"{xid}:{lsn}"}
    assert begin[1] == {"status": "BEGIN", "id": begin[0]["id"], "event_count": None, "data_collections": None,
                        "ts_ms": begin[1]["ts_ms"]}
    assert end[1] == {"status": "END", "id": begin[0]["id"], "event_count": 7, "ts_ms": begin[1]["ts_ms"],
                      "data_collections": [{"data_collection": "public.item", "event_count": 5},
                                           {"data_collection": "public.note", "event_count": 2}]}
    events = [json.loads(message.value()) for table in ("item", "note") for message in told.read(table) if message.value()]
    assert [event["transaction"] for event in events if event["op"] == "r"] == [None, None]
    orders = [(event["source"]["table"], event["transaction"]["total_order"], event["transaction"]["data_collection_order"])
              for event in events if event["op"] != "r"]
    assert orders == [("item", 1, 1), ("item", 2, 2), ("item", 4, 3), ("item", 6, 4), ("item", 7, 5),
                      ("note", 3, 1), ("note", 5, 2)]
    assert {event["transaction"]["id"] for event in events if event["op"] != "r"} == {f"{xid}:{lsn}"}


def test_debezium_json_goes_on_counting_after_a_kill(told):
    told.sink_configuration.update({"format": "debezium-json", "transaction_changes": 100})
    told.engine.catch_up()
    told.source.execute(f"insert into note values (5, 'v'); {insert(1000, 1249)}")
    told.engine.start(environment={"PGCDC_FAULT": "kafka-after-split:1"})
    assert told.engine.wait_exit() == -signal.SIGKILL, told.engine.log_tail()
    told.engine.catch_up()
    assert [json.loads(message.value())["status"] for message in read(told)] == ["BEGIN", "END"]
    end = json.loads(read(told)[-1].value())
    assert end["event_count"] == 251
    assert end["data_collections"] == [{"data_collection": "public.note", "event_count": 1},
                                       {"data_collection": "public.item", "event_count": 250}]
    orders = [json.loads(message.value())["transaction"]["data_collection_order"] for message in told.read("item")[1:]]
    assert orders == list(range(1, 251))


def test_check_looks_at_the_topic(told):
    assert [each for each in told.engine.json("check")["findings"] if each["severity"] == "problem"] == []
    told.kafka.create_topic(transactions_topic(told), config={"cleanup.policy": "compact"})
    told.sink_configuration["cleanup_policy"] = "delete"
    found = [each for each in told.engine.json("check")["findings"] if each["code"].endswith("cleanup_policy")]
    assert any(transactions_topic(told) in each["what"] for each in found), found
