# SPDX-License-Identifier: Apache-2.0
"""An archive that is replayed into Kafka: what the direct path publishes, exactly once."""

import signal

import pytest

from support import load, oracle
from support.committed import lsn_number
from support.kafka_accounts import assert_accounted
from support.kafka_checker import KafkaChecker
from support.load import Load
from support.topic_reader import TopicReader


@pytest.mark.parametrize("options", [{}, {"transaction_topic": "replayed-transactions"}], ids=["plain", "transactions"])
def test_a_replay_into_kafka_is_the_direct_path(kafka_pipeline, tmp_path, options):
    """The copied rows and every change that was committed, once, in order; replayed, the topics are the tables."""
    pipeline = kafka_pipeline
    pipeline.source.execute(load.SCHEMA + load.ROWS + "alter table journal replica identity full")
    pipeline.replay.execute(load.SCHEMA)
    pipeline.publish()
    into_kafka = {**pipeline.sink_configuration, **options}
    from_slot = dict(pipeline.source_configuration)
    archive = str(tmp_path / "archive")
    pipeline.engine.configuration["sinks"] = [{"name": "history", "type": "archive", "path": archive, "segment_bytes": "256kB"}]
    pipeline.engine.catch_up()
    with Load(pipeline.source):
        for _ in range(3):
            pipeline.engine.catch_up()
    pipeline.engine.catch_up()
    pipeline.engine.configuration |= {"source": {"archive": archive}, "sinks": [into_kafka], "state": str(tmp_path / "replay")}
    (tmp_path / "replay").mkdir()
    pipeline.engine.catch_up()
    pipeline.engine.catch_up()
    pipeline.engine.configuration["source"] = from_slot
    pipeline.assert_equal()


def test_a_copy_in_chunks_is_replayed_into_kafka(kafka_pipeline, tmp_path):
    """Each row and each change once, though the replay is killed before and after its commits."""
    pipeline = kafka_pipeline
    pipeline.source.execute(load.SCHEMA + load.ROWS + "insert into account select g, 0, repeat('p', 50) from generate_series(2001, 8000) g; analyze")
    pipeline.replay.execute(load.SCHEMA)
    pipeline.publish()
    into_kafka = dict(pipeline.sink_configuration)
    from_slot = dict(pipeline.source_configuration)
    archive = str(tmp_path / "archive")
    pipeline.engine.configuration |= {"sinks": [{"name": "history", "type": "archive", "path": archive}],
                                      "copy": {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}}
    with Load(pipeline.source):
        pipeline.engine.catch_up()
    finished_lsn = lsn_number(pipeline.source_lsn())
    pipeline.source.execute("update account set pad = 'after the copy' where id < 50")
    pipeline.engine.catch_up()
    pipeline.engine.configuration |= {"source": {"archive": archive}, "sinks": [into_kafka], "state": str(tmp_path / "replay")}
    (tmp_path / "replay").mkdir()
    for point in ("kafka-before-commit:2", "kafka-after-commit:3", "runner-after-flush:2", "kafka-after-write:5"):
        killed = pipeline.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point})
        assert killed.returncode == -signal.SIGKILL, f"{point}: {killed.stderr}"
    pipeline.engine.catch_up()
    pipeline.engine.configuration["source"] = from_slot
    checker = KafkaChecker(TopicReader(pipeline.kafka.bootstrap), pipeline.topics())
    checker.assert_live(pipeline.witness, finished_lsn)
    assert_accounted(pipeline, checker.published)
    tables = oracle.published_tables(pipeline.source, pipeline.name)
    checker.replay(pipeline.replay, tables)
    oracle.assert_equal(pipeline.source, pipeline.replay, tables)
