# SPDX-License-Identifier: Apache-2.0
"""pgcdc and its archive: the recorded slot into segment files, and these files replayed.

The replay discards the changes, so what is measured is reading, decompressing and decoding; the archive is written before the clock
starts. An archive holds values in text, so pg_recvlogical is measured beside both with text values.
"""
import json
import shutil
import subprocess

from . import measure
from .peer import Outcome, PeerError, log_end
from .peer_pgcdc import CONFIGURATION, Pgcdc

CONFIGURATION_ARCHIVE = CONFIGURATION[:CONFIGURATION.index("sinks:")] + """\
sinks:
  - name: history
    type: archive
    path: {archive}
"""
CONFIGURATION_REPLAY = """\
name: {slot}_replay
source:
  archive: {archive}
  snapshot: never
state: {state}
sinks:
  - name: nowhere
    type: "null"
"""


class PgcdcArchive(Pgcdc):
    name = "pgcdc_archive"
    title = "pgcdc to its archive sink"
    applies = False
    follows = False
    sinks = ("archive",)

    def configuration(self, run):
        return CONFIGURATION_ARCHIVE, {"archive": self._archive(run)}

    def drain(self, run):
        outcome = super().drain(run)
        survey = self._survey(run)
        outcome.more = {"archive_bytes": sum(segment["bytes"] for segment in survey),
                        "entry_bytes": sum(segment["plain_bytes"] for segment in survey)}
        return outcome

    def verify(self, run):
        changes = sum(segment["changes"] for segment in self._survey(run, "verify"))
        if run.counts is not None and changes < run.counts.changes:
            raise PeerError(f"the archive has {changes} changes of {run.counts.changes}")

    def clean(self, run):
        super().clean(run)
        shutil.rmtree(self._archive(run), ignore_errors=True)

    def _survey(self, run, command="list"):
        result = subprocess.run([run.engine, "archive", command, "--json", self._archive(run)], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise PeerError(f"pgcdc archive {command} ended with {result.returncode}: {result.stderr}")
        return [json.loads(line) for line in result.stdout.splitlines()]

    @staticmethod
    def _archive(run):
        return run.folder / f"{run.slot}.archive"


class PgcdcReplay(PgcdcArchive):
    name = "pgcdc_replay"
    title = "pgcdc, an archive replayed into its null sink"

    def prepare(self, run):
        super().prepare(run)
        self.drain_source(run)
        state = run.folder / f"{run.slot}.replay"
        state.mkdir(exist_ok=True)
        self._replay(run).write_text(CONFIGURATION_REPLAY.format(slot=run.slot, archive=self._archive(run), state=state))

    def drain_source(self, run):
        PgcdcArchive.drain(self, run)

    def drain(self, run):
        done = measure.run_to_end([str(run.engine), "run", "-c", str(self._replay(run)), "--until", "caught-up"], self._log(run))
        if done.returncode != 0:
            raise PeerError(f"pgcdc ended with {done.returncode}: {log_end(self._log(run))}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)

    @staticmethod
    def _replay(run):
        return run.folder / f"{run.slot}.replay.yaml"


ALL = (PgcdcArchive, PgcdcReplay)
