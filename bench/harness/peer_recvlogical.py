# SPDX-License-Identifier: Apache-2.0
"""pg_recvlogical to nowhere: what PostgreSQL's own client needs to receive the stream and throw it away."""
import os

from . import measure
from .peer import DECODING_WORK_MEM, Outcome, Peer, PeerError, log_end
from .workload import PUBLICATION


class Recvlogical(Peer):
    name = "recvlogical"
    title = "pg_recvlogical to /dev/null"
    applies = False

    def settings(self):
        return {"proto_version": 1, "binary": "true", "logical_decoding_work_mem": DECODING_WORK_MEM}

    def drain(self, run):
        command = [run.source.binaries / "pg_recvlogical", "-d", run.source.dsn(run.source_database),
                   "--slot", run.slot, "--start", "--file", "/dev/null", "--endpos", run.end_lsn, "--no-loop",
                   "-o", "proto_version=1", "-o", f"publication_names={PUBLICATION}", "-o", "binary=true"]
        env = dict(os.environ, PGOPTIONS=f"-c logical_decoding_work_mem={DECODING_WORK_MEM}")
        log = run.folder / f"{run.slot}.log"
        done = measure.run_to_end(command, log, env)
        if done.returncode != 0:
            raise PeerError(f"pg_recvlogical ended with {done.returncode}: {log_end(log)}")
        return Outcome(done.seconds, done.cpu, done.system_cpu, done.peak_bytes)
