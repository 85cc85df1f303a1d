# SPDX-License-Identifier: Apache-2.0
"""A pipeline to Kafka: every committed change is in its topic exactly once, and the topics replay to the source."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from test_core import ROWS, TABLES, TRANSACTIONS
from test_snapshot import change_everything

from support.committed import lsn_text
from support.kafka import CLIENT, PASSWORD, USER
from support.published import published
from support.server import cache_folder
from support.topic_reader import TopicReader

ROOT = Path(__file__).resolve().parent.parent.parent
ITEM = "create table item (id int primary key, v text)"


def sink(pipeline):
    return pipeline.engine.configuration["sinks"][0]


def on_both(pipeline, sql):
    pipeline.source.execute(sql)
    pipeline.replay.execute(sql)


def problems(pipeline):
    return [finding for finding in pipeline.engine.json("check")["findings"] if finding["severity"] == "problem"]


def fill(pipeline, rows=5):
    on_both(pipeline, ITEM)
    pipeline.source.execute(f"insert into item select g, 'v' from generate_series(1, {rows}) g")
    pipeline.publish()


# Changes

def test_everything_is_published(kafka_pipeline):
    on_both(kafka_pipeline, TABLES)
    kafka_pipeline.source.execute(ROWS)
    kafka_pipeline.publish()
    kafka_pipeline.start()
    for transaction in TRANSACTIONS:
        kafka_pipeline.source.execute(transaction)
    checker = kafka_pipeline.assert_follows()
    assert {each.kind for each in checker.published} == set("rIUDTM")
    kafka_pipeline.engine.stop()
    kafka_pipeline.source.execute("update customer set name = name || '!'; delete from document where id < 3")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


def test_the_copy_joins_the_stream(kafka_pipeline):
    """Changes during the copy are neither lost nor duplicated."""
    on_both(kafka_pipeline, "create table t (id int primary key, v int, pad text); create table journal (seq bigint)")
    kafka_pipeline.source.execute("insert into t select g, 0, repeat('p', 100) from generate_series(1, 30000) g")
    kafka_pipeline.publish()
    stop, errors = threading.Event(), []
    writers = [threading.Thread(target=change_everything, args=(kafka_pipeline.source, stop, errors, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    kafka_pipeline.start()
    stop.set()
    for writer in writers:
        writer.join()
    assert not errors
    checker = kafka_pipeline.assert_follows()
    kinds = [each.kind for each in checker.published]
    assert kinds.count("r") > 1000 and kinds.count("I") > 0


def test_a_key_is_in_the_partition_that_javas_client_computes(kafka_pipeline):
    kafka_pipeline.kafka.create_topic(kafka_pipeline.topic("item"), partitions=5)
    fill(kafka_pipeline, rows=200)
    kafka_pipeline.start()
    kafka_pipeline.source.execute("update item set v = 'w'; update item set id = id + 1000; delete from item where id % 2 = 0")
    checker = kafka_pipeline.assert_follows()
    assert len({message.partition() for message in checker.messages}) == 5


def test_odd_names_have_topics_of_their_own(kafka_pipeline):
    names = ['"Größe"', '"a.b"', '"a_b"', '"a-b"', '"A_B"', '"a b"', 'sch.c', "\"quo'te\"\"d\""]
    on_both(kafka_pipeline, "create schema sch")
    kafka_pipeline.source_configuration["tables"] = ["*.*"]
    for name in names:
        on_both(kafka_pipeline, f'create table {name} (id int primary key, "co lumn""" text)')
    kafka_pipeline.publish()
    kafka_pipeline.start()
    for number, name in enumerate(names):
        kafka_pipeline.source.execute(f"insert into {name} select g, '{number}' from generate_series(1, {number + 1}) g")
    checker = kafka_pipeline.assert_follows()
    tables = {}
    for each in checker.published:
        tables.setdefault(each.topic, set()).add((each.schema, each.table))
    assert len(tables) == len(names)
    assert all(len(found) == 1 for found in tables.values()), tables


