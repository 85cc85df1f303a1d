# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify` of a Kafka sink: topics are equal to the tables, and whatever another program did to one is found and named, and nothing else."""

import json

import pytest
import test_verify
from confluent_kafka import Producer
from confluent_kafka.admin import NewPartitions
from test_verify import EVERY_TYPE, counts_of, table_of

from support.kafka import CLIENT
from support.kafka_accounts import stored_accounts
from support.load import ROWS, SCHEMA, Load
from support.published import schema
from support.wait import wait_until

EQUAL, UNDECIDED, DIFFERENT = 0, 1, 4
FORMATS = {
    "protobuf": {},
    "debezium-json": {"format": "debezium-json"},
    "inline": {"format": "debezium-json", "schemas": "inline", "headers": "on"},
}
LARGE = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)"  # stored out of line


@pytest.fixture
def topics(kafka_pipeline):
    """A pipeline whose table has seen every operation; the engine runs."""
    def make(form, partitions=1):
        kafka_pipeline.sink_configuration.update({**FORMATS[form], "partitions": partitions})
        kafka_pipeline.source.execute(
            "create table t (id int primary key, v text, n numeric, large text); alter table t alter large set storage external;"
            f"insert into t select g, 'v' || g, g, {LARGE} from generate_series(1, 50) g;"
            "create table keyless (v text, w int); alter table keyless replica identity full;"
            "insert into keyless select 'same', g % 2 from generate_series(1, 6) g; create table empty (id int primary key)")
        kafka_pipeline.publish()
        kafka_pipeline.start()
        for sql in ("update t set v = v || '!' where id < 20",  # leaves large unchanged
                    "insert into t values (60, 'new', null, null)", "delete from t where id = 1", "update t set n = null where id = 2",
                    "update t set id = 61, large = 'short' where id = 3", "insert into t values (1, 'again', 1, 'x')",
                    "update keyless set w = 9 where ctid = (select min(ctid) from keyless)", "insert into keyless values (null, null), ('', 0)",
                    "delete from keyless where ctid = (select max(ctid) from keyless)"):
            kafka_pipeline.source.execute(sql)
        return kafka_pipeline
    return make


def verify(pipeline, *arguments):
    """A commit moves the position at once, past what PostgreSQL itself has written to the WAL since the last one."""
    pipeline.source.execute("select pg_logical_emit_message(true, 'test', '')")
    return test_verify.verify(pipeline, *arguments)


def produce(pipeline, key, value, topic=None, headers=None):
    producer = Producer({**CLIENT, "bootstrap.servers": pipeline.kafka.bootstrap, "partitioner": "murmur2_random"})
    producer.produce(topic or pipeline.topic("t"), key=key, value=value, headers=headers or [])
    assert producer.flush(60) == 0


def last_of(pipeline, number):
    """The last message of t's row."""
    def is_its(message):
        if pipeline.sink_configuration.get("format") is None:
            return schema().Key.FromString(message.key()).columns[0].integer == number
        key = json.loads(message.key())
        return key.get("payload", key) == {"id": number}
    return [message for message in pipeline.read("t") if message.value() is not None and is_its(message)][-1]


def forged(pipeline, message, **values):
    """Key and value of a message for a change that the source never made."""
    if pipeline.sink_configuration.get("format") is None:
        change, key = schema().Change.FromString(message.value()), schema().Key.FromString(message.key())
        change.index += 1000
        for column in [*change.after, *key.columns]:
            if column.name in values:
                setattr(column, "integer" if column.name == "id" else "text", values[column.name])
        return key.SerializeToString(), change.SerializeToString()
    key, value = json.loads(message.key()), json.loads(message.value())
    envelope = value.get("payload", value)
    commit_lsn, lsn = json.loads(envelope["source"]["sequence"])
    envelope["source"]["sequence"] = json.dumps([commit_lsn, str(int(lsn) + 1)], separators=(",", ":"))
    envelope["after"].update(values)
    if "id" in values:
        key.get("payload", key)["id"] = values["id"]
    return json.dumps(key, separators=(",", ":")).encode(), json.dumps(value).encode()


