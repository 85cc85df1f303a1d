# SPDX-License-Identifier: Apache-2.0
"""pgcdc: the release engine, over TCP on both sides, from the recorded slot into its Postgres sink."""
import contextlib
import signal
import subprocess

from . import measure
from .peer import DECODING_WORK_MEM, Outcome, Peer, PeerError, log_end
from .workload import PUBLICATION

STOP_TIMEOUT_S = 20

CONFIGURATION = """\
name: {slot}
source:
  dsn: {source}
  slot: {slot}
  publication: {publication}
  snapshot: never
  decoding_work_mem: {decoding_work_mem}
state: {state}
sinks:
  - name: target
    type: postgres
    dsn: {target}
"""


class Pgcdc(Peer):
    name = "pgcdc"
    title = "pgcdc to its Postgres sink"

    def settings(self, server_version):
        return {"decoding_work_mem": DECODING_WORK_MEM, "snapshot": "never", "everything else": "default"}

    def prepare(self, run):
        state = run.folder / f"{run.slot}.state"
        state.mkdir(exist_ok=True)
        form, values = self.configuration(run)
        self._file(run).write_text(form.format(
            slot=run.slot, publication=PUBLICATION, decoding_work_mem=DECODING_WORK_MEM, state=state,
            source=run.source.dsn(run.source_database), **values))

    def configuration(self, run):
        """The file's form, and what fills it beside the source."""
        return CONFIGURATION, {"target": run.target.dsn(run.target_database)}

    def drain(self, run):
        done = measure.run_to_end([*self._command(run), "--until", run.end_lsn], self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcdc ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    @contextlib.contextmanager
    def follow(self, run):
        self.prepare(run)
        with open(self._log(run), "wb") as log:
            engine = subprocess.Popen(self._command(run), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      start_new_session=True)  # Ctrl-C is the harness's, which then stops the engine
        try:
            yield
        finally:
            if engine.poll() is not None:
                raise PeerError(f"pgcdc ended with {engine.returncode}: {log_end(self._log(run))}")
            self._stop(engine)

    @staticmethod
    def _stop(engine):
        engine.send_signal(signal.SIGTERM)
        try:
            engine.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            engine.kill()
            engine.wait()

    def _command(self, run):
        return [str(run.engine), "run", "-c", str(self._file(run))]

    @staticmethod
    def _file(run):
        return run.folder / f"{run.slot}.yaml"

    @staticmethod
    def _log(run):
        return run.folder / f"{run.slot}.log"
