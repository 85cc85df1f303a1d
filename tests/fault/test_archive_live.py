# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks into an archive, beside the changes: what is replayed is exact, whatever dies."""

import json
import random
import re
import signal
import subprocess
import time

import pytest

from support import chunk_load
from support.archive import Replay, archive, archived_lsn, write_into
from support.chunk_load import ChunkLoad
from support.cluster import Cluster
from support.committed import lsn_number
from support.wait import wait_until

KILLS = 15
KILLS_LONG = 200
# In the order of a copy's life: before the plan, with it, among the chunks, at the end.
POINTS = ("archive-segment-created", "archive-segment-renamed", "archive-frame-written", "archive-after-commit", "archive-synced",
          "runner-chunk-written", "archive-after-write", "runner-chunk-stored", "archive-segment-ended", "runner-awaits-chunk",
          "runner-before-finish", "runner-copy-finished")


@pytest.fixture(scope="module")
def source_cluster():
    """A chunk waits for the WAL writer, so it writes often."""
    with Cluster("source", settings={"wal_writer_delay": "10ms"}) as cluster:
        cluster.is_shared = True
        yield cluster


@pytest.fixture
def live(new_pipeline, source_cluster, shared_clusters, tmp_path):
    pipeline = new_pipeline(source_cluster, shared_clusters("target"))
    pipeline.source.execute(chunk_load.SCHEMA + chunk_load.ROWS + "analyze")
    pipeline.target.execute(chunk_load.SCHEMA)
    pipeline.publish()
    write_into(pipeline, tmp_path / "archive", segment_bytes="1MB")
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    return pipeline


def start(pipeline, **arguments):
    """The slot is created before anything is truncated: that could fail in the server ("could not map filenode")."""
    pipeline.engine.start(**arguments)
    pipeline.engine.wait_log("created slot")


