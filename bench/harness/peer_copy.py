# SPDX-License-Identifier: Apache-2.0
"""Peers that copy every row into a database that has none, with the same number of jobs.

The harness calls prepare(run), then copy(run), which returns an Outcome when all rows can be read and, for a peer that streams
afterwards, the copy is consistent; then clean(run).
"""
import contextlib
import shutil
import signal
import subprocess
import time

from . import copies, measure
from .peer import Outcome, Peer, PeerError, log_end
from .peer_native import Native
from .peer_pgcdc import Pgcdc
from .peer_pgcopydb import Pgcopydb, program
from .workload import PUBLICATION

CONFIGURATION = """\
name: {slot}
source:
  dsn: {source}
  slot: {slot}
  publication: {publication}
copy:
  mode: {mode}
  workers: {workers}
state: {state}
sinks:
  - name: target
    type: postgres
    dsn: {target}
"""
HALF_IS_COPIED = """
    select sum(bytes_estimate) filter (where state = 'copied') >= sum(bytes_estimate) / 2 from pgcdc.chunk"""
COPY_HAS_BEGUN = "select to_regclass('public.lag') is not null and exists (select from pgcdc.copy)"
ALL_ARE_READY = "select count(*) > 0 and bool_and(srsubstate = 'r') from pg_subscription_rel"
SPLIT = "64 MB"  # the size of pgcdc's chunks
ROWS_ONLY = {"clone_fifty_tables": "it makes no indexes and constraints"}
WHOLE_ONLY = {name: "it is measured where there are indexes and constraints" for name in ("copy_one_table", "copy_fifty_tables")}


