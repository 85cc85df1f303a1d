# SPDX-License-Identifier: Apache-2.0
"""A pipeline with a buffer, killed at its points, at random, and with its servers away: each change once."""

import random
import signal
import time

import pytest

from support import load
from support.load import Load

KILLS = 40
KILLS_LONG = 1000
# The first two are of the copy, and reached by the first lives alone.
POINTS = [("chunk-begun", 1), ("chunk-before-commit", 1), ("buffer-before-begin", 1)] + [
    (point, visit) for point in ("archive-after-write", "archive-after-commit", "archive-segment-deleted", "runner-after-commit", "checkpoint-before-confirm")
    for visit in (1, 3)]


@pytest.fixture
def buffered(loaded, tmp_path):
    """Files are small, so that they end and are deleted often. A chunk is a part of a table."""
    loaded.target.execute("drop table seat; " + load.SCHEMA + "alter table journal replica identity full")
    loaded.engine.configuration["buffer"] = {"path": str(tmp_path / "buffer"), "segment_bytes": "64kB", "max_bytes": "512kB"}
    loaded.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "8kB"}
    return loaded


def finish(pipeline):
    pipeline.engine.catch_up()
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_killed_at_points_of_both_parts(buffered):
    """Early and late, from the first start on."""
    with Load(buffered.source):
        for point, visit in POINTS:
            buffered.engine.start(environment={"PGCDC_FAULT": f"{point}:{visit}", "PGCDC_INTERVAL_MS": "100"})
            code = buffered.engine.wait_exit(120)
            assert code == -signal.SIGKILL, f"{point}:{visit}: exit code {code}\n{buffered.engine.log_tail()}"
    finish(buffered)


def test_killed_at_random_moments(buffered, request):
    chance = random.Random(20261130)
    with Load(buffered.source):
        for _ in range(KILLS_LONG if request.config.getoption("--long") else KILLS):
            buffered.engine.start()
            time.sleep(chance.random() * 0.5)
            assert buffered.engine.is_running(), buffered.engine.log_tail()
            buffered.engine.kill()
    finish(buffered)
