# SPDX-License-Identifier: Apache-2.0
"""The broker that the Kafka peer drains into: the tests' own, with the heap that a small real one has."""
import contextlib
import pathlib
import signal
import subprocess
import sys

from . import measure

TESTS = pathlib.Path(__file__).resolve().parents[2] / "tests"
JAVA_OPTIONS = ("-Xmx1g", "-Xms1g", "-XX:+UseG1GC")


class Kafka:
    """Started on first use, so that a benchmark without Kafka needs neither it nor Java."""

    def __init__(self):
        self.kafka = None

    def get(self):
        if self.kafka is None:
            sys.path.insert(0, str(TESTS))
            from support.kafka import Kafka as Private  # pylint: disable=import-outside-toplevel
            self.kafka = Private("bench", java_options=JAVA_OPTIONS)
            self.kafka.format()
            _start_deaf(self.kafka)
            self.kafka.wait_ready()
        return self.kafka

    def cpu_seconds(self):
        """The broker's processor time so far."""
        return sum(sum(measure.cpu_times(broker.process.pid)) for broker in self.get().brokers)

    def stop(self):
        if self.kafka is not None:
            self.kafka.remove()


def _start_deaf(kafka):
    """Ctrl-C goes to every process of the terminal; the broker inherits that it is ignored, and is ended in order instead."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        kafka.start(wait=False)
    finally:
        signal.signal(signal.SIGINT, heard)


def count_committed(kafka, pipeline):
    """The number of the pipeline's records that a read_committed consumer sees, up to the high watermark."""
    from support.topic_reader import TopicReader  # pylint: disable=import-outside-toplevel
    return TopicReader(kafka.bootstrap).count(kafka.topics(f"{pipeline}."))


@contextlib.contextmanager
def end_of(kafka, topic):
    """Yields what returns the high watermark of the topic's only partition, 0 while there is no such topic."""
    from confluent_kafka import Consumer, KafkaException, TopicPartition  # pylint: disable=import-outside-toplevel
    from support.kafka import CLIENT  # pylint: disable=import-outside-toplevel
    consumer = Consumer({**CLIENT, "bootstrap.servers": kafka.bootstrap, "group.id": "end", "enable.auto.commit": False})

    def end():
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5, cached=False)[1]
        except KafkaException:
            return 0

    try:
        yield end
    finally:
        consumer.close()


def written_to(kafka, pipeline):
    """The sum of the high watermarks of the pipeline's topics."""
    from support.topic_reader import TopicReader  # pylint: disable=import-outside-toplevel
    return sum(TopicReader(kafka.bootstrap).ends(kafka.topics(f"{pipeline}.")).values())


def delete_topics(kafka, topics):
    if not topics:
        return
    from support.wait import wait_until  # pylint: disable=import-outside-toplevel
    admin = kafka.admin()
    for gone in admin.delete_topics(topics, operation_timeout=60).values():
        gone.result(90)
    wait_until(lambda: not set(topics) & set(kafka.topics("")), "topics to go")


def java_classes(folder):
    """The jars that tests/support/install has put there, as a class path."""
    cache = subprocess.run([TESTS / "support" / "cache"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{cache}/{folder}/*"
