# SPDX-License-Identifier: Apache-2.0
"""`pgcopydb follow`: reads the slot into files, makes SQL of them in further files, and applies those.

It only follows a slot of its own making, so it makes one and holds its snapshot (`pgcopydb snapshot --follow`), as its manual
says; then a copy of the recorded slot, with the plugin that it reads, takes that one's place, and the file in which it notes
where its slot begins is told so. The version is the next Debian's: Debian 12's 0.10 loses what crosses a WAL segment's end.
"""
import contextlib
import os
import re
import signal
import subprocess
import time

from . import measure
from .build import ROOT
from .peer import Outcome, Peer, PeerError, log_end
from .workload import RECORDED_SLOT

PLUGIN = "test_decoding"  # its default; through Debian's wal2json (2.5) insert_wide arrives with other contents
DRAIN_TIMEOUT_S = 1800
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20


def program():
    """The program that tests/support/install put into the cache."""
    cache = subprocess.run([str(ROOT / "tests" / "support" / "cache")], stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"{cache.strip()}/pgcopydb/pgcopydb"


class Pgcopydb(Peer):
    name = "pgcopydb"
    title = "pgcopydb follow, defaults"
    follows = False
    starts_slowly = True
    groups = ("pgcopydb",)
    cannot = {"update_documents": "it ended well and had written the word unchanged-toast-datum into documents whose text had not changed"}

    def __init__(self):
        self.holder = None  # of the snapshot

    def unavailable(self):
        return "" if os.access(program(), os.X_OK) else "the next Debian's package could not be had from apt's mirror"

    def version(self):
        done = subprocess.run([program(), "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        found = re.search(r"version (\S+)", done.stdout)
        return f"pgcopydb {found[1]}" if found else ""

    def settings(self, server_version):
        return {"plugin": PLUGIN, "everything else": "default"}

    def prepare(self, run):
        self._hold_snapshot(run)
        run.source.query("select pg_drop_replication_slot(%s)", (self._slot(run),))
        run.source.query("select pg_copy_logical_replication_slot(%s, %s, false, %s)", (RECORDED_SLOT, self._slot(run), PLUGIN),
                         run.source_database)
        start = run.source.value("select confirmed_flush_lsn from pg_replication_slots where slot_name = %s", (self._slot(run),))
        slot, _, *rest = self._slot_file(run).read_text().splitlines()
        self._slot_file(run).write_text("\n".join([slot, start, *rest]) + "\n")
        self._tool(run, "stream", "setup", *self._source(run), *self._target(run), "--origin", run.slot)
        self._tool(run, "stream", "sentinel", "set", "apply", *self._source(run))

    def drain(self, run):
        command = ["timeout", "--foreground", DRAIN_TIMEOUT_S, program(), "follow", *self._source(run), *self._target(run),
                   *self._folder(run), "--origin", run.slot, "--endpos", run.end_lsn, "--resume"]
        done = measure.run_to_end(command, self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcopydb ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    def clean(self, run):
        with contextlib.suppress(OSError, ValueError):  # it is gone, as it should be
            os.kill(int((self._path(run) / "pgcopydb.pid").read_text().split()[0]), signal.SIGTERM)
        if self.holder is not None:
            self._stop_holder()
        run.source.query("select pg_terminate_backend(active_pid, 10000) from pg_replication_slots where slot_name = %s and active",
                         (self._slot(run),))
        run.source.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
                         (self._slot(run),))
        run.target.query("select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s", (run.target_database,))
        run.target.query("select pg_replication_origin_drop(roname) from pg_replication_origin where roname = %s", (run.slot,))

    def _hold_snapshot(self, run):
        with open(self._log(run), "wb") as log:
            self.holder = subprocess.Popen(
                [program(), "snapshot", *self._source(run), *self._folder(run), "--follow", "--plugin", PLUGIN,
                 "--slot-name", self._slot(run)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._slot_file(run).exists() or not self._slot_file(run).read_text().endswith("\n"):
            if self.holder.poll() is not None or time.monotonic() > deadline:
                raise PeerError(f"pgcopydb snapshot made no slot: {log_end(self._log(run))}")
            time.sleep(0.05)

    def _stop_holder(self):
        self.holder.terminate()
        try:
            self.holder.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.holder.kill()
            self.holder.wait()
        self.holder = None

    def _tool(self, run, *arguments):
        with open(self._log(run), "ab") as log:
            done = subprocess.run([program(), *arguments, *self._folder(run)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  check=False, timeout=START_TIMEOUT_S)
        if done.returncode != 0:
            raise PeerError(f"pgcopydb {' '.join(arguments[:2])} ended with {done.returncode}: {log_end(self._log(run))}")

    @staticmethod
    def _slot(run):
        return f"{run.slot}_{PLUGIN}"

    @staticmethod
    def _source(run):
        return "--source", run.source.dsn(run.source_database)

    @staticmethod
    def _target(run):
        return "--target", run.target.dsn(run.target_database)

    @staticmethod
    def _path(run):
        return run.folder / f"{run.slot}.files"

    def _folder(self, run):
        return "--dir", str(self._path(run))

    def _slot_file(self, run):
        return self._path(run) / "cdc" / "slot"

    @staticmethod
    def _log(run):
        return run.folder / f"{run.slot}.log"
