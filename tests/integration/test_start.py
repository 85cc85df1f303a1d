# SPDX-License-Identifier: Apache-2.0
"""What a start refuses, what it waits for, and what it leaves."""

from pathlib import Path

import psycopg2
import psycopg2.extras
import pytest

from support.oracle import assert_equal
from support.wait import wait_until

T = "create table t (id int primary key, v int)"


@pytest.fixture
def started(pipeline):
    """A pipeline that has run, with two rows, and is idle."""
    pipeline.source.execute(T + "; insert into t values (1, 1)")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (2, 2)")
    pipeline.engine.catch_up()
    return pipeline


def assert_target_untouched(pipeline):
    assert pipeline.target.execute("select id from t order by id") == [(1,), (2,)]


# Gaps

def test_a_missing_slot_is_refused(started):
    started.source.execute("select pg_drop_replication_slot('shop')")
    started.source.execute("insert into t values (3, 3)")
    started.assert_refused("slot shop", "missing", started.position())
    assert_target_untouched(started)
    assert started.slot() is None, "a refusal creates nothing"


def test_a_slot_created_again_is_refused(started):
    started.source.execute("select pg_drop_replication_slot('shop')")
    started.source.execute("insert into t values (3, 3)")
    started.source.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    started.assert_refused("slot shop", "ahead", started.position(), started.slot()["confirmed_flush_lsn"])
    assert_target_untouched(started)


def test_an_advanced_slot_is_refused(started):
    started.source.execute("insert into t values (3, 3)")
    started.source.execute("select pg_replication_slot_advance('shop', pg_current_wal_lsn())")
    started.assert_refused("slot shop", "ahead", started.position(), started.slot()["confirmed_flush_lsn"])
    assert_target_untouched(started)


def test_a_slot_of_another_plugin_is_refused(started):
    started.source.execute("select pg_drop_replication_slot('shop')")
    started.source.execute("select pg_create_logical_replication_slot('shop', 'test_decoding')")
    started.assert_refused("pgoutput")


def test_a_slot_that_sends_prepared_transactions_is_refused(started):
    started.source.execute("select pg_drop_replication_slot('shop')")
    started.source.execute("select pg_create_logical_replication_slot('shop', 'pgoutput', twophase => true)")
    started.assert_refused("two_phase")


def test_a_slot_of_another_database_is_refused(started):
    started.source.execute("select pg_drop_replication_slot('shop')")
    other = started.source.cluster.create_database("other")
    other.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    started.assert_refused(other.name)
    other.drop()


def test_a_lost_slot_is_refused(own_cluster, shared_clusters, new_pipeline):
    cluster = own_cluster("source", settings={"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"})
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute(T + "; create table noise (x text)")
    pipeline.publish()
    pipeline.engine.catch_up()
    for _ in range(4):
        pipeline.source.execute("insert into noise select repeat('x', 1000) from generate_series(1, 20000)")
        pipeline.source.execute("select pg_switch_wal()")
        pipeline.source.execute("checkpoint")
    assert pipeline.slot()["wal_status"] == "lost"
    pipeline.assert_refused("shop", "lost")


def test_another_cluster_is_refused(started, own_cluster):
    other = own_cluster("other").create_database("src")
    other.execute(T + "; insert into t values (7, 7)")
    other.execute("create publication shop for table t")
    other.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    started.source_configuration["dsn"] = other.dsn()
    started.assert_refused("another cluster")
    assert_target_untouched(started)


def test_a_source_restored_from_a_backup_is_refused(own_cluster, shared_clusters, new_pipeline, tmp_path):
    """The same system, an older end: the server would accept our position and never send anything."""
    cluster = own_cluster("source")
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute(T + "; insert into t values (1, 1)")
    pipeline.engine.catch_up()
    cluster.stop()
    cluster.backup_to(cluster.folder / "backup")
    cluster.start()
    pipeline.source.execute("insert into t values (2, 2); insert into t select g, 0 from generate_series(100, 20000) g; delete from t where id >= 100")
    pipeline.engine.catch_up()
    cluster.stop()
    cluster.restore_from(cluster.folder / "backup")
    cluster.start()
    pipeline.source.execute("insert into t values (3, 3)")
    pipeline.assert_refused("beyond", pipeline.position())
    assert_target_untouched(pipeline)


