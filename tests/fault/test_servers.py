# SPDX-License-Identifier: Apache-2.0
"""Servers and sessions die, freeze and return under load; the engine continues by itself."""

import os
import signal

import pytest

from support.load import Load
from support.wait import wait_until


def go_on(pipeline, rounds, break_something):
    """Breaks it again and again, each time only after something new has arrived; then everything must be equal."""
    pipeline.start()
    with Load(pipeline.source):
        for _ in range(rounds):
            wait_for_progress(pipeline)
            break_something(pipeline)
        wait_for_progress(pipeline)
    pipeline.assert_follows()
    pipeline.engine.stop()


def wait_for_progress(pipeline):
    lsn = pipeline.source_lsn()
    pipeline.wait_while_running(lambda: pipeline.position_reached(lsn), f"the target to reach {lsn}")


def sender_pid(pipeline):
    return pipeline.slot()["active_pid"]


def apply_pids(pipeline):
    """The engine's sessions at the target: those that hold a lock on the position's row, or changed it last."""
    rows = pipeline.target.execute(
        "select pid from pg_stat_activity where datname = current_database() and application_name like %s", ("pgcdc%",))
    return [row[0] for row in rows]


def kill_source(pipeline):
    pipeline.source.cluster.kill()
    pipeline.source.cluster.start()


def kill_target(pipeline):
    pipeline.target.cluster.kill()
    pipeline.target.cluster.start()


def restart_source(pipeline):
    pipeline.source.cluster.restart("immediate")


def restart_target(pipeline):
    pipeline.target.cluster.restart("immediate")


def restart_both(pipeline):
    pipeline.source.cluster.stop("immediate")
    pipeline.target.cluster.stop("immediate")
    pipeline.target.cluster.start()
    pipeline.source.cluster.start()


def terminate_sender(pipeline):
    pid = wait_until(lambda: sender_pid(pipeline), "a walsender")
    pipeline.source.value("select pg_terminate_backend(%s)", (pid,))
    wait_until(lambda: sender_pid(pipeline) != pid, "the walsender to end")


def terminate_apply(pipeline):
    pids = wait_until(lambda: apply_pids(pipeline), "a session of the engine in the target")
    for pid in pids:
        pipeline.target.value("select pg_terminate_backend(%s)", (pid,))
    wait_until(lambda: not set(pids) & set(apply_pids(pipeline)), "the apply session to end")


def kill_apply(pipeline):
    pipeline.target.cluster.kill_backend(wait_until(lambda: apply_pids(pipeline), "a session of the engine in the target")[0])


@pytest.mark.parametrize("fault, rounds", [
    (kill_source, 4), (kill_target, 4), (restart_source, 3), (restart_target, 3), (restart_both, 3),
    (terminate_sender, 20), (terminate_apply, 20), (kill_apply, 3),
], ids=lambda value: getattr(value, "__name__", None) or str(value))
def test_it_goes_on_after(own_pair, fault, rounds):
    go_on(own_pair, rounds, fault)


def test_what_the_target_forgets_in_a_crash_comes_again(forgetful_pair, finish):
    """
    Rows can be seen before they are on the target's disk. The engine is frozen while the target crashes: what was visible goes,
    with its position; the slot and the checkpoint never knew of it, so all of it comes again, once.
    """
    pipeline = forgetful_pair
    pipeline.start()
    forgotten = 0
    with Load(pipeline.source):
        for _ in range(8):
            wait_for_progress(pipeline)
            pipeline.engine.freeze()
            shown = pipeline.position()
            kill_target(pipeline)
            kept = pipeline.position()
            forgotten += pipeline.target.value("select %s::pg_lsn - %s::pg_lsn", (shown, kept)) > 0
            confirmed = pipeline.slot()["confirmed_flush_lsn"]
            assert pipeline.target.value("select %s::pg_lsn <= %s::pg_lsn", (confirmed, kept)), \
                f"the slot has let go up to {confirmed}, the target is at {kept}"
            pipeline.engine.thaw()
        wait_for_progress(pipeline)
    assert forgotten > 0, "no crash has cost the target anything, so nothing was tried"
    pipeline.engine.stop()
    finish(pipeline)


