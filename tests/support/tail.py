# SPDX-License-Identifier: Apache-2.0
"""`pgcdc tail` next to a pipeline."""

import json
import subprocess

from support.wait import wait_until


class Tail:
    """`pgcdc tail` in the background; its output in a file."""

    def __init__(self, pipeline, *options, output=None):
        self.pipeline = pipeline
        self.path = pipeline.state / "tail.json"
        self.log_path = pipeline.state / "tail.log"
        pipeline.engine.write_configuration()
        with open(self.path, "wb") as lines, open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", pipeline.engine.program, "tail", "-c",
                 pipeline.engine.config_path, *options],
                stdin=subprocess.DEVNULL, stdout=output or lines, stderr=log)

    def __enter__(self):
        wait_until(lambda: "the changes of publication" in self.log_path.read_text(), "tail to begin")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def lines(self):
        """Whole lines only."""
        text = self.path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_lines(self, count):
        wait_until(lambda: len(self.lines()) >= count, lambda: f"{count} lines; there are {len(self.lines())}")
        return self.lines()
