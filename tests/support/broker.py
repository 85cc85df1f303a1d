# SPDX-License-Identifier: Apache-2.0
"""One Kafka process: broker and controller in one, in a folder of its own, on ports that it keeps."""

import os
import signal
import subprocess

from support.server import as_server_user, cache_folder, free_port, server_user

# A small broker that starts fast. Sessions end soon, so that a killed broker may come back at once.
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_SSL",
    "auto.create.topics.enable": "false",
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 3000,
    "group.initial.rebalance.delay.ms": 0,
    "offsets.topic.num.partitions": 3,
    "transaction.state.log.num.partitions": 3,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "log.cleaner.dedupe.buffer.size": 16 << 20,
    "num.network.threads": 2,
    "num.io.threads": 4,
}
JAVA_OPTIONS = ("-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG_OPTIONS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.showDateTime=true")


def kafka_classes():
    """The jars as a class path, or None: `tests/support/install kafka` installs them."""
    folders = sorted(folder for folder in cache_folder().glob("kafka/*") if folder.suffix != ".part")
    return f"{folders[-1]}/*" if folders else None


def java(folder, main, *arguments, options=JAVA_OPTIONS, classes=None):
    """The command that runs a class of Kafka's, or of other jars', as the server's user; ended with this process."""
    classes = classes or kafka_classes()
    assert classes is not None, "Apache Kafka is not here: tests/support/install kafka"
    return as_server_user(["java", *options, *LOG_OPTIONS, f"-Djava.io.tmpdir={folder}", "-cp", classes, main,
                           *map(str, arguments)], death="KILL")


class Broker:
    def __init__(self, number, folder, has_secure_listeners=False, java_options=JAVA_OPTIONS):
        self.number = number
        self.folder = folder
        self.log_path = folder / "log"
        self.java_options = java_options
        self.port, self.controller_port = free_port(), free_port()
        self.tls_port, self.sasl_port = (free_port(), free_port()) if has_secure_listeners else (None, None)
        self.process = None
        self._log_start = 0
        folder.mkdir()
        os.chown(folder, server_user().pw_uid, server_user().pw_gid)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    # Settings

    def configure(self, settings):
        lines = {**SETTINGS, "node.id": self.number, "log.dirs": self.folder / "data", **self._listeners(), **settings}
        (self.folder / "server.properties").write_text(
            "".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")

    def _listeners(self):
        ports = {"PLAINTEXT": self.port, "TLS": self.tls_port, "SASL": self.sasl_port}
        public = [f"{name}://127.0.0.1:{port}" for name, port in ports.items() if port is not None]
        return {"advertised.listeners": ",".join(public),
                "listeners": ",".join([*public, f"CONTROLLER://127.0.0.1:{self.controller_port}"])}

    def format(self, cluster_id, *arguments):
        """Starts to make the empty data folder; the process is the caller's to wait for."""
        return subprocess.Popen(
            java(self.folder, "kafka.tools.StorageTool", "format", "--cluster-id", cluster_id, "--config",
                 self.folder / "server.properties", *arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder)

    # Life and death

    def start(self):
        """Returns at once."""
        assert self.process is None, f"broker {self.number} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                java(self.folder, "kafka.Kafka", self.folder / "server.properties", options=self.java_options),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def stop(self, deadline_s=60):
        self._end(signal.SIGTERM, deadline_s)

    def kill(self):
        self._end(signal.SIGKILL, 60)

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def _end(self, number, deadline_s):
        self.process.send_signal(number)
        self.process.wait(deadline_s)
        self.process = None

    # Its log

    def mark_log(self):
        """From here on log_text begins."""
        self._log_start = self.log_path.stat().st_size

    def log_text(self):
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])