def test_sessions_end_while_the_rows_are_copied(own_pair):
    own_pair.source.execute("insert into account select g, 0, repeat('x', 300) from generate_series(100000, 600000) g")
    with Load(own_pair.source):
        own_pair.engine.start()
        wait_until(lambda: own_pair.target.execute("select 1 from pg_stat_progress_copy"), "a copy to go on")
        terminate_apply(own_pair)
        wait_until(lambda: own_pair.source.execute("select 1 from pg_stat_progress_copy"), "a copy to go on")
        own_pair.source.execute("select pg_terminate_backend(pid) from pg_stat_progress_copy")
        own_pair.wait_streaming()
    own_pair.assert_follows()


def test_a_frozen_target_is_waited_for(own_pair):
    """Until the target thaws the server gets its answers and nothing is confirmed; then all continues."""
    own_pair.start()
    with Load(own_pair.source):
        wait_for_progress(own_pair)
        pids = apply_pids(own_pair)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        sender = sender_pid(own_pair)
        start = own_pair.source_lsn()
        wait_until(lambda: own_pair.source.value("select pg_wal_lsn_diff(pg_current_wal_lsn(), %s) > 1000000", (start,)), "some load")
        wait_until(lambda: own_pair.source.value(
            "select backend_start < now() - interval '8 s' from pg_stat_replication where pid = %s", (sender,)), "8 s")
        assert sender_pid(own_pair) == sender, "the connection was lost while the target was frozen"
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    own_pair.assert_follows()
    assert "replication timeout" not in own_pair.source.cluster.log_text()


def test_killed_while_the_target_is_frozen(own_pair, finish):
    """The old session wakes up after its engine has died and a new one has started: it must not commit over the new one."""
    own_pair.start()
    with Load(own_pair.source):
        wait_for_progress(own_pair)
        for pid in apply_pids(own_pair):
            os.kill(pid, signal.SIGSTOP)
        frozen = apply_pids(own_pair)
        own_pair.engine.kill()
        own_pair.engine.start()
        wait_until(lambda: set(apply_pids(own_pair)) - set(frozen), "the new engine's session")
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        wait_for_progress(own_pair)
    own_pair.engine.stop()
    finish(own_pair)


def test_engine_and_servers_die_together(own_pair, finish):
    own_pair.start()
    with Load(own_pair.source):
        for kill_server in (kill_target, kill_source, kill_target, kill_source):
            wait_for_progress(own_pair)
            own_pair.engine.kill()
            kill_server(own_pair)
            own_pair.engine.start()
            own_pair.wait_streaming()
    own_pair.engine.kill()
    finish(own_pair)


@pytest.mark.long
def test_a_server_that_builds_a_message_for_long_is_not_dead(pipeline):
    """
    A row of 1 GB takes a slow server more than 25 s before its first byte, in which it answers nothing. The engine took it for
    dead and began again, for ever. Here a row filter takes the time: a regular expression that fails after trying everything.
    """
    pipeline.source.execute("create table t (id int, v text, primary key (id)); alter table t replica identity full;"
                            r"create publication shop for table t where (v !~ '^(a*)(a*)(a*)(a*)\1\2\3\4b$')")
    pipeline.start()
    pipeline.source.execute("insert into t values (1, repeat('a', 171) || 'b')")
    pipeline.engine.wait_log("its process is at work: a large row takes long", deadline_s=120)
    pipeline.wait_applied(deadline_s=400)
    assert pipeline.target.value("select count(*) from t") == 1
    assert pipeline.engine.log_text().count("info  shop: streaming slot") == 1, pipeline.engine.log_text()
