# SPDX-License-Identifier: Apache-2.0
"""A source that is a hot standby, before, while and after it is promoted."""

import threading

import pytest

from support.cluster import Database
from support.wait import wait_until

T = "create table t (id int primary key, v int)"
PUBLICATION = "create publication shop for table t with (publish_via_partition_root = true)"


class Snapshots:
    """Lets the primary log its running transactions again and again, which slots on standbys wait for."""

    def __init__(self, primary):
        self._primary = primary
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._log, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _log(self):
        while not self._ended.wait(0.2):
            self._primary.execute("select pg_log_standby_snapshot()")


@pytest.fixture
def new_standby_pipeline(own_cluster, own_standby, new_pipeline, shared_clusters):
    """
    make(version, sql, ...): a pipeline whose source is the standby of a primary in whose database the SQL was run; not started
    yet. pipeline.source is that database on the primary, pipeline.standby on the standby.
    """
    def make(version, sql, settings=None, primary_settings=None):
        primary = own_cluster("primary", version, primary_settings)
        pipeline = new_pipeline(primary, shared_clusters("target"))
        pipeline.source.execute(sql)
        pipeline.standby = Database(own_standby(primary, settings), pipeline.source.name)
        pipeline.source_configuration["dsn"] = pipeline.standby.dsn()
        return pipeline
    return make


