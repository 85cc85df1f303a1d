#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
consume.py BROKERS PIPELINE - reads a pipeline's topics, as an application would. An example to start from.

    --print           every change from the first one on, one line each, until stopped (the default)
    --follow FILE     count new records; FILE has the count and the last record's milliseconds since its commit
    --show TABLE      one whole record of the table
    --replay          replay all present records: TABLE RECORDS ROWS for each table

Needs python3-confluent-kafka, python3-protobuf and protobuf-compiler.
"""

import argparse
import importlib
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def load_schema():
    """The classes that protoc makes from proto/change.proto."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", f"--proto_path={PROTO}", f"--python_out={folder}", "change.proto"], check=True)
        sys.path.insert(0, folder)
        return importlib.import_module("change_pb2")


schema = load_schema()


def connect(brokers, at_end=False):
    """Without read_committed a consumer also sees aborted records, and then the same changes again."""
    return Consumer({"bootstrap.servers": brokers, "group.id": f"consume-{os.getpid()}", "isolation.level": "read_committed",
                     "auto.offset.reset": "latest" if at_end else "earliest", "enable.auto.commit": False,
                     "enable.partition.eof": True, "topic.metadata.refresh.interval.ms": 2000, "fetch.wait.max.ms": 50})


def messages(consumer, pipeline):
    """Endless, of all tables: topics are named PIPELINE.SCHEMA.TABLE."""
    consumer.subscribe([rf"^{pipeline}\..*"])
    while True:
        for message in consumer.consume(500, 0.2):
            if message.error() is None:
                yield message
        yield None


def change_of(message):
    return schema.Change.FromString(message.value())


def value_of(column):
    kind = column.WhichOneof("value")
    return {"null": None, "unchanged": "(as before)"}.get(kind, getattr(column, kind))


def row_of(columns):
    return {column.name: value_of(column) for column in columns}


def print_changes(brokers, pipeline):
    for message in messages(connect(brokers), pipeline):
        if message is not None:
            change = change_of(message)
            name = schema.Operation.Name(change.operation).removeprefix("OPERATION_").lower()
            print(f"{change.schema}.{change.table} {name} {row_of(change.after or change.before)}", flush=True)


def follow(brokers, pipeline, path):
    count, last_ms = 0, "-"
    for message in messages(connect(brokers, at_end=True), pipeline):
        if message is not None:
            count += 1
            last_ms = round(time.time() * 1000 - change_of(message).commit_time_us / 1000)
        else:
            path.with_suffix(".new").write_text(f"{count} {last_ms}\n", encoding="utf-8")
            path.with_suffix(".new").replace(path)


def read_all(brokers, pipeline):
    """What is committed now, topic by topic, in the order of the source's commits."""
    consumer = connect(brokers)
    topics = [topic for name, topic in consumer.list_topics(timeout=20).topics.items() if name.startswith(pipeline + ".")]
    partitions = [TopicPartition(topic.topic, number, OFFSET_BEGINNING) for topic in topics for number in topic.partitions]
    ends = {(each.topic, each.partition): consumer.get_watermark_offsets(each)[1] for each in partitions}
    consumer.assign(partitions)
    found = defaultdict(list)
    while ends:
        for message in consumer.consume(5000, 0.2):
            place = (message.topic(), message.partition())
            if message.error() is None:
                change = change_of(message)
                found[change.table].append((change, message.key()))
                if message.offset() + 1 >= ends.get(place, 0):
                    ends.pop(place, None)  # while others write on, the event for the end may never come
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ends.pop(place, None)
    consumer.close()
    for changes in found.values():
        changes.sort(key=lambda item: (item[0].commit_lsn, item[0].index, not item[0].HasField("moved_to")))
    return found


def show(brokers, pipeline, table):
    change, _ = read_all(brokers, pipeline)[table][-1]
    print(change)


def replay(changes):
    """How many rows a consumer holds that keeps them by key or, where a table has none, counts them."""
    rows, keyless = {}, Counter()
    for change, key in changes:
        if change.operation == schema.OPERATION_TRUNCATE:
            rows.clear()
            keyless.clear()
        elif key is None:
            count_keyless(keyless, change)
        elif change.operation == schema.OPERATION_DELETE:
            rows.pop(key, None)
        else:
            rows[key] = change
    return len(rows) + sum(keyless.values())


def count_keyless(keyless, change):
    if change.before:
        keyless[str(row_of(change.before))] -= 1
    if change.after:
        keyless[str(row_of(change.after))] += 1


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("brokers")
    parser.add_argument("pipeline")
    parser.add_argument("--print", action="store_true")
    parser.add_argument("--follow", type=pathlib.Path)
    parser.add_argument("--show")
    parser.add_argument("--replay", action="store_true")
    options = parser.parse_args()
    if options.follow:
        follow(options.brokers, options.pipeline, options.follow)
    elif options.show:
        show(options.brokers, options.pipeline, options.show)
    elif options.replay:
        for table, changes in sorted(read_all(options.brokers, options.pipeline).items()):
            print(table, len(changes), replay(changes))
    else:
        print_changes(options.brokers, options.pipeline)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
