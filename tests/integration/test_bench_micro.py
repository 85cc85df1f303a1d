# SPDX-License-Identifier: Apache-2.0
"""`bench/micro/run` says when a part of the engine needs more instructions than it did."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import micro  # noqa: E402


def test_more_than_a_twentieth_is_told_and_less_is_not():
    before = {"decode": 100.0, "pack": 200.0, "gone": 1.0}
    assert not micro.judge(before, {"decode": 104.9, "pack": 150.0, "new": 7.0})
    assert micro.judge(before, {"decode": 105.1, "pack": 200.0}) == [
        "decode: 105.1 instructions a change, +5.1% (were 100.0)"]


def test_what_is_new_or_became_cheaper_is_noted():
    told = micro.notes(micro.Counts("", {"pack": 200.0}), {"pack": 100.0, "new": 7.0})
    assert "new is not in the table" in told[0]
    assert "pack takes 50.0% fewer" in told[1]


def test_another_compiler_is_noted():
    assert "they may differ by that" in micro.notes(micro.Counts("gcc 1.0", {}), {})[0]


def test_the_table_reads_back_as_it_was_written(tmp_path):
    micro.write_table(tmp_path / "t", micro.Counts("gcc 12", {"decode": 491.9, "pack": 2570.6}))
    read = micro.read_table(tmp_path / "t")
    assert (read.counted_with, read.of) == ("gcc 12", {"decode": 491.9, "pack": 2570.6})


def run(*arguments):
    return subprocess.run([BENCH / "micro" / "run", "--instructions", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.long
def test_no_part_needs_more_instructions_than_the_table_says():
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_a_part_that_needs_more_is_found(tmp_path):
    counts = micro.read_table(micro.TABLE)
    counts.of["decode_delete"] *= 0.9
    micro.write_table(tmp_path / "t", counts)
    done = run("--table", tmp_path / "t")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "GROWN: decode_delete" in done.stdout
