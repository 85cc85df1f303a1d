# SPDX-License-Identifier: Apache-2.0
"""Readiness of a pipeline whose broker freezes."""

import pytest

from support.kafka import Kafka
from support.scrape import Served


@pytest.fixture
def own_kafka():
    with Kafka("health") as kafka:
        yield kafka


def test_a_frozen_broker_turns_readiness_and_holds_up_no_stop(new_kafka_pipeline, shared_clusters, own_kafka):
    pipeline = new_kafka_pipeline(shared_clusters("source"), own_kafka)
    served = Served(pipeline.engine)
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.replay.execute("create table t (id int primary key, v text)")
    pipeline.publish()
    pipeline.start()
    name = pipeline.engine.configuration["sinks"][0]["name"]
    served.wait_health("/readyz", 200, "ready")
    own_kafka.freeze()
    pipeline.source.execute("insert into t values (1, 'x')")
    served.wait_health("/readyz", 503, f"sink {name}: it has taken nothing for", "while changes wait")
    assert served.get("/livez") == (200, "live\n")
    served.wait_value("pgcdc_lag_seconds", lambda value: value > 3, sink=name)
    own_kafka.thaw()
    assert served.wait_health("/readyz", 200) == "ready\n"
    pipeline.assert_follows()
    own_kafka.freeze()
    pipeline.engine.stop()
    own_kafka.thaw()
