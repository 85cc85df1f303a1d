# SPDX-License-Identifier: Apache-2.0
"""A primary that is lost, and a standby with a copy of the slot that is promoted in its place."""

import itertools
import threading

import psycopg2
import pytest

from support.cluster import Database
from support.wait import wait_until

T = "create table t (id int primary key, v int); insert into t select g, g from generate_series(1, 1000) g"
SLOT = "standby_1"
SOON = {"PGCDC_INTERVAL_MS": "300"}


@pytest.fixture
def new_pair(own_cluster, own_standby, new_pipeline, shared_clusters):
    """
    make(version, is_waited_for, has_worker): a pipeline whose source is whichever of two servers can be written to: a primary, and
    its standby with a copy of failover slots, by the server's worker or, which is faster, by sync_slots. pipeline.source is the
    primary's database, pipeline.standby the standby's. Without is_waited_for the primary sends changes that the standby may not have.
    """
    def make(version, is_waited_for=True, has_worker=False):
        primary = own_cluster("primary", version, {"synchronized_standby_slots": SLOT} if is_waited_for else {})
        pipeline = new_pipeline(primary, shared_clusters("target"))
        pipeline.source.execute(f"{T}; select pg_create_physical_replication_slot('{SLOT}', true)")
        standby = own_standby(primary, {"primary_slot_name": SLOT, "primary_conninfo": pipeline.source.dsn(),
                                        "sync_replication_slots": "on" if has_worker else "off", "synchronized_standby_slots": ""})
        pipeline.standby = Database(standby, pipeline.source.name)
        hosts = f"{primary.folder},{standby.folder}"
        pipeline.source_configuration["dsn"] = (f"host={hosts} port={primary.port},{standby.port} dbname={pipeline.source.name}"
                                                " user=postgres target_session_attrs=read-write")
        return pipeline
    return make


class Load:
    """Inserts rows above 100000, one a transaction, until the server is gone."""

    def __init__(self, database):
        self._database = database
        self._thread = threading.Thread(target=self._insert, daemon=True)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._thread.join()

    def _insert(self):
        connection = psycopg2.connect(self._database.dsn())
        connection.autocommit = True
        with connection.cursor() as cursor:
            for i in itertools.count(100001):
                try:
                    cursor.execute("insert into t values (%s, 0)", (i,))
                except psycopg2.Error:
                    return


def slot_of(database):
    rows = database.execute("select failover, synced, temporary from pg_replication_slots where slot_name = 'shop'")
    return tuple(rows[0]) if rows else None


def sync_slots(pipeline):
    """Once, or the worker does it by itself. Complete when the standby's snapshot has reached what the slot needs."""
    if pipeline.standby.value("show sync_replication_slots") == "off":
        pipeline.source.execute("select pg_log_standby_snapshot()")
        pipeline.standby.execute("select pg_sync_replication_slots()")
    return slot_of(pipeline.standby) == (True, True, False)


def start_synced(pipeline):
    """Streams, and the standby's copy of the slot would survive a promotion."""
    pipeline.engine.start(environment=SOON)
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (5001, 1)")
    wait_until(lambda: sync_slots(pipeline), "the standby to have the slot")


def fail_over(pipeline):
    """The standby is the source from here on."""
    if pipeline.source.cluster.postmaster is not None:
        pipeline.source.cluster.kill()
    pipeline.standby.value("select pg_promote()")
    pipeline.source = pipeline.standby


