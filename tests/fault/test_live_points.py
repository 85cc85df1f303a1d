# SPDX-License-Identifier: Apache-2.0
"""A live copy that dies at each of its fault points."""

import signal
from pathlib import Path

import pytest

from support.chunk_load import ROWS, SCHEMA, ChunkLoad
from support.lives import points_of
from support.wait import wait_until


@pytest.fixture
def chunked(pipeline):
    pipeline.source.execute(SCHEMA)
    pipeline.source.execute(ROWS)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "128kB"}
    return pipeline


def copy_is_finished(pipeline):
    return pipeline.target.value("select count(*) from pgcdc.copy") == 0


class Lock:
    """On the chunks that are not copied: a copier that is going to store one waits, and so does the runner for a change of it."""

    def __init__(self, pipeline):
        self.connection = pipeline.target.connect(autocommit=False)
        self.connection.cursor().execute("select 1 from pgcdc.chunk where state <> 'copied' for update")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def copied_chunks(pipeline):
    return {row[0] for row in pipeline.target.execute("select id from pgcdc.chunk where state = 'copied'")}


def dies_at(pipeline, point, visit=1):
    pipeline.engine.start(environment={"PGCDC_FAULT": f"{point}:{visit}"})
    code = pipeline.engine.wait_exit(120)
    assert code == -signal.SIGKILL, f"{point}: exit code {code}\n{pipeline.engine.log_tail()}"


def dies_when_a_change_waits(pipeline, point):
    """A change that no snapshot sees meets a chunk that is being read."""
    with Lock(pipeline):
        pipeline.engine.start(environment={"PGCDC_FAULT": point})
        wait_until(lambda: pipeline.target.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"),
                   "a copier to wait for the lock")
        for table in ("number", "ident", "pair", "words", "whole", "tree", "brief"):
            pipeline.source.execute(f"update {table} set n = n + 1 where random() < 0.1")
        code = pipeline.engine.wait_exit()
        assert code == -signal.SIGKILL, f"{point}: exit code {code}\n{pipeline.engine.log_tail()}"


def test_killed_at_each_point_of_a_live_copy(chunked):
    """One copy through all of them. A plan is in force or not there; a chunk is copied once its commit has returned, and not before."""
    for point in ("plan-before-store", "plan-before-commit"):
        dies_at(chunked, point)
        assert chunked.position() is None
    dies_at(chunked, "plan-committed")
    assert chunked.position() is not None
    for point in ("plan-before-take-over", "chunk-accepted", "chunk-begun", "chunk-before-mark", "chunk-before-commit"):
        dies_at(chunked, point)
        assert not copied_chunks(chunked)
    with ChunkLoad(chunked.source):
        before = set()
        for visit, point in enumerate(("chunk-committed", "chunk-accepted", "chunk-before-mark", "chunk-begun", "chunk-before-commit"), 1):
            dies_at(chunked, point, visit)
            now = copied_chunks(chunked)
            assert len(now) > len(before), f"{point}: {len(now)} chunks are copied, {len(before)} were before"
            before = now
        dies_at(chunked, "runner-before-note", 3)
        dies_when_a_change_waits(chunked, "runner-awaits-chunk")
        dies_at(chunked, "runner-before-finish")
        assert not copy_is_finished(chunked)
        dies_at(chunked, "runner-copy-finished")
    assert copy_is_finished(chunked)
    chunked.start()
    chunked.assert_follows()
    chunked.engine.stop()


def test_each_point_of_a_live_copy_is_tried():
    """The points that test_kills.py leaves to this file and to the one about live copies."""
    folder = Path(__file__).parent
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("test_live_points.py", "test_live_copy.py"))
    points = [point for point in points_of("cdc", "sinks/postgres")
              if point.startswith(("chunk-", "plan-", "runner-awaits", "runner-before-note", "runner-before-finish", "runner-copy-"))]
    assert len(points) >= 13
    assert not [point for point in points if f'"{point}' not in text]
