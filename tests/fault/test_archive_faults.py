# SPDX-License-Identifier: Apache-2.0
"""An archive whose writer is killed at every point and at random, whose disk is full, and whose power fails."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from support import load
from support.archive import Replay, write_into
from support.lives import points_of
from support.load import Load
from support.wait import wait_until

KILLS = 40
KILLS_LONG = 1000
CUTS = 4
CUTS_LONG = 40


@pytest.fixture
def archived(loaded, tmp_path):
    """Segments are small, so that they end often. The target has the tables and no rows: they come with the replay."""
    loaded.target.execute("drop table seat; " + load.SCHEMA + "alter table journal replica identity full")
    write_into(loaded, tmp_path / "archive", segment_bytes="64kB")
    return loaded


def verify(pipeline, path):
    result = subprocess.run([pipeline.engine.program, "archive", "verify", path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def finish(pipeline, tmp_path):
    pipeline.engine.catch_up()
    verify(pipeline, tmp_path / "archive")
    with Replay(pipeline, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.catch_up()
    pipeline.assert_equal()


def own_points():
    return [point for point in points_of("sinks/archive") if not point.startswith("drop-") and point != "archive-segment-deleted"]


def test_killed_at_each_of_its_points(archived, tmp_path):
    """One archive through all of them, early and late."""
    with Load(archived.source):
        for point in own_points():
            for visit in (1, 3):
                archived.engine.start(environment={"PGCDC_FAULT": f"{point}:{visit}"})
                code = archived.engine.wait_exit(120)
                assert code == -signal.SIGKILL, f"{point}:{visit}: exit code {code}\n{archived.engine.log_tail()}"
    finish(archived, tmp_path)


def test_killed_at_random_moments(archived, tmp_path, request):
    chance = random.Random(20261129)
    with Load(archived.source), Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        for life in range(KILLS_LONG if request.config.getoption("--long") else KILLS):
            archived.engine.start()
            if not replay.engine.is_running():
                replay.engine.start()
            time.sleep(chance.random() * 0.4)
            assert archived.engine.is_running(), archived.engine.log_tail()
            archived.engine.kill()
            if life % 3 == 0:
                replay.engine.kill()
    finish(archived, tmp_path)


def test_killed_while_it_deletes_old_segments(archived, tmp_path):
    """The archive then begins later, and has no gap."""
    archived.engine.configuration["sinks"][0]["keep_segments"] = "1"
    archived.engine.catch_up()
    deaths = 0
    for number in range(5):
        archived.source.execute(f"insert into journal (seq) select {number} * 100000 + g from generate_series(1, 20000) g")
        result = archived.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": "archive-segment-deleted"})
        assert result.returncode in (0, -signal.SIGKILL), result.stderr
        deaths += result.returncode != 0
        archived.engine.catch_up()
        verify(archived, tmp_path / "archive")
    assert deaths > 1
    assert len(list((tmp_path / "archive").glob("*.segment"))) <= 2


def test_killed_while_dropping(archived, tmp_path):
    """Nothing of the history is deleted, and a new pipeline can start."""
    archived.engine.catch_up()
    for number in range(3):
        archived.source.execute(f"insert into journal (seq) select {number} * 100000 + g from generate_series(1, 20000) g")
        archived.engine.catch_up()
    segments = {path.name: path.read_bytes() for path in (tmp_path / "archive").glob("*.segment")}
    assert len(segments) > 2
    assert archived.engine.command("drop", environment={"PGCDC_FAULT": "drop-archive-moved"}).returncode == -signal.SIGKILL
    assert archived.engine.command("drop").returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "archive").glob("dropped-*/*.segment")} == segments
    assert not list((tmp_path / "archive").glob("*.segment"))
    finish(archived, tmp_path)


# ---- disks ----

class Disk:
    """A file system of its own: a tmpfs of some size, or one in a file, whose power can be cut."""

    def __init__(self, folder, kind, size_mb, image=None):
        self.folder = folder
        self.kind = kind
        self.image = image
        folder.mkdir(exist_ok=True)
        if kind == "tmpfs":
            command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=755", "pgcdc-test", folder]
        else:
            with open(image, "wb") as file:
                file.truncate(size_mb << 20)
            subprocess.run([f"mkfs.{kind}", "-q", image], check=True, capture_output=True)
            command = ["mount", "-o", "loop", image, folder]
        self.command = command
        self.mount()

    def mount(self):
        mounted = subprocess.run(self.command, capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            pytest.skip(f"no {self.kind} can be mounted here: {mounted.stderr.strip()}")

    def unmount(self):
        subprocess.run(["umount", self.folder], check=True, capture_output=True)

    def cut_power(self):
        """What was not synced is lost, and nothing more is written."""
        subprocess.run(["xfs_io", "-x", "-c", "shutdown", self.folder], check=True, capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=False, capture_output=True)


def test_a_full_disk_is_waited_for(archived, tmp_path):
    """It says so, the slot keeps what is not archived, and it goes on by itself."""
    with Disk(tmp_path / "disk", "tmpfs", 4):
        write_into(archived, tmp_path / "disk" / "archive")
        archived.engine.start()
        wait_until(lambda: list((tmp_path / "disk" / "archive").glob("*.segment")), "a segment")
        ballast = tmp_path / "disk" / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=1k", "count=8192"], capture_output=True, check=False)
        assert os.statvfs(tmp_path / "disk").f_bavail == 0, "the disk is not full"
        archived.source.execute("insert into journal (seq) select 500000 + g from generate_series(1, 20000) g")
        archived.engine.wait_log("No space left on device")
        assert "make room on that disk" in archived.engine.log_text()
        status = archived.engine.json("status")
        assert status["state"] == "retrying", status
        ballast.unlink()
        lsn = archived.source_lsn()
        wait_until(lambda: archived.source.value("select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = 'shop'", (lsn,)),
                   lambda: f"the archive to go on\n{archived.engine.log_tail()}", 120)
        archived.engine.stop()
        verify(archived, tmp_path / "disk" / "archive")
        with Replay(archived, tmp_path / "disk" / "archive", tmp_path / "replay") as replay:
            replay.catch_up()
        archived.assert_equal()


def test_a_disk_that_is_read_only_is_named(archived, tmp_path):
    with Disk(tmp_path / "disk", "tmpfs", 4) as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk.folder], check=True, capture_output=True)
        write_into(archived, tmp_path / "disk" / "archive")
        result = archived.engine.command("run", "--until", "caught-up")
        assert result.returncode == 2 and str(tmp_path / "disk") in result.stderr and "Read-only file system" in result.stderr, result.stderr


def cut_power(pipeline, disk, chance, cuts):
    """The slot may have been told of everything that is on the disk, and of nothing else."""
    for _ in range(cuts):
        pipeline.engine.start()
        lsn = pipeline.source_lsn()
        pipeline.wait_while_running(lambda: pipeline.source.execute(
            "select 1 from pg_replication_slots where slot_name = 'shop' and confirmed_flush_lsn >= %s::pg_lsn",
            (lsn,)), "the archive to have something")  # pylint: disable=cell-var-from-loop
        time.sleep(chance.random() * 0.5)
        disk.cut_power()
        pipeline.engine.kill()
        disk.unmount()
        disk.mount()


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_power_fails(archived, tmp_path, kind, request):
    """What the slot was told of is there afterwards."""
    if shutil.which(f"mkfs.{kind}") is None or shutil.which("xfs_io") is None:
        pytest.skip(f"mkfs.{kind} or xfs_io is not installed")
    with Disk(tmp_path / "disk", kind, 320, tmp_path / "image") as disk:
        write_into(archived, tmp_path / "disk" / "archive", segment_bytes="256kB")
        with Load(archived.source):
            cut_power(archived, disk, random.Random(kind), CUTS_LONG if request.config.getoption("--long") else CUTS)
        finish(archived, tmp_path / "disk")
