# SPDX-License-Identifier: Apache-2.0
"""bench/micro/run - the parts of the engine without a server: nanoseconds and instructions a change.

Instructions are counted by callgrind and do not depend on what else the machine does, so a slow-down of a few percent shows before
it lands. What they were is in bench/micro/instructions.txt; the exit code is 1 when one grew by more than 5 %.
"""
import argparse
import pathlib
import platform
import re
import subprocess
import sys

from . import about, build
from .cluster import ClusterError

TABLE = build.ROOT / "bench" / "micro" / "instructions.txt"
FOLDER = build.ROOT / "build-micro"
PROGRAM = FOLDER / "bench" / "micro" / "micro"
TOLERANCE = 0.05
CALLGRIND = ("valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=micro_pass",
             "--callgrind-out-file=/dev/null")
HEAD = "# Instructions a change, by callgrind; written by bench/micro/run --accept. Counted with: "


class Counts:
    """{name: instructions a change}, and what they were counted with."""

    def __init__(self, counted_with, of):
        self.counted_with, self.of = counted_with, of


def read_table(path):
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Counts("", {})
    counted_with = lines[0].removeprefix(HEAD) if lines else ""
    return Counts(counted_with, {name: float(count) for name, count in
                                 (line.split() for line in lines if line and not line.startswith("#"))})


def write_table(path, counts):
    path.write_text(HEAD + counts.counted_with + "\n"
                    + "".join(f"{name:28} {count:12.1f}\n" for name, count in counts.of.items()), encoding="utf-8")


def judge(before, now):
    """Sentences on counts that grew by more than the tolerance."""
    return [f"{name}: {now[name]:.1f} instructions a change, {now[name] / before[name] - 1:+.1%} (were {before[name]:.1f})"
            for name in now if name in before and now[name] > before[name] * (1 + TOLERANCE)]


def notes(before, now):
    """Other notes."""
    told = [f"{name} is not in the table yet: --accept puts it there" for name in now if name not in before.of]
    told += [f"{name} takes {1 - now[name] / count:.1%} fewer instructions than the table says: --accept keeps that"
             for name, count in before.of.items() if name in now and now[name] < count * (1 - TOLERANCE)]
    if before.counted_with and before.counted_with != toolchain():
        told.append(f"the table was counted with {before.counted_with}, this is {toolchain()}: they may differ by that")
    return told


def toolchain():
    """The counts also depend on the compiler, and on the C library, whose functions choose by the processor."""
    compiler = _output(["gcc", "-dumpfullversion"]).strip() or "?"
    return f"gcc {compiler}, {' '.join(platform.libc_ver())}, {about.machine()['cpu']}"


# ---- measuring ----

def build_program():
    build.install(["micro"])
    if not (FOLDER / "build.ninja").exists():
        build.run_command(["meson", "setup", FOLDER, build.ROOT, "--buildtype=release", "-Dmicro=true"])
    build.run_command(["ninja", "-C", FOLDER, "-j2", "bench/micro/micro"])
    return PROGRAM


def names_of(program):
    """{name: changes of one pass}."""
    return {name: int(changes) for name, changes in (line.split() for line in _output([program]).splitlines())}


def count(program, name, changes):
    """Instructions a change."""
    said = subprocess.run([*CALLGRIND, str(program), name, "once"], capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", said.stderr)
    if said.returncode != 0 or found is None:
        raise ClusterError(f"callgrind on {name} said: {said.stderr[-1000:]}")
    return int(found.group(1)) / changes


def time(program, name):
    """Nanoseconds of processor time a change."""
    return float(_output([program, name, "time"]))


def _output(command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(map(str, command))} said: {done.stderr.strip()}")
    return done.stdout


def measure(program, with_time, before):
    """Measures and prints line by line; {name: instructions a change}."""
    counts = {}
    print(f"{'':28} {'ns':>10} {'instructions':>14} {'before':>12}   (each a change)")
    for name, changes in names_of(program).items():
        counts[name] = round(count(program, name, changes), 1)
        spent = f"{time(program, name):.1f}" if with_time else "-"
        known = before.of.get(name)
        change = f"{known:12.1f} {counts[name] / known - 1:+7.1%}" if known else f"{'-':>12}"
        print(f"{name:28} {spent:>10} {counts[name]:>14.1f} {change}", flush=True)
    return counts


def main(given=None):
    parser = argparse.ArgumentParser(prog="bench/micro/run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructions", action="store_true", help="no times, which need a quiet machine")
    parser.add_argument("--accept", action="store_true", help="write what is counted into the table")
    parser.add_argument("--program", type=pathlib.Path, help="a micro that is already built; a release build without fault points")
    parser.add_argument("--table", type=pathlib.Path, default=TABLE, help="the counts to compare with")
    options = parser.parse_args(given)
    try:
        return _run(options)
    except ClusterError as problem:
        print(f"bench/micro/run: {problem}", file=sys.stderr)
        return 1


def _run(options):
    program = options.program or build_program()
    before = read_table(options.table)
    now = measure(program, not options.instructions, before)
    grown = judge(before.of, now)
    for note in notes(before, now):
        print(f"note: {note}")
    if options.accept:
        write_table(options.table, Counts(toolchain(), now))
        print(f"written to {options.table}")
        return 0
    for sentence in grown:
        print(f"GROWN: {sentence}")
    return 1 if grown else 0