class PgcdcCopyLive(Pgcdc):
    name = "pgcdc_live"
    title = "pgcdc, copy.mode: live"
    measure = "copy"
    mode = "live"
    measures_lag = True
    cannot = ROWS_ONLY

    def settings(self, server_version):
        return {"copy.mode": self.mode, "copy.workers": copies.JOBS, "everything else": "default"}

    def prepare(self, run):
        state = run.folder / f"{run.slot}.state"
        state.mkdir(exist_ok=True)
        self._file(run).write_text(CONFIGURATION.format(
            slot=run.slot, publication=PUBLICATION, state=state, mode=self.mode, workers=copies.JOBS,
            source=run.source.dsn(run.source_database), target=run.target.dsn(run.target_database)))

    def copy(self, run):
        done = measure.run_to_end([*self._command(run), "--until", "caught-up"], self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcdc ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    @contextlib.contextmanager
    def follow(self, run):
        with super().follow(run):
            copies.wait_true(run.target, run.target_database, COPY_HAS_BEGUN, lambda: None)
            yield

    def clean(self, run):
        shutil.rmtree(run.folder / f"{run.slot}.state", ignore_errors=True)


class PgcdcCopySimple(PgcdcCopyLive):
    name = "pgcdc_simple"
    title = "pgcdc, copy.mode: simple"
    mode = "simple"
    measures_lag = False


class PgcdcCopyKilled(PgcdcCopyLive):
    name = "pgcdc_killed"
    title = "pgcdc, copy.mode: live, killed with kill -9 at half and started again"
    measures_lag = False

    def copy(self, run):
        started = time.monotonic()
        with open(self._log(run), "wb") as log:
            engine = subprocess.Popen(self._command(run), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def check():
            if engine.poll() is not None:
                raise PeerError(f"pgcdc ended with {engine.returncode}: {log_end(self._log(run))}")

        try:
            copies.wait_true(run.target, run.target_database, HALF_IS_COPIED, check)
        finally:
            engine.send_signal(signal.SIGKILL)
            engine.wait()
        rest = super().copy(run)
        return Outcome(time.monotonic() - started, rest.client_cpu_s, rest.client_system_cpu_s, rest.client_peak_bytes)


class PgcdcMigrate(PgcdcCopyLive):
    name = "pgcdc_migrate"
    title = "pgcdc migrate, until it has caught up"
    measures_lag = False
    cannot = WHOLE_ONLY

    def settings(self, server_version):
        return {"copy.workers": copies.JOBS, "schema.jobs": copies.JOBS, "everything else": "default"}

    def prepare(self, run):
        super().prepare(run)
        with open(self._file(run), "a", encoding="utf-8") as file:
            file.write(f"schema:\n  jobs: {copies.JOBS}\n")

    def copy(self, run):
        done = measure.run_to_end([str(run.engine), "migrate", "-c", str(self._file(run)), "--until", "caught-up"], self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcdc migrate ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)


class PgDumpRestore(Peer):
    """Debian's own pair, by way of a directory."""

    name = "pg_dump_restore"
    title = "pg_dump -j, then pg_restore -j"
    measure = "copy"
    follows = False
    cannot = WHOLE_ONLY

    def settings(self, server_version):
        return {"--jobs of both": copies.JOBS, "--compress": 0, "everything else": "default"}

    def copy(self, run):
        parts = [self._run(run, "pg_dump", "-Fd", "-j", copies.JOBS, "-Z", 0, "-f", self._folder(run), run.source.dsn(run.source_database)),
                 self._run(run, "pg_restore", "-j", copies.JOBS, "-d", run.target.dsn(run.target_database), self._folder(run))]
        return Outcome(sum(part.seconds for part in parts), sum(part.cpu for part in parts), sum(part.system_cpu for part in parts),
                       max(part.peak_bytes for part in parts))

    def clean(self, run):
        shutil.rmtree(self._folder(run), ignore_errors=True)

    @staticmethod
    def _run(run, tool, *words):
        log = run.folder / f"{tool}.log"
        done = measure.run_to_end([run.source.binaries / tool, *words], log)
        if done.returncode != 0:
            raise PeerError(f"{tool} ended with {done.returncode}: {log_end(log)}")
        return done

    @staticmethod
    def _folder(run):
        return run.folder / "dump"


class PgcopydbClone(Pgcopydb):
    name = "pgcopydb_clone"
    title = "pgcopydb clone"
    measure = "copy"
    starts_slowly = False
    cannot = {}
    options = ()

    def settings(self, server_version):
        words = dict(zip(self.options[::2], self.options[1::2])) if len(self.options) % 2 == 0 else {}
        return {"--table-jobs": copies.JOBS, "--index-jobs": copies.JOBS, **words, "everything else": "default"}

    def prepare(self, run):
        pass

    def copy(self, run):
        command = [program(), "clone", *self._source(run), *self._target(run), *self._folder(run), "--table-jobs", copies.JOBS,
                   "--index-jobs", copies.JOBS, *self.options]
        done = measure.run_to_end(command, self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcopydb ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    def clean(self, run):
        shutil.rmtree(self._path(run), ignore_errors=True)


class PgcopydbTuned(PgcopydbClone):
    """Tables in parts of the size of pgcdc's chunks."""

    name = "pgcopydb_split"
    title = "pgcopydb clone, large tables in parts"
    options = ("--split-tables-larger-than", SPLIT)


class NativeCopy(Native):
    name = "native_copy"
    title = "native subscription, initial copy"
    measure = "copy"
    follows = False
    cannot = ROWS_ONLY

    def settings(self, server_version):
        return {"max_sync_workers_per_subscription": copies.JOBS, "copy_data": "true (the default)"}

    def prepare(self, run):
        run.target.script(run.schema + "create table bench_marker (id integer primary key);", run.target_database)
        self.session = run.target.connect(run.target_database)

    def copy(self, run):
        started = time.monotonic()
        self._execute(f"create subscription bench connection '{run.source.dsn(run.source_database)}' "
                      f"publication {PUBLICATION} with (slot_name = '{run.slot}')")
        copies.wait_true(run.target, run.target_database, ALL_ARE_READY, lambda: None)
        return Outcome(time.monotonic() - started)

    def clean(self, run):
        if self.session is None:
            return
        with contextlib.suppress(Exception):
            self._execute("drop subscription bench")
        self.session.close()
        self.session = None


ALL: tuple[type[Peer], ...] = (PgcdcCopyLive, PgcdcCopySimple, PgcdcCopyKilled, PgcdcMigrate, PgcopydbClone, PgcopydbTuned,
                               PgDumpRestore, NativeCopy)
