# SPDX-License-Identifier: Apache-2.0
"""The common part of peers that drain into Kafka: a topic for each table, SLOT.SCHEMA.TABLE, and how to see its records."""
import contextlib
import time

from .broker import count_committed, delete_topics
from .peer import Peer, PeerError


class KafkaPeer(Peer):
    applies = False
    needs_kafka = True
    groups = ("kafka",)
    sinks = ("kafka",)

    def expected_records(self, counts):
        return counts.changes

    def verify(self, run):
        found = count_committed(run.kafka.get(), run.slot)
        expected = self.expected_records(run.counts)
        if found != expected:
            raise PeerError(f"{self.title}: a consumer sees {found} records, not {expected}")

    def clean(self, run):
        kafka = run.kafka.get()
        delete_topics(kafka, [topic for topic in kafka.topics("") if topic.startswith((f"{run.slot}.", "pgcdc", "_pgcdc"))])

    def watch(self, run):
        return ["kafka", run.kafka.get().bootstrap, f"{run.slot}.public.lag"]

    @contextlib.contextmanager
    def visible(self, run):
        """Yields wait(number, deadline): returns when a read_committed consumer has got the row of that number."""
        from support.topic_reader import TopicReader  # pylint: disable=import-outside-toplevel
        kafka, topic = run.kafka.get(), f"{run.slot}.public.ping"
        consumer = None
        seen = 0

        def wait(number, deadline):
            nonlocal consumer, seen
            while seen <= number:
                if consumer is None and topic in kafka.topics(topic):
                    consumer = TopicReader(kafka.bootstrap, {"fetch.wait.max.ms": 500, "enable.partition.eof": False}).follow(topic)
                if consumer is not None:
                    message = consumer.poll(0.2)
                    seen += message is not None and message.error() is None
                if time.monotonic() > deadline:
                    raise PeerError(f"{self.title}: commit {number} is not visible")

        try:
            yield wait
        finally:
            if consumer is not None:
                consumer.close()
