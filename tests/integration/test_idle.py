# SPDX-License-Identifier: Apache-2.0
"""An idle or blocked pipeline: the slot moves, the server gets its answers, sessions do not linger, no wait is endless."""

import time

import pytest

from support.wait import wait_until

MEGABYTE = 1024 * 1024


@pytest.fixture
def reader(pipeline):
    """A replication role that has REPLICATION and SELECT and nothing more; the owner made the publication."""
    cluster = pipeline.source.cluster
    cluster.execute("drop role if exists reader; create role reader login replication")
    pipeline.source.execute("grant select on all tables in schema public to reader;"
                            "alter default privileges in schema public grant select on tables to reader")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(user="reader")
    yield "reader"
    pipeline.engine.close()
    pipeline.source.execute("drop owned by reader cascade")
    pipeline.source.cluster.execute("drop role reader")


def retained_bytes(pipeline):
    return pipeline.source.value(
        "select pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) from pg_replication_slots where slot_name = %s",
        (pipeline.slot_name(),))


def test_the_slot_moves_on_foreign_traffic(pipeline, reader):
    pipeline.source.execute("create table t (id int primary key); create schema apart; create table apart.noise (x text); create publication shop for table t")
    other = pipeline.source.cluster.create_database("other")
    other.execute("create schema apart; create table apart.noise (x text)")
    pipeline.start()
    for database in (pipeline.source, other):
        database.execute("insert into apart.noise select repeat('z', 1000) from generate_series(1, 30000) g")
        wait_until(lambda: retained_bytes(pipeline) < MEGABYTE, "the slot to release foreign WAL")
    pipeline.source.execute("insert into t values (1)")
    pipeline.assert_follows()
    other.drop()


def test_a_transaction_that_is_open_while_the_slot_moves_still_arrives(pipeline, reader):
    pipeline.source.execute("create table t (id int primary key); create schema apart; create table apart.noise (x text); create publication shop for table t")
    pipeline.start()
    session = pipeline.source.connect(autocommit=False)
    with session.cursor() as cursor:
        cursor.execute("insert into t values (1)")
    pipeline.source.execute("insert into apart.noise select repeat('z', 1000) from generate_series(1, 30000) g")
    wait_until(lambda: retained_bytes(pipeline) < MEGABYTE, "the slot to release foreign WAL")
    session.commit()
    session.close()
    pipeline.assert_follows()


@pytest.mark.threads
def test_a_blocked_target_does_not_cost_the_connection(own_cluster, shared_clusters, new_pipeline):
    """The server is the judge: it closes a connection that does not answer for its timeout. The block lasts two of them."""
    cluster = own_cluster("source", settings={"wal_sender_timeout": "12s"})
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    pipeline.source.execute("insert into t select generate_series(1, 10000)")
    pipeline.wait_applied()
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table t in access exclusive mode")
    pipeline.source.execute("insert into t select generate_series(10001, 400000)")
    end_lsn = pipeline.source.value("select pg_current_wal_flush_lsn()")
    before = pipeline.slot()
    end = time.monotonic() + 26
    while time.monotonic() < end:
        # It may move up to the commit record, while the server reads the WAL of what was not committed yet.
        assert pipeline.source.value("select confirmed_flush_lsn < %s from pg_replication_slots where slot_name = 'shop'",
                                     (end_lsn,)), "confirmed before it was durable"
        time.sleep(0.3)
    assert pipeline.slot()["active_pid"] == before["active_pid"]
    blocker.close()
    pipeline.assert_follows()
    assert "replication timeout" not in cluster.log_text()


def test_a_frozen_engine_comes_back_by_itself(own_cluster, shared_clusters, new_pipeline):
    cluster = own_cluster("source", settings={"wal_sender_timeout": "2s"})
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    pipeline.engine.freeze()
    pipeline.source.execute("insert into t select generate_series(1, 100000)")
    wait_until(lambda: "replication timeout" in cluster.log_text(), "the server to give the engine up")
    pipeline.engine.thaw()
    pipeline.assert_follows()


def test_short_timeouts_of_the_databases_do_no_harm(pipeline):
    for database in (pipeline.source, pipeline.target):
        for setting, value in {"idle_in_transaction_session_timeout": "500ms", "statement_timeout": "2s", "lock_timeout": "1s",
                               "idle_session_timeout": "2s"}.items():
            database.execute(f'alter database "{database.name}" set {setting} = \'{value}\'')
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, repeat('x', 100) from generate_series(1, 100000) g")
    pipeline.start()
    end = time.monotonic() + 6
    while time.monotonic() < end:
        idle = pipeline.target.execute("select pid from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
                                       " and now() - state_change > interval '2 s'")
        assert not idle
        time.sleep(0.5)
    pipeline.source.execute("insert into t select g, 'y' from generate_series(200001, 500000) g")
    pipeline.assert_follows()


def test_the_source_stops_while_the_engine_is_connected(own_cluster, shared_clusters, new_pipeline):
    cluster = own_cluster("source")
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    pipeline.source.execute("insert into t select generate_series(1, 200000)")
    cluster.stop("fast", deadline_s=30)
    cluster.start()
    pipeline.assert_follows()


def test_a_source_can_stop_while_the_target_is_blocked(own_cluster, shared_clusters, new_pipeline):
    """The walsender of a server that stops waits for the confirmation of everything. It once waited forever."""
    cluster = own_cluster("source")
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table t in access exclusive mode")
    pipeline.source.execute("insert into t values (1)")
    cluster.stop("fast", deadline_s=30)
    cluster.start()
    blocker.close()
    pipeline.assert_follows()
