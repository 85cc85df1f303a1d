# SPDX-License-Identifier: Apache-2.0
"""A table that is published while the engine runs is noticed as at a start: what it had before is in no change."""

from support import oracle
from support.wait import wait_until

SOON = {"PGCDC_INTERVAL_MS": "300"}
OLDER = "has rows that are older than its publication, and the target lacks them"


def looks(pipeline, query):
    """Sessions of the engine whose last statement was this."""
    return pipeline.source.value("select count(*) from pg_stat_activity where application_name = 'pgcdc:shop'"
                                 " and backend_type = 'client backend' and query like %s", (query,))


def test_a_running_engine_stops_for_a_table_whose_old_rows_are_nowhere(pipeline):
    """It continued, and reported the table at the next start only, perhaps weeks later."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start(environment=SOON)
    pipeline.target.execute("create table u (id int primary key)")
    pipeline.source.execute("create table u (id int primary key); insert into u values (1), (2); alter publication shop add table u")
    assert pipeline.engine.wait_exit() == 2
    last = pipeline.engine.log_tail().splitlines()[-1]
    assert f'table "public"."u" {OLDER}' in last and "start over with a new copy" in last, last
    assert pipeline.engine.command("drop").returncode == 0
    pipeline.target.execute("truncate t, u")
    pipeline.start(environment=SOON)
    pipeline.assert_follows()
    assert oracle.published_tables(pipeline.source, "shop") == ["public.t", "public.u"]


def test_a_table_whose_rows_are_all_there_is_looked_at_once(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start(environment=SOON)
    pipeline.execute_both("create table u (id int primary key); insert into u values (1), (2); create table v (id int primary key)")
    pipeline.source.execute("alter publication shop add table u, v; insert into v values (1)")
    pipeline.source.execute("insert into u values (3)")
    pipeline.assert_follows()


def test_rows_that_are_on_their_way_are_waited_for(pipeline):
    """The entry of a publication can be younger than rows that the stream has, but the sink has not applied yet."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start(environment=SOON)
    blocker = pipeline.target.connect(autocommit=False)
    try:
        blocker.cursor().execute("select 1 from pgcdc.position for update")
        pipeline.source.execute("insert into t values (2)")
        pipeline.source.execute("delete from t where id = 1")
        pipeline.source.execute("begin; alter publication shop drop table t; alter publication shop add table t; commit")
        pipeline.wait_while_running(lambda: looks(pipeline, "%pg_current_wal_insert_lsn%") > 0, "a look that waits for the sink")
    finally:
        blocker.close()
    pipeline.wait_applied()
    wait_until(lambda: looks(pipeline, "%pg_current_wal_insert_lsn%") == 0, "the look to end")
    pipeline.assert_follows()
    assert OLDER not in pipeline.engine.log_tail()
