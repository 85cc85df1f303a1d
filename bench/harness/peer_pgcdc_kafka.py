# SPDX-License-Identifier: Apache-2.0
"""pgcdc: the release engine, from the recorded slot into its Kafka sink with the default settings, over TCP on both sides.

Its end is its exit: everything is durable in Kafka then. Afterwards, untimed, a read_committed consumer counts the records.
"""
import contextlib

from .peer_kafka import KafkaPeer
from .peer_pgcdc import CONFIGURATION, Pgcdc

CONFIGURATION_KAFKA = CONFIGURATION[:CONFIGURATION.index("sinks:")] + """\
sinks:
  - name: events
    type: kafka
    brokers: {brokers}
"""


class PgcdcKafka(KafkaPeer, Pgcdc):
    name = "pgcdc_kafka"
    title = "pgcdc to its Kafka sink"

    def configuration(self, run):
        return CONFIGURATION_KAFKA, {"brokers": run.kafka.get().bootstrap}

    @contextlib.contextmanager
    def follow(self, run):
        try:
            with super().follow(run):
                yield
        finally:
            self.clean(run)
