# SPDX-License-Identifier: Apache-2.0
"""Processor time and memory of every process that takes part in a run, from /proc.

A Sampler looks at the children of both postmasters ten times a second. What a process used between its last sample and
its end is missing: at most a tenth of a second a process and run.
"""
import os
import pathlib
import subprocess
import threading
import time

SAMPLE_INTERVAL_S = 0.1
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_times(pid):
    """(user, system) in seconds; OSError when the process is gone."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) * TICK_S, int(fields[12]) * TICK_S


def cpu_seconds(pid):
    """The processor time of a process of one thread, as a server's are, or None when it is gone. In nanoseconds where the kernel has
    them: a short run lasts only a few ticks of utime and stime."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        pass
    try:
        return sum(cpu_times(pid))
    except OSError:
        return None


def title(pid):
    """The command line that `ps` shows; PostgreSQL writes a process's purpose there."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def children(pid):
    try:
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def peak_bytes(pid):
    """VmHWM, or 0 when the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def tree_peak_bytes(pid):
    """The processor time of the process and all its running descendants."""
    return peak_bytes(pid) + sum(tree_peak_bytes(child) for child in children(pid))


class Process:
    """A client that was started and ran to its end."""

    def __init__(self, seconds, usage, peak, returncode):
        self.seconds, self.peak_bytes, self.returncode = seconds, peak, returncode
        self.cpu, self.system_cpu = usage.ru_utime + usage.ru_stime, usage.ru_stime


def run_to_end(command, log, env=None):
    """Runs command, both outputs into the file log, and measures it."""
    with open(log, "wb") as output:
        started = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                 env=env)
    try:
        return _wait(child, started)
    except BaseException:
        child.kill()
        child.wait()
        raise


def _wait(child, started):
    peak = 0
    ended = threading.Event()

    def watch():
        nonlocal peak
        while not ended.wait(SAMPLE_INTERVAL_S / 2):
            peak = max(peak, tree_peak_bytes(child.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
    finally:
        ended.set()
        watcher.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    return Process(seconds, usage, peak, child.returncode)


class Sampler:
    """Sums the processor time of server processes by role while it is open (`with Sampler(...) as sampler`)."""

    def __init__(self, source, target, target_database, source_database=None):
        self.source, self.target, self.target_database = source, target, target_database
        self.source_database = source_database  # whose sessions count as "source"; none do without it
        self.used, self.role = {}, {}
        self.bystanders = set()  # there before the run: background processes and the harness's own sessions
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self):
        self._sample(at_start=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        self._sample()

    def seconds(self, role):
        return sum(self.used[pid] for pid, of in self.role.items() if of == role)

    def wait_gone(self, role, timeout_s=10):
        """Waits until the processes of that role have ended; those that remain are counted at the end of the run."""
        deadline = time.monotonic() + timeout_s
        pids = {pid for pid, of in self.role.items() if of == role}
        while pids & {*children(self.source.postmaster_pid), *children(self.target.postmaster_pid)}:
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def _loop(self):
        while not self.ended.wait(SAMPLE_INTERVAL_S):
            self._sample()

    def _sample(self, at_start=False):
        for cluster in (self.source, self.target):
            for pid in children(cluster.postmaster_pid):
                used = cpu_seconds(pid)
                if used is None:
                    continue
                self.used[pid] = used
                if at_start:
                    self.bystanders.add(pid)
                elif pid not in self.bystanders:
                    self._note_role(cluster, pid)

    def _note_role(self, cluster, pid):
        text = title(pid)
        if cluster is self.source and "walsender" in text:
            self.role[pid] = "walsender"
        elif cluster is self.source and self.source_database and f" {self.source_database} " in text:
            self.role[pid] = "source"
        elif cluster is self.target and ("for subscription" in text or f" {self.target_database} " in text):
            self.role[pid] = "apply"
