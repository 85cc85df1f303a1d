# SPDX-License-Identifier: Apache-2.0
"""What a pipeline serves over HTTP, and Debian's Prometheus, which reads it."""

import json
import re
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from support.server import free_port
from support.wait import wait_until

SAMPLE = re.compile(r'^(?P<name>[a-zA-Z_:]\w*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Served:
    """The HTTP side of an engine: configure before the start."""

    def __init__(self, engine, stalled_after="2s"):
        self.engine = engine
        self.port = free_port()
        engine.configuration["http"] = {"listen": f"127.0.0.1:{self.port}", "stalled_after": stalled_after}

    def get(self, path, method="GET"):
        """(status, text)"""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def answers(self):
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    def wait_answers(self):
        wait_until(self.answers, lambda: f"an answer\n{self.engine.log_tail()}")

    def wait_health(self, path, status, *words, deadline_s=60):
        """Waits until the page has the status and every word, and returns its text."""
        last = []

        def turned():
            last[:] = [self.get(path)]
            return last[0][0] == status and all(word in last[0][1] for word in words)
        wait_until(turned, lambda: f"{path} to be {status} with {words}: {last}\n{self.engine.log_tail()}", deadline_s)
        return last[0][1]

    def samples(self):
        """{(name, ((label, value), ...)): value}"""
        status, text = self.get("/metrics")
        assert status == 200
        return parse(text)

    def value(self, name, **labels):
        """The one sample with these labels, or None."""
        return self.samples().get((name, tuple(sorted(labels.items()))))

    def wait_value(self, name, good, deadline_s=60, **labels):
        last = []

        def turned():
            last[:] = [self.value(name, **labels)]
            return last[0] is not None and good(last[0])
        wait_until(turned, lambda: f"{name}{labels}, now {last}", deadline_s)
        return last[0]


def parse(text):
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, line
        labels = [(name, value.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\"))
                  for name, value in LABEL.findall(match["labels"] or "")]
        found[match["name"], tuple(sorted(labels))] = float(match["value"])
    return found


def prometheus_program(name):
    """Debian's program of that name, in the cache folder."""
    cache = subprocess.run([Path(__file__).with_name("cache")], check=True, capture_output=True, text=True).stdout.strip()
    path = Path(cache) / "prometheus" / "usr" / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not here (tests/support/install prometheus)")
    return path


class Prometheus:
    """A Prometheus that scrapes one address every second, and has the rules of a file."""

    def __init__(self, folder, target_port, rules=None):
        self.port = free_port()
        self.log_path = Path(folder) / "prometheus.log"
        configuration = Path(folder) / "prometheus.yml"
        lines = ["global: {scrape_interval: 1s, evaluation_interval: 1s}",
                 "scrape_configs:", "  - job_name: pgcdc",
                 f"    static_configs: [{{targets: ['127.0.0.1:{target_port}']}}]"]
        if rules is not None:
            lines.append(f"rule_files: ['{rules}']")
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", prometheus_program("prometheus"), f"--config.file={configuration}",
                 f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def query(self, expression):
        """[(labels, value)], or None when it does not answer yet."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return None
        return [(item["metric"], float(item["value"][1])) for item in result]

    def wait_query(self, expression, good, deadline_s=60):
        last = []

        def turned():
            last[:] = [self.query(expression)]
            return last[0] is not None and good(last[0])
        wait_until(turned, lambda: f"{expression}, now {last}\n{self.log_path.read_text(encoding='utf-8')[-3000:]}", deadline_s)
        return last[0]