def test_an_emptied_target_is_refused(started):
    started.target.execute("truncate t; drop schema pgcdc cascade")
    started.source.execute("insert into t values (3, 3)")
    started.assert_refused("warehouse", "position")
    assert started.target.value("select count(*) from t") == 0


def test_a_target_restored_from_a_backup_is_refused(started):
    """Its position went back to before what the slot has released."""
    position = started.position()
    started.source.execute("insert into t values (3, 3)")
    started.engine.catch_up()
    started.target.execute("update pgcdc.position set end_lsn = %s; delete from t where id = 3", (position,))
    started.source.execute("insert into t values (4, 4)")
    started.assert_refused("warehouse", position)
    assert_target_untouched(started)


def test_a_lost_state_directory_is_not_needed(started):
    """The target holds the truth; the disk is a cache."""
    for path in started.state.iterdir():
        path.unlink()
    started.source.execute("insert into t values (3, 3)")
    started.engine.catch_up()
    started.assert_equal()


def test_a_left_over_slot_is_not_taken_for_ours(pipeline):
    pipeline.source.execute(T + "; insert into t values (1, 1)")
    pipeline.source.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    pipeline.assert_refused("slot shop", "drop")


def test_a_publication_newer_than_the_slot_is_refused(started):
    started.source.execute("drop publication shop")
    started.source.execute("insert into t values (3, 3)")
    started.assert_refused("publication")
    started.source.execute("create publication shop for table t")
    started.assert_refused("publication")
    assert_target_untouched(started)


# A copy that must not mix with what is there

def test_rows_in_the_target_are_not_copied_over(pipeline):
    pipeline.source.execute(T + "; insert into t values (1, 1)")
    pipeline.target.execute(T + "; insert into t values (5, 5)")
    pipeline.engine.start()
    assert pipeline.engine.wait_exit() in (1, 2, 3)
    assert "public.t" in pipeline.engine.log_text()
    assert pipeline.target.execute("select id from t") == [(5,)]


def test_snapshot_never_takes_only_what_comes(pipeline):
    pipeline.source_configuration["snapshot"] = "never"
    pipeline.source.execute(T + "; insert into t values (1, 1)")
    pipeline.target.execute(T)
    pipeline.start()
    pipeline.source.execute("insert into t values (2, 2)")
    pipeline.wait_applied()
    assert pipeline.target.execute("select id from t") == [(2,)]


def test_a_prepared_slot_is_adopted_with_snapshot_never(pipeline):
    pipeline.source_configuration["snapshot"] = "never"
    pipeline.source.execute(T + "; create publication shop for table t")
    pipeline.source.execute("select pg_create_logical_replication_slot('shop', 'pgoutput')")
    pipeline.target.execute(T)
    pipeline.source.execute("insert into t values (1, 1)")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


# Waiting

def test_slot_creation_names_whom_it_waits_for(pipeline):
    pipeline.source.execute(T)
    blocker = pipeline.source.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("select txid_current()")
    pid = blocker.info.backend_pid
    pipeline.engine.start()
    pipeline.engine.wait_log(f"pid {pid}", deadline_s=30)
    pipeline.engine.stop()
    wait_until(lambda: pipeline.slot() is None, "the slot to be gone")
    pipeline.engine.start()
    pipeline.engine.wait_log(f"pid {pid}", deadline_s=30)
    blocker.close()
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (1, 1)")
    pipeline.assert_follows()


def test_a_slot_in_use_is_waited_for_and_its_holder_named(started):
    holder = psycopg2.connect(started.source.dsn(), connection_factory=psycopg2.extras.LogicalReplicationConnection)
    with holder.cursor() as cursor:
        cursor.start_replication(slot_name="shop", decode=False, options={"proto_version": "1", "publication_names": "shop"})
        started.source.execute("insert into t values (3, 3)")
        started.engine.start()
        started.engine.wait_log(f"{holder.info.backend_pid}", deadline_s=30)
        assert started.engine.is_running()
    holder.close()
    started.wait_streaming()
    started.assert_follows()


