# SPDX-License-Identifier: Apache-2.0
"""Topics read whole, from their beginning to the high watermark, as a consumer of either isolation level sees them."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from support.kafka import CLIENT

COMMITTED, UNCOMMITTED = "read_committed", "read_uncommitted"


class TopicReader:
    def __init__(self, bootstrap, properties=None):
        self.bootstrap = bootstrap
        self.properties = properties or {}

    def read(self, topics, isolation=COMMITTED, deadline_s=90):
        """
        The messages of all partitions, each partition's in its order. topics: {name: number of partitions}.

        The end is the high watermark, not what the isolation level lets through: a transaction that is never ended must show.
        """
        ends = self.ends(topics)
        consumer = self._consumer(isolation)
        try:
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in ends])
            messages = []
            _read_to(consumer, ends, isolation, time.monotonic() + deadline_s, messages)
            return messages
        finally:
            consumer.close()

    def count(self, topics, isolation=COMMITTED, deadline_s=600):
        """The number of messages that read would return, without keeping them."""
        ends = self.ends(topics)
        consumer = self._consumer(isolation)
        try:
            consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in ends])
            counter = Counting()
            _read_to(consumer, ends, isolation, time.monotonic() + deadline_s, counter)
            return counter.count
        finally:
            consumer.close()

    def follow(self, topic, partition=0):
        """An open consumer at the partition's beginning, which must exist; the caller closes it."""
        consumer = self._consumer(COMMITTED)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        return consumer

    def ends(self, topics):
        """{(topic, partition): high watermark} of the partitions that hold something."""
        consumer = self._consumer(UNCOMMITTED)
        try:
            partitions = [TopicPartition(topic, partition) for topic, count in topics.items() for partition in range(count)]
            marks = {(each.topic, each.partition): consumer.get_watermark_offsets(each, timeout=30, cached=False)
                     for each in partitions}
        finally:
            consumer.close()
        return {place: high for place, (low, high) in marks.items() if high > low}

    def _consumer(self, isolation):
        return Consumer({**CLIENT, "bootstrap.servers": self.bootstrap, "group.id": "reader", "isolation.level": isolation,
                         "enable.auto.commit": False, "enable.partition.eof": True, "auto.offset.reset": "error",
                         "fetch.wait.max.ms": 50, **self.properties})


class Counting:
    """Takes the place of a list."""

    def __init__(self):
        self.count = 0

    def append(self, _):
        self.count += 1


def _read_to(consumer, ends, isolation, deadline, messages):
    """Reads up to every partition's end; into messages. Where somebody writes on, the event for the end may never come."""
    left, reached = dict(ends), {}
    while left:
        for message in consumer.consume(1000, 0.5):
            place = (message.topic(), message.partition())
            if message.error() is None:
                if message.offset() < ends[place]:
                    messages.append(message)
                if message.offset() >= ends[place] - 1:
                    left.pop(place, None)
            elif message.error().code() == KafkaError._PARTITION_EOF:  # pylint: disable=protected-access
                reached[place] = message.offset()
                if message.offset() >= ends[place]:
                    left.pop(place, None)
            elif not message.error().retriable() and message.error().code() != KafkaError._TRANSPORT:  # pylint: disable=protected-access
                raise KafkaException(message.error())
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(f"{topic}[{partition}]: {isolation} ends at {reached.get((topic, partition))}, "
                                           f"the high watermark is {end}" for (topic, partition), end in left.items()))
