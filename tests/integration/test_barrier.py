# SPDX-License-Identifier: Apache-2.0
"""A runner holds where its target is exactly a snapshot of the source, and always goes on."""

import threading
import time

import pytest

from support.barrier import Control, Refused, Sides, query, without_header
from support.load import ROWS, SCHEMA, TARGET_SCHEMA, Load
from support.pipeline import SINK
from support.wait import wait_until

TABLES = ("journal", "account", "document", "seat", "part")
ROUNDS = 30


def contents(connection):
    return [query(connection, f"select count(*), sum(hashtextextended(t::text, 0)::numeric) from {name} t") for name in TABLES]


@pytest.mark.threads
def test_under_load_both_snapshots_have_the_same_rows(pipeline):
    """A commit becomes visible a moment after its place in the WAL, so some rounds say that they prove nothing."""
    pipeline.source.execute(SCHEMA + ROWS)
    pipeline.target.execute(TARGET_SCHEMA)
    pipeline.publish()
    pipeline.start()
    equal = 0
    with Load(pipeline.source, threads=3, pause_s=0.001), Control(pipeline) as control, Sides(pipeline) as sides:
        for _ in range(10 * ROUNDS):
            if sides.take(control) == (0, 0, 0):
                assert contents(sides.source) == contents(sides.target)
                equal += 1
            sides.end()
            if equal == ROUNDS:
                break
    assert equal == ROUNDS
    pipeline.wait_applied()
    pipeline.assert_equal()


def test_an_idle_source_is_reached_soon(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start()
    pipeline.wait_applied()
    with Control(pipeline) as control, Sides(pipeline) as sides:
        before = time.monotonic()
        for _ in range(5):
            pipeline.source.execute("create temp table nothing (id int); drop table nothing")
            assert sides.take(control) == (0, 0, 0)
            sides.end()
        assert time.monotonic() - before < 4


def test_a_commit_that_waits_for_a_standby_is_counted(new_pipeline, own_cluster, shared_clusters):
    """It is streamed and applied before any snapshot sees it. An engine that starts then cannot know it."""
    source = own_cluster("source")
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    source.configure({"synchronous_standby_names": "nobody"})
    source.reload()
    connection = pipeline.source.connect()
    hanging = threading.Thread(target=lambda: connection.cursor().execute("insert into t values (1)"))
    hanging.start()
    try:
        wait_until(lambda: pipeline.target.value("select count(*) from t") == 1, "the row to arrive")
        pipeline.source.execute("set synchronous_commit = local; insert into t values (2)")
        with Control(pipeline) as control, Sides(pipeline) as sides:
            assert sides.take(control) == (1, 0, 0)
            assert query(sides.source, "select id from t") == [(2,)]
            assert query(sides.target, "select id from t order by id") == [(1,), (2,)]
        pipeline.wait_applied()
        pipeline.engine.stop()
        pipeline.start()
        with Control(pipeline) as control, Sides(pipeline) as sides:
            assert sides.take(control) == (0, 1, 0)
    finally:
        source.configure({"synchronous_standby_names": ""})
        source.reload()
        hanging.join(60)
        connection.close()
    with Control(pipeline) as control, Sides(pipeline) as sides:
        assert sides.take(control) == (0, 0, 0)


def test_a_held_runner_goes_on_when_its_client_goes(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with Control(pipeline) as control:
        control.ask(f"hold {SINK}")
        pipeline.source.execute("insert into t values (1)")
        with pytest.raises(Refused):
            control.ask("release")
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from t") == 1


def test_a_held_runner_goes_on_by_itself(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with Control(pipeline) as control:
        control.ask(f"hold {SINK}")
        pipeline.source.execute("insert into t values (1)")
        pipeline.wait_applied(30)
        with pytest.raises(Refused, match="does not hold any more"):
            control.ask("advance 0/1 10:10:")
        control.ask(f"hold {SINK}")


def test_a_held_runner_stops_when_the_engine_does(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with Control(pipeline) as control:
        control.ask(f"hold {SINK}")
        before = time.monotonic()
        pipeline.engine.stop()
        assert time.monotonic() - before < 8
    pipeline.source.execute("insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_an_engine_killed_while_it_holds_goes_on(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with Control(pipeline) as control, Sides(pipeline) as sides:
        control.ask(f"hold {SINK}")
        pipeline.source.execute("insert into t values (1)")
        pipeline.engine.kill()
        pipeline.start()
        with Control(pipeline) as again:
            sides.take(again)
            assert query(sides.target, "select id from t") == [(1,)]
    pipeline.assert_follows()


def test_it_holds_inside_a_batch_and_never_inside_a_transaction(pipeline):
    """A transaction of many batches goes on to its end; the next one does not begin."""
    pipeline.source.execute("create table t (id int primary key, pad text)")
    pipeline.start()
    done = threading.Event()

    def write():
        for first in range(0, 100000, 50000):
            pipeline.source.execute(f"insert into t select g, repeat('x', 100) from generate_series({first}, {first + 49999}) g")
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with Control(pipeline) as control, Sides(pipeline) as sides:
            while not done.is_set():
                control.ask(f"hold {SINK}")
                assert pipeline.target.value("select count(*) from t") % 50000 == 0
                lsn, snapshot = query(sides.source, "select pg_current_wal_insert_lsn()::text, pg_current_snapshot()::text")[0]
                control.ask(f"advance {without_header(lsn)} {snapshot}")
                assert pipeline.target.value("select count(*) from t") % 50000 == 0
                control.ask("release")
                sides.end()
    finally:
        writer.join()
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from t") == 100000


def test_what_makes_no_sense_is_refused_and_changes_nothing(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    with Control(pipeline) as control:
        for request in ("hold nobody", "advance", "advance 0/1", "advance x 1:1:", "release", "advance 0/1 10:10:", "hold"):
            with pytest.raises(Refused):
                control.ask(request)
        control.ask(f"hold {SINK}")
        with pytest.raises(Refused, match="malformed"):
            control.ask("advance 0/1 10")
        with pytest.raises(Refused, match="does not hold"):
            control.ask("release")
    pipeline.source.execute("insert into t values (1)")
    pipeline.wait_applied()
