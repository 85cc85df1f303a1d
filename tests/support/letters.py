# SPDX-License-Identifier: Apache-2.0
"""A Kafka pipeline with on_error: dead_letter, of which a topic accepts rows up to 100 kB until there is room, and what its commands say."""

import json

from support.published import published

LIMIT = {"max.message.bytes": 100000}
# 320 kB that compress to no less than 160.
LARGE = "(select string_agg(md5(g::text), '') from generate_series(1, 10000) g)"
ITEM = "create table item (id int primary key, v text)"


def letter_topic(pipeline):
    return f"{pipeline.name}-dead"


def keep_letters(pipeline, topics, letters=None, **configuration):
    """The topic of letters has the same limit, so that a large one is divided."""
    for topic in topics:
        pipeline.kafka.create_topic(topic, config=LIMIT, **configuration)
    pipeline.kafka.create_topic(letter_topic(pipeline), config=LIMIT if letters is None else letters)
    pipeline.sink_configuration.update({"on_error": "dead_letter", "dead_letter_topic": letter_topic(pipeline)})


def make_room(pipeline, *topics):
    for topic in topics or [pipeline.topic("item")]:
        pipeline.kafka.set_topic_config(topic, {"max.message.bytes": 1000000})


def flow(pipeline, *statements):
    """Each is a transaction; then the engine runs until it has caught up."""
    for statement in statements:
        pipeline.source.execute(statement)
    pipeline.engine.catch_up()


def letters_of(pipeline):
    result = pipeline.engine.command("dead list", "--json")
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def states(pipeline):
    return [letter["state"] for letter in letters_of(pipeline)]


def command(pipeline, *words, code=0):
    result = pipeline.engine.command(*words)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def keys(pipeline):
    """Of the changes after the copy."""
    return [(each.kind, each.key["id"]) for each in map(published, pipeline.read("item")) if each.kind != "r"]


def assert_verified(pipeline):
    """The last record of each key is the row, and none is missing or twice there. In its partition a retried letter is not in order."""
    result = pipeline.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr


def headers_of(record):
    return {name: value.decode() for name, value in record.headers() or []}
