# SPDX-License-Identifier: Apache-2.0
"""Copying all rows into a database that has none: how long, at what cost, and what a table that streams meanwhile feels."""
import contextlib
import os
import threading
import time

from . import contents, lag, measure, workload
from .cluster import ClusterError
from .peer import PeerError, Run

JOBS = min(os.cpu_count() or 1, 4)  # of every peer, at the same time
LAG_RATE = 1000
POLL_INTERVAL_S = 0.05
LOAD_MAX_S = 600
ROWS_ARE_ALL = ("copy_one_table", "copy_fifty_tables")  # indexes and constraints are not asked for
COPY_IS_OVER = "select to_regclass('pgcdc.copy') is not null and not exists (select from pgcdc.chunk)"


class Copies:
    """The copies of one workload, each into a new database."""

    def __init__(self, bench, item):
        self.source, self.target = bench.source, bench.target
        self.folder, self.engine = bench.folder, bench.engine
        self.item = item
        self.bytes = 0
        self.expected = {}

    def prepare(self):
        self.item.prepare(self.source, self.item.name)
        self.source.query(f"create publication {workload.PUBLICATION} for all tables", database=self.item.name)
        self.bytes = self.source.value(
            "select sum(pg_table_size(oid)) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
            database=self.item.name)
        self.expected = contents.fingerprint(self.source, self.item.name)
        self.target.set(max_sync_workers_per_subscription=JOBS)

    def forget(self):
        self.source.query(f"drop database {self.item.name} with (force)")

    @contextlib.contextmanager
    def run(self, peer):
        """An empty database, and afterwards none, and no slot."""
        name = f"bench_{peer.name}"
        self.target.query(f"create database {name}")
        for cluster in (self.source, self.target):
            cluster.query("checkpoint")
        run = Run(self.source, self.target, self.item.name, name, name, None, self.folder, self.engine, None)
        run.schema = self.item.parts["schema"]
        try:
            yield run
        finally:
            peer.clean(run)
            self.target.query(f"drop database if exists {name} with (force)")
            self.source.query("select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where active")
            self.source.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots")

    def copy(self, peer):
        """The figures of one copy."""
        with self.run(peer) as run:
            peer.prepare(run)
            with measure.Sampler(self.source, self.target, run.target_database, self.item.name) as sampler:
                outcome = peer.copy(run)
            wrong = contents.differences(self.expected, contents.fingerprint(self.target, run.target_database))
            if self.item.name not in ROWS_ARE_ALL:
                wrong += contents.missing_objects(self.source, self.item.name, self.target, run.target_database)
            if wrong:
                raise PeerError(f"{peer.title}: the target is not equal to the source: {'; '.join(wrong)}")
        return {"kind": "copy", "rows": sum(count for count, _ in self.expected.values()), "bytes": int(self.bytes), "jobs": JOBS,
                "seconds": outcome.seconds, "client_cpu_s": outcome.client_cpu_s, "client_system_cpu_s": outcome.client_system_cpu_s,
                "client_peak_bytes": outcome.client_peak_bytes, "source_cpu_s": sampler.seconds("source"),
                "walsender_cpu_s": sampler.seconds("walsender"), "apply_cpu_s": sampler.seconds("apply"), **outcome.more}

    def lag(self, peer, program, duration_s):
        """The lag of a table that was empty at first, of the transactions that were due before the copy of the others ended."""
        transaction = self.item.parts["transaction"].strip()
        with self.run(peer) as run, CopyWatch(run) as watch:
            seen = lag.observe(run, peer, program, transaction, LAG_RATE, duration_s)
            ended_us = watch.ended_us
        departures = [departure for departure in seen.departures if ended_us is None or departure[0] < ended_us]
        if len(departures) <= lag.WARM_UP_S * LAG_RATE:
            raise PeerError(f"{peer.title}: the copy was over before its lag was measured; --size sets a larger one")
        return {"kind": "lag", "rate": LAG_RATE, "duration_s": len(departures) // LAG_RATE - lag.WARM_UP_S,
                **lag.figures(departures, seen.arrivals, seen.ended_us), "reader": seen.reader}


class CopyWatch:
    """Notes when a copy in chunks is over."""

    def __init__(self, run):
        self.run = run
        self.ended_us = None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def _watch(self):
        with contextlib.closing(self.run.target.connect(self.run.target_database)) as session:
            while not self.stop.wait(POLL_INTERVAL_S):
                if copy_is_over(session):
                    self.ended_us = time.monotonic_ns() // 1000
                    return


def copy_is_over(session):
    return is_true(session, COPY_IS_OVER)


def is_true(session, sql):
    with session.cursor() as cursor:
        with contextlib.suppress(Exception):  # the tables are made while we ask
            cursor.execute(sql)
            return bool(cursor.fetchone()[0])
    return False


def wait_true(cluster, database, sql, check):
    """Asks until the answer is true. check: raises when waiting has no sense any more."""
    deadline = time.monotonic() + LOAD_MAX_S
    with contextlib.closing(cluster.connect(database)) as session:
        while not is_true(session, sql):
            check()
            if time.monotonic() > deadline:
                raise ClusterError(f"not true within {LOAD_MAX_S} s: {sql}")
            time.sleep(POLL_INTERVAL_S)
