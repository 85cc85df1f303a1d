# SPDX-License-Identifier: Apache-2.0
"""Debezium's JDBC sink, as it is published, in a standalone worker of Kafka Connect: topics into a PostgreSQL database."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from pathlib import Path

from support.broker import java
from support.server import cache_folder, free_port, server_user
from support.wait import wait_until

JSON = "org.apache.kafka.connect.json.JsonConverter"
JAVA_OPTIONS = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def jdbc_sink_classes():
    """The jars as a class path, or None: `tests/support/install debezium_jdbc` installs them."""
    folder = cache_folder() / "debezium_jdbc"
    return f"{folder}/*" if folder.is_dir() else None


class JdbcSink:
    """Every topic of a pipeline, "NAME.public.TABLE", into the database's TABLE."""

    def __init__(self, kafka, pipeline_name, database, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="pgcdc-connect-"))
        self.port = free_port()
        self.log_path = self.folder / "log"
        self.process = None
        os.chown(self.folder, server_user().pw_uid, server_user().pw_gid)
        self._write("worker.properties", {
            "bootstrap.servers": kafka.bootstrap, "key.converter": JSON, "value.converter": JSON, "header.converter": JSON,
            "offset.storage.file.filename": self.folder / "offsets", "offset.flush.interval.ms": 1000,
            "listeners": f"http://127.0.0.1:{self.port}", "plugin.discovery": "only_scan",
            "consumer.isolation.level": "read_committed", "consumer.auto.offset.reset": "earliest",
            "consumer.metadata.max.age.ms": 1000})
        self._write("sink.properties", {
            "name": "sink", "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "tasks.max": 1,
            "topics.regex": f"{pipeline_name}[.]public[.].*",
            "connection.url": f"jdbc:postgresql://127.0.0.1:{database.cluster.port}/{database.name}?stringtype=unspecified",
            "connection.username": "postgres", "connection.password": "none",
            "insert.mode": "upsert", "delete.enabled": "true", "primary.key.mode": "record_key", "schema.evolution": "none",
            "transforms": "table", "transforms.table.type": "org.apache.kafka.connect.transforms.RegexRouter",
            "transforms.table.regex": ".*[.](.*)", "transforms.table.replacement": "$1", **settings})

    def __enter__(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                java(self.folder, "org.apache.kafka.connect.cli.ConnectStandalone", self.folder / "worker.properties",
                     self.folder / "sink.properties", options=JAVA_OPTIONS, classes=jdbc_sink_classes()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name, settings):
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self.folder / name).write_text(lines, encoding="utf-8")

    def wait_until(self, condition, what, deadline_s=120):
        """Fails at once, with its trace, when the sink does."""
        def checked():
            failure = self.failure()
            assert failure is None, failure
            return condition()
        return wait_until(checked, lambda: f"{what() if callable(what) else what}\n{self.log_tail()}", deadline_s, pause_s=0.2)

    def failure(self):
        """Why it has stopped, or None."""
        if self.process.poll() is not None:
            return f"the worker ended with {self.process.returncode}\n{self.log_tail()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/connectors/sink/status", timeout=60) as answer:
                status = json.load(answer)
        except OSError:
            return None  # not started yet
        failed = [each["trace"] for each in [status["connector"], *status["tasks"]] if each["state"] == "FAILED"]
        return failed[0] if failed else None

    def log_tail(self, lines=40):
        return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
