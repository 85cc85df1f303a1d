# SPDX-License-Identifier: Apache-2.0
"""The command line, and the order of the measurements: record a backlog once, let every peer drain a copy of it in turn."""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from . import build, contents, copies, document, lag, latency, measure, micro, page, peers, profile, rates, report, workload
from .broker import Kafka
from .cluster import Cluster, ClusterError, find_binaries, server_user
from .peer import PeerError, Run
from .wire import Wire

# The box on which the figures of bench/README.md were measured. Throughput is measured with asynchronous commit on both
# sides for every peer; latency with synchronous commit.
SETTINGS = {
    "wal_level": "logical",
    "shared_buffers": "1GB",
    "logical_decoding_work_mem": "256MB",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
    # The launcher starts at most one subscription in this time, 5 s by default: the next peer would wait for the one before.
    "wal_retrieve_retry_interval": "100ms",
}


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="by name; all of them by default")
    parser.add_argument("--list", action="store_true", help="list the workloads and peers, and stop")
    parser.add_argument("--quick", action="store_true",
                        help="a tenth of the size, some workloads, one rate, no peer that starts slowly: two minutes")
    parser.add_argument("--rows", type=int, metavar="N", help="the size of every backlog, instead of its own")
    parser.add_argument("--size", type=int, metavar="MB", help="the size of every copy on the source's disk (500)")
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="repeat N times, report the median")
    parser.add_argument("--rate", type=rate_list, metavar="N,N",
                        help="transactions a second at which lag is measured (100,1000; quick: 1000)")
    parser.add_argument("--duration", type=int, metavar="S", help="seconds of each lag run, after 2 of warm-up (20; quick: 3)")
    parser.add_argument("--curve", action="store_true",
                        help="instead of --rate: look for the highest rate of each peer, and measure lag at 25, 50, 75, 90 %% of it")
    parser.add_argument("--sink", type=word_list, default=(), metavar="A,B",
                        help=f"only these sinks of pgcdc, and the peers of each ({', '.join(peers.SINKS)})")
    parser.add_argument("--peer", type=word_list, default=(), metavar="A,B", help="only these peers")
    parser.add_argument("--profile", action="store_true",
                        help="drain once more with perf (as root), and leave the most expensive functions beside the figures")
    parser.add_argument("--micro", action="store_true", help="instead of all this: the engine's parts, each alone, as bench/micro/run")
    parser.add_argument("--json", type=pathlib.Path, default=build.ROOT / "build" / "bench.json", metavar="FILE",
                        help="where the figures go (build/bench.json)")
    parser.add_argument("--add", action="store_true",
                        help="add to the existing figures, if they are of this commit and machine, instead of replacing them")
    parser.add_argument("--engine", type=pathlib.Path, metavar="FILE", help="a pgcdc that is already built")
    parser.add_argument("--pg-bin", metavar="DIR", help="PostgreSQL's programs (the newest installed)")
    parser.add_argument("--dir", metavar="DIR", help="where the clusters live while it runs (TMPDIR or /tmp)")
    return parser.parse_args()


def rate_list(text):
    rates_wanted = [int(word) for word in text.split(",")]
    if not all(1 <= rate <= rates.RATE_MAX for rate in rates_wanted):
        raise argparse.ArgumentTypeError(f"rates are from 1 to {rates.RATE_MAX}")
    return rates_wanted


def word_list(text):
    return tuple(word for word in text.split(",") if word)


def say(text):
    print(text, file=sys.stderr, flush=True)


RATES, QUICK_RATES = [100, 1000], [1000]

MEASURES = {
    "drain": "the time to work off a backlog that was recorded before, and its cost: processor time, memory, bytes on the wire",
    "copy": "all rows into a database that has none, and its cost; and the lag of a table that streams while the others are copied",
    "latency": "one commit at a time on an idle pipeline",
    "lag": "commits that come in at a set rate (--rate, --curve), whether or not the previous ones have arrived: from due to visible",
}


def show_list():
    print("Measures:")
    for name, meaning in MEASURES.items():
        print(f"  {name:24} {meaning}")
    print("\nWorkloads (with their rows or statements; --rows sets another size), by default all of them:")
    for item in workload.load([]):
        print(f"  {item.name:24} {item.measure}: {item.summary}" + (f" ({item.rows:,})" if item.rows else f" ({item.megabytes:,} MB)" if item.megabytes else ""))
    print("\nPeers, by default all of them; --sink selects the peers of a pgcdc sink, --peer selects them by name:")
    for peer in peers.ALL:
        print(f"  {peer.name:24} {peer.title}; beside sink {', '.join(peer.sinks)}")
        for name, reason in peer.cannot.items():
            print(f"  {'':24} not in {name}: {reason}")
    print("\nFor more: bench/run --help, and bench/README.md")