def wait_replayed(pipeline):
    lsn = pipeline.source.value("select pg_current_wal_flush_lsn()")
    wait_until(lambda: pipeline.standby.value("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (lsn,)), "the standby to replay all")


def assert_follows(pipeline):
    """By the flushed position: there is no other traffic, so unflushed WAL would wait for the server's own writers."""
    lsn = pipeline.source.value("select pg_current_wal_flush_lsn()")
    pipeline.wait_while_running(lambda: pipeline.position_reached(lsn), f"the target to reach {lsn}")
    pipeline.assert_equal("public.t")


def findings(pipeline):
    found = pipeline.engine.json("check")
    return found["ready"], {finding["code"]: finding for finding in found["findings"]}


def start(pipeline, **arguments):
    with Snapshots(pipeline.source.cluster):
        pipeline.engine.start(**arguments)
        pipeline.wait_while_running(
            lambda: pipeline.position() and pipeline.standby.execute("select 1 from pg_replication_slots where slot_name = 'shop' and active"),
            "the stream to begin")


def promote(pipeline):
    """From here on the standby is the source."""
    wait_replayed(pipeline)
    pipeline.source.cluster.stop("immediate")
    pipeline.standby.value("select pg_promote()")
    pipeline.source = pipeline.standby


@pytest.mark.parametrize("version", [16, 18])
def test_a_standby_is_a_source_before_and_after_its_promotion(new_standby_pipeline, version):
    """Whatever happens to the engine then: a position after the promotion is on the new timeline."""
    pipeline = new_standby_pipeline(version, T + "; insert into t select g, g from generate_series(1, 1000) g; " + PUBLICATION)
    ready, found = findings(pipeline)
    assert ready and {"standby", "standby_snapshot", "primary_slot_name"} <= found.keys() and "hot_standby_feedback" not in found
    start(pipeline)
    pipeline.source.execute("insert into t values (2000, 1); update t set v = -v where id <= 100; delete from t where id = 101")
    assert_follows(pipeline)
    wait_replayed(pipeline)
    verified = pipeline.engine.command("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert pipeline.engine.json("status")["state"] == "streaming"
    promote(pipeline)
    pipeline.source.execute("insert into t select g, g from generate_series(3000, 3999) g; update t set v = 7 where id = 2000")
    assert_follows(pipeline)
    assert "its timeline is now 2" in pipeline.engine.log_text()
    pipeline.engine.kill()
    pipeline.wait_slot_free()
    assert pipeline.target.value("select timeline from pgcdc.position") == 2
    pipeline.source.execute("insert into t values (5000, 1)")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")
    assert pipeline.engine.command("verify").returncode == 0
    assert pipeline.engine.command("drop").returncode == 0
    assert pipeline.slot() is None


def test_a_promotion_while_the_slot_is_made_copies_again(new_standby_pipeline):
    pipeline = new_standby_pipeline(18, T + "; insert into t values (1, 1); " + PUBLICATION)
    pipeline.engine.start()
    pipeline.engine.wait_log("creating the slot waits for the primary to log its running transactions")
    promote(pipeline)
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (2, 2)")
    assert_follows(pipeline)
    assert pipeline.target.value("select timeline from pgcdc.position") == 2
    pipeline.engine.stop()
    pipeline.engine.catch_up()


def test_a_standby_that_is_behind_the_target_is_waited_for(new_standby_pipeline):
    """It was restarted and replays, or the pipeline has read from the primary before."""
    pipeline = new_standby_pipeline(18, T + "; insert into t values (1, 1); " + PUBLICATION)
    start(pipeline)
    pipeline.engine.stop()
    pipeline.standby.execute("select pg_wal_replay_pause()")
    wait_until(lambda: pipeline.standby.value("select pg_get_wal_replay_pause_state()") == "paused", "the replay to pause")
    pipeline.standby.cluster.stop()
    pipeline.source.execute("insert into t select g, g from generate_series(2, 10) g")
    pipeline.target.execute("update pgcdc.position set end_lsn = %s", (pipeline.source_lsn(),))
    pipeline.source.cluster.stop()
    pipeline.standby.cluster.start()
    pipeline.engine.start()
    pipeline.engine.wait_log("waiting until it has received more")
    pipeline.source.cluster.start()
    pipeline.wait_while_running(lambda: pipeline.standby.execute("select 1 from pg_replication_slots where active"), "the stream to begin")
    pipeline.engine.stop()


@pytest.mark.parametrize("version", [15])
def test_check_and_run_refuse_a_standby_that_cannot_decode(new_standby_pipeline, version):
    pipeline = new_standby_pipeline(version, T + "; " + PUBLICATION)
    ready, found = findings(pipeline)
    assert not ready
    log = pipeline.assert_refused(found["standby"]["what"], found["standby"]["fix"], code=2)
    assert "target_session_attrs=read-write" in log


def test_a_publication_is_made_at_the_primary(new_standby_pipeline):
    pipeline = new_standby_pipeline(18, T)
    ready, found = findings(pipeline)
    assert not ready and "at its primary" in found["publication_missing"]["fix"]
    log = pipeline.assert_refused("publication shop does not exist, and a standby cannot create it", code=2)
    sql = log.split("at its primary: ")[1].split("\n")[0]
    pipeline.source.execute(sql)
    pipeline.source.execute("comment on publication shop is 'created by pgcdc'")
    wait_replayed(pipeline)
    start(pipeline)
    pipeline.engine.stop()
    dropped = pipeline.engine.command("drop")
    assert dropped.returncode == 0, dropped.stderr
    assert "publication shop: kept, because the source is a standby; drop it at the primary" in dropped.stdout
    assert pipeline.target.value("select to_regnamespace('pgcdc')") is None


@pytest.mark.parametrize("version", [16, 18])
def test_a_slot_that_a_vacuum_at_the_primary_took_is_refused(new_standby_pipeline, version):
    pipeline = new_standby_pipeline(version, T + "; " + PUBLICATION, {"hot_standby_feedback": "off"})
    ready, found = findings(pipeline)
    assert ready and "hot_standby_feedback" in found
    start(pipeline)
    pipeline.source.execute("create table gone (x int); drop table gone")
    pipeline.source.execute("vacuum full pg_class")
    pipeline.source.execute("vacuum pg_attribute")
    pipeline.source.execute("insert into t values (1, 1)")
    assert pipeline.engine.wait_exit() == 3
    assert "slot shop is lost" in pipeline.engine.log_text() and "hot_standby_feedback = on" in pipeline.engine.log_text()


def test_a_primary_that_writes_too_little_is_seen_from_the_standby(new_standby_pipeline):
    pipeline = new_standby_pipeline(18, T + "; " + PUBLICATION, {"wal_level": "logical"}, {"wal_level": "replica"})
    ready, found = findings(pipeline)
    assert not ready and found["wal_level"]["what"].startswith("the primary of this standby")
    pipeline.assert_refused("wal_level", code=2)


def test_a_slot_that_another_server_has_is_looked_for_there(new_standby_pipeline):
    """A dsn with several hosts that reaches a standby after a failover: nothing is lost yet."""
    pipeline = new_standby_pipeline(18, T + "; " + PUBLICATION)
    pipeline.source_configuration["dsn"] = pipeline.source.dsn()
    pipeline.engine.catch_up()
    wait_replayed(pipeline)
    pipeline.source_configuration["dsn"] = pipeline.standby.dsn()
    pipeline.assert_refused("slot shop is missing on this standby", "target_session_attrs=read-write")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn()
    pipeline.engine.catch_up()


def test_a_table_that_the_primary_publishes_later_is_noticed(new_standby_pipeline):
    """The end of a standby's WAL needs another query."""
    pipeline = new_standby_pipeline("18", f"{T}; insert into t values (1, 1); {PUBLICATION}")
    start(pipeline, environment={"PGCDC_INTERVAL_MS": "300"})
    pipeline.target.execute("create table u (id int primary key)")
    pipeline.source.execute("create table u (id int primary key); insert into u values (1); alter publication shop add table u")
    with Snapshots(pipeline.source.cluster):
        assert pipeline.engine.wait_exit() == 2
    assert "has rows that are older than its publication" in pipeline.engine.log_tail()
