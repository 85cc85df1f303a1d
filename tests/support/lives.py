# SPDX-License-Identifier: Apache-2.0
"""Lives of an engine under load that end at a named fault point, or orderly."""

import re
import signal
import time
from pathlib import Path

from support.wait import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
POINT = re.compile(r'FAULT_POINT\("([^"]+)"\)')
# Points of a copy in chunks, which test_live_points.py and test_tables.py reach.
CHUNKED = ("chunk-", "plan-", "add-", "tables-", "runner-awaits-chunk", "runner-before-define", "runner-defined", "runner-before-note", "runner-before-finish",
           "runner-copy-finished", "runner-chunk-")
LIFE_S = 3
LIVES = 2       # so that the second starts from a position and finds a backlog
LIVES_MAX = 20  # for a point that is known to be reached: which changes meet in a batch is chance on a busy machine


def points_of(*folders):
    """Every named fault point of the folders' sources."""
    return sorted({name for folder in folders for path in (ROOT / folder).rglob("*.c")
                   for name in POINT.findall(path.read_text(encoding="utf-8"))})


def must_die_at(pipeline, point):
    """At its first visit, in one life of many."""
    assert dies_at(pipeline, point, 1, LIVES_MAX), f"{point} was not reached\n{pipeline.engine.log_tail()}"


def dies_at(pipeline, point, visit, lives=LIVES):
    """Does one of some lives end at the point?"""
    for _ in range(lives):
        pipeline.engine.start(environment={"PGCDC_FAULT": f"{point}:{visit}"})
        code = live_and_stop(pipeline)
        if code == -signal.SIGKILL:
            return True
        assert code == 0, f"{point}:{visit}: exit code {code}\n{pipeline.engine.log_tail()}"
    return False


def live_and_stop(pipeline):
    """
    The exit code of a life that is ended by SIGTERM when nothing else has ended it; that has points of its own.

    It lasts for some time, and then until all that is committed is there: on a busy machine that comes late.
    """
    end = time.monotonic() + LIFE_S
    wait_until(lambda: not pipeline.engine.is_running() or time.monotonic() > end, "the time to pass", pause_s=0.02)
    lsn = pipeline.source_lsn()
    wait_until(lambda: not pipeline.engine.is_running() or pipeline.position_reached(lsn),
               lambda: f"the sink to reach {lsn}\n{pipeline.engine.log_tail()}", deadline_s=120)
    if pipeline.engine.is_running():
        pipeline.engine.process.send_signal(signal.SIGTERM)
    return pipeline.engine.wait_exit(60)
