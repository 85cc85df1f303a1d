# SPDX-License-Identifier: Apache-2.0
"""Where the processor time of a drain goes, by perf: the functions of the engine, of the source's walsender and of the target's backends.

A profiled run is one more, whose figures are not kept. perf looks at the whole machine, so it has to be root; what does not belong to
the run is left out by process. Without perf, or without the right to use it, the file says so.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading

from . import build, measure
from .cluster import ClusterError

SYMBOLS_MAX = 40
SAMPLES_A_SECOND = 997  # not in step with anything that happens every millisecond
WATCH_INTERVAL_S = 0.05
STOP_TIMEOUT_S = 60


class Profiler:
    """Collects the text of all profiles of a run of the bench."""

    def __init__(self, folder):
        self.folder = folder
        self.parts = []
        self.trouble = _missing()

    @contextlib.contextmanager
    def watch(self, title, run):
        """Profiles what happens inside, when it can."""
        if self.trouble:
            yield
            return
        data = self.folder / "perf.data"
        with _Processes(run) as processes, _recording(data) as recording:
            yield
        trouble = recording.trouble()
        parts = [f"perf said: {trouble}"] if trouble else [_of_role(data, role, pids) for role, pids in processes.roles.items()]
        self.parts.append("\n".join([f"==== {title}", "", *parts]))
        data.unlink(missing_ok=True)

    def write(self, path):
        path.write_text(self.trouble + "\n" if self.trouble else "\n".join(self.parts), encoding="utf-8")


def _missing():
    """Why there can be no profile, "" when there can."""
    if shutil.which("perf") is None:
        with contextlib.suppress(ClusterError):
            build.install(["profile"])
    if shutil.which("perf") is None:
        return "There is no profile: perf is not here. On Debian: apt-get install linux-perf"
    if os.geteuid() != 0:
        return "There is no profile: perf has to look at other users' processes. Run it as root."
    return ""


class _Recording:
    def __init__(self, process):
        self.process = process
        self.said = ""

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.said = self.process.communicate(timeout=STOP_TIMEOUT_S)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.said = self.process.communicate()[1]

    def trouble(self):
        """perf ends by the signal that stops it, or with 0."""
        return "" if self.process.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT) else self.said.strip()


@contextlib.contextmanager
def _recording(data):
    # The clock rather than a cycle counter: a virtual machine may have none.
    command = ["perf", "record", "-a", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_A_SECOND), "-o", str(data)]
    recording = _Recording(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True))
    try:
        yield recording
    finally:
        recording.stop()


class _Processes:
    """Notes the processes of the run while they live."""

    def __init__(self, run):
        self.run = run
        self.roles = {"engine": set(), "walsender": set(), "target": set()}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def _loop(self):
        while not self.ended.wait(WATCH_INTERVAL_S):
            self._look(os.getpid(), "engine", str(self.run.engine))
            self._look(self.run.source.postmaster_pid, "walsender", "walsender")
            self._look(self.run.target.postmaster_pid, "target", f" {self.run.target_database} ")

    def _look(self, parent, role, word):
        self.roles[role] |= {pid for pid in measure.children(parent) if word in measure.title(pid)}


def _of_role(data, role, pids):
    if not pids:
        return f"-- {role}: no process\n"
    command = ["perf", "report", "-i", str(data), "--stdio", "--no-children", "-g", "none", "--pid", ",".join(map(str, sorted(pids))),
               "--sort", "dso,symbol", "--show-nr-samples"]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    rows = parse(said.stdout)
    if not rows:
        return f"-- {role}: no samples. {said.stderr.strip()}\n"
    return "\n".join(table(role, rows)) + "\n"


def parse(report):
    """[(samples, object, symbol)] of what perf report prints. What it has no name for is one symbol an object."""
    found = re.findall(r"^\s*[\d.]+%\s+(\d+)\s+(\S+)\s+\[[.kgu]\]\s+(.*?)(?:\s+-\s+-)?\s*$", report, re.M)
    samples = {}
    for count, where, symbol in found:
        key = where, "(no name)" if symbol.startswith("0x") else symbol
        samples[key] = samples.get(key, 0) + int(count)
    return [(count, where, symbol) for (where, symbol), count in samples.items()]


def table(role, rows):
    """The most expensive symbols, as shares of the process's own time."""
    whole = sum(samples for samples, _, _ in rows)
    ordered = sorted(rows, reverse=True)
    yield f"-- {role}: {whole / SAMPLES_A_SECOND:.2f} s of processor time"
    for samples, where, symbol in ordered[:SYMBOLS_MAX]:
        yield f"{samples / whole:7.1%}  {where:28} {symbol}"
    rest = sum(samples for samples, _, _ in ordered[SYMBOLS_MAX:])
    if rest:
        yield f"{rest / whole:7.1%}  {'':28} {len(ordered) - SYMBOLS_MAX} others"
