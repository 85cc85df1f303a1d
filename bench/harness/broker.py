# SPDX-License-Identifier: Apache-2.0
"""The broker that the Kafka peer drains into: the tests' own, with the heap that a small real one has."""
import pathlib
import signal
import sys

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
    """How many records of the pipeline a read_committed consumer sees, from the beginning to the high watermark."""
    from support.topic_reader import TopicReader  # pylint: disable=import-outside-toplevel
    return TopicReader(kafka.bootstrap).count(kafka.topics(f"{pipeline}."))
