# SPDX-License-Identifier: Apache-2.0
"""Readiness turns when a change cannot arrive, says why, and turns back; a peer that is away never costs the engine its life."""

import os
import signal
from contextlib import contextmanager

import pytest

from support.pipeline import Pipeline
from support.scrape import Served

SINK = "warehouse"
STATES = ("starting", "copying", "streaming", "retrying", "ended")


@pytest.fixture
def own(program, tmp_path, own_cluster, request):
    """A pipeline whose two servers are this test's alone."""
    pipeline = Pipeline(program, tmp_path, own_cluster("source").create_database("source"), own_cluster("target").create_database("target"))
    request.node.pipelines = [pipeline]
    yield pipeline
    pipeline.close()


def start(pipeline):
    served = Served(pipeline.engine)
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.start()
    served.wait_health("/readyz", 200, "ready")
    served.wait_health("/startupz", 200, "started")
    return served


@contextmanager
def frozen(cluster):
    pids = list(cluster.processes())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def assert_live(served):
    assert served.get("/livez") == (200, "live\n")


def test_a_frozen_target(own):
    served = start(own)
    with frozen(own.target.cluster):
        own.source.execute("insert into t values (1, 'x')")
        reason = served.wait_health("/readyz", 503, f"sink {SINK}: it has taken nothing for", "while changes wait")
        assert reason.startswith("not ready\n")
        assert_live(served)
        assert served.get("/startupz")[0] == 200
        served.wait_value("pgcdc_lag_seconds", lambda value: value > 2, sink=SINK)
    assert served.wait_health("/readyz", 200) == "ready\n"
    served.wait_value("pgcdc_lag_seconds", lambda value: value == 0, sink=SINK)
    own.assert_follows()


def test_a_frozen_target_without_changes_is_no_reason(own):
    """Nothing waits. Only what is on its way can be late."""
    served = start(own)
    own.wait_applied()
    served.wait_value("pgcdc_lag_seconds", lambda value: value == 0, sink=SINK)
    before = own.source_lsn()
    with frozen(own.target.cluster):
        # No WAL is written meanwhile, so none has to be passed on.
        assert served.get("/readyz")[0] == 200
        assert own.source_lsn() == before
    own.source.execute("insert into t values (1, 'x')")
    own.assert_follows()


def test_a_locked_table_is_named_with_its_holder(own):
    served = start(own)
    holder = own.target.connect(autocommit=False)
    holder.cursor().execute("lock table t in access exclusive mode")
    own.source.execute("insert into t values (1, 'x')")
    served.wait_health("/readyz", 503, f"sink {SINK}: it has taken nothing for", "table public.t is locked, and has been waited for since",
                       f"by pid {holder.info.backend_pid}")
    assert_live(served)
    holder.rollback()
    holder.close()
    assert served.wait_health("/readyz", 200) == "ready\n"
    own.assert_follows()


def test_a_frozen_source(own):
    served = start(own)
    with frozen(own.source.cluster):
        served.wait_health("/readyz", 503, "source: ")
        assert_live(served)
        served.wait_value("pgcdc_lag_seconds", lambda value: value > 2, sink=SINK)
    served.wait_health("/readyz", 200, "ready")
    own.source.execute("insert into t values (1, 'x')")
    own.assert_follows()


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_server_that_is_down_is_retried_and_named(own, side):
    served = start(own)
    cluster = getattr(own, side).cluster
    cluster.kill()
    if side == "target":
        own.source.execute("insert into t values (1, 'x')")
    served.wait_health("/readyz", 503, "engine: it has failed for", "attempt", f"port {cluster.port}")
    assert_live(served)
    samples = served.samples()
    assert samples["pgcdc_up", ()] == 0
    assert [state for state in STATES if samples["pgcdc_state", (("sink", SINK), ("state", state))] == 1] == ["retrying"]
    assert sum(value for (name, _), value in samples.items() if name == "pgcdc_retry_total") >= 1
    cluster.start()
    served.wait_health("/readyz", 200, "ready")
    served.wait_value("pgcdc_up", lambda value: value == 1)
    own.source.execute("insert into t values (2, 'y')")
    own.assert_follows()


def test_dead_letters_degrade(own):
    own.sink_configuration["on_error"] = "dead_letter"
    served = start(own)
    own.target.execute("alter table t add constraint fits check (v <> 'odd')")
    own.source.execute("insert into t values (1, 'odd'); insert into t values (2, 'good')")
    own.wait_applied()
    served.wait_health("/readyz", 200, "ready, but degraded\n", f"sink {SINK}: 1 change did not fit and 0 wait behind (pgcdc dead)")
    assert served.value("pgcdc_dead_letters", sink=SINK, state="failed") == 1
    own.target.execute("alter table t drop constraint fits")
    assert own.engine.command("dead retry").returncode == 0
    assert served.wait_health("/readyz", 200, "ready\n") == "ready\n"


def test_counts_go_on_over_attempts(own):
    """A retry resets nothing, and what a failed attempt has written and lost is counted once."""
    served = start(own)
    own.source.execute("insert into t select g, 'x' from generate_series(1, 50) g")
    own.wait_applied()
    for database in (own.source, own.target):
        database.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'pgcdc%'")
    own.source.execute("insert into t select g, 'x' from generate_series(51, 80) g")
    own.assert_follows()
    served.wait_value("pgcdc_changes_total", lambda value: value == 80, sink=SINK, table="public.t", op="insert")
    served.wait_value("pgcdc_transactions_total", lambda value: value == 2, sink=SINK)


def test_a_buffer_is_a_stage_and_a_stopped_sink_is_named(own, tmp_path):
    own.engine.configuration["buffer"] = {"path": str(tmp_path / "buffer")}
    served = start(own)
    own.source.execute("insert into t values (1, 'x')")
    own.wait_applied()
    served.wait_value("pgcdc_stage_lsn_bytes", lambda value: value > 0, stage="durable", sink="buffer")
    served.wait_value("pgcdc_changes_total", lambda value: value == 1, sink=SINK, table="public.t", op="insert")
    served.wait_value("pgcdc_lag_seconds", lambda value: value == 0, sink=SINK)
    holder = own.target.connect(autocommit=False)
    holder.cursor().execute("lock table t in access exclusive mode")
    own.source.execute("insert into t values (2, 'x')")
    served.wait_health("/readyz", 503, f"sink {SINK}: it has taken nothing for", "table public.t is locked")
    holder.rollback()
    holder.close()
    assert served.wait_health("/readyz", 200) == "ready\n"
    own.assert_follows()
