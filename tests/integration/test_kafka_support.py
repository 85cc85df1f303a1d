# SPDX-License-Identifier: Apache-2.0
"""The tools of the Kafka tests: a broker that obeys, and a checker that can fail."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer

from support.committed import UNCHANGED, Witness
from support.kafka import CLIENT, PASSWORD, USER, java_hash
from support.murmur2 import murmur2
from support.topic_reader import COMMITTED, UNCOMMITTED, TopicReader
from support.wait import wait_until

TESTS = Path(__file__).resolve().parent.parent


def transactional(kafka, name):
    producer = Producer({**CLIENT, "bootstrap.servers": kafka.bootstrap, "transactional.id": name, "linger.ms": 0})
    producer.init_transactions(60)
    return producer


def send(producer, topic, *values):
    for value in values:
        producer.produce(topic, value, partition=0)
    producer.flush(30)


def values_of(messages):
    return [message.value().decode() for message in messages]


# The broker

def test_a_broker_keeps_its_topics_through_every_end(own_kafka):
    kafka = own_kafka("ends")
    kafka.create_topic("t", partitions=2, config={"max.message.bytes": 12345})
    for end in (kafka.stop, kafka.kill):
        end()
        kafka.start()
        assert kafka.topics("t") == {"t": 2}
        assert kafka.topic_config("t")["max.message.bytes"] == "12345"
    broker = kafka.brokers[0]
    broker.freeze()
    wait_until(lambda: Path(f"/proc/{broker.process.pid}/stat").read_text(encoding="ascii").split()[2] == "T", "the broker to be stopped")
    broker.thaw()
    kafka.wait_ready()
    kafka.delete_topic("t")
    assert kafka.topics("t") == {}


def test_a_broker_dies_with_its_test():
    """kill -9 of the process that started it leaves no broker."""
    program = ("import sys, time; sys.path.insert(0, sys.argv[1]); from support.kafka import Kafka; kafka = Kafka('orphan');"
               "kafka.format(); kafka.start(); print(kafka.brokers[0].process.pid, kafka.folder, flush=True); time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", program, str(TESTS)], stdout=subprocess.PIPE, text=True) as parent:
        pid, folder = parent.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists()
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the broker to end")
    subprocess.run(["rm", "-rf", folder], check=True)


def test_a_leader_moves_when_its_broker_dies(own_kafka):
    kafka = own_kafka("three", brokers=3)
    kafka.create_topic("t")
    transactional(kafka, "some id")
    leader, coordinator = kafka.leader_of("t"), kafka.coordinator_of("some id")
    assert coordinator in kafka.brokers
    leader.kill()
    wait_until(lambda: kafka.leader_of("t") not in (leader, None), "another leader")
    leader.start()
    kafka.wait_ready()


def test_the_secure_listeners_know_their_users(own_kafka):
    kafka = own_kafka("secure", is_secure=True)
    kafka.create_topic("open")
    kafka.create_topic("closed")
    kafka.allow("All", "topic", "op", prefixed=True)
    trust = {"ssl.ca.location": str(kafka.certificates.authority)}
    login = {**trust, "security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": PASSWORD}
    assert delivery_error({**trust, "bootstrap.servers": kafka.tls_bootstrap, "security.protocol": "SSL"}, "closed") is None
    assert delivery_error({**login, "bootstrap.servers": kafka.sasl_bootstrap}, "open") is None
    assert delivery_error({**login, "bootstrap.servers": kafka.sasl_bootstrap}, "closed") == "TOPIC_AUTHORIZATION_FAILED"
    wrong = {**login, "bootstrap.servers": kafka.sasl_bootstrap, "sasl.password": "wrong"}
    assert delivery_error(wrong, "open") == "_MSG_TIMED_OUT"


def delivery_error(properties, topic):
    errors = []
    producer = Producer({**CLIENT, **properties, "message.timeout.ms": 10000})
    producer.produce(topic, "x", on_delivery=lambda error, _: errors.append(error and error.name()))
    producer.flush(30)
    return errors[0]


# Reading

def test_aborted_records_are_seen_uncommitted_only(shared_kafka):
    shared_kafka.create_topic("support.aborted")
    producer = transactional(shared_kafka, "aborts")
    for word, end in (("one", producer.commit_transaction), ("never", producer.abort_transaction), ("two", producer.commit_transaction)):
        producer.begin_transaction()
        send(producer, "support.aborted", word)
        end(30)
    reader = TopicReader(shared_kafka.bootstrap)
    assert values_of(reader.read({"support.aborted": 1}, COMMITTED)) == ["one", "two"]
    assert values_of(reader.read({"support.aborted": 1}, UNCOMMITTED)) == ["one", "never", "two"]


def test_an_open_transaction_is_noticed(shared_kafka):
    shared_kafka.create_topic("support.open")
    producer = transactional(shared_kafka, "opens")
    producer.begin_transaction()
    send(producer, "support.open", "hanging")
    with pytest.raises(AssertionError, match="read_committed ends at"):
        TopicReader(shared_kafka.bootstrap).read({"support.open": 1}, COMMITTED, deadline_s=2)
    producer.abort_transaction(30)
    assert TopicReader(shared_kafka.bootstrap).read({"support.open": 1}, COMMITTED) == []


# Values that Kafka's own Java code gives

@pytest.mark.parametrize("key, value", [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
                                        (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107)])
def test_murmur2_is_the_java_clients(key, value):
    assert murmur2(key) == value & 0xFFFFFFFF


def test_java_hash_is_javas():
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -(1 << 31)


# The witness

def test_the_witness_sees_every_change(shared_clusters):
    database = shared_clusters("source").create_database("witness")
    database.execute("create table t (id int primary key, v text, long text); create table u (id int); create publication p for all tables")
    witness = Witness(database, "p", f"witness_{os.getpid()}")
    for statement in ("insert into t values (1, null, (select string_agg(md5(g::text), '') from generate_series(1, 300) g)), (2, 'é', '')",
                      "update t set v = 'x' where id = 1", "update t set id = 3 where id = 2", "delete from t where id = 3", "truncate t, u"):
        database.execute(statement)
    changes = witness.changes()
    assert [(change.kind, change.table, change.index) for change in changes] == [
        ("I", "t", 0), ("I", "t", 1), ("U", "t", 0), ("U", "t", 0), ("D", "t", 0), ("T", "t", 0), ("T", "u", 0)]
    assert changes[0].new["v"] is None and len(changes[0].new["long"]) == 9600
    assert changes[2].old is None and changes[2].new == {"id": "1", "v": "x", "long": UNCHANGED}
    assert changes[3].old == {"id": "2"} and changes[3].new == {"id": "3", "v": "é", "long": ""}
    assert changes[4].old == {"id": "3"} and changes[4].new is None
    assert len({change.commit_lsn for change in changes}) == 5
    assert witness.changes(after_lsn=changes[-2].commit_lsn)[0].kind == "T"
    database.drop()