@pytest.mark.parametrize("glue", ["commit; begin", "select"], ids=["in_turn", "together"])
def test_names_that_kafka_cannot_tell_apart_are_refused(kafka_pipeline, glue):
    """To Kafka '.' and '_' are one in the names of topics: check and it say so, and nothing of the change is lost."""
    on_both(kafka_pipeline, "create schema a; create schema a_b; create table a.b_c (id int primary key); create table a_b.c (id int primary key)")
    kafka_pipeline.source_configuration["tables"] = ["*.*"]
    kafka_pipeline.publish()
    (found,) = problems(kafka_pipeline)
    assert found["code"].endswith("topic_name") and "a.b_c" in found["what"] and "a_b.c" in found["what"], found
    kafka_pipeline.start()
    kafka_pipeline.source.execute(f"begin; insert into a.b_c values (1); {glue}; insert into a_b.c values (1); commit")
    assert kafka_pipeline.engine.wait_exit() == 2
    for topic in (f"{kafka_pipeline.name}.a.b_c", f"{kafka_pipeline.name}.a_b.c"):
        assert topic in kafka_pipeline.engine.log_text()
    sink(kafka_pipeline)["topic"] = "{source}.{schema}..{table}"
    assert problems(kafka_pipeline) == []
    kafka_pipeline.engine.catch_up()


@pytest.mark.parametrize("key", ["position_topic", "transaction_topic", "dead_letter_topic"])
def test_a_table_and_the_sink_itself_do_not_share_a_topic(kafka_pipeline, key):
    """By a name that Kafka does not tell apart either; check says so, and nothing is written."""
    sink(kafka_pipeline).update({"oversized": "dead-letter", "dead_letter_topic": f"{kafka_pipeline.name}-dead"})
    sink(kafka_pipeline)[key] = f"{kafka_pipeline.name}_public.item"
    fill(kafka_pipeline)
    (found,) = problems(kafka_pipeline)
    assert "public.item" in found["what"] and key in found["what"], found
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "public.item" in result.stderr and key in result.stderr, result.stderr
    assert kafka_pipeline.topics() == {}


def test_topics_of_the_sinks_own_are_not_one(kafka_pipeline):
    sink(kafka_pipeline)["transaction_topic"] = kafka_pipeline.position_topic
    fill(kafka_pipeline)
    for command in ("check", "run"):
        result = kafka_pipeline.engine.command(command)
        assert result.returncode == 2 and "sinks[0].transaction_topic: position_topic" in result.stderr, result.stderr
    assert kafka_pipeline.kafka.topics(kafka_pipeline.position_topic) == {}


def test_a_large_transaction_spans_several_of_kafkas(kafka_pipeline):
    """Split by position; a consumer that reads committed still gets all of it once."""
    sink(kafka_pipeline)["transaction_changes"] = 1000
    fill(kafka_pipeline)
    kafka_pipeline.start()
    kafka_pipeline.source.execute("insert into item select g, 'big' from generate_series(100, 20099) g")
    kafka_pipeline.assert_follows()


def test_headers_name_the_change(kafka_pipeline):
    sink(kafka_pipeline)["headers"] = "on"
    fill(kafka_pipeline)
    kafka_pipeline.start()
    kafka_pipeline.source.execute("update item set v = 'w'")
    checker = kafka_pipeline.assert_follows()
    for message, change in zip(checker.messages, checker.published):
        values = [value.decode() for _, value in message.headers()]
        assert values == [lsn_text(change.commit_lsn), str(change.index), str(change.xid)], message.headers()


def test_without_the_option_there_are_no_headers(kafka_pipeline):
    fill(kafka_pipeline)
    kafka_pipeline.engine.catch_up()
    assert [message.headers() for message in kafka_pipeline.read("item")] == [None] * 5


def test_created_topics_are_as_configured(kafka_pipeline):
    sink(kafka_pipeline).update({"partitions": 3, "replication": 1, "cleanup_policy": "compact"})
    fill(kafka_pipeline)
    kafka_pipeline.engine.catch_up()
    assert kafka_pipeline.topics() == {kafka_pipeline.topic("item"): 3}
    assert kafka_pipeline.kafka.topic_config(kafka_pipeline.topic("item"))["cleanup.policy"] == "compact"
    assert kafka_pipeline.kafka.topic_config(kafka_pipeline.position_topic)["cleanup.policy"] == "compact"
    kafka_pipeline.assert_equal()