def assert_goes_on(pipeline):
    pipeline.source.execute("insert into t select g, g from generate_series(6000, 6999) g; update t set v = -v where id < 100")
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from t where id between 6000 and 6999") == 1000, "the rows to arrive")
    pipeline.engine.stop()
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")
    verified = pipeline.engine.command("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.parametrize("version", [pytest.param(17, marks=pytest.mark.long), 18])
def test_a_promoted_standby_is_followed_without_a_gap(new_pair, version):
    """The primary dies under load; the engine goes on by itself at the standby, on the new timeline."""
    pipeline = new_pair(version, has_worker=version == 17)
    start_synced(pipeline)
    assert slot_of(pipeline.source) == (True, False, False)
    assert "a failover slot" in pipeline.engine.command("status").stdout
    with Load(pipeline.source):
        wait_until(lambda: pipeline.target.value("select count(*) from t where id > 100000") > 200, "changes to arrive")
        pipeline.source.cluster.kill()
    fail_over(pipeline)
    assert_goes_on(pipeline)
    assert pipeline.target.value("select timeline from pgcdc.position") == 2


def test_a_target_that_has_more_than_the_promoted_standby_is_refused(new_pair):
    """An asynchronous standby that nobody waited for: the target has a transaction that no longer exists."""
    pipeline = new_pair(18, is_waited_for=False)
    start_synced(pipeline)
    finding = {f["code"]: f for f in pipeline.engine.json("check")["findings"]}["failover_gap"]
    assert SLOT in finding["what"]
    pipeline.standby.execute("select pg_wal_replay_pause()")
    wait_until(lambda: pipeline.standby.value("select pg_get_wal_replay_pause_state()") == "paused", "the replay to pause")
    pipeline.standby.cluster.stop("immediate")
    pipeline.source.execute("insert into t values (7000, 1)")
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from t where id = 7000") == 1, "the row to arrive")
    pipeline.source.cluster.kill()
    pipeline.standby.cluster.start()
    fail_over(pipeline)
    assert pipeline.engine.wait_exit() == 3
    log = pipeline.engine.log_text()
    assert "a standby was promoted that lacked changes" in log or "the sink has changes that the source never had" in log
    assert pipeline.target.value("select count(*) from t where id = 7000") == 1


def test_a_standby_that_everyone_waits_for_is_named(new_pair):
    """While it is away nothing is sent; status, check and the log say for whom the server waits, and it goes on when it is back."""
    pipeline = new_pair(18)
    start_synced(pipeline)
    pipeline.standby.cluster.stop()
    pipeline.source.execute("insert into t values (8000, 1)")
    pipeline.engine.wait_log("the source sends nothing until the standbys of synchronized_standby_slots have it: standby_1 is not in use")
    assert "waits for synchronized_standby_slots: standby_1 is not in use" in pipeline.engine.command("status").stdout
    assert pipeline.engine.json("status")["slot"]["waits_for_standbys"] == "standby_1 is not in use"
    finding = {f["code"]: f for f in pipeline.engine.json("check")["findings"]}["synchronized_standby_slots"]
    assert finding["severity"] == "warning" and "standby_1 is not in use" in finding["what"]
    assert pipeline.target.value("select count(*) from t where id = 8000") == 0
    pipeline.standby.cluster.start()
    pipeline.wait_while_running(lambda: pipeline.target.value("select count(*) from t where id = 8000") == 1, "the row to arrive")
    pipeline.engine.wait_log("have confirmed; the source sends")
    assert pipeline.engine.json("status")["slot"]["waits_for_standbys"] is None
    pipeline.engine.stop()


def test_a_copy_of_the_slot_cannot_be_read_before_the_promotion(new_pair):
    """A dsn that reaches the standby first: waits, and goes on when it is promoted."""
    pipeline = new_pair(18)
    start_synced(pipeline)
    pipeline.engine.stop()
    pipeline.source_configuration["dsn"] = pipeline.standby.dsn()
    pipeline.engine.start(environment=SOON)
    pipeline.engine.wait_log("slot shop on this standby is the server's copy of its primary's slot")
    pipeline.source.cluster.stop()
    fail_over(pipeline)
    assert_goes_on(pipeline)


def test_an_existing_slot_follows_the_key(new_pair):
    pipeline = new_pair(18, is_waited_for=False)
    pipeline.source_configuration["failover"] = "off"
    pipeline.engine.catch_up()
    assert slot_of(pipeline.source)[0] is False
    del pipeline.source_configuration["failover"]
    pipeline.engine.catch_up()
    assert slot_of(pipeline.source)[0] is True
    assert "slot shop is now a failover slot" in pipeline.engine.log_text()


def test_before_17_check_says_what_a_failover_costs(own_cluster, own_standby, new_pipeline, shared_clusters):
    primary = own_cluster("primary", 16)
    pipeline = new_pipeline(primary, shared_clusters("target"))
    pipeline.source.execute(f"{T}; select pg_create_physical_replication_slot('{SLOT}', true)")
    own_standby(primary, {"primary_slot_name": SLOT})
    wait_until(lambda: pipeline.source.value("select active from pg_replication_slots"), "the standby to follow")
    finding = {f["code"]: f for f in pipeline.engine.json("check")["findings"]}["failover_slot"]
    assert finding["severity"] == "note" and SLOT in finding["what"]
    pipeline.engine.catch_up()
