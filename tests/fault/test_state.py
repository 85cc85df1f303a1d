# SPDX-License-Identifier: Apache-2.0
"""The state directory: torn, corrupted, full, shared; and engines that were thought dead."""

import os
import random
import shutil
import subprocess
import zlib

import pytest

from support.engine import Engine
from support.load import Load
from support.scrape import Served
from support.wait import wait_until


@pytest.fixture
def started(loaded):
    """Has run, has written checkpoints, and is idle with a little left to do."""
    loaded.start()
    loaded.source.execute("insert into journal (seq) select g from generate_series(1, 100) g")
    loaded.wait_applied()
    loaded.engine.stop()
    return loaded


def state_files(pipeline):
    files = sorted(path for path in pipeline.state.iterdir() if path.name.startswith("shop.checkpoint"))
    assert files, "there is no checkpoint to damage"
    return files


def run_with_damage(pipeline, number):
    """Ends well and equal; a damaged file is never a reason to start from somewhere else."""
    pipeline.source.execute(f"insert into journal (seq) values ({1000000 + number})")
    pipeline.engine.catch_up()
    assert pipeline.target.value("select count(*) from journal where seq >= 1000000") == number + 1


def test_every_truncation_of_the_checkpoint(started, finish):
    newest = state_files(started)[0]
    whole = newest.read_bytes()
    steps = sorted(set(range(0, len(whole), max(1, len(whole) // 40))) | {1, len(whole) - 1})
    for number, length in enumerate(steps):
        newest.write_bytes(newest.read_bytes()[:length])
        run_with_damage(started, number)
    finish(started)


def test_flipped_bytes_in_all_its_files(started, finish):
    chance = random.Random(11)
    for number in range(40):
        for path in state_files(started):
            content = bytearray(path.read_bytes())
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            path.write_bytes(content)
        run_with_damage(started, number)
    finish(started)


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b"\xff" * 4096, os.urandom(1 << 20)],
                         ids=["empty", "zeros", "ones", "a_megabyte_of_noise"])
def test_garbage_in_all_its_files(started, finish, content):
    for path in state_files(started):
        path.write_bytes(content)
    run_with_damage(started, 0)
    finish(started)


def test_a_checkpoint_of_a_newer_pgcdc_is_refused_and_kept(started, finish):
    """It is whole, so nothing of it may be guessed, and the generation before it is not the newest."""
    newest = started.state / "shop.checkpoint"
    ours = newest.read_bytes()
    text = ours[:ours.rindex(b"crc32")] + b"lease 12\n"
    newer = text + b"crc32 %08x\n" % zlib.crc32(text)
    newest.write_bytes(newer)
    refused = started.engine.command("run")
    assert refused.returncode == 3 and "was written by a newer pgcdc" in refused.stderr
    assert started.engine.json("status")["state"] == "refused"
    assert newest.read_bytes() == newer
    newest.write_bytes(ours)
    run_with_damage(started, 0)
    finish(started)


def test_an_older_checkpoint_put_back(started, finish, tmp_path):
    saved = tmp_path / "saved"
    shutil.copytree(started.state, saved)
    run_with_damage(started, 0)
    shutil.rmtree(started.state)
    shutil.copytree(saved, started.state)
    run_with_damage(started, 1)
    finish(started)


@pytest.fixture
def tiny_disk(started, tmp_path):
    """The state directory on a file system of 256 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "pgcdc-test", folder], capture_output=True,
                             text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    shutil.copytree(started.state, folder / "state")
    started.engine.configuration["state"] = str(folder / "state")
    yield folder
    started.engine.close()
    subprocess.run(["umount", folder], check=True)


def state_space_of(pipeline):
    return [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"] == "state_space"]


def test_a_full_disk_pauses_the_slot_and_nothing_else(started, tiny_disk, finish):
    filler = tiny_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1k", "count=1024"], capture_output=True, check=False)
    assert os.statvfs(tiny_disk).f_bavail == 0, "the disk is not full"
    with Load(started.source):
        served = Served(started.engine)
        started.start()
        confirmed = started.slot()["confirmed_flush_lsn"]
        started.engine.wait_log("checkpoint cannot be written")
        served.wait_health("/readyz", 503, "engine: the checkpoint cannot be written, so the slot keeps its WAL")
        lsn = started.source_lsn()
        started.wait_while_running(lambda: started.position_reached(lsn), "the target to go on")
        assert started.slot()["confirmed_flush_lsn"] == confirmed, "confirmed more than is on disk"
        [finding] = state_space_of(started)
        assert finding["severity"] == "problem" and str(started.engine.configuration["state"]) in finding["fix"], finding
        filler.unlink()
        wait_until(lambda: started.source.value("select confirmed_flush_lsn > %s from pg_replication_slots where slot_name = 'shop'",
                                                (lsn,)), "the slot to go on")
        served.wait_health("/readyz", 200)
    started.engine.stop()
    finish(started)


# Several engines

def second_engine(pipeline, folder):
    """The same pipeline with a state directory of its own, so that only slot and target keep the two apart."""
    (folder / "second").mkdir()
    configuration = {**pipeline.engine.configuration, "state": str(folder / "second")}
    return Engine(pipeline.engine.program, folder / "other", configuration)


def test_a_second_engine_takes_over_without_loss_or_repeat(own_pair, finish, tmp_path):
    """A rolling restart, new before old: either of them remains, and every row exists once."""
    own_pair.start()
    second = second_engine(own_pair, tmp_path)
    with Load(own_pair.source):
        for _ in range(3):
            second.start("--take-over")
            wait_until(lambda: not (second.is_running() and own_pair.engine.is_running()), "one of the two to give way")
            loser, winner = (second, own_pair.engine) if own_pair.engine.is_running() else (own_pair.engine, second)
            assert loser.wait_exit() == 3, loser.log_tail()
            assert "another engine has taken over" in loser.log_text()
            lsn = own_pair.source_lsn()
            wait_until(lambda: own_pair.position_reached(lsn), lambda: f"the other to go on\n{winner.log_tail()}")
            if winner is second:
                second.stop()
                own_pair.start()
    second.close()
    if own_pair.engine.is_running():
        own_pair.engine.stop()
    finish(own_pair)


def test_an_engine_that_was_thought_dead_is_fenced(own_pair, finish, tmp_path):
    """Frozen until the server gave it up and another took over; awake again, it must not write a thing."""
    own_pair.start()
    second = second_engine(own_pair, tmp_path)
    with Load(own_pair.source):
        lsn = own_pair.source_lsn()
        own_pair.wait_while_running(lambda: own_pair.position_reached(lsn), "progress")
        own_pair.engine.freeze()
        wait_until(lambda: "replication timeout" in own_pair.source.cluster.log_text(), "the server to give the first one up")
        second.start()
        lsn = own_pair.source_lsn()
        wait_until(lambda: own_pair.position_reached(lsn), lambda: f"the second to take over\n{second.log_tail()}")
        own_pair.engine.thaw()
        wait_until(lambda: not own_pair.engine.is_running() or "another engine runs this pipeline" in own_pair.engine.log_text(),
                   lambda: f"the first to be fenced or to stand by\n{own_pair.engine.log_tail()}")
        lsn = own_pair.source_lsn()
        wait_until(lambda: own_pair.position_reached(lsn), lambda: f"the second to go on\n{second.log_tail()}")
        assert second.is_running()
        if own_pair.engine.is_running():
            own_pair.engine.stop()
        else:
            assert own_pair.engine.wait_exit() == 3, own_pair.engine.log_tail()
    second.stop()
    finish(own_pair)