def test_a_position_is_read_while_others_write_without_a_pause(kafka_pipeline):
    """A shared topic never comes to its end; the pipeline's own place is before the end that it had."""
    sink(kafka_pipeline)["position_topic"] = f"{kafka_pipeline.name}-positions"
    fill(kafka_pipeline)
    kafka_pipeline.engine.catch_up()
    with written_without_a_pause(kafka_pipeline.kafka, sink(kafka_pipeline)["position_topic"]):
        before_s = time.monotonic()
        for _ in range(5):
            assert kafka_pipeline.engine.json("status")["sinks"][0]["position"] is not None
        took_s = time.monotonic() - before_s
    assert took_s < 90, f"five looks took {took_s:.0f} s: each waited for the writer's pause"


@contextlib.contextmanager
def written_without_a_pause(kafka, topic):
    """By another program, under a key of its own."""
    producer = Producer({**CLIENT, "bootstrap.servers": kafka.bootstrap, "linger.ms": 0, "acks": 0})
    ended = threading.Event()

    def write():
        while not ended.is_set():
            producer.produce(topic, b"{}", b"another.sink")
            while len(producer) > 100:
                producer.poll(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
        producer.flush(30)


# Messages over the size limit

# 320 kB that compress to no less than 160.
LARGE = "(select string_agg(md5(g::text), '') from generate_series(1, 10000) g)"


def test_an_oversized_message_stops_the_pipeline(kafka_pipeline):
    """Before its transaction, saying which; with a larger limit it continues."""
    topic = kafka_pipeline.topic("item")
    kafka_pipeline.kafka.create_topic(topic, config={"max.message.bytes": 100000})
    fill(kafka_pipeline)
    kafka_pipeline.start()
    kafka_pipeline.source.execute("insert into item values (100, 'small')")
    kafka_pipeline.source.execute(f"insert into item values (101, 'small'), (102, {LARGE}), (103, 'small')")
    assert kafka_pipeline.engine.wait_exit() == 1
    log = kafka_pipeline.engine.log_text()
    for word in ("item", "id", "100000"):
        assert word in log, log
    assert "c4ca4238" not in log, "a value was logged"
    assert sorted(each.key["id"] for each in map(published, kafka_pipeline.read("item"))) == [1, 2, 3, 4, 5, 100]
    kafka_pipeline.kafka.set_topic_config(topic, {"max.message.bytes": 1000000})
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


def test_the_rest_of_a_split_transaction_is_left_out(kafka_pipeline):
    """Part of it was published before the row that no topic accepts: skip leaves out the rest."""
    kafka_pipeline.kafka.create_topic(kafka_pipeline.topic("item"), config={"max.message.bytes": 100000})
    sink(kafka_pipeline)["transaction_changes"] = 100
    fill(kafka_pipeline)
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.source.execute("begin; insert into item select g, 'small' from generate_series(1001, 1250) g; "
                                  f"insert into item values (2000, {LARGE}), (2001, 'small'); commit")
    kafka_pipeline.source.execute("insert into item values (3000, 'behind')")
    log = kafka_pipeline.assert_refused("change 250 of the transaction that commits at", code=1)
    lsn = log.split("the transaction that commits at ")[-1].split(":")[0]
    why = kafka_pipeline.engine.command("why").stdout
    assert "(id)=(2000)" in why and "operation  insert" in why and "target" not in why, why
    skipped = kafka_pipeline.engine.command("skip", lsn)
    assert skipped.returncode == 0 and "200 changes of it are there already" in skipped.stdout, skipped.stdout + skipped.stderr
    kafka_pipeline.engine.start(environment={"PGCDC_FAULT": "kafka-before-commit"})
    assert kafka_pipeline.engine.wait_exit() == -signal.SIGKILL
    kafka_pipeline.engine.catch_up()
    assert "was skipped with the other 52 changes" in kafka_pipeline.engine.log_path.read_text()
    keys = sorted(each.key["id"] for each in map(published, kafka_pipeline.read("item")))
    assert keys == [1, 2, 3, 4, 5, *range(1001, 1201), 3000]


def test_an_oversized_message_goes_to_the_dead_letter_topic(kafka_pipeline):
    """Its neighbours arrive; none of it is lost."""
    dead = f"{kafka_pipeline.name}-dead"
    kafka_pipeline.kafka.create_topic(kafka_pipeline.topic("item"), config={"max.message.bytes": 100000})
    kafka_pipeline.kafka.create_topic(dead, config={"max.message.bytes": 10000000})
    sink(kafka_pipeline).update({"oversized": "dead-letter", "dead_letter_topic": dead})
    fill(kafka_pipeline)
    kafka_pipeline.start()
    kafka_pipeline.source.execute(f"insert into item values (101, 'small'), (102, {LARGE}), (103, 'small')")
    kafka_pipeline.wait_applied()
    assert sorted(each.key["id"] for each in map(published, kafka_pipeline.read("item"))) == [1, 2, 3, 4, 5, 101, 103]
    letters = TopicReader(kafka_pipeline.kafka.bootstrap).read({dead: 1})
    assert [len(published(letter).after["v"]) for letter in letters] == [320000]
    assert kafka_pipeline.engine.is_running()


# Consumers

def test_the_manuals_consumer_sees_every_change(kafka_pipeline, tmp_path):
    """The program of the manual, unchanged."""
    text = (ROOT / "cdc/manual/kafka.md").read_text(encoding="utf-8")
    (tmp_path / "consume.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={tmp_path}", "change.proto"], check=True)
    fill(kafka_pipeline, rows=2)
    kafka_pipeline.start()
    kafka_pipeline.source.execute("update item set v = null where id = 1; delete from item where id = 2")
    kafka_pipeline.wait_applied()
    with subprocess.Popen([sys.executable, tmp_path / "consume.py", kafka_pipeline.kafka.bootstrap, kafka_pipeline.name],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as consumer:
        try:
            lines = [consumer.stdout.readline().strip() for _ in range(4)]
        finally:
            consumer.kill()
    assert lines == ["OPERATION_READ public.item {'id': 1, 'v': 'v'}", "OPERATION_READ public.item {'id': 2, 'v': 'v'}",
                     "OPERATION_UPDATE public.item {'id': 1, 'v': None}", "OPERATION_DELETE public.item {'id': 2}"]


# Commands

def test_status_tells_the_position(kafka_pipeline):
    fill(kafka_pipeline)
    kafka_pipeline.start()
    kafka_pipeline.wait_applied()
    found = kafka_pipeline.engine.json("status")
    assert found["state"] == "streaming", found
    assert found["sinks"][0]["error"] is None
    assert kafka_pipeline.source.value("select %s::pg_lsn >= %s::pg_lsn",
                                       (found["sinks"][0]["position"], kafka_pipeline.position()))
    assert kafka_pipeline.engine.is_running(), "looking must not fence"
    kafka_pipeline.assert_follows()


def test_dropped_and_begun_again(kafka_pipeline):
    """The position is gone, so a new copy is made; the data topics are the consumers' and stay."""
    fill(kafka_pipeline)
    kafka_pipeline.source.execute("create table never_written (id integer primary key)")
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 0 and "hold records" not in result.stderr, "a first start has nothing to say of it"
    result = kafka_pipeline.engine.command("drop")
    assert result.returncode == 0 and "its data stays, and a new start publishes every row again" in result.stdout, result
    assert kafka_pipeline.slot() is None
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 0 and "consumers receive those rows again" in result.stderr, result.stderr
    assert "1 topic already holds records, " in result.stderr, result.stderr
    assert [each.error() for each in kafka_pipeline.read("item")] == [None] * 10


def test_a_second_run_continues(kafka_pipeline):
    fill(kafka_pipeline)
    for number in range(3):
        kafka_pipeline.engine.catch_up()
        kafka_pipeline.source.execute(f"insert into item values (1000 + {number}, 'x')")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


# What is wrong is said

def test_no_broker_is_one_clear_line_of_check(kafka_pipeline):
    fill(kafka_pipeline)
    sink(kafka_pipeline)["brokers"] = "127.0.0.1:1"
    result = kafka_pipeline.engine.command("check")
    assert result.returncode == 2
    assert "127.0.0.1:1" in result.stdout + result.stderr


def test_a_broker_that_comes_late_is_waited_for(new_kafka_pipeline, shared_clusters, own_kafka):
    kafka = own_kafka("late")
    pipeline = new_kafka_pipeline(shared_clusters("source"), kafka)
    fill(pipeline)
    kafka.stop()
    pipeline.engine.start()
    pipeline.engine.wait_log(kafka.bootstrap)
    kafka.start()
    pipeline.wait_streaming()
    pipeline.assert_follows()


@pytest.mark.long
def test_a_broker_that_advertises_a_wrong_address_is_named(new_kafka_pipeline, shared_clusters, own_kafka):
    """It answers the first question, and no other: check used to be content, and run to say nothing."""
    pipeline = new_kafka_pipeline(shared_clusters("source"),
                                  own_kafka("astray", settings={"advertised.listeners": "PLAINTEXT://127.0.0.1:1"}))
    pipeline.source.execute(ITEM)
    assert_said(pipeline, "problem", "127.0.0.1:1/1", "advertised.listeners")
    pipeline.engine.start()
    pipeline.engine.wait_log("advertised.listeners")
    pipeline.engine.stop()


def assert_said(pipeline, severity, *words):
    """check says it in one finding, remedy included; run, too, when it cannot go on."""
    report = pipeline.engine.json("check")
    found = [f"{finding['what']}; {finding['fix']}" for finding in report["findings"] if finding["severity"] == severity]
    assert any(all(word in text for word in words) for text in found), report


def test_a_table_without_a_key_does_not_go_to_a_compacted_topic(kafka_pipeline):
    kafka_pipeline.source.execute("create table keyless (v text); alter table keyless replica identity full; "
                                  "insert into keyless values ('v')")
    kafka_pipeline.publish()
    topic = kafka_pipeline.topic("keyless")
    sink(kafka_pipeline)["cleanup_policy"] = "compact"
    assert_said(kafka_pipeline, "problem", topic, "public.keyless", "primary key")
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and topic in result.stderr and "primary key" in result.stderr, result.stderr
    assert_said(kafka_pipeline, "problem", topic, "public.keyless", "primary key")


def test_more_replicas_than_brokers_are_named(kafka_pipeline):
    fill(kafka_pipeline)
    sink(kafka_pipeline)["replication"] = 3
    assert_said(kafka_pipeline, "problem", kafka_pipeline.topic("item"), "only 1 broker", "replication")
    result = kafka_pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "lower replication" in result.stderr, result.stderr


def test_more_replicas_in_sync_than_there_are_is_a_warning(kafka_pipeline):
    """Newer brokers write all the same, so it must not stop anybody."""
    kafka_pipeline.kafka.create_topic(kafka_pipeline.topic("item"), config={"min.insync.replicas": 2})
    fill(kafka_pipeline)
    assert_said(kafka_pipeline, "warning", kafka_pipeline.topic("item"), "min.insync.replicas")
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


def test_a_topic_s_settings_are_corrected_by_the_printed_commands(kafka_pipeline):
    fill(kafka_pipeline)
    kafka_pipeline.kafka.create_topic(kafka_pipeline.topic("item"), config={
        "min.insync.replicas": 2, "max.message.bytes": 5000, "cleanup.policy": "delete"})
    sink(kafka_pipeline).update({"cleanup_policy": "compact,delete", "position_topic": f"{kafka_pipeline.name}-where"})
    kafka_pipeline.kafka.create_topic(f"{kafka_pipeline.name}-where", config={"cleanup.policy": "delete"})

    def fixes():
        return {finding["code"].rpartition(".")[2]: finding["fix"] for finding in kafka_pipeline.engine.json("check")["findings"]
                if finding["code"].rpartition(".")[2] in ("min_insync_replicas", "max_message_bytes", "cleanup_policy", "position_topic")}

    printed = fixes()
    assert len(printed) == 4, printed
    for command in printed.values():
        program, server, brokers, *arguments = shlex.split(command)
        assert (program, server, brokers) == ("kafka-configs", "--bootstrap-server", kafka_pipeline.kafka.bootstrap), command
        kafka_pipeline.kafka.tool("kafka.admin.ConfigCommand", *arguments)
    assert fixes() == {}
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


def test_check_is_content_with_a_plain_broker(kafka_pipeline):
    fill(kafka_pipeline)
    assert problems(kafka_pipeline) == []
    assert kafka_pipeline.topics() == {}, "check creates nothing"


# TLS, passwords, rights

@pytest.fixture(scope="module")
def secure_kafka():
    from support.kafka import Kafka  # pylint: disable=import-outside-toplevel
    with Kafka("secure", is_secure=True) as kafka:
        for kind in ("topic", "transactional-id", "group"):
            kafka.allow("All", kind, "permitted", prefixed=True)
            kafka.allow("All", kind, "pgcdc-", prefixed=True)
        yield kafka


@pytest.fixture
def secure_pipeline(new_kafka_pipeline, shared_clusters, secure_kafka, request):
    """With a password over TLS, as a user who may write to topics of pipelines named permitted..., and to no others."""
    pipeline = new_kafka_pipeline(shared_clusters("source"), secure_kafka, f"permitted{abs(hash(request.node.name)) % 10**6}")
    fill(pipeline)
    use_password(pipeline)
    return pipeline


def use_tls(pipeline):
    sink(pipeline)["brokers"] = pipeline.kafka.tls_bootstrap
    sink(pipeline)["properties"] = {"security.protocol": "SSL", "ssl.ca.location": str(pipeline.kafka.certificates.authority)}


def use_password(pipeline):
    use_tls(pipeline)
    sink(pipeline)["brokers"] = pipeline.kafka.sasl_bootstrap
    sink(pipeline)["properties"] |= {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": USER,
                                     "sasl.password": "${KAFKA_PASSWORD}"}


def run_environment(password=PASSWORD):
    return {"KAFKA_PASSWORD": password}


def test_tls_with_the_right_authority(new_kafka_pipeline, shared_clusters, secure_kafka):
    pipeline = new_kafka_pipeline(shared_clusters("source"), secure_kafka)
    fill(pipeline)
    use_tls(pipeline)
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_the_right_password(secure_pipeline):
    secure_pipeline.engine.catch_up(environment=run_environment())
    secure_pipeline.assert_equal()


def test_verify_names_the_missing_right_to_read(new_kafka_pipeline, shared_clusters, secure_kafka):
    """An engine only writes to the tables' topics; a comparison must read them."""
    operations = [word for operation in ("Describe", "DescribeConfigs", "Write", "Create") for word in ("--operation", operation)]
    secure_kafka.tool("org.apache.kafka.tools.AclCommand", "--add", "--allow-principal", f"User:{USER}", *operations,
                      "--topic", "writesonly", "--resource-pattern-type", "prefixed")
    pipeline = new_kafka_pipeline(shared_clusters("source"), secure_kafka, "writesonly1")
    fill(pipeline)
    use_password(pipeline)
    pipeline.engine.catch_up(environment=run_environment())
    result = pipeline.engine.command("verify", environment=run_environment())
    assert result.returncode == 2 and "--operation Read --topic writesonly1.public.item" in result.stderr, result.stderr
    secure_kafka.allow("Read", "topic", "writesonly", prefixed=True)
    assert pipeline.engine.command("verify", environment=run_environment()).returncode == 0


def test_a_password_from_a_file(secure_pipeline, tmp_path):
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\nnot this\n", encoding="utf-8")
    del sink(secure_pipeline)["properties"]["sasl.password"]
    sink(secure_pipeline)["password_file"] = str(path)
    secure_pipeline.engine.catch_up()
    secure_pipeline.assert_equal()
    path.unlink()
    (found,) = problems(secure_pipeline)
    assert str(path) in found["what"] and "No such file" in found["what"], found


def test_scram(secure_pipeline):
    """With a newer librdkafka: Debian's 2.0.2 sends its nonce twice, which brokers refuse since 3.7.2."""
    libraries = sorted(cache_folder().glob("librdkafka/*/librdkafka.so.1"))
    if not libraries:
        pytest.skip("a newer librdkafka is not here (tests/support/install kafka)")
    newer = {"LD_LIBRARY_PATH": str(libraries[-1].parent)}
    sink(secure_pipeline)["properties"]["sasl.mechanism"] = "SCRAM-SHA-256"
    secure_pipeline.engine.catch_up(environment=run_environment() | newer)
    secure_pipeline.assert_equal()
    result = secure_pipeline.engine.command("check", environment=run_environment("wrong secret") | newer)
    assert result.returncode == 2 and "authentication" in result.stdout.lower(), result.stdout


def assert_closed(pipeline, *words, environment=None):
    """check says why in one line, and nothing is written or created anywhere."""
    before = pipeline.kafka.topics()
    result = pipeline.engine.command("check", environment=environment)
    said = result.stdout + result.stderr
    assert result.returncode == 2, said
    lines = [line for line in said.splitlines() if line.startswith("problem")]
    assert len(lines) == 1 and all(word.lower() in lines[0].lower() for word in words), f"one problem with {words}:\n{said}"
    assert PASSWORD not in said and "wrong secret" not in said
    assert pipeline.kafka.topics() == before


def test_a_wrong_password_fails_closed(secure_pipeline):
    assert_closed(secure_pipeline, "authentication", environment=run_environment("wrong secret"))


def test_a_wrong_authority_fails_closed(secure_pipeline, tmp_path):
    from support.certificates import Certificates  # pylint: disable=import-outside-toplevel
    sink(secure_pipeline)["properties"]["ssl.ca.location"] = str(Certificates(tmp_path / "other").authority)
    assert_closed(secure_pipeline, "certificate", environment=run_environment())


def test_a_plain_client_at_a_tls_port_fails_closed(secure_pipeline):
    sink(secure_pipeline).pop("properties")
    assert_closed(secure_pipeline, secure_pipeline.kafka.sasl_bootstrap)


def test_missing_rights_are_named(new_kafka_pipeline, shared_clusters, secure_kafka):
    pipeline = new_kafka_pipeline(shared_clusters("source"), secure_kafka, "forbidden")
    fill(pipeline)
    use_password(pipeline)
    assert_closed(pipeline, "authori", environment=run_environment())
    result = pipeline.engine.command("run", "--until", "caught-up", environment=run_environment(), timeout_s=60)
    assert result.returncode == 2, result.stderr
    assert "authori" in result.stderr.lower()
    assert TopicReader(secure_kafka.bootstrap).ends(pipeline.topics()) == {}


def test_missing_rights_are_granted_by_the_printed_commands(new_kafka_pipeline, shared_clusters, secure_kafka):
    pipeline = new_kafka_pipeline(shared_clusters("source"), secure_kafka, f"denied{os.getpid()}")
    fill(pipeline)
    use_password(pipeline)
    followed = []
    for _ in range(4):
        report = json.loads(pipeline.engine.command("check", "--json", environment=run_environment()).stdout)
        commands = [finding["fix"] for finding in report["findings"] if finding["fix"].startswith("kafka-acls ")]
        assert len({command.partition(" --topic ")[0] for command in commands}) == len(commands), "topics with one cause are one finding"
        if not commands:
            break
        for line in commands:
            for command in line.splitlines():
                _, server, _, *arguments = shlex.split(command)
                assert server == "--bootstrap-server" and command not in followed, command
                secure_kafka.tool("org.apache.kafka.tools.AclCommand", *arguments)
                followed.append(command)
    assert followed and report["ready"], (followed, report)
    pipeline.engine.catch_up(environment=run_environment())
    pipeline.assert_equal()
    assert_dropped_by_the_printed_command(pipeline)


def assert_dropped_by_the_printed_command(pipeline):
    """It told to grant what the user had already. All tests' user may do everything with such topics, so one right is denied."""
    denied = ["--deny-principal", f"User:{USER}", "--operation", "Delete", "--topic", pipeline.position_topic]
    pipeline.kafka.tool("org.apache.kafka.tools.AclCommand", "--add", *denied)
    refused = pipeline.engine.command("drop", environment=run_environment())
    assert refused.returncode == 2, refused.stderr
    [line] = [line for line in refused.stderr.splitlines() if "kafka-acls" in line]
    *_, operation, right, kind, topic = arguments = shlex.split(line[line.index("kafka-acls"):])[3:]
    assert [operation, right, kind, topic] == ["--operation", "Delete", "--topic", pipeline.position_topic]
    pipeline.kafka.tool("org.apache.kafka.tools.AclCommand", *arguments)
    pipeline.kafka.tool("org.apache.kafka.tools.AclCommand", "--remove", "--force", *denied)
    dropped = pipeline.engine.command("drop", environment=run_environment())
    assert dropped.returncode == 0, dropped.stderr
