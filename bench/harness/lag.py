# SPDX-License-Identifier: Apache-2.0
"""The time from when a transaction is due at the source until it is visible at the target, at a set rate.

Open loop: the due times are fixed before the run, whatever is slow. The program `lag` (bench/lag) commits at
the source and watches the target; both write what they saw into files, which are worked up here when it is over.
"""
import array
import contextlib
import dataclasses
import json
import os
import selectors
import statistics
import subprocess
import time

from .histogram import Histogram
from .latency import LatencyError

CONNECTIONS = 16
DURATION_S, QUICK_DURATION_S, PROBE_S = 20, 3, 10
WARM_UP_S = 2  # due at first, and dropped: caches, the topic's first transactions
LATE_US = 1000  # a commit that was sent later than this after its due time counts as a late send
READY_TIMEOUT_S = 90
ARRIVAL_TIMEOUT_S = 60
PROBE_TIMEOUT_S = 5  # a peer that is further behind does not hold the rate
STOP_TIMEOUT_S = 10
PERCENTS = ("50", "90", "99", "99.9", "100")
FIELDS = 3  # int64 each, in the files of bench/lag
GROWTH_MAX = 0.02  # seconds of lag a second: who lets it grow faster falls behind
BACKLOG_MAX_MS = 1000  # ... and so does who still has that much of it at the end, grown before or not


def measure(run, peer, program, transaction, rate, duration_s, arrival_timeout_s=ARRIVAL_TIMEOUT_S):
    """The figures of one run, as document.py has them. What has not arrived at the end of the timeout is in them as that late."""
    seen = observe(run, peer, program, transaction, rate, duration_s, arrival_timeout_s)
    return {"kind": "lag", "rate": rate, "duration_s": duration_s, **figures(seen.departures, seen.arrivals, seen.ended_us),
            "reader": seen.reader}


@dataclasses.dataclass
class Seen:
    departures: list  # (due, sent, answered) in microseconds, by number - 1
    arrivals: dict  # {number: (due, seen)}
    ended_us: int
    reader: dict  # the watcher's own resolution


def observe(run, peer, program, transaction, rate, duration_s, arrival_timeout_s=ARRIVAL_TIMEOUT_S):
    count = rate * (WARM_UP_S + duration_s)
    with peer.follow(run), contextlib.closing(Watcher(program, run, peer.watch(run), count)) as watcher:
        _commit_first(run, transaction)
        watcher.wait_ready(peer)
        departures = _load(program, run, transaction, count, rate)
        is_all_sent = departures[-1][1] != 0  # if not, the watcher waits in vain for what the source did not take
        watcher.wait_complete(arrival_timeout_s if is_all_sent else PROBE_TIMEOUT_S)
        ended_us = time.monotonic_ns() // 1000
        reader = watcher.stop()
        return Seen(departures, watcher.arrivals(), ended_us, reader)


def _commit_first(run, transaction):
    """Transaction 0, which shows that the peer is up, and makes it create what it creates."""
    run.source.query(f"prepare first as {transaction}; execute first (0, 'lag:0:0;')", database=run.source_database)


def _load(program, run, transaction, count, rate):
    """Returns when every commit was answered: [(due, sent, answered)] in microseconds by number - 1."""
    path = run.folder / f"{run.slot}.departures"
    command = [program, "load", path, count, run.source.dsn(run.source_database), transaction, CONNECTIONS, rate]
    load = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)  # so that Ctrl-C is heard by the harness alone, which ends everything in order
    try:
        _, said = load.communicate()
    finally:
        _end(load)
    if load.returncode != 0:
        raise LatencyError(said.strip())
    return _read(path)


class Watcher:
    """The program that notes when it sees each transaction at the target."""

    def __init__(self, program, run, words, count):
        self.path = run.folder / f"{run.slot}.arrivals"
        what, *arguments = words
        command = [program, what, self.path, count, *arguments]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, start_new_session=True)

    def wait_ready(self, peer):
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(READY_TIMEOUT_S):
                raise LatencyError(f"{peer.title}: the first commit is not visible after {READY_TIMEOUT_S} s")
        if self.process.stdout.readline() != "ready\n":
            self._check()

    def wait_complete(self, timeout_s):
        """Waits until it has seen everything and ends, or the time is over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout_s)

    def stop(self):
        """The watcher's own resolution."""
        self.process.terminate()
        self._check()
        return json.loads(self.said)

    def arrivals(self):
        """{number: (due, seen)} in microseconds."""
        return {number: (due, seen) for number, due, seen in _read(self.path)}

    def close(self):
        _end(self.process)

    def _check(self):
        self.said, trouble = self.process.communicate(timeout=STOP_TIMEOUT_S)
        if self.process.returncode != 0:
            raise LatencyError(trouble.strip())


def _end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _read(path):
    numbers = array.array("q")
    with open(path, "rb") as file:
        numbers.fromfile(file, os.path.getsize(path) // numbers.itemsize)
    return list(zip(*(numbers[field::FIELDS] for field in range(FIELDS))))


def figures(departures, arrivals, ended_us):
    first_due = departures[0][0] + WARM_UP_S * 1_000_000
    measured = [(number, *departure) for number, departure in enumerate(departures, 1) if departure[0] >= first_due]
    lags, of_source = Lags(first_due), Lags(first_due)
    for number, due, _, answered in measured:
        lags.add(due, arrivals[number][1] if number in arrivals else ended_us)
        of_source.add(due, answered or ended_us)
    over_time = lags.over_time()
    unseen = sum(number not in arrivals for number, *_ in measured)
    unanswered = sum(answered == 0 for *_, answered in measured)
    return {"sent": sum(sent != 0 for _, _, sent, _ in measured),
            "late_sends": sum(sent == 0 or sent - due > LATE_US for _, due, sent, _ in measured),
            "unseen": unseen, "falls_behind": unseen > 0 or falls_behind(over_time),
            "source_falls_behind": unanswered > 0 or falls_behind(of_source.over_time()),
            "percentiles_ms": lags.percentiles_ms(), "source_percentiles_ms": of_source.percentiles_ms(),
            "histogram": lags.histogram.buckets(), "over_time": over_time}


class Lags:
    """The lags of one run's transactions, from due until they are committed or visible."""

    def __init__(self, first_due):
        self.first_due = first_due
        self.histogram = Histogram()
        self.seconds = {}  # the lags of the transactions that were due in each

    def add(self, due, happened):
        self.histogram.add(happened - due)
        self.seconds.setdefault((due - self.first_due) // 1_000_000, []).append(happened - due)

    def percentiles_ms(self):
        return {percent: _ms(self.histogram.percentile(float(percent))) for percent in PERCENTS}

    def over_time(self):
        return [[second, _ms(statistics.median(lags)), _ms(max(lags))] for second, lags in sorted(self.seconds.items())]


def _ms(microseconds):
    return round(microseconds / 1000, 3)


def holds(figures):
    """Did the peer, and the source, keep up with the rate of the run?"""
    return not figures["falls_behind"]


def falls_behind(over_time):
    """
    Does lag grow through the run? The median of the slopes between all seconds, which one bad second does not move. Or is there
    a backlog that does not shrink? The median of the last third.
    """
    slopes = [(late[1] - early[1]) / 1000 / (late[0] - early[0]) for i, late in enumerate(over_time) for early in over_time[:i]]
    last = [median_ms for _, median_ms, _ in over_time[-(len(over_time) // 3 or 1):]]
    return bool(slopes) and (statistics.median(slopes) > GROWTH_MAX or statistics.median(last) > BACKLOG_MAX_MS)
