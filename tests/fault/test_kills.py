# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the engine: at random moments under load, and at every named fault point."""

import random
import signal
import time

import pytest

from support.lives import CHUNKED, dies_at, must_die_at, points_of
from support.load import Load

KILLS = 200
KILLS_LONG = 1000


# Only with source.streaming: test_streamed.py. Only with --until, only after an error, only with a policy: test_until.py, test_failure.py, test_conflict_policies.py.
# Only with changes of columns: test_schema_kills.py. Of `verify`, and of continuous verification: test_verify.py, test_continuous.py. Beside the pipeline: test_sequences.py. Of `schema apply`: test_schema.py.
ELSEWHERE = {"attempt-end-reached", "buffer-before-begin", "columns-altered", "columns-before-alter", "failure-written", "pause-stored", "pause-written", "postgres-after-resolve", "repair-stored", "runner-paused", "sequences-set", "settle-before-install", "settle-installed", "streamed-commit", "truncate-ignored", "verified-written", "verify-range-compared"}
# Of a migration, and of `drop` after one: test_migrate_kills.py. Of `cutover` and `rollback`: test_cutover_kills.py. Of several databases, and of roles: test_databases.py, test_globals.py.
# Of changes that do not fit: test_dead_kills.py.
MIGRATING = ("cutover-", "databases-", "dead-", "globals-", "migrate-", "proof-", "steps-", "schema-")


def fault_points():
    """Every named fault point that a pipeline to PostgreSQL can reach."""
    return [point for point in points_of("cdc", "sinks/postgres")
            if point not in ELSEWHERE and not point.startswith(CHUNKED + MIGRATING)]


def test_killed_at_random_moments_under_load(loaded, finish, request):
    """Every other life is killed while it applies, after something of it has arrived; the rest at any time, mostly early."""
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261122)
    with Load(loaded.source):
        for life in range(kills):
            loaded.engine.start()
            if life % 2 == 0:
                lsn = loaded.source_lsn()
                loaded.wait_while_running(lambda: loaded.position_reached(lsn),  # pylint: disable=cell-var-from-loop
                                            f"life {life} to apply something")
            time.sleep(chance.random() * 0.3)
            assert loaded.engine.is_running(), loaded.engine.log_tail()
            loaded.engine.kill()
            assert loaded.engine.process.returncode == -signal.SIGKILL
    finish(loaded)


def test_killed_during_the_initial_copy(loaded, finish):
    """Each start begins the copy again; nothing of the one before is left."""
    loaded.source.execute("insert into account select g, 0, repeat('x', 200) from generate_series(100000, 500000) g")
    chance = random.Random(7)
    with Load(loaded.source):
        for _ in range(15):
            loaded.engine.start()
            time.sleep(chance.random() * 0.7)
            loaded.engine.kill()
    finish(loaded)


@pytest.mark.parametrize("point", [point for point in fault_points() if not point.startswith("drop-")])
def test_killed_at_a_fault_point(loaded, finish, point):
    """At its first visit, which must happen, and, where a life has so many, at the third and the fortieth."""
    with Load(loaded.source):
        must_die_at(loaded, point)
        if dies_at(loaded, point, 3):
            dies_at(loaded, point, 40)
    finish(loaded)


@pytest.mark.parametrize("point", [point for point in fault_points() if point.startswith("drop-")])
def test_killed_while_dropping(loaded, point):
    """Whatever is left, dropping again removes it, and a new pipeline can start."""
    loaded.engine.catch_up()
    assert loaded.engine.command("drop", environment={"PGCDC_FAULT": point}).returncode == -signal.SIGKILL
    assert loaded.engine.command("drop").returncode == 0
    assert loaded.slot() is None
    assert loaded.target.value("select to_regclass('pgcdc.position')") is None
    loaded.target.execute("truncate journal, account, document, seat, part")
    loaded.engine.catch_up()
    loaded.assert_equal()
