# SPDX-License-Identifier: Apache-2.0
"""A buffer in front of Kafka: each change once, whatever waits."""

from support import load
from support.load import Load


def test_topics_replay_to_the_source_through_a_buffer(kafka_pipeline, tmp_path):
    """The broker is frozen for a while; the slot goes on, and the topics have each change once."""
    pipeline = kafka_pipeline
    pipeline.source.execute(load.SCHEMA + load.ROWS)
    pipeline.replay.execute(load.SCHEMA)
    pipeline.publish()
    pipeline.engine.configuration["buffer"] = {"path": str(tmp_path / "buffer")}
    pipeline.start()
    with Load(pipeline.source, pause_s=0.01):
        lsn = pipeline.source_lsn()
        pipeline.wait_while_running(lambda: pipeline.position_reached(lsn), "Kafka to have it")
        pipeline.kafka.freeze()
        try:
            lsn = pipeline.source_lsn()
            pipeline.wait_while_running(lambda: pipeline.source.value("select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots"
                                                                      " where slot_name = %s", (lsn, pipeline.slot_name())), "the slot to be confirmed")
        finally:
            pipeline.kafka.thaw()
    pipeline.engine.stop()
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.journal", "public.account", "public.document", "public.seat", "public.part")


def test_a_table_of_the_meantime_is_published_once_with_and_without_a_buffer(kafka_pipeline, tmp_path):
    """Which tables were published is known to the parts, and again to the pipeline when it has lost its buffer."""
    pipeline = kafka_pipeline
    pipeline.source.execute("create table a (id int primary key); insert into a select generate_series(1, 10)")
    pipeline.replay.execute("create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)")
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    pipeline.publish_tables("a")
    pipeline.engine.catch_up()
    pipeline.engine.configuration["buffer"] = {"path": str(tmp_path / "buffer")}
    pipeline.source.execute("create table b (id int primary key); insert into b select generate_series(1, 20)")
    pipeline.source.execute(f"alter publication {pipeline.name} add table b")
    pipeline.engine.catch_up()
    pipeline.source.execute("create table c (id int primary key); insert into c select generate_series(1, 30)")
    pipeline.source.execute(f"alter publication {pipeline.name} add table c")
    pipeline.engine.catch_up()
    del pipeline.engine.configuration["buffer"]
    pipeline.engine.catch_up()
    assert [len(pipeline.read_topic(pipeline.topic(name))) for name in "abc"] == [10, 20, 30]