def assert_found(pipeline, row, number, columns=None):
    """Exactly this row differs."""
    code, sink = verify(pipeline, "--keys", "9")
    table = table_of(sink, "t")
    assert code == DIFFERENT and table["keys"] == [{"row": row, "key": {"id": str(number)}}], sink
    assert counts_of(sink, "t") == tuple(int(row == word) for word in ("missing", "extra", "different"))
    assert table.get("columns") == columns and (table["duplicate"], table["foreign"]) == (0, 0)
    assert [table["table"] for table in sink["tables"] if table["result"] != "equal"] == ["t"]


def assert_same(pipeline):
    code, sink = verify(pipeline)
    assert code == EQUAL and {table["result"] for table in sink["tables"]} == {"equal"}, sink
    return sink


def assert_only_uncounted(pipeline, number):
    """All rows are equal, and table t has so many records that the sink has not published."""
    code, sink = verify(pipeline)
    assert code == DIFFERENT and counts_of(sink, "t") == (0, 0, 0) and table_of(sink, "t")["uncounted"] == number, sink
    assert [table["table"] for table in sink["tables"] if table["result"] != "equal"] == ["t"]


@pytest.mark.parametrize("form", ["protobuf", "inline"])
def test_what_others_did_to_a_topic_is_found_and_named(topics, form):
    pipeline = topics(form)
    sink = assert_same(pipeline)
    assert sink["engine_running"] and sink["barriers"] > 0 and table_of(sink, "t")["target_rows"] == 51

    produce(pipeline, *forged(pipeline, last_of(pipeline, 5), id=99))
    assert_found(pipeline, "extra", 99)
    pipeline.source.execute("insert into t values (99, 'now it is there')")
    assert_only_uncounted(pipeline, 1)

    produce(pipeline, *forged(pipeline, last_of(pipeline, 5), v="another"))
    assert_found(pipeline, "different", 5, columns=["v"])
    pipeline.source.execute("update t set v = 'v5' where id = 5")
    assert_only_uncounted(pipeline, 2)

    produce(pipeline, last_of(pipeline, 7).key(), None)
    assert_found(pipeline, "missing", 7)
    pipeline.source.execute("update t set large = 'short', v = 'v7' where id = 7")
    assert_only_uncounted(pipeline, 2)

    again = last_of(pipeline, 5)
    produce(pipeline, again.key(), again.value(), headers=again.headers())
    produce(pipeline, again.key(), b"no message of any format")
    code, sink = verify(pipeline)
    table = table_of(sink, "t")
    assert code == DIFFERENT and counts_of(sink, "t") == (0, 0, 0), sink
    assert (table["duplicate"], table["foreign"], table["uncounted"]) == (1, 1, 3), sink
    pipeline.engine.stop()
    result = pipeline.engine.command("verify", "--repair")
    assert result.returncode == DIFFERENT and "1 duplicate, 1 foreign, 3 uncounted" in result.stdout
    assert "`pgcdc table copy` publishes every row of a table once more" in result.stderr


def records_of(pipeline, table):
    return [message for message in pipeline.read(table) if message.value() is not None]


@pytest.mark.parametrize("form", ["protobuf", "inline"])
def test_records_are_counted_by_partition(topics, form):
    """Later records of the same rows hide what another program wrote; the count does not."""
    pipeline = topics(form, partitions=3)
    sink = assert_same(pipeline)
    for table in ("t", "keyless"):
        assert table_of(sink, table)["counted"] == len(records_of(pipeline, table)) > 0
    produce(pipeline, *forged(pipeline, last_of(pipeline, 5), v="another"))
    pipeline.source.execute("update t set v = 'hides it' where id = 5")
    assert_only_uncounted(pipeline, 1)


def write_account(pipeline, name, value):
    key = "/".join([f"{pipeline.name}.events#records", *map(str, name)]).encode()
    produce(pipeline, key, value and json.dumps(value, separators=(",", ":")).encode(), topic=pipeline.position_topic)


@pytest.mark.parametrize("form", ["protobuf", "inline"])
def test_a_record_in_place_of_another_is_found(topics, form):
    """As many records as were published in each partition, but not the same."""
    pipeline = topics(form, partitions=3)
    assert_same(pipeline)
    (name, value), = [(name, value) for name, value in stored_accounts(pipeline).items() if name[:2] == (pipeline.topic("t"), 1)]
    write_account(pipeline, name, {**value, "places": f"{int(value['places'], 16) ^ 1:016x}"})
    assert_only_uncounted(pipeline, 1)


