# SPDX-License-Identifier: Apache-2.0
"""An archive between two pipelines: one writes it from the source, the other replays it into the target."""

import json
import subprocess

from support.engine import Engine
from support.wait import wait_until

SINK = "log"


def write_into(pipeline, path, **options):
    """The pipeline's sink becomes an archive."""
    pipeline.engine.configuration["sinks"] = [{"name": SINK, "type": "archive", "path": str(path), **options}]


def archive(pipeline, command, path, *more):
    """`pgcdc archive COMMAND PATH`, which must end well: what it prints."""
    result = subprocess.run([pipeline.engine.program, "archive", command, path, *more], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def archived_lsn(pipeline, path):
    """Where the archive ends."""
    return json.loads(archive(pipeline, "list", path, "--json").splitlines()[-1])["end_lsn"]


class Replay:
    """A pipeline from an archive into the target of another pipeline."""

    def __init__(self, pipeline, path, folder, name="replay"):
        self.pipeline = pipeline
        self.name = name
        self.path = path
        self.engine = Engine(pipeline.engine.program, folder, {
            "name": name,
            "source": {"archive": str(path)},
            "state": str(folder / "state"),
            "sinks": [{"name": "warehouse", "type": "postgres", "dsn": pipeline.target.dsn()}],
        })
        (folder / "state").mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.engine.close()
        self.engine.assert_sane()

    def catch_up(self):
        return self.engine.catch_up()

    def reached(self, lsn):
        target = self.pipeline.target
        if target.value("select to_regclass('pgcdc.position')") is None:
            return False
        return bool(target.execute("select 1 from pgcdc.position where pipeline = %s and end_lsn >= %s::pg_lsn", (self.name, lsn)))

    def wait_applied(self):
        """Until everything that is committed at the source now came through the archive, or all that a stopped writer left."""
        lsn = self.pipeline.source_lsn() if self.pipeline.engine.is_running() else archived_lsn(self.pipeline, self.path)
        wait_until(lambda: self.reached(lsn), lambda: f"{lsn} to be replayed\n{self.pipeline.engine.log_tail()}\n{self.engine.log_tail()}", 120)
