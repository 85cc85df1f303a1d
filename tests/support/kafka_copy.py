# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks into Kafka: how far it is, by the records of its plan, and whether topics and source are equal after it."""

from support import oracle
from support.committed import lsn_number
from support.kafka_accounts import assert_accounted
from support.kafka_checker import KafkaChecker
from support.topic_reader import TopicReader


def plan_records(pipeline):
    """What is left of the copy's chunks: {key: value}."""
    if pipeline.position_topic not in pipeline.kafka.topics(pipeline.position_topic):
        return {}
    last = {message.key(): message.value() for message in pipeline.read_topic(pipeline.position_topic)}
    return {key: value for key, value in last.items() if b"#chunk." in key and value is not None}


def is_copied(pipeline):
    return pipeline.position() is not None and not plan_records(pipeline)


def wait_copied(pipeline):
    """Returns an LSN after which everything is streamed."""
    pipeline.wait_while_running(lambda: is_copied(pipeline), "the copy to end")
    return lsn_number(pipeline.source_lsn())


def check_copied(pipeline, finished_lsn, tables, upserts=False):
    """The last record of each row is the source's row, and no record came twice."""
    checker = KafkaChecker(TopicReader(pipeline.kafka.bootstrap), pipeline.topics())
    checker.assert_live(pipeline.witness, finished_lsn)
    assert_accounted(pipeline, checker.published)
    checker.replay(pipeline.replay, tables, upserts)
    oracle.assert_equal(pipeline.source, pipeline.replay, tables)
    return checker
