# SPDX-License-Identifier: Apache-2.0
"""Engine and commands killed around dead letters of a Kafka sink: nothing is lost, published twice, or before what it follows."""

import random
import signal

import pytest

from support.kafka import Kafka
from support.kafka_copy import is_copied, wait_copied
from support.letters import ITEM, LARGE, assert_verified, command, flow, keep_letters, keys, letters_of, make_room, states
from support.lives import points_of
from support.wait import wait_until

ENGINE_POINTS = ["letter-sent", "letters-noted", "kafka-after-commit"]
RETRY_POINTS = ["letters-retried", "letters-noted", "kafka-after-commit:2"]
SKIP_POINTS = ["letters-skipped", "letters-noted", "kafka-after-commit:2"]


@pytest.fixture(scope="module")
def kafka():
    with Kafka("letters") as kafka:
        yield kafka


@pytest.fixture
def dead(new_kafka_pipeline, source_cluster, kafka):
    pipeline = new_kafka_pipeline(source_cluster, kafka)
    keep_letters(pipeline, [pipeline.topic("item")])
    pipeline.source.execute(ITEM)
    pipeline.source.execute("insert into item select g, 'v' from generate_series(1, 5) g")
    pipeline.publish()
    pipeline.engine.catch_up()
    return pipeline


def test_the_list_is_complete():
    points = {point for point in points_of("sinks/kafka") if point.startswith("letter")}
    assert points == {point for point in ENGINE_POINTS + RETRY_POINTS + SKIP_POINTS if point.startswith("letter")}


@pytest.mark.parametrize("point", ENGINE_POINTS)
def test_the_engine_is_killed(dead, point):
    """Which keys wait is known exactly."""
    dead.source.execute(f"update item set v = {LARGE} where id = 1")
    dead.engine.start(environment={"PGCDC_FAULT": point})
    assert dead.engine.wait_exit() == -signal.SIGKILL, dead.engine.log_tail()
    flow(dead, "update item set v = 'small' where id = 1; update item set v = 'w' where id = 2")
    assert keys(dead) == [("U", 2)] and states(dead) == ["failed", "waiting"]
    make_room(dead)
    command(dead, "dead retry")
    assert keys(dead) == [("U", 2), ("U", 1), ("U", 1)]
    dead.engine.catch_up()
    assert_verified(dead)


@pytest.mark.parametrize("point", RETRY_POINTS)
def test_a_retry_is_killed(dead, point):
    """It is one Kafka transaction: all of it or nothing."""
    flow(dead, f"update item set v = {LARGE} where id = 1", "update item set v = 'small' where id = 1")
    make_room(dead)
    result = dead.engine.command("dead retry", environment={"PGCDC_FAULT": point})
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert states(dead) in ([], ["failed", "waiting"])
    command(dead, "dead retry")
    dead.engine.catch_up()
    assert keys(dead) == [("U", 1), ("U", 1)] and states(dead) == []
    assert_verified(dead)


@pytest.mark.parametrize("point", SKIP_POINTS)
def test_a_skip_is_killed(dead, point):
    flow(dead, f"insert into item values (100, {LARGE})", "update item set v = 'small' where id = 100")
    number = str(letters_of(dead)[0]["id"])
    result = dead.engine.command("dead skip", number, "--reason", "test", environment={"PGCDC_FAULT": point})
    assert result.returncode == -signal.SIGKILL, result.stderr
    if states(dead) == ["failed", "waiting"]:
        command(dead, "dead skip", number, "--reason", "test")
    assert states(dead) == ["waiting"] and dead.engine.json("status")["sinks"][0]["dead_letters"] == {"failed": 0, "waiting": 1, "skipped": 1}
    command(dead, "dead retry")
    dead.engine.catch_up()
    assert keys(dead) == [("U", 100)]
    assert_verified(dead)


def test_changes_do_not_fit_while_the_table_is_copied_in_chunks(new_kafka_pipeline, source_cluster, kafka):
    """Rows that were copied get changes that do not fit, and rows of chunks do not fit; kills, and a retry in the middle of the copy."""
    pipeline = new_kafka_pipeline(source_cluster, kafka)
    chance = random.Random(11)
    keep_letters(pipeline, [pipeline.topic("item")], partitions=3)
    pipeline.sink_configuration["partitions"] = 3
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "2", "chunk_bytes": "64kB"}
    pipeline.source.execute(ITEM)
    pipeline.source.execute("insert into item select g, repeat('a', 200) from generate_series(1, 20000) g; analyze item")
    pipeline.publish()
    for life in range(6):
        for _ in range(3):
            low = chance.randrange(1, 19000)
            pipeline.source.execute(f"begin; update item set v = {LARGE} where id = {low}; update item set v = 'b' where id between {low - 20} and {low + 20} and id % 3 > 0;"
                                    f" delete from item where id = {low + 30}; commit")
        kill_at_work(pipeline, chance)
        if life == 2:
            assert not is_copied(pipeline), "the copy ended too early"
            make_room(pipeline)
            pipeline.engine.command("dead retry")
            pipeline.kafka.set_topic_config(pipeline.topic("item"), {"max.message.bytes": 100000})
            assert states(pipeline) == []
    pipeline.engine.start()
    wait_copied(pipeline)
    pipeline.engine.stop()
    pipeline.engine.catch_up()
    assert "failed" in states(pipeline)
    make_room(pipeline)
    command(pipeline, "dead retry")
    pipeline.engine.catch_up()
    assert_verified(pipeline)


def kill_at_work(pipeline, chance):
    before = pipeline.position()
    pipeline.engine.start()
    wait_until(lambda: pipeline.position() != before or not pipeline.engine.is_running(), "some of it to be published")
    for _ in range(chance.randrange(3)):
        at = pipeline.position()
        pipeline.source.execute("update item set v = 'c' where id = 1")
        wait_until(lambda at=at: pipeline.position() != at, "more of it to be published")
    pipeline.engine.kill()
    pipeline.wait_slot_free()
