# SPDX-License-Identifier: Apache-2.0
"""Debezium's PostgreSQL connector in a standalone worker of Kafka Connect, from the recorded slot into the same broker.

The worker is started beforehand: its start is reported apart (startup_s, startup_cpu_s). The clock runs from the request that
creates the connector until the marker row, the last change, and as many records as there must be are in their topics. Afterwards,
untimed, a consumer counts them.
"""
import contextlib
import json
import re
import subprocess
import time
import urllib.error
import urllib.request

from . import build, measure
from .broker import end_of, java_classes, written_to
from .cluster import free_port
from .peer import Outcome, PeerError, log_end
from .peer_kafka import KafkaPeer
from .workload import PUBLICATION

START_TIMEOUT_S = 180
DRAIN_TIMEOUT_S = 3600
POLL_INTERVAL_S = 0.05
CHECK_INTERVAL_S = 2
# What Kafka's own connect-standalone.sh gives it.
JAVA_OPTIONS = ("-server", "-Xms256m", "-Xmx2g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
                "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"


class Debezium(KafkaPeer):
    name = "debezium"
    title = "Debezium in Kafka Connect, defaults"
    starts_slowly = True
    groups = ("kafka", "debezium")
    worker_settings = {}
    connector_settings = {}

    def __init__(self):
        self.worker, self.port, self.startup = None, None, {}

    def version(self):
        found = re.search(r"<debezium.version>(.*?)<", (build.DEBEZIUM / "pom.xml").read_text(encoding="utf-8"))
        return found.group(1) if found else ""

    def settings(self, server_version):
        return {"snapshot.mode": "no_data", "plugin.name": "pgoutput", **self.connector_settings, **self.worker_settings,
                "java": " ".join(JAVA_OPTIONS[1:3])}

    def expected_records(self, counts):
        return counts.changes + counts.deletes  # a tombstone behind each deletion, by default

    def prepare(self, run):
        self.port = free_port()
        bootstrap = run.kafka.get().bootstrap
        properties = {"bootstrap.servers": bootstrap, "key.converter": JSON_CONVERTER, "value.converter": JSON_CONVERTER,
                      "offset.storage.file.filename": run.folder / f"{run.slot}.offsets",
                      "listeners": f"http://127.0.0.1:{self.port}", **self.worker_settings}
        file = run.folder / f"{run.slot}.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()), encoding="utf-8")
        command = ["setpriv", "--pdeathsig", "KILL", "--", "java", *JAVA_OPTIONS, "-cp", java_classes("debezium"),
                   "org.apache.kafka.connect.cli.ConnectStandalone", str(file)]
        started = time.monotonic()
        with open(self._log(run), "wb") as log:
            self.worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=run.folder,
                                           start_new_session=True)  # Ctrl-C is the harness's
        self._wait_ready(run, started + START_TIMEOUT_S)
        self.startup = {"startup_s": time.monotonic() - started, "startup_cpu_s": sum(measure.cpu_times(self.worker.pid))}

    @contextlib.contextmanager
    def follow(self, run):
        try:
            self.prepare(run)
            self._create(run)
            yield
            self._check_worker(run)
            self._check_task(run)
        finally:
            self.clean(run)

    def _wait_ready(self, run, deadline):
        while True:
            with contextlib.suppress(OSError):
                self._request("/connectors")
                return
            self._check_worker(run)
            if time.monotonic() > deadline:
                raise PeerError(f"{self.title} is not ready after {START_TIMEOUT_S} s: {log_end(self._log(run))}")
            time.sleep(0.1)

    def drain(self, run):
        user_before, system_before = measure.cpu_times(self.worker.pid)
        started = time.monotonic()
        self._create(run)
        self._wait_marker(run, started)
        self._wait_rest(run, started)  # other topics' last requests may still be on their way
        seconds = time.monotonic() - started
        user, system = measure.cpu_times(self.worker.pid)
        return Outcome(seconds, user + system - user_before - system_before, system - system_before,
                       measure.peak_bytes(self.worker.pid), self.startup)

    def _create(self, run):
        config = {"connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": 1,
                  "database.hostname": "127.0.0.1", "database.port": run.source.port, "database.user": "postgres",
                  "database.password": "none", "database.dbname": run.source_database, "topic.prefix": run.slot,
                  "plugin.name": "pgoutput", "slot.name": run.slot, "publication.name": PUBLICATION,
                  "publication.autocreate.mode": "disabled", "snapshot.mode": "no_data",
                  "topic.creation.default.replication.factor": 1, "topic.creation.default.partitions": 1,
                  **self.connector_settings}
        body = {"name": run.slot, "config": {key: str(value) for key, value in config.items()}}
        try:
            self._request("/connectors", body)
        except urllib.error.HTTPError as refusal:
            raise PeerError(f"{self.title} refused its connector: {refusal.read().decode(errors='replace')}") from None

    def _wait_marker(self, run, started):
        checked = started
        with end_of(run.kafka.get(), f"{run.slot}.public.bench_marker") as end:
            while end() == 0:
                now = time.monotonic()
                if now - checked > CHECK_INTERVAL_S:
                    checked = now
                    self._check_worker(run)
                    self._check_task(run)
                if now - started > DRAIN_TIMEOUT_S:
                    raise PeerError(f"{self.title} did not arrive within {DRAIN_TIMEOUT_S} s: {log_end(self._log(run))}")
                time.sleep(POLL_INTERVAL_S)

    def _wait_rest(self, run, started):
        kafka, expected = run.kafka.get(), self.expected_records(run.counts)
        while written_to(kafka, run.slot) < expected:
            if time.monotonic() - started > DRAIN_TIMEOUT_S:
                raise PeerError(f"{self.title} has not written all of {expected} records within {DRAIN_TIMEOUT_S} s")
            self._check_task(run)
            time.sleep(POLL_INTERVAL_S)

    def _check_worker(self, run):
        if self.worker.poll() is not None:
            raise PeerError(f"{self.title} ended with {self.worker.returncode}: {log_end(self._log(run))}")

    def _check_task(self, run):
        for task in self._request(f"/connectors/{run.slot}/status")["tasks"]:
            if task["state"] == "FAILED":
                raise PeerError(f"{self.title} failed: {task['trace'][:1500]}")

    def clean(self, run):
        if self.worker is not None:
            self.worker.terminate()
            try:
                self.worker.wait(30)
            except subprocess.TimeoutExpired:
                self.worker.kill()
                self.worker.wait()
            self.worker = None
        super().clean(run)

    def _request(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    @staticmethod
    def _log(run):
        return run.folder / f"{run.slot}.log"


class DebeziumTuned(Debezium):
    """Settings that its documentation and Kafka's name for throughput: larger batches and queues, no pauses, compressed and lingering
    produce requests, and JSON without a schema in every record."""

    name = "debezium_tuned"
    title = "Debezium in Kafka Connect, tuned"
    worker_settings = {"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"}
    connector_settings = {"max.batch.size": 16384, "max.queue.size": 65536, "poll.interval.ms": 10,
                          "producer.override.batch.size": 1 << 20, "producer.override.linger.ms": 10,
                          "producer.override.buffer.memory": 128 << 20, "producer.override.compression.type": "lz4"}
