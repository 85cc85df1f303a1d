# SPDX-License-Identifier: Apache-2.0
"""
One large transaction on a pipeline that has nothing else to do: from its COMMIT to the moment at which its last row is visible.

A source can send such a transaction after its COMMIT, or while it is open. Each peer gets the same statement, one after the
other, with its own slot and its own target database, of one source.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import tempfile
import time

from . import build, contents
from .cluster import Cluster, ClusterError, find_binaries, server_user
from .main import SETTINGS
from .peer import Run
from .peer_native import Native, NativeTuned
from .peer_pgcdc import Pgcdc
from .workload import MARKER_SCHEMA, PUBLICATION

DATABASE = "streamed"
SCHEMA = MARKER_SCHEMA + "create table narrow (id bigint primary key, amount integer not null, label text not null);"
ROWS = "insert into narrow select g, (random() * 1000000)::integer, md5(g::text) from generate_series(%s, %s) g"
POLL_INTERVAL_S = 0.01
TIMEOUT_S = 1800
WORK_MEM = "64MB"  # what is larger is sent early, or spilled to the source's disk


class PgcdcWaiting(Pgcdc):
    title = "pgcdc, streaming: off"
    streaming = "off"

    def configuration(self, run):
        form, values = super().configuration(run)
        return form.replace("{decoding_work_mem}", f"{WORK_MEM}\n  streaming: {self.streaming}"), values


class PgcdcStreaming(PgcdcWaiting):
    name = "pgcdc_streaming"
    title = "pgcdc, streaming: on"
    streaming = "on"


PEERS = (PgcdcWaiting, PgcdcStreaming, Native, NativeTuned)


def wait_row(session, number):
    deadline = time.monotonic() + TIMEOUT_S
    with session.cursor() as cursor:
        while True:
            cursor.execute("select from narrow where id = %s", (number,))
            if cursor.rowcount == 1:
                return time.monotonic()
            if time.monotonic() > deadline:
                raise ClusterError(f"row {number} is not visible after {TIMEOUT_S} s")
            time.sleep(POLL_INTERVAL_S)


def load(source, first, last):
    """Seconds of the INSERT, and when its COMMIT was sent."""
    began = time.monotonic()
    with source.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute(ROWS, (first, last))
        sent = time.monotonic()
        cursor.execute("commit")
        return sent - began, sent


class Streamed:
    def __init__(self, source, target, folder, engine):
        self.source, self.target, self.folder, self.engine = source, target, folder, engine

    def prepare(self):
        self.source.query(f"create database {DATABASE}")
        self.source.script(SCHEMA, DATABASE)
        self.source.query(f"create publication {PUBLICATION} for all tables", database=DATABASE)

    def measure(self, peer, rows):
        """Seconds from COMMIT to visible, and those of the INSERT before."""
        name = f"bench_{peer.name}"
        self.source.query("truncate narrow", database=DATABASE)
        self.target.query(f"create database {name}")
        self.target.script(SCHEMA, name)
        self.source.query("select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,), DATABASE)
        run = Run(self.source, self.target, DATABASE, name, name, None, self.folder, self.engine, None)
        try:
            with peer.follow(run), contextlib.closing(self.source.connect(DATABASE)) as source, \
                    contextlib.closing(self.target.connect(name)) as target:
                load(source, 1, 1)
                wait_row(target, 1)  # it is up
                insert_s, sent = load(source, 2, rows)
                seconds = wait_row(target, rows) - sent
                expected = contents.fingerprint(self.source, DATABASE)
                wrong = contents.differences(expected, contents.fingerprint(self.target, name))
            if wrong:
                raise ClusterError(f"{peer.title}: {'; '.join(wrong)}")
            return seconds, insert_s
        finally:
            self.target.query(f"drop database if exists {name} with (force)")
            self.source.query("select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where active")
            self.source.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots")
            for left in self.folder.glob(f"{name}.*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


def show(results, rows, version):
    reference = statistics.median(seconds for seconds, _ in results[Pgcdc.name])
    print(f"one transaction of {rows:,} rows, PostgreSQL {version // 10000}, {PEERS[0].name}'s time is 1; medians of {len(results[Pgcdc.name])}")
    for peer in PEERS:
        seconds = statistics.median(seconds for seconds, _ in results[peer.name])
        insert_s = statistics.median(insert_s for _, insert_s in results[peer.name])
        print(f"  {peer.title:34} COMMIT to visible {seconds:7.2f} s  {seconds / reference:5.2f}   (INSERT {insert_s:.2f} s before)")


def measure_all(options, folder):
    binaries = find_binaries(options.pg_bin)
    settings = dict(SETTINGS, logical_decoding_work_mem=WORK_MEM)
    source, target = Cluster("source", folder, binaries, settings), Cluster("target", folder, binaries, settings)
    try:
        source.start()
        target.start()
        streamed = Streamed(source, target, folder, options.engine or build.build_engine())
        streamed.prepare()
        results = {peer.name: [] for peer in PEERS}
        for number in range(options.rounds):
            shift = number % len(PEERS)  # no peer is always first
            for peer in PEERS[shift:] + PEERS[:shift]:
                results[peer.name].append(streamed.measure(peer(), options.rows))
        show(results, options.rows, source.version())
    finally:
        source.stop()
        target.stop()


def main():
    parser = argparse.ArgumentParser(prog="bench/streamed", description=__doc__)
    parser.add_argument("--rows", type=int, default=1000000, metavar="N", help="rows of the transaction (1000000)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="repeat N times, show the median")
    parser.add_argument("--engine", type=pathlib.Path, metavar="FILE", help="a pgcdc that is already built")
    parser.add_argument("--pg-bin", metavar="DIR", help="PostgreSQL's programs (the newest installed); parallel apply needs 16 or later")
    parser.add_argument("--dir", metavar="DIR", help="where the clusters live while it runs (TMPDIR or /tmp)")
    options = parser.parse_args()
    build.install(())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pgcdc-bench-", dir=options.dir))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, server_user())
    try:
        measure_all(options, folder)
    except ClusterError as problem:
        print(f"bench/streamed: {problem}")
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0
