# SPDX-License-Identifier: Apache-2.0
"""pgcdc: the release engine, from the recorded slot into its Kafka sink with the default settings, over TCP on both sides.

Its end is its exit: everything is durable in Kafka then. Afterwards, untimed, a read_committed consumer counts the records.
"""
import contextlib
import time

from .broker import count_committed
from .peer import PeerError
from .peer_pgcdc import CONFIGURATION, Pgcdc

CONFIGURATION_KAFKA = CONFIGURATION[:CONFIGURATION.index("sinks:")] + """\
sinks:
  - name: events
    type: kafka
    brokers: {brokers}
"""


class PgcdcKafka(Pgcdc):
    name = "pgcdc_kafka"
    title = "pgcdc to its Kafka sink"
    applies = False
    needs_kafka = True
    by_default = False

    def configuration(self, run):
        return CONFIGURATION_KAFKA, {"brokers": run.kafka.get().bootstrap}

    def verify(self, run, changes):
        found = count_committed(run.kafka.get(), run.slot)
        if found != changes:
            raise PeerError(f"{self.title}: a consumer sees {found} records, committed were {changes} changes")

    def clean(self, run):
        kafka = run.kafka.get()
        for topic in kafka.topics(""):
            if topic.startswith(f"{run.slot}.") or topic.startswith("pgcdc") or topic.startswith("_pgcdc"):
                kafka.delete_topic(topic)

    def watch(self, run):
        return ["kafka", run.kafka.get().bootstrap, f"{run.slot}.public.lag"]

    @contextlib.contextmanager
    def follow(self, run):
        try:
            with super().follow(run):
                yield
        finally:
            self.clean(run)

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