def test_an_account_begins_where_an_older_engine_ended(kafka_pipeline):
    """And with the partitions that are added later; a topic that was made anew has an account of its own."""
    pipeline = kafka_pipeline
    pipeline.sink_configuration["partitions"] = 2
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 40)")
    pipeline.engine.catch_up()
    for name in stored_accounts(pipeline):
        write_account(pipeline, name, None)
    pipeline.source.execute("insert into t select generate_series(41, 60)")
    pipeline.engine.catch_up()
    assert table_of(assert_same(pipeline), "t")["counted"] == 20
    assert all(value["from"] > 0 for value in stored_accounts(pipeline).values())
    admin, topic = pipeline.kafka.admin(), pipeline.topic("t")
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    wait_until(lambda: pipeline.topics()[topic] == 4, "the partitions")
    pipeline.source.execute("insert into t select generate_series(61, 100)")
    pipeline.engine.catch_up()
    assert table_of(assert_same(pipeline), "t")["counted"] == 60
    assert {name[1] for name in stored_accounts(pipeline)} == {0, 1, 2, 3}


def test_what_verify_says_instead_of_a_repair_helps(kafka_pipeline):
    """A copy corrects rows; a new topic has nothing of the old one, and its records are counted from its own beginning."""
    pipeline = kafka_pipeline
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 9) g;"
                            "create table other (id int primary key)")
    pipeline.start()
    pipeline.source.execute("update t set v = 'w' where id < 8")
    produce(pipeline, last_of(pipeline, 7).key(), None)
    assert_found(pipeline, "missing", 7)
    assert pipeline.engine.command("table copy", "public.t").returncode == 0
    assert wait_until(lambda: undisturbed(pipeline), "the copy")["result"] == "equal"

    produce(pipeline, *forged(pipeline, last_of(pipeline, 7), id=99))
    assert verify(pipeline)[0] == DIFFERENT
    assert pipeline.engine.command("table remove", "public.t").returncode == 0
    pipeline.engine.stop()
    pipeline.kafka.delete_topic(pipeline.topic("t"))
    pipeline.start()
    assert pipeline.engine.command("table add", "public.t").returncode == 0
    sink = wait_until(lambda: undisturbed(pipeline), "the copy")
    pipeline.source.execute("update t set v = 'x' where id = 3")
    code, sink = verify(pipeline)
    assert code == EQUAL and table_of(sink, "t")["counted"] == 10, sink


@pytest.mark.parametrize("form", ["protobuf", "inline"])
def test_rows_without_a_key_are_counted(topics, form):
    """In three partitions, whose order is not defined: each record adds rows or takes them away."""
    pipeline = topics(form, partitions=3)
    pipeline.wait_applied()
    pipeline.engine.stop()
    assert table_of(assert_same(pipeline), "keyless")["target_rows"] == 7
    message = [message for message in pipeline.read("keyless") if b"same" in message.value()][-1]
    produce(pipeline, None, message.value(), pipeline.topic("keyless"), message.headers())
    code, sink = verify(pipeline, "--table", "keyless")
    assert code == DIFFERENT and table_of(sink, "keyless")["duplicate"] == 1 and sum(counts_of(sink, "keyless")) >= 1, sink


@pytest.mark.parametrize("form", ["protobuf", "debezium-json"])
def test_every_type_is_equal_in_a_topic(kafka_pipeline, form):
    kafka_pipeline.source_configuration["tables"] = ["*.*"]
    kafka_pipeline.sink_configuration.update({**FORMATS[form], **({"include.unknown.datatypes": "true"} if form == "debezium-json" else {})})
    kafka_pipeline.source.execute(EVERY_TYPE)
    kafka_pipeline.publish()
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute('update "Odd ""s."."T x" set b = not b, f8 = \'NaN\', n = 1e30 where "i d" < 9; insert into "Odd ""s."."T x" ("i d") values (2000)')
    kafka_pipeline.engine.catch_up()
    sink = assert_same(kafka_pipeline)
    assert table_of(sink, "T x")["source_rows"] == 302
    kafka_pipeline.source.execute('update "Odd ""s."."T x" set m = null where "i d" = 4; delete from "Odd ""s."."T x" where "i d" = 5')
    code, sink = verify(kafka_pipeline)
    assert code == DIFFERENT and counts_of(sink, "T x") == (0, 1, 1) and table_of(sink, "T x")["columns"] == ["m"], sink