def test_a_second_engine_is_told_who_the_first_is(started):
    started.start()
    first = started.engine.process
    started.engine.process = None
    started.assert_refused(str(first.pid), code=6)
    assert first.poll() is None
    started.engine.process = first
    started.source.execute("insert into t values (3, 3)")
    started.assert_follows()


def test_an_unreachable_server_is_tried_again(own_cluster, shared_clusters, new_pipeline):
    cluster = own_cluster("source")
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute(T)
    cluster.stop()
    pipeline.engine.start()
    pipeline.engine.wait_log("retrying within")
    cluster.start()
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (1, 1)")
    pipeline.assert_follows()


# What is left

def slots_origins_publications(database):
    return database.execute("select slot_name from pg_replication_slots where database = current_database() union all "
                            "select pubname from pg_publication union all select nspname from pg_namespace where nspname = 'pgcdc'")


def test_drop_leaves_nothing_behind(started):
    result = started.engine.command("drop")
    assert result.returncode == 0, result.stderr
    assert slots_origins_publications(started.source) == []
    assert slots_origins_publications(started.target) == []
    assert [path for path in started.state.iterdir() if "lock" not in path.name] == []
    assert started.engine.command("drop").returncode == 0, "dropping again is no error"
    assert_equal(started.source, started.target, ["public.t"])


def test_drop_refuses_while_the_engine_runs(started):
    started.start()
    result = started.engine.command("drop")
    assert result.returncode != 0
    assert started.slot() is not None
    started.source.execute("insert into t values (3, 3)")
    started.assert_follows()


def test_a_plain_role_on_both_sides_is_enough(pipeline):
    """A managed server: no superuser, no extension, nothing installed."""
    pipeline.source.cluster.execute("drop role if exists plain_reader; create role plain_reader login replication")
    pipeline.target.cluster.execute("drop role if exists plain_loader; create role plain_loader login")
    pipeline.target.execute(f'grant create on database "{pipeline.target.name}" to plain_loader; grant create on schema public to plain_loader')
    pipeline.source.execute(T + "; insert into t values (1, 1); grant select on t to plain_reader; create publication shop for table t")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(user="plain_reader")
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn(user="plain_loader")
    pipeline.start()
    pipeline.source.execute("insert into t select g, g from generate_series(2, 1000) g; update t set v = 0; delete from t where id = 1; ")
    pipeline.assert_follows()
    pipeline.engine.stop()
    pipeline.target.execute("drop owned by plain_loader cascade")
    pipeline.target.cluster.execute("drop role plain_loader")
    pipeline.source.execute("drop owned by plain_reader")
    pipeline.source.execute("select pg_drop_replication_slot('shop')")
    pipeline.source.cluster.execute("drop role plain_reader")


def test_a_slot_that_somebody_creates_meanwhile_is_not_dropped(pipeline):
    """It is created between the decision that no slot exists and our creation: the start is refused, and the other slot stays."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.start(environment={"PGCDC_FAULT": "slot-before-create:stop"})
    wait_until(lambda: "State:\tT" in Path(f"/proc/{pipeline.engine.process.pid}/status").read_text(), "the engine to stop before the creation")
    pipeline.source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (pipeline.slot_name(),))
    theirs = pipeline.slot()["confirmed_flush_lsn"]
    pipeline.engine.thaw()
    assert pipeline.engine.wait_exit() == 3
    assert "was created by another session while this pipeline started" in pipeline.engine.log_text()
    assert pipeline.slot()["confirmed_flush_lsn"] == theirs
    assert not list(pipeline.state.glob("*.checkpoint"))


def test_a_lock_file_that_was_dropped_meanwhile_is_no_lock(pipeline):
    """Two engines would each hold one: the one whose file is gone must not run. The first lock is that of the control socket."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.start(environment={"PGCDC_FAULT": "lock-opened:stop:2"})
    wait_until(lambda: "State:\tT" in Path(f"/proc/{pipeline.engine.process.pid}/status").read_text(), "the engine to stop before its lock")
    (pipeline.state / "shop.lock").unlink()
    pipeline.engine.thaw()
    assert pipeline.engine.wait_exit() == 6
    assert "pipeline shop is being dropped" in pipeline.engine.log_text()
    assert pipeline.slot() is None
