# SPDX-License-Identifier: Apache-2.0
"""Two sinks, one of which stalls: the other continues as far as the pool's batches last, the slot waits for the slower one, and a stop takes no longer."""

from support import oracle
from support.published import published
from support.topic_reader import TopicReader
from support.wait import wait_until

COMMITS = 200  # of 300 kB, more than the batches hold


def sender(pipeline):
    """The walsender, and for how long it has been hearing from the engine."""
    return pipeline.source.execute("select pid, extract(epoch from reply_time - backend_start) from pg_stat_replication"
                                   " where application_name = 'pgcdc:shop'")[0]


def test_a_sink_that_waits_for_a_lock_holds_up_nobody_else(pipeline):
    other = pipeline.target.cluster.create_database("other")
    pipeline.engine.configuration["sinks"].append({"name": "second", "type": "postgres", "dsn": other.dsn()})
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with other.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute("lock table t in access exclusive mode")
        for row in range(3):
            pipeline.source.execute("insert into t values (%s)", (row,))
        pipeline.assert_follows()
        stalled = other.value("select end_lsn from pgcdc.position")
        assert pipeline.target.value("select end_lsn > %s::pg_lsn from pgcdc.position", (stalled,))
        assert pipeline.source.value("select confirmed_flush_lsn <= %s::pg_lsn from pg_replication_slots where slot_name = 'shop'", (stalled,))
        pipeline.engine.stop()
    # The server may still do what was sent to it before the stop, rows and position together.
    pipeline.start()
    lsn = pipeline.source_lsn()
    wait_until(lambda: other.value("select bool_and(end_lsn >= %s::pg_lsn) from pgcdc.position", (lsn,)), "the second to follow")
    pipeline.assert_equal()
    oracle.assert_equal(pipeline.source, other, ["public.t"])
    pipeline.engine.stop()
    other.drop()


def test_a_frozen_broker_stops_the_other_sink_when_the_batches_are_used_up(pipeline, own_kafka):
    """The server gets its answers during the stall, a stop is quick, and in the end both have each row once."""
    kafka = own_kafka("kafka")
    pipeline.engine.configuration["sinks"].append({"name": "events", "type": "kafka", "brokers": kafka.bootstrap})
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.source.execute(f"alter database {pipeline.source.name} set wal_sender_timeout = '3s'")
    pipeline.start()
    pipeline.source.execute("insert into t values (0)")
    pipeline.wait_applied()
    topic = {"shop.public.t": 1}
    wait_until(lambda: "shop.public.t" in kafka.topics("shop.") and TopicReader(kafka.bootstrap).read(topic), "the sink to have met the topic")
    kafka.freeze()
    try:
        for row in range(1, COMMITS):
            pipeline.source.execute("insert into t values (%s, repeat('x', 300000))", (row,))
        pid, heard_s = sender(pipeline)
        wait_until(lambda: sender(pipeline)[1] > heard_s + 6, "the server to be answered for twice its timeout")
        assert sender(pipeline)[0] == pid
        assert 1 < pipeline.target.value("select count(*) from t") < COMMITS
        pipeline.engine.stop()
    finally:
        kafka.thaw()
    pipeline.start()
    pipeline.assert_follows()
    wait_until(lambda: len(TopicReader(kafka.bootstrap).read(topic)) >= COMMITS, "the broker to have the rows")
    assert sorted(each.key["id"] for each in map(published, TopicReader(kafka.bootstrap).read(topic))) == list(range(COMMITS))
    pipeline.engine.stop()