def test_deleted_records_prove_nothing(kafka_pipeline):
    kafka_pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 20) g")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("update t set v = 'again' where id < 6; delete from t where id = 6")
    kafka_pipeline.engine.catch_up()
    offsets = kafka_pipeline.kafka.folder / f"{kafka_pipeline.name}.json"  # a place that the tool's user can read
    offsets.write_text(json.dumps({"version": 1, "partitions": [{"topic": kafka_pipeline.topic("t"), "partition": 0, "offset": 10}]}))
    kafka_pipeline.kafka.tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", str(offsets))
    code, sink = verify(kafka_pipeline)
    table = table_of(sink, "t")
    assert code == DIFFERENT and table["result"] == "partial" and counts_of(sink, "t") == (0, 0, 0), sink
    assert "are deleted: 4 rows of the source may have been in them" in table["left_out"]
    kafka_pipeline.source.execute("update t set v = 'not published' where id = 1")
    code, sink = verify(kafka_pipeline)
    assert code == DIFFERENT and counts_of(sink, "t") == (0, 0, 1), sink


def test_one_of_two_sinks_is_compared(kafka_pipeline):
    target = {"name": "warehouse", "type": "postgres", "dsn": kafka_pipeline.replay.dsn()}
    kafka_pipeline.engine.configuration["sinks"].append(target)
    kafka_pipeline.source.execute("create table t (id int primary key); insert into t values (1), (2)")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.replay.execute("delete from t where id = 1")
    both = json.loads(kafka_pipeline.engine.command("verify", "--json").stdout)["sinks"]
    assert [(sink["sink"], sink["result"]) for sink in both] == [("events", "equal"), ("warehouse", "different")]
    result = kafka_pipeline.engine.command("verify", "--sink", "events")
    assert result.returncode == EQUAL and "warehouse" not in result.stdout
    result = kafka_pipeline.engine.command("verify", "--where", "id = 2")
    assert result.returncode == EQUAL and "sink events: not compared" in result.stderr and "equal at LSN" in result.stdout


def test_a_large_value_in_no_record_is_not_equal(kafka_pipeline):
    """An update of the key does not send it, so the record under the new key has no value, and none before has one."""
    kafka_pipeline.source.execute("create table t (id int primary key, large text); alter table t alter large set storage external;"
                                  f"insert into t select g, {LARGE} from generate_series(1, 3) g")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("update t set id = 9 where id = 2")
    kafka_pipeline.engine.catch_up()
    code, sink = verify(kafka_pipeline)
    table = table_of(sink, "t")
    assert code == DIFFERENT and table["result"] == "partial" and "1 row with a large value" in table["left_out"], sink
    result = kafka_pipeline.engine.command("verify")
    assert "PARTIAL at LSN " in result.stdout and "parts of 1 of 1 table could not be compared" in result.stdout


@pytest.mark.parametrize("form", ["protobuf", "debezium-json"])
def test_traffic_and_kills_are_no_difference(kafka_pipeline, form):
    """Rows move between keys with large values that no record has under the new key; nothing else may be unproven."""
    kafka_pipeline.engine.configuration["copy"] = {"mode": "live"}
    kafka_pipeline.sink_configuration.update({**FORMATS[form], "partitions": 3, "transaction_topic": f"{kafka_pipeline.name}-transactions"})
    kafka_pipeline.source.execute(SCHEMA + ROWS)
    kafka_pipeline.publish()
    kafka_pipeline.start()
    with Load(kafka_pipeline.source):
        for _ in range(2):
            sink = wait_until(lambda: undisturbed(kafka_pipeline), "the copy to be complete")
            assert sink["engine_running"] and sink["barriers"] > 0 and table_of(sink, "account")["counted"] > 0
            kafka_pipeline.engine.kill()
            kafka_pipeline.wait_slot_free()
            kafka_pipeline.start()
    kafka_pipeline.wait_applied()
    kafka_pipeline.engine.stop()
    assert undisturbed(kafka_pipeline)


def undisturbed(pipeline):
    """The sink's part, once its copy is complete."""
    _, sink = test_verify.verify(pipeline)
    if sink["result"] == "copying":
        return None
    for table in sink["tables"]:
        assert table["result"] == "equal" or (table["table"] == "document" and table["result"] == "partial"), sink
        assert "left_out" not in table or "with a large value" in table["left_out"]
    return sink


