# SPDX-License-Identifier: Apache-2.0
"""A pipeline from a database to Kafka, a witness of what the database commits, and a database to replay the topics in."""

import json

from support import oracle
from support.committed import Witness
from support.engine import Engine
from support.kafka_accounts import assert_accounted
from support.kafka_checker import KafkaChecker
from support.pipeline import Pipeline
from support.topic_reader import TopicReader
from support.transaction_checker import assert_told

SINK = "events"


class KafkaPipeline(Pipeline):
    """source and replay: databases, which may live on one cluster; both empty."""

    def __init__(self, program, folder, source, replay, kafka, name):  # pylint: disable=super-init-not-called
        self.source = source
        self.replay = replay
        self.kafka = kafka
        self.name = name
        self.witness = None
        self._follower = self._position = None
        self.state = folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.engine = Engine(program, folder, {
            "name": name,
            "source": {"dsn": source.dsn(), "tables": ["public.*"]},
            "state": str(self.state),
            "copy": {"mode": "simple"},
            "sinks": [{"name": SINK, "type": "kafka", "brokers": kafka.bootstrap}],
        })

    def servers(self):
        return [self.source.cluster, self.kafka]

    def close(self):
        super().close()
        self._close_follower()

    def publish(self):
        """The publication, made before the engine would, so that the witness sees everything that the engine can see."""
        super().publish()
        self.witness = Witness(self.source, self.name, f"{self.name}_witness")

    def publish_tables(self, *tables):
        """Likewise, of some tables; the engine takes what is published."""
        del self.source_configuration["tables"]
        self.source.execute(f"create publication {self.name} for table {', '.join(tables)} with (publish_via_partition_root = true)")
        self.witness = Witness(self.source, self.name, f"{self.name}_witness")

    def wait_streaming(self):
        self.wait_while_running(self.is_streaming, "the stream to begin")
        self.wait_while_running(self.position, "a position in Kafka")

    # The position, as the last committed record of its topic has it

    def position(self):
        """end_lsn, or None before the initial copy is committed."""
        if self._follower is None:
            if self.position_topic not in self.kafka.topics(self.position_topic):
                return None
            self._follower = TopicReader(self.kafka.bootstrap).follow(self.position_topic)
        for message in self._follower.consume(1000, 0.02):
            if message.error() is None and message.key() == f"{self.name}.{SINK}".encode():
                self._position = json.loads(message.value())["end_lsn"] if message.value() else None
        return self._position if self._position != "0/0" else None

    def delete_position_topic(self):
        """A consumer of librdkafka 2.0 may never close again once a topic that it reads is gone, so ours goes before it."""
        self._close_follower()
        self.kafka.delete_topic(self.position_topic)

    def _close_follower(self):
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def position_reached(self, lsn):
        position = self.position()
        return position and self.source.value("select %s::pg_lsn >= %s::pg_lsn", (position, lsn))

    # Topics

    def topics(self):
        """{name: number of partitions} of the pipeline's data."""
        return self.kafka.topics(f"{self.name}.")

    def topic(self, table, schema="public"):
        return f"{self.name}.{schema}.{table}"

    @property
    def position_topic(self):
        return self.sink_configuration.get("position_topic", f"pgcdc-position-{self.name}")

    def read(self, table, **arguments):
        """The messages of an ordinary table's topic."""
        return self.read_topic(self.topic(table), **arguments)

    def read_topic(self, topic, **arguments):
        return TopicReader(self.kafka.bootstrap).read({topic: self.kafka.topics()[topic]}, **arguments)

    # The oracle

    def check(self, without=()):
        """Checks that exactly the committed changes were published, except for some tables. Returns the checker with its counts."""
        assert self.witness is not None, "publish() first"
        told_in = self.sink_configuration.get("transaction_topic")
        topics = {name: count for name, count in self.topics().items() if name not in [told_in, *map(self.topic, without)]}
        checker = KafkaChecker(TopicReader(self.kafka.bootstrap), topics)
        checker.assert_exactly_once(self.witness, without)
        assert_accounted(self, checker.published)
        if told_in is not None:
            is_there = told_in in self.kafka.topics(told_in)  # once something was streamed
            checker.told = assert_told(self.read_topic(told_in) if is_there else [], checker.committed)
        return checker

    def assert_equal(self, *tables, without=()):
        """The topics, replayed into empty tables, are the source's tables."""
        tables = tables or oracle.published_tables(self.source, self.name)
        checker = self.check(without)
        checker.replay(self.replay, tables)
        oracle.assert_equal(self.source, self.replay, tables)
        return checker

    def assert_follows(self, *tables):
        self.wait_applied()
        return self.assert_equal(*tables)
