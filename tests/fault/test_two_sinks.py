# SPDX-License-Identifier: Apache-2.0
"""Two sinks, of which one stalls: the other goes on as far as the batches of the pool reach, the slot waits for the slower, and a stop takes no longer."""

from support import oracle
from support.wait import wait_until


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
