# SPDX-License-Identifier: Apache-2.0
"""pg_recvlogical to /dev/null: what PostgreSQL's own client needs to receive the stream and discard it.

Two peers, because what the server has to write depends on the reader: pgcdc asks for binary values when all its sinks take them
(Postgres) and for text otherwise (Kafka). Everything else in START_REPLICATION and in the session is as pgcdc has it
(cdc/readers/slot/replication.c, cdc/pq/session.c).
"""
import contextlib
import os
import signal
import subprocess

from . import measure
from .peer import DECODING_WORK_MEM, Outcome, Peer, PeerError, log_end
from .workload import PUBLICATION

# How values look as text. Some of them also decide how much work it is to write one.
PINNED = ("-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC -c bytea_output=hex -c extra_float_digits=3 "
          f"-c logical_decoding_work_mem={DECODING_WORK_MEM}")


def protocol_version(server_version):
    """pgcdc's options of the stream. Additions of a higher protocol version stay off, so only the number differs."""
    return 4 if server_version >= 160000 else 3 if server_version >= 150000 else 2


class Recvlogical(Peer):
    name = "recvlogical"
    title = "pg_recvlogical to /dev/null, binary values"
    applies = False
    sinks = ("null", "postgres")
    binary = True

    def settings(self, server_version):
        return {**self._options(server_version), "logical_decoding_work_mem": DECODING_WORK_MEM}

    def drain(self, run):
        log = self._log(run)
        command = self._command(run, "/dev/null", "--endpos", run.end_lsn)
        done = measure.run_to_end(command, log, self._environment())
        if done.returncode != 0:
            raise PeerError(f"pg_recvlogical ended with {done.returncode}: {log_end(log)}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    def watch(self, run):
        return ["pipe", self._pipe(run)]

    @contextlib.contextmanager
    def follow(self, run):
        """Writes into a named pipe, whose reader ends first: the server's next message then ends the writer."""
        os.mkfifo(self._pipe(run))
        with open(self._log(run), "wb") as log:
            receiver = subprocess.Popen(list(map(str, self._command(run, self._pipe(run)))), stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, env=self._environment(), start_new_session=True)
        try:
            yield
            if receiver.poll() not in (None, -signal.SIGPIPE):
                raise PeerError(f"pg_recvlogical ended with {receiver.returncode}: {log_end(self._log(run))}")
        finally:
            receiver.kill()
            receiver.wait()

    def _command(self, run, file, *more):
        options = [word for key, value in self._options(run.source.version()).items() for word in ("-o", f"{key}={value}")]
        return [run.source.binaries / "pg_recvlogical", "-d", run.source.dsn(run.source_database),
                "--slot", run.slot, "--start", "--file", file, "--no-loop", *more, *options]

    def _options(self, server_version):
        options = {"proto_version": protocol_version(server_version), "publication_names": PUBLICATION}
        return {**options, "binary": "true"} if self.binary else options

    @staticmethod
    def _environment():
        return dict(os.environ, PGOPTIONS=PINNED)

    @staticmethod
    def _log(run):
        return run.folder / f"{run.slot}.log"

    @staticmethod
    def _pipe(run):
        return run.folder / f"{run.slot}.pipe"


class RecvlogicalText(Recvlogical):
    name = "recvlogical_text"
    title = "pg_recvlogical to /dev/null, text values"
    binary = False
    sinks = ("kafka", "archive")
