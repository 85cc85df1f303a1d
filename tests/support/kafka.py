# SPDX-License-Identifier: Apache-2.0
"""A private Apache Kafka of one or several brokers, which a test may stop, kill and freeze one by one."""

import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from support.broker import JAVA_OPTIONS, Broker, java
from support.certificates import Certificates
from support.server import server_user
from support.wait import wait_until

USER, PASSWORD = "loader", "secret-of-the-loader"
LOGIN_MODULES = "org.apache.kafka.common.security"
# The library says on standard error that a killed broker is gone.
CLIENT = {"log_level": 0, "socket.timeout.ms": 10000}


class Kafka:
    """
    is_secure adds a TLS listener, one with a password over TLS (SCRAM or PLAIN) and an authorizer: who comes without a password may do
    everything, USER what `allow` has granted.
    """

    def __init__(self, name="kafka", brokers=1, settings=None, is_secure=False, java_options=JAVA_OPTIONS):
        self.name = name
        self.is_secure = is_secure
        self.folder = Path(tempfile.mkdtemp(prefix=f"pgcdc-{name}-"))
        os.chown(self.folder, server_user().pw_uid, server_user().pw_gid)
        self.brokers = [Broker(number, self.folder / f"broker{number}", is_secure, java_options)
                        for number in range(1, brokers + 1)]
        self.certificates = Certificates(self.folder / "certificates") if is_secure else None
        self.settings = {**self._cluster_settings(), **(self._secure_settings() if is_secure else {}), **(settings or {})}

    def __enter__(self):
        self.format()
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    # Where it is

    @property
    def bootstrap(self):
        return ",".join(broker.address for broker in self.brokers)

    @property
    def tls_bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.tls_port}" for broker in self.brokers)

    @property
    def sasl_bootstrap(self):
        return ",".join(f"127.0.0.1:{broker.sasl_port}" for broker in self.brokers)

    # Settings

    def _cluster_settings(self):
        count = len(self.brokers)
        return {
            "controller.quorum.voters": ",".join(f"{broker.number}@127.0.0.1:{broker.controller_port}"
                                                 for broker in self.brokers),
            "default.replication.factor": count,
            "min.insync.replicas": 2 if count > 2 else 1,
            "offsets.topic.replication.factor": count,
            "transaction.state.log.replication.factor": count,
            "transaction.state.log.min.isr": 2 if count > 2 else 1,
        }

    def _secure_settings(self):
        for path in self.certificates.folder.iterdir():
            os.chown(path, server_user().pw_uid, server_user().pw_gid)
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server,
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,PLAIN",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{LOGIN_MODULES}.scram.ScramLoginModule required;",
            "listener.name.sasl.plain.sasl.jaas.config":
                f'{LOGIN_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    # Life and death of all brokers; one alone: kafka.brokers[n].kill()

    def format(self):
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        users = ["--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"] if self.is_secure else []
        for broker in self.brokers:
            broker.configure(self.settings)
        formats = [(broker, broker.format(cluster_id, *users)) for broker in self.brokers]
        for broker, process in formats:
            output = process.communicate(timeout=120)[0]
            assert process.returncode == 0, f"format of broker {broker.number} of {self.name}:\n{output}"

    def start(self, wait=True):
        for broker in self.brokers:
            if broker.process is None:
                broker.start()
        if wait:
            self.wait_ready()

    def wait_ready(self):
        """Waits until every broker has joined, and transactions find their coordinator's topic or may create it."""
        wait_until(self._answers, lambda: f"{self.name} to start:\n{self.log_tail()}", deadline_s=180)

    def stop(self):
        """Orderly; several at once, because the last ones would wait for a majority."""
        for broker in self.brokers:
            if broker.process is not None:
                broker.process.terminate()
        for broker in self.brokers:
            if broker.process is not None:
                broker.stop()

    def kill(self):
        for broker in self.brokers:
            if broker.process is not None:
                broker.kill()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def freeze(self):
        for broker in self.brokers:
            broker.freeze()

    def thaw(self):
        for broker in self.brokers:
            broker.thaw()

    def revive(self):
        """Whatever a test that failed has left: every broker runs again."""
        for broker in self.brokers:
            if broker.is_running():
                broker.thaw()
            else:
                broker.process = None
        self.start()

    def _answers(self):
        for broker in self.brokers:
            assert broker.is_running(), f"broker {broker.number} of {self.name} ended:\n{broker.log_tail()}"
        try:
            return len(self.admin().list_topics(timeout=5).brokers) == len(self.brokers)
        except KafkaException:
            return False

    # Topics

    def admin(self):
        """A new one for each use, to be held until its answer: it must not remember a life of the broker that is over."""
        return AdminClient({**CLIENT, "bootstrap.servers": self.bootstrap})

    def topics(self, prefix=""):
        """{name: number of partitions}, without Kafka's own."""
        found = self.admin().list_topics(timeout=20).topics
        return {name: len(topic.partitions) for name, topic in found.items()
                if name.startswith(prefix) and not name.startswith("__")}

    def create_topic(self, name, partitions=1, config=None, leader=None):
        """leader: the broker that leads each partition, while it lives."""
        replicas = [broker.number for broker in sorted(self.brokers, key=lambda broker: broker is not leader)]
        placed = {"replica_assignment": [replicas] * partitions} if leader else {"replication_factor": len(self.brokers)}
        topic = NewTopic(name, partitions, config={key: str(value) for key, value in (config or {}).items()}, **placed)
        admin = self.admin()
        admin.create_topics([topic], operation_timeout=20)[name].result(30)
        wait_until(lambda: name in self.topics(), f"topic {name}")

    def delete_topic(self, name):
        admin = self.admin()
        admin.delete_topics([name], operation_timeout=20)[name].result(30)
        wait_until(lambda: name not in self.topics(), f"topic {name} to go")

    def topic_config(self, name):
        """{key: value} as the broker has it, defaults included."""
        resource = ConfigResource("topic", name)
        admin = self.admin()
        entries = admin.describe_configs([resource])[resource].result(30)
        return {key: entry.value for key, entry in entries.items()}

    def set_topic_config(self, name, config):
        resource = ConfigResource("topic", name, set_config={key: str(value) for key, value in config.items()})
        admin = self.admin()
        admin.alter_configs([resource])[resource].result(30)
        wait_until(lambda: all(self.topic_config(name)[key] == str(value) for key, value in config.items()), f"{config} of {name}")

    # Who leads

    def leader_of(self, topic, partition=0):
        number = self.admin().list_topics(topic, timeout=20).topics[topic].partitions[partition].leader
        return next((broker for broker in self.brokers if broker.number == number), None)

    def begin_transactions(self, transactional_id):
        """Kafka makes its topic of transactions for the first producer that has them."""
        Producer({**CLIENT, "bootstrap.servers": self.bootstrap, "transactional.id": transactional_id}).init_transactions(60)

    def coordinator_of(self, transactional_id):
        """The broker that decides about the transactions of that id: the leader of its partition of the transactions' topic."""
        partitions = len(self.admin().list_topics("__transaction_state", timeout=20).topics["__transaction_state"].partitions)
        return self.leader_of("__transaction_state", abs(java_hash(transactional_id)) % partitions)

    # Rights of USER

    def allow(self, operation, resource, name, prefixed=False):
        """resource: topic, transactional-id, group or cluster; operation: Read, Write, Create, Describe, All, ..."""
        arguments = ["--add", "--allow-principal", f"User:{USER}", "--operation", operation, f"--{resource}"]
        arguments += [] if resource == "cluster" else [name]
        self.tool("org.apache.kafka.tools.AclCommand", *arguments,
                  *(["--resource-pattern-type", "prefixed"] if prefixed else []))

    def tool(self, main, *arguments):
        """One of Kafka's own command-line tools; some seconds."""
        command = java(self.folder, main, "--bootstrap-server", self.bootstrap, *arguments)
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=self.folder, check=False)
        assert result.returncode == 0, f"{main}: {result.stdout}{result.stderr}"
        return result.stdout

    # Logs

    def mark_log(self):
        for broker in self.brokers:
            broker.mark_log()

    def log_text(self):
        return "".join(broker.log_text() for broker in self.brokers)

    def log_tail(self, lines=40):
        return "\n".join(f"broker {broker.number}:\n{broker.log_tail(lines)}" for broker in self.brokers)


def java_hash(text):
    """String.hashCode, as a signed number of 32 bits."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