def finish(pipeline, tmp_path):
    """The replay goes on, or begins."""
    if pipeline.engine.is_running():
        pipeline.engine.stop()
    pipeline.engine.catch_up()
    archive(pipeline, "verify", tmp_path / "archive")
    with Replay(pipeline, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.catch_up()
    pipeline.assert_equal()


def test_a_replay_follows_the_copy_and_the_changes_beside_it(live, tmp_path):
    start(live)
    with ChunkLoad(live.source, seed=1), Replay(live, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.engine.start()
        live.engine.wait_log("the copy is complete")
        time.sleep(0.5)
    finish(live, tmp_path)


def test_killed_at(live, tmp_path):
    """One archive through all points; the replay that follows it is killed, too."""
    start(live, environment={"PGCDC_FAULT": POINTS[0]})
    assert live.engine.wait_exit(120) == -signal.SIGKILL, live.engine.log_tail()
    with ChunkLoad(live.source, seed=2, pause_s=0.01), Replay(live, tmp_path / "archive", tmp_path / "replay") as replay:
        for point in POINTS[1:]:
            live.engine.start(environment={"PGCDC_FAULT": point})
            if not replay.engine.is_running():
                replay.engine.start()
            code = live.engine.wait_exit(120)
            assert code == -signal.SIGKILL, f"{point}: exit code {code}\n{live.engine.log_tail()}"
            replay.engine.kill()
    finish(live, tmp_path)


def test_killed_at_random_moments(live, tmp_path, request):
    chance = random.Random(20261130)
    start(live)
    live.engine.kill()
    with ChunkLoad(live.source, seed=3, pause_s=0.01), Replay(live, tmp_path / "archive", tmp_path / "replay") as replay:
        for life in range(KILLS_LONG if request.config.getoption("--long") else KILLS):
            live.engine.start()
            if not replay.engine.is_running():
                replay.engine.start()
            time.sleep(chance.random() * 0.5)
            assert live.engine.is_running(), live.engine.log_tail()
            live.engine.kill()
            if life % 2 == 0:
                replay.engine.kill()
    finish(live, tmp_path)


@pytest.fixture
def interrupted(live):
    """The copy is not complete, and changes are among its chunks: those of a second life, which ends once it has them."""
    live.engine.start(environment={"PGCDC_FAULT": "runner-chunk-stored:20"})
    assert live.engine.wait_exit(120) == -signal.SIGKILL, live.engine.log_tail()
    live.source.execute("update number set n = n + 1 where id % 100 = 0")
    live.engine.start(environment={"PGCDC_FAULT": "runner-after-commit"})
    assert live.engine.wait_exit(120) == -signal.SIGKILL, live.engine.log_tail()
    return live


def test_a_replay_does_not_begin_or_end_where_rows_are_missing(interrupted, tmp_path):
    path = tmp_path / "archive"
    assert "rows are missing" in archive(interrupted, "list", path)
    assert "rows are missing" in archive(interrupted, "verify", path)
    printed = subprocess.run([interrupted.engine.program, "tail", path], capture_output=True, text=True, check=True, timeout=60).stdout
    assert '"number"' in printed, "what is there can be seen"
    lsn = archived_lsn(interrupted, path)
    with Replay(interrupted, path, tmp_path / "replay") as replay:
        for option in (("--until", "2099-01-01T00:00:00Z"), ("--from", lsn)):
            refused = replay.engine.command("run", *option)
            assert refused.returncode == 2 and "is not complete, so rows are missing" in refused.stderr, refused.stderr
            assert f"leave {option[0]} out" in refused.stderr, refused.stderr
        assert interrupted.target.value("select to_regclass('pgcdc.position')") is None, "the target was touched"
    interrupted.engine.catch_up()
    early = archive_place(interrupted, path)
    with Replay(interrupted, path, tmp_path / "replay") as replay:
        refused = replay.engine.command("run", "--until", early)
        assert refused.returncode == 2 and "or later, where it is complete" in refused.stderr, refused.stderr
        whole = re.search(r"choose ([0-9A-F]+/[0-9A-F]+) or later", refused.stderr).group(1)
        assert replay.engine.command("run", "--until", whole).returncode == 0
        assert interrupted.target.value("select count(*) from heap") == 4000
    finish(interrupted, tmp_path)


def archive_place(pipeline, path):
    """The place of the first chunk's rows: one byte after their LSN."""
    printed = subprocess.run([pipeline.engine.program, "tail", path], capture_output=True, text=True, check=True).stdout
    lsn = lsn_number(json.loads(printed.splitlines()[0])["commit_lsn"]) + 1
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def test_a_replay_that_has_caught_up_waits_for_the_rest_of_the_copy(interrupted, tmp_path):
    with Replay(interrupted, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.engine.start("--until", "caught-up")
        replay.engine.wait_log("is not complete at")
        assert replay.engine.is_running()
        interrupted.engine.catch_up()
        assert replay.engine.wait_exit(60) == 0, replay.engine.log_tail()
        interrupted.assert_equal()


def by_slot(pipeline, slot):
    return {"dsn": pipeline.source.dsn(), "publication": "shop", "slot": slot}


def test_a_sink_that_gets_its_rows_from_an_archive_stays_there_until_it_has_them(interrupted, tmp_path):
    with Replay(interrupted, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.engine.start()
        wait_until(lambda: replay.reached("0/2") and interrupted.target.value("select count(*) > 0 from number"), replay.engine.log_tail, 60)
        replay.engine.stop()
        source = replay.engine.configuration["source"]
        replay.engine.configuration["source"] = by_slot(interrupted, "shop")
        refused = replay.engine.command("run")
        assert refused.returncode == 3 and "gets the rows of its tables out of an archive" in refused.stderr, refused.stderr
        replay.engine.configuration["source"] = source
    interrupted.engine.catch_up()
    finish(interrupted, tmp_path)


def test_a_sink_with_its_rows_from_elsewhere_goes_to_an_archive_that_is_whole(interrupted, tmp_path):
    path = tmp_path / "archive"
    with Replay(interrupted, path, tmp_path / "replay") as replay:
        source = replay.engine.configuration["source"]
        replay.engine.configuration["source"] = by_slot(interrupted, "replay")
        replay.engine.configuration["copy"] = {"mode": "simple"}
        replay.catch_up()
        interrupted.source.execute("update number set n = n + 1 where id % 100 = 1")
        lsn = interrupted.source_lsn()
        interrupted.engine.start(environment={"PGCDC_FAULT": "runner-chunk-stored:60"})
        assert interrupted.engine.wait_exit(120) == -signal.SIGKILL, interrupted.engine.log_tail()
        assert lsn_number(archived_lsn(interrupted, path)) >= lsn_number(lsn)
        replay.engine.configuration["source"] = source
        refused = replay.engine.command("run", "--until", "caught-up")
        assert refused.returncode == 3 and "lacks changes of rows that come later" in refused.stderr, refused.stderr
        assert "let the sink go on with the source that it had" in refused.stderr, refused.stderr
        interrupted.engine.catch_up()
        assert replay.engine.command("run", "--until", "caught-up").returncode == 3, "its position is among the chunks"
        replay.engine.configuration["source"] = by_slot(interrupted, "replay")
        replay.catch_up()
        replay.engine.configuration["source"] = source
        replay.engine.start()
        interrupted.source.execute("update number set n = n + 1 where id % 100 = 2")
        interrupted.engine.catch_up()
        replay.wait_applied()
        interrupted.assert_equal()
