# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks into Kafka: rows between the transactions, each chunk once, whatever dies."""

import random
import signal
import time

import pytest
from confluent_kafka import Producer

from support import chunk_load, load, oracle
from support.chunk_load import ChunkLoad
from support.kafka import Kafka
from support.kafka_copy import check_copied, is_copied, plan_records, wait_copied
from support.lives import must_die_at
from support.load import Load

KILLS = 12
KILLS_LONG = 150
POINTS = ("runner-awaits-chunk", "runner-before-finish", "runner-chunk-stored", "runner-chunk-written", "runner-copy-finished")
TABLES = ("public.journal", "public.account", "public.document", "public.seat", "public.part")


@pytest.fixture(scope="module")
def kafka():
    with Kafka("live") as kafka:
        yield kafka


@pytest.fixture
def live(new_kafka_pipeline, source_cluster, kafka):
    pipeline = new_kafka_pipeline(source_cluster, kafka)
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "3", "chunk_bytes": "64kB"}
    return pipeline


@pytest.fixture
def loaded(live):
    live.source.execute(load.SCHEMA + load.ROWS)
    live.source.execute("insert into account select g, 0, repeat('p', 50) from generate_series(2001, 20000) g; analyze")
    live.replay.execute(load.SCHEMA)
    live.publish()
    return live


def copied_chunks(pipeline):
    """Their records as they are: a chunk that was copied stays so."""
    return {key: value for key, value in plan_records(pipeline).items() if b'"state":"copied"' in value}


def test_each_row_is_read_once_and_each_change_after_it(loaded):
    with Load(loaded.source, pause_s=0.002) as traffic:
        loaded.engine.start()
        finished_lsn = wait_copied(loaded)
        commits = traffic.commits
        loaded.wait_while_running(lambda: traffic.commits > commits + 50, "changes after the copy")
    loaded.engine.stop()
    loaded.engine.catch_up()
    checker = check_copied(loaded, finished_lsn, TABLES)
    places = {each.commit_lsn for each in checker.published if each.kind == "r"}
    assert len(places) > 3, "all chunks were written at one place of the stream"


def test_killed_at_random_moments_only_chunks_in_work_are_read_again(loaded, request):
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261129)
    copied = {}
    with Load(loaded.source, pause_s=0.01):
        for _ in range(kills):
            loaded.engine.start()
            loaded.wait_while_running(lambda: len(copied_chunks(loaded)) > len(copied) or is_copied(loaded), "a chunk")  # pylint: disable=cell-var-from-loop
            now = copied_chunks(loaded)
            assert not now or copied.items() <= now.items(), "a copied chunk was copied again"
            copied = now
            time.sleep(chance.random() * 0.2)
            loaded.engine.kill()
            assert loaded.engine.process.returncode == -signal.SIGKILL
        loaded.engine.start()
        finished_lsn = wait_copied(loaded)
    loaded.engine.stop()
    loaded.engine.catch_up()
    check_copied(loaded, finished_lsn, TABLES)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point, loaded):
    with Load(loaded.source, pause_s=0.01):
        must_die_at(loaded, point)
        loaded.engine.start()
        finished_lsn = wait_copied(loaded)
    loaded.engine.stop()
    loaded.engine.catch_up()
    check_copied(loaded, finished_lsn, TABLES)


def test_status_shows_a_copy_that_was_interrupted(loaded):
    must_die_at(loaded, "runner-chunk-stored")
    copy = loaded.engine.json("status")["copy"]
    assert (copy["state"], copy["chunks_done"]) == ("interrupted", len(copied_chunks(loaded))), copy
    assert 0 < copy["chunks_done"] < copy["chunk_count"] and {table["table"] for table in copy["tables"]} >= {"account", "part"}
    assert "copy        interrupted: " in loaded.engine.command("status").stdout


def test_a_damaged_plan_is_named_and_can_be_dropped(loaded):
    """Another program has written to the position's topic."""
    loaded.engine.start(environment={"PGCDC_FAULT": "runner-chunk-stored:2"})
    assert loaded.engine.wait_exit() == -signal.SIGKILL
    producer = Producer({"bootstrap.servers": loaded.kafka.bootstrap})
    producer.produce(loaded.position_topic, key=f"{loaded.name}.events#chunk.7", value="{}")
    producer.flush()
    log = loaded.assert_refused(f"the record with key {loaded.name}.events#chunk.7 at offset", "is not one that the sink has written",
                                "run `pgcdc drop`", code=2)
    assert log.count("is not one that the sink has written") >= 1
    assert loaded.engine.command("drop").returncode == 0
    loaded.engine.start()
    wait_copied(loaded)


def test_rows_that_move_between_chunks_and_truncates(live):
    """A row that arrives without its large value is completed: its chunk is written once more."""
    live.source.execute(chunk_load.SCHEMA + chunk_load.ROWS)
    live.source.execute("analyze")
    live.replay.execute(chunk_load.SCHEMA)
    live.publish()
    live.engine.start()
    with ChunkLoad(live.source):
        finished_lsn = wait_copied(live)
    live.engine.stop()
    live.engine.catch_up()
    tables = oracle.published_tables(live.source, live.name)
    check_copied(live, finished_lsn, tables, upserts=True)