def test_a_truncate_takes_all_rows_away(kafka_pipeline):
    kafka_pipeline.sink_configuration["partitions"] = 3
    kafka_pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'v' from generate_series(1, 20) g;"
                                  "create table keyless (v text); insert into keyless values ('a'), ('b')")
    kafka_pipeline.publish()
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("truncate t, keyless; insert into t values (3, 'new'); insert into keyless values ('a')")
    kafka_pipeline.engine.catch_up()
    assert_same(kafka_pipeline)


@pytest.mark.parametrize("form", ["protobuf", "inline"])
def test_columns_that_came_and_went(kafka_pipeline, form):
    """What sends no record is equal while it adds nothing: a column without values, or one that is gone, or a wider type."""
    kafka_pipeline.sink_configuration.update(FORMATS[form])
    kafka_pipeline.source.execute("create table t (id int primary key, v int, gone text); insert into t select g, g, 'x' from generate_series(1, 9) g")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("alter table t add w text, drop gone, alter id type bigint, alter v type bigint")
    kafka_pipeline.engine.catch_up()
    assert_same(kafka_pipeline)
    kafka_pipeline.source.execute("update t set w = 'new' where id < 3; alter table t add constant int default 5; insert into t values (10, 1, 'w', 6)")
    kafka_pipeline.engine.catch_up()
    code, sink = verify(kafka_pipeline)
    assert code == DIFFERENT and counts_of(sink, "t") == (0, 0, 9) and table_of(sink, "t")["columns"] == ["constant"], sink
    kafka_pipeline.source.execute("update t set constant = constant")
    kafka_pipeline.engine.catch_up()
    assert_same(kafka_pipeline)


def test_tables_that_share_a_topic(kafka_pipeline):
    kafka_pipeline.sink_configuration.update({"format": "debezium-json", "topic": "{source}.all"})
    kafka_pipeline.source.execute("create table a (id int primary key, v text); create table b (id int primary key, v text);"
                                  "insert into a select g, 'a' from generate_series(1, 9) g; insert into b select g, 'b' from generate_series(1, 9) g")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("delete from b where id = 1; update a set id = 20 where id = 2")
    kafka_pipeline.engine.catch_up()
    assert_same(kafka_pipeline)


def test_partitions_that_were_added_change_nothing(kafka_pipeline):
    """A key moves to another partition, and the large value that its update leaves unchanged is in the old one."""
    kafka_pipeline.source.execute("create table t (id int primary key, v int, large text); alter table t alter large set storage external;"
                                  f"insert into t select g, g, {LARGE} from generate_series(1, 40) g")
    kafka_pipeline.engine.catch_up()
    admin = kafka_pipeline.kafka.admin()
    topic = kafka_pipeline.topic("t")
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)
    wait_until(lambda: kafka_pipeline.topics()[topic] == 4, "the partitions")
    kafka_pipeline.source.execute("update t set v = -1 where id < 20; delete from t where id > 30; insert into t values (31, 0, 'again')")
    kafka_pipeline.engine.catch_up()
    assert len({message.partition() for message in kafka_pipeline.read("t")}) == 4
    assert table_of(assert_same(kafka_pipeline), "t")["target_rows"] == 31


def test_what_cannot_be_compared_is_refused(kafka_pipeline):
    kafka_pipeline.source.execute("create table t (id int primary key)")
    kafka_pipeline.engine.catch_up()
    result = kafka_pipeline.engine.command("verify", "--where", "id > 1")
    assert result.returncode == 2 and "--where cannot choose among its records" in result.stderr and "no sink of type postgres" in result.stderr
    result = kafka_pipeline.engine.command("verify", "--sink", "another")
    assert result.returncode == 2 and "no sink has the name another" in result.stderr
    kafka_pipeline.sink_configuration.update({"format": "debezium-json", "skipped.operations": "d"})
    result = kafka_pipeline.engine.command("verify")
    assert result.returncode == 2 and "skipped.operations leaves changes out" in result.stderr


def test_records_beyond_memory_go_to_files(kafka_pipeline):
    kafka_pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, repeat('v', 50) from generate_series(1, 150000) g")
    kafka_pipeline.engine.catch_up()
    code, sink = verify(kafka_pipeline)
    assert code == EQUAL and table_of(sink, "t")["target_rows"] == 150000
