# SPDX-License-Identifier: Apache-2.0
"""An archive that is replayed into Kafka: what the direct path publishes, exactly once."""

import pytest

from support import load
from support.load import Load


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
