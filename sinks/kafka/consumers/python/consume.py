#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints every change that a pipeline publishes, one a line: consume.py BROKERS PIPELINE GROUP [COUNT]"""

import re
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException

import change_pb2  # protoc makes it of change.proto


def main(brokers, pipeline, group, count=None):
    sys.stdout.reconfigure(encoding="utf-8")
    consumer = Consumer({
        "bootstrap.servers": brokers,
        "group.id": group,
        "isolation.level": "read_committed",  # otherwise it sees what was never committed, and sees it again
        "auto.offset.reset": "earliest",
        "enable.auto.offset.store": False,  # a change is done when store_offsets says so, not when poll hands it out
        "topic.metadata.refresh.interval.ms": 10000,  # when the topic of a new table is noticed
    })
    consumer.subscribe([rf"^{re.escape(pipeline)}\.[^.]+\.+[^.]+$"])  # PIPELINE.SCHEMA.TABLE or PIPELINE.SCHEMA..TABLE
    progress, left = Progress(), int(count) if count else -1
    try:
        while left != 0:
            message = consumer.poll(1)
            if message is None:
                continue
            if message.error():
                if message.error().code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue  # the pipeline has no topic yet
                raise KafkaException(message.error())
            if message.value() is not None:  # a tombstone has none: it is for the compaction of the topic
                change = change_pb2.Change.FromString(message.value())
                if progress.moves_on(message, change):
                    print(line(message, change), flush=True)
                    left -= 1
            consumer.store_offsets(message)
    finally:
        consumer.close()


class Progress:
    """
    What has been done already. Kafka hands out a message again when a consumer dies before its offset was committed, and
    the same change must not be done twice.

    Here it lives as long as the program. Keep it where your results are, and store both in one transaction.
    """

    def __init__(self):
        self.done = {}

    def moves_on(self, message, change):
        """Is the change new? Then it counts as done from now on."""
        place = (message.topic(), message.partition(), change.schema, change.table)
        # An UPDATE of the key is two messages: the DELETE of the old key, then itself.
        position = (change.commit_lsn, change.index, 0 if change.HasField("moved_to") else 1)
        if position <= self.done.get(place, (0, 0, 0)):
            return False
        self.done[place] = position
        return True


def line(message, change):
    operation = change_pb2.Operation.Name(change.operation).removeprefix("OPERATION_")
    if change.operation == change_pb2.OPERATION_UNSPECIFIED:
        raise ValueError("an operation that this program does not know")
    key = "none" if message.key() is None else row(change_pb2.Key.FromString(message.key()).columns)
    text = f"{change.commit_lsn >> 32:X}/{change.commit_lsn & 0xFFFFFFFF:X} {change.index} {operation} {change.schema}.{change.table} key={key}"
    if change.before:
        text += f" before={row(change.before)}"
    if change.after:
        text += f" after={row(change.after)}"
    if change.HasField("moved_to"):
        text += f" moved_to={row(change.moved_to.columns)}"
    if change.truncate.cascade:
        text += " cascade"
    if change.truncate.restart_identity:
        text += " restart_identity"
    return text


def row(columns):
    return "{" + ", ".join(f"{quoted(column.name)}: {value(column)}" for column in columns) + "}"


def value(column):
    kind = column.WhichOneof("value")
    if kind is None:
        raise ValueError(f"column {column.name} has a kind of value that this program does not know")
    if kind in ("null", "unchanged"):  # unchanged: a large value that the update did not touch; keep the one you have
        return kind
    found = getattr(column, kind)
    if kind == "boolean":
        return "true" if found else "false"
    if kind == "float4":
        return f"{found:.8e}"
    if kind == "float8":
        return f"{found:.16e}"
    if kind == "bytes":
        return "0x" + found.hex()
    return str(found) if kind == "integer" else quoted(found)  # else text, or literal: PostgreSQL's own text of any other type


def quoted(text):
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escaped)
    return f'"{text}"'


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