class Bench:
    """Two clusters and what is measured between them."""

    def __init__(self, options, folder, engine, choice):
        self.options, self.folder, self.engine = options, folder, engine
        self.choice = choice
        self.peers = [peer for peer in choice.chosen() if peer.measure in ("stream", "mapped")]
        self.copying_peers = [peer for peer in choice.chosen() if peer.measure == "copy"]
        binaries = find_binaries(options.pg_bin)
        self.source = Cluster("source", folder, binaries, SETTINGS)
        self.target = Cluster("target", folder, binaries, SETTINGS)
        self.kafka = Kafka()
        self.results = {}
        self.failures = []
        self.profiler = profile.Profiler(folder) if options.profile else None

    def head(self, chosen):
        return document.head(SETTINGS, self.source, self.options, chosen, self.peers + self.copying_peers,
                             self.choice.absent(chosen))

    def run(self, chosen):
        for item in chosen:
            self.results[item.name] = {}
            {"drain": self.drain_workload, "latency": self.time_workload, "lag": self.lag_workload,
             "copy": self.copy_workload}[item.measure](item)

    def copy_workload(self, item):
        """All rows into a new database, and what a table that streams meanwhile feels."""
        say(f"{item.name}: making {item.megabytes} MB ...")
        made = copies.Copies(self, item)
        made.prepare()
        peers = [peer for peer in self.copying_peers if item.name not in peer.cannot]
        for number in range(self.options.rounds):
            shift = number % (len(peers) or 1)  # no peer is always first
            for peer in peers[shift:] + peers[:shift]:
                self._note(item, peer, lambda peer=peer: made.copy(peer))
        if "transaction" in item.parts and not self.options.quick:  # a quick copy is over too soon
            self._lag_of_copies(item, made)
        made.forget()

    def _lag_of_copies(self, item, made):
        program = build.build_lag()
        self._set_synchronous_commit("on")
        for peer in [peer for peer in self.copying_peers if peer.measures_lag]:
            self._note(item, peer, lambda peer=peer: made.lag(peer, program, self.options.duration))
        self._set_synchronous_commit("off")

    def drain_workload(self, item):
        say(f"{item.name}: recording {item.rows} ...")
        end_lsn = self._record(item)
        expected = contents.fingerprint(self.source, item.name)
        self.counts = item.count(self.source, item.name, end_lsn)
        for number in range(self.options.rounds):
            shift = number % len(self.peers)  # no peer is always first
            for peer in [peer for peer in self.peers[shift:] + self.peers[:shift] if item.name not in peer.cannot]:
                self._attempt(item, peer, end_lsn, lambda run, peer=peer: self._drain(item, peer, run, expected))
        if self.profiler is not None:
            self._profile(item, end_lsn, expected)
        self._forget(item)

    def _profile(self, item, end_lsn, expected):
        """One more drain by each pgcdc peer, whose figures are not kept."""
        for peer in [peer for peer in self.peers if peer.name.startswith(peers.Pgcdc.name)]:
            def drain(run, peer=peer):
                with self.profiler.watch(f"{item.name}: {peer.title}", run):
                    return self._drain(item, peer, run, expected)
            self._attempt(item, peer, end_lsn, drain, keep=False)

    def time_workload(self, item):
        """Commit to visible, for the peers that fill a target."""
        self._set_synchronous_commit("on")
        self._record(item)
        for peer in [peer for peer in self.peers if peer.follows and (peer.applies or peer.needs_kafka)]:
            self._start_over(item, "ping")
            self._attempt(item, peer, None, lambda run, peer=peer: self._time(item, peer, run))
        self._forget(item)
        self._set_synchronous_commit("off")

    def lag_workload(self, item):
        """Due to visible at set rates, for every peer that can follow."""
        self.lag_program = build.build_lag()
        self._set_synchronous_commit("on")
        self._record(item)
        for peer in [peer for peer in self.peers if peer.follows]:
            if self.options.curve:
                self._lag_curve(item, peer)
            else:
                for rate in self.options.rate:
                    self._lag(item, peer, rate, self.options.duration)
        self._forget(item)
        self._set_synchronous_commit("off")

    def _lag_curve(self, item, peer):
        too_fast = {}  # the figures of the lowest rate that was not held

        def holds(rate):
            figures = self._lag(item, peer, rate, min(self.options.duration, lag.PROBE_S), is_probe=True)
            if figures is None or lag.holds(figures):
                return figures is not None
            if rate <= too_fast.get("rate", rate):
                too_fast.update(figures)
            return False

        highest = rates.highest(holds)
        limit = "source" if too_fast.get("source_falls_behind") else "peer"
        say(f"{item.name}: {peer.name} holds {highest} transactions a second; above it the {limit} falls behind")
        for rate in rates.of_curve(highest):
            figures = self._lag(item, peer, rate, self.options.duration)
            if figures is not None:
                figures.update(highest_rate=highest, limited_by=limit)

    def _lag(self, item, peer, rate, duration_s, is_probe=False):
        """The figures of a run, None when it failed. A probe's are not kept, and it may leave transactions behind."""
        self._start_over(item, "lag")
        timeout_s = lag.PROBE_TIMEOUT_S if is_probe else lag.ARRIVAL_TIMEOUT_S
        return self._attempt(item, peer, None, lambda run: lag.measure(
            run, peer, self.lag_program, item.parts["transaction"].strip(), rate, duration_s, timeout_s), keep=not is_probe)

    def _start_over(self, item, table):
        self.source.query(f"truncate {table}", database=item.name)
        self.source.query("select pg_replication_slot_advance(%s, pg_current_wal_flush_lsn())", (workload.RECORDED_SLOT,),
                          item.name)

    def _attempt(self, item, peer, end_lsn, measure_run, keep=True):
        """One run from a fresh copy of everything. A peer that fails does not lose the others' figures."""
        run = self._new_run(item, peer, end_lsn)
        try:
            return self._note(item, peer, lambda: measure_run(run), keep)
        finally:
            self._end_run(run)

    def _note(self, item, peer, measure_once, keep=True):
        """The figures of a run; None when it failed."""
        try:
            figures = measure_once()
        except (PeerError, latency.LatencyError) as failure:
            self.failures.append(f"{item.name}: {failure}")
            say(f"FAILED {self.failures[-1]}")
            return None
        else:
            if keep:
                self.results[item.name].setdefault(peer.name, []).append(figures)
            say(f"{item.name}: {peer.name} {report.in_short(figures)}")
            return figures

    def _drain(self, item, peer, run, expected):
        run.counts = self.counts
        with contextlib.closing(Wire(self.source.port)) as wire:
            try:
                peer.prepare(run)
                broker_before = self.kafka.cpu_seconds() if peer.needs_kafka else 0
                with measure.Sampler(self.source, self.target, run.target_database) as sampler:
                    outcome = peer.drain(run)
                broker = {"broker_cpu_s": self.kafka.cpu_seconds() - broker_before} if peer.needs_kafka else {}
                peer.verify(run)
            finally:
                peer.clean(run)
            sampler.wait_gone("walsender")
            sent_bytes = wire.sent_bytes()
        if peer.applies:
            self._compare(peer, run, expected)
        return {"kind": "drain", "rows": item.rows, "changes": self.counts.changes, "transactions": self.counts.transactions,
                "wal_bytes": self.counts.wal_bytes, "seconds": outcome.seconds, "client_cpu_s": outcome.client_cpu_s,
                "client_system_cpu_s": outcome.client_system_cpu_s, "client_peak_bytes": outcome.client_peak_bytes,
                "walsender_cpu_s": sampler.seconds("walsender"), "apply_cpu_s": sampler.seconds("apply"),
                **({"wire_bytes": sent_bytes} if sent_bytes else {}), **broker, **outcome.more}

    @staticmethod
    def _time(item, peer, run):
        with peer.follow(run), peer.visible(run) as wait:
            samples = latency.measure(run, item.rows, wait)
        return {"kind": "idle", "commits": len(samples), "median_ms": report.percentile(samples, 0.5),
                "p90_ms": report.percentile(samples, 0.9), "p99_ms": report.percentile(samples, 0.99)}

    @staticmethod
    def _compare(peer, run, expected):
        wrong = contents.differences(expected, contents.fingerprint(run.target, run.target_database))
        if wrong:
            raise PeerError(f"{peer.title}: the target is not equal to the source: {'; '.join(wrong)}")

    def _set_synchronous_commit(self, value):
        for cluster in (self.source, self.target):
            cluster.set(synchronous_commit=value)

    def _record(self, item):
        for cluster in (self.source, self.target):
            item.prepare(cluster, item.name)
        return item.record(self.source, item.name)

    def _forget(self, item):
        """Drops the slot, which releases the WAL, before the next workload."""
        self.source.query("select pg_drop_replication_slot(%s)", (workload.RECORDED_SLOT,))
        for cluster in (self.source, self.target):
            cluster.query(f"drop database {item.name} with (force)")

    def _new_run(self, item, peer, end_lsn):
        """A fresh copy of the slot and of the target's database: every peer starts from the same state."""
        name = f"bench_{peer.name}"
        self.source.query("select pg_copy_logical_replication_slot(%s, %s)", (workload.RECORDED_SLOT, name), item.name)
        self.target.query(f"create database {name} template {item.name}")
        self.target.query("vacuum", database=name)
        for cluster in (self.source, self.target):
            cluster.query("checkpoint")
        return Run(self.source, self.target, item.name, name, name, end_lsn, self.folder, self.engine, self.kafka)

    def _end_run(self, run):
        self.target.query(f"drop database if exists {run.target_database} with (force)")
        self.source.query("select pg_terminate_backend(active_pid, 10000) from pg_replication_slots "
                          "where slot_name = %s and active", (run.slot,))
        self.source.query("select pg_drop_replication_slot(%s)", (run.slot,))
        for left in self.folder.glob(f"{run.slot}.*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def save(path, result):
    """The document, and the page beside it."""
    document.write(path, result)
    page.write(path.with_suffix(".html"), result)
    print(f"written to {path} and {path.with_suffix('.html')}")


def run_bench(options, chosen):
    """True when every peer finished with the right contents."""
    choice = peers.Choice(options.sink, options.peer, options.quick, tuple({kind for item in chosen for kind in item.kinds_of_peers}))
    build.install(dict.fromkeys(group for peer in choice.chosen() for group in peer.groups))
    choice.is_installed = True
    engine = None
    if any(peer.name.startswith(peers.Pgcdc.name) for peer in choice.chosen()):
        engine = options.engine or build.build_engine()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pgcdc-bench-", dir=options.dir))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        shutil.chown(folder, server_user())
    bench = Bench(options, folder, engine, choice)
    try:
        for cluster in (bench.source, bench.target):
            cluster.start()
        head = bench.head(chosen)
        before = document.read(options.json) if options.add and options.json.exists() else None
        if before is not None:
            document.check_same(before, head)
        report.print_head(head)
        for name, reason in choice.absent(chosen).items():
            print(f"without {name}: {reason}")
        bench.run(chosen)
        report.print_drains(bench.results)
        report.print_kafka_drains(bench.results)
        report.print_mapped_drains(bench.results)
        report.print_copies(bench.results)
        report.print_latency(bench.results)
        report.print_lags(bench.results)
        made = document.make(head, bench.results, bench.failures)
        save(options.json, made if before is None else document.add(before, made))
        if bench.profiler is not None:
            bench.profiler.write(options.json.with_suffix(".profile.txt"))
            print(f"profiles in {options.json.with_suffix('.profile.txt')}")
        for failure in bench.failures:
            say(f"FAILED {failure}")
        return not bench.failures
    finally:
        bench.kafka.stop()
        for cluster in (bench.source, bench.target):
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    options = arguments()
    if options.list:
        show_list()
        return 0
    if options.micro:
        return micro.main([])
    if options.duration is None:
        options.duration = lag.QUICK_DURATION_S if options.quick else lag.DURATION_S
    if options.rate is None:
        options.rate = QUICK_RATES if options.quick else RATES
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        chosen = workload.load(options.workloads or (workload.QUICK if options.quick else ()))
        for item in chosen if options.quick else []:
            item.shrink()
        for item in chosen if options.size is not None else []:
            item.megabytes = options.size
        for item in chosen if options.rows is not None else []:
            if item.measure == "drain":
                item.resize(options.rows)
        succeeded = run_bench(options, chosen)
    except (ClusterError, PeerError, latency.LatencyError, document.DocumentError, subprocess.SubprocessError) as problem:
        say(f"bench/run: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if succeeded else 1
