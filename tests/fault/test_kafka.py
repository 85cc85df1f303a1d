# SPDX-License-Identifier: Apache-2.0
"""
Whatever dies on the way to Kafka: each committed change is there exactly once, in order, and the topics replay to the source.

Records that only read_uncommitted sees prove that the faults came between two records and their commit.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from support import load
from support.cluster import Cluster
from support.committed import lsn_number
from support.engine import slowness
from support.kafka import Kafka
from support.lives import CHUNKED, dies_at, must_die_at, points_of
from support.load import Load
from support.topic_reader import UNCOMMITTED, TopicReader
from support.wait import wait_until

KILLS = 200
KILLS_LONG = 1000
BROKER_KILLS = 20
TABLES = ("public.journal", "public.account", "public.document", "public.seat", "public.part")


def fault_points():
    """The sink's own, and those of the engine that lie around its calls; it has no commit that is not a flush."""
    around = ("runner-", "snapshot-", "checkpoint-before-confirm")
    own = points_of("sinks/kafka")
    own = [point for point in own if not point.startswith("letter")]  # test_kafka_dead_kills.py reaches them
    return own + [point for point in points_of("cdc") if point.startswith(around) and not point.startswith(CHUNKED) and point not in ("runner-after-commit", "runner-paused")]


def prepare(pipeline):
    """The tables of support/load.py on both sides, the publication and the witness; not started yet."""
    pipeline.source.execute(load.SCHEMA + load.ROWS)
    pipeline.replay.execute(load.SCHEMA)
    pipeline.publish()
    return pipeline


@pytest.fixture(scope="module")
def source_cluster():
    """The walsender gives a silent client up after 3 s."""
    with Cluster("source", settings={"wal_sender_timeout": "3s"}) as cluster:
        cluster.is_shared = True
        yield cluster


@pytest.fixture(scope="module")
def sturdy_kafka():
    """One broker that the tests of this file may kill and freeze."""
    with Kafka("sturdy") as kafka:
        yield kafka


@pytest.fixture(scope="module")
def three_brokers():
    with Kafka("three", brokers=3) as kafka:
        yield kafka


@pytest.fixture
def loaded(new_kafka_pipeline, source_cluster, sturdy_kafka):
    sturdy_kafka.revive()
    return prepare(new_kafka_pipeline(source_cluster, sturdy_kafka))


@pytest.fixture
def loaded_on_three(new_kafka_pipeline, source_cluster, three_brokers):
    three_brokers.revive()
    return prepare(new_kafka_pipeline(source_cluster, three_brokers))


def sink(pipeline):
    return pipeline.engine.configuration["sinks"][0]


def transactional_id(pipeline):
    return f"pgcdc-{pipeline.name}-events"


def set_properties(pipeline, **properties):
    """Names for librdkafka: a_b is a.b."""
    sink(pipeline).setdefault("properties", {}).update({key.replace("_", "."): value for key, value in properties.items()})


def wait_briefly(condition, seconds):
    """Whether it becomes true in that time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def finish(pipeline):
    """Engine and load have ended: the rest arrives, and everything exists once. Returns the checker."""
    pipeline.engine.catch_up()
    return pipeline.assert_equal(*TABLES)


def wait_for_progress(pipeline, deadline_s=120):
    lsn = pipeline.source_lsn()
    pipeline.wait_while_running(lambda: pipeline.position_reached(lsn), f"Kafka to have {lsn}", deadline_s)


def wait_for_change(pipeline):
    """A streamed one, under load: the position of the copy may be the source's last one, and the producer is opened anew after it."""
    lsn = pipeline.source_lsn()
    pipeline.wait_while_running(lambda: lsn_number(pipeline.position() or "0/0") > lsn_number(lsn), f"Kafka to be beyond {lsn}", 120)


def is_older_or_gone(database, pid, age):
    sessions = database.execute("select backend_start < now() - %s::interval from pg_stat_replication where pid = %s", (age, pid))
    return not sessions or sessions[0][0]


# The engine dies

def test_killed_at_random_moments_under_load(loaded, request):
    """Every other life is killed after something of it has arrived; the rest at any time, mostly early."""
    kills = KILLS_LONG if request.config.getoption("--long") else KILLS
    chance = random.Random(20261122)
    sink(loaded)["transaction_topic"] = f"{loaded.name}-transactions"
    with Load(loaded.source, pause_s=0.01):
        for life in range(kills):
            loaded.engine.start()
            if life % 2 == 0:
                wait_for_progress(loaded)
            time.sleep(chance.random() * 0.3)
            assert loaded.engine.is_running(), loaded.engine.log_tail()
            loaded.engine.kill()
            assert loaded.engine.process.returncode == -signal.SIGKILL
    finish(loaded).assert_faults_hit()
    told = loaded.read_topic(f"{loaded.name}-transactions"), loaded.read_topic(f"{loaded.name}-transactions", isolation=UNCOMMITTED)
    assert len(told[0]) < len(told[1]), "no boundary of a transaction was aborted"


def test_killed_during_the_initial_copy(loaded):
    """Each start begins the copy again; what the ones before have sent was never committed. Every other one is killed once it has sent something."""
    loaded.source.execute("insert into account select g, 0, repeat('x', 200) from generate_series(100000, 300000) g")
    chance = random.Random(7)
    with Load(loaded.source, pause_s=0.01):
        for life in range(8):
            sent = records_sent(loaded)
            loaded.engine.start()
            if life % 2 == 0:
                loaded.wait_while_running(lambda: records_sent(loaded) > sent, "records of the copy")  # pylint: disable=cell-var-from-loop
            else:
                time.sleep(chance.random() * 1.2)
            loaded.engine.kill()
    finish(loaded).assert_faults_hit()


def records_sent(pipeline):
    """Committed or not."""
    return sum(TopicReader(pipeline.kafka.bootstrap).ends(pipeline.topics()).values())


def add_late_tables(pipeline):
    """The copy makes its topics one by one; those of tables that are new to the stream are made together."""
    pipeline.engine.catch_up()
    tables = "create table late_one (id int primary key, v text); create table late_two (id int primary key, v text);"
    pipeline.replay.execute(tables)
    pipeline.source.execute(tables + "insert into late_one values (1, 'v'); insert into late_two values (2, 'v')")


@pytest.mark.parametrize("point", fault_points())
def test_killed_at_a_fault_point(loaded, point):
    """At its first visit, which must happen, and, where a life has so many, at the third."""
    sink(loaded).update({"transaction_topic": f"{loaded.name}-transactions", "schema_topic": f"{loaded.name}-schema"})
    if point.endswith("-split"):
        sink(loaded)["transaction_changes"] = 20  # the load has transactions of 41
    if point == "kafka-topics-created":
        add_late_tables(loaded)
    with Load(loaded.source, pause_s=0.01):
        must_die_at(loaded, point)
        dies_at(loaded, point, 3)
    finish(loaded)
    defined = [message.key() for message in loaded.read_topic(f"{loaded.name}-schema")]
    assert len(defined) == len(set(defined)) >= len(TABLES), "a definition was told twice, or not at all"


# The broker dies, freezes, loses its place

def test_a_broker_killed_again_and_again(loaded):
    """What a killed broker has written is the kernel's, so even one replica keeps it."""
    loaded.kafka.mark_log()
    loaded.start()
    chance = random.Random(3)
    with Load(loaded.source, pause_s=0.02):
        for _ in range(BROKER_KILLS):
            wait_for_progress(loaded)
            time.sleep(chance.random() * 0.2)
            loaded.kafka.kill()
            loaded.kafka.start()
        wait_for_progress(loaded)
    loaded.engine.stop()
    finish(loaded)
    starts = loaded.kafka.log_text().count("Kafka Server started")
    assert starts >= BROKER_KILLS, f"the broker has started {starts} times"


def test_a_frozen_broker_is_waited_for(loaded):
    """Until the broker thaws nothing is confirmed and the source's server gets its answers; then all continues."""
    loaded.start()
    with Load(loaded.source, pause_s=0.01):
        wait_for_change(loaded)
        loaded.kafka.freeze()
        frozen = loaded.source_lsn()
        sender = loaded.slot()["active_pid"]
        wait_until(lambda: is_older_or_gone(loaded.source, sender, "8 s"), "8 s to pass")
        assert loaded.slot()["active_pid"] == sender, f"the connection was lost while the broker was frozen\n{loaded.engine.log_tail()}"
        assert not loaded.position_reached(frozen)
        loaded.kafka.thaw()
        wait_for_progress(loaded)
    loaded.engine.stop()
    finish(loaded)


def test_a_stop_while_the_broker_is_away(loaded):
    """Silent or dead in mid-run, or dead at the start: the stop ends within its ten seconds, and the next run continues."""
    kafka = loaded.kafka
    ways = [(kafka.freeze, kafka.thaw, signal.SIGTERM), (kafka.kill, kafka.start, signal.SIGINT)]
    with Load(loaded.source, pause_s=0.1):
        for away, back, number in ways:
            loaded.start()
            wait_for_progress(loaded)
            away()
            stop_soon(loaded, number)
            back()
            loaded.wait_slot_free()
        kafka.kill()
        loaded.engine.start()
        loaded.engine.wait_log(kafka.bootstrap)
        stop_soon(loaded, signal.SIGTERM)
        kafka.start()
    finish(loaded)


def stop_soon(pipeline, number):
    """A hang-up before it is no stop."""
    engine = pipeline.engine
    engine.process.send_signal(signal.SIGHUP)
    began = time.monotonic()
    engine.process.send_signal(number)
    code = engine.wait_exit(60)
    took = time.monotonic() - began
    assert code == 0 and took < 10 * slowness(engine.program), f"exit code {code} after {took} s"


def test_a_leader_moves(loaded_on_three):
    """The broker that leads a data topic dies; another one leads, and the engine continues by itself."""
    pipeline = loaded_on_three
    pipeline.start()
    with Load(pipeline.source, pause_s=0.01):
        for _ in range(3):
            wait_for_progress(pipeline)
            leader = pipeline.kafka.leader_of(pipeline.topic("journal"))
            leader.kill()
            wait_until(lambda: pipeline.kafka.leader_of(pipeline.topic("journal")) not in (leader, None),  # pylint: disable=cell-var-from-loop
                       "another leader")
            wait_for_progress(pipeline)
            leader.start()
            pipeline.kafka.wait_ready()
    pipeline.engine.stop()
    finish(pipeline)


def test_a_start_while_the_positions_topic_has_no_leader(loaded_on_three):
    """For some seconds the other brokers still name the dead one; the start waits for the next leader, and a stop ends that wait."""
    pipeline, kafka = loaded_on_three, loaded_on_three.kafka
    kafka.begin_transactions(transactional_id(pipeline))
    leader = next(broker for broker in kafka.brokers if broker is not kafka.coordinator_of(transactional_id(pipeline)))
    sink(pipeline)["position_topic"] = pipeline.position_topic
    kafka.create_topic(pipeline.position_topic, config={"cleanup.policy": "compact"}, leader=leader)
    pipeline.start()
    pipeline.engine.stop()
    with Load(pipeline.source, pause_s=0.01):
        stop_before_the_position_is_read(pipeline)
        leader.kill()
        pipeline.engine.thaw()
        wait_briefly(lambda: "streaming slot" in pipeline.engine.log_text(), 2)
        stop_soon(pipeline, signal.SIGTERM)
        leader.start()
        kafka.wait_ready()
        stop_before_the_position_is_read(pipeline)
        leader.kill()
        pipeline.engine.thaw()
        wait_for_progress(pipeline)
    pipeline.engine.stop()
    leader.start()
    kafka.wait_ready()
    finish(pipeline)


def stop_before_the_position_is_read(pipeline):
    """The producer is open: what the coordinator writes waits for every replica that it believes to be alive."""
    pipeline.engine.start(environment={"PGCDC_FAULT": "kafka-after-init:stop"})
    wait_until(lambda: process_state(pipeline.engine.process.pid) == "T", "the engine to stop at the point")


def process_state(pid):
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1][0]


def test_the_coordinator_is_lost(loaded_on_three):
    """The broker that decides about our transactions dies in the midst of them."""
    pipeline = loaded_on_three
    pipeline.start()
    with Load(pipeline.source, pause_s=0.01):
        for _ in range(3):
            wait_for_progress(pipeline)
            coordinator = pipeline.kafka.coordinator_of(transactional_id(pipeline))
            coordinator.kill()
            wait_until(lambda: pipeline.kafka.coordinator_of(transactional_id(pipeline)) not in (coordinator, None),  # pylint: disable=cell-var-from-loop
                       "another coordinator")
            wait_for_progress(pipeline)
            coordinator.start()
            pipeline.kafka.wait_ready()
    pipeline.engine.stop()
    finish(pipeline)


def test_a_transaction_that_outlives_its_time(loaded):
    """The coordinator aborts it while the engine is frozen; that is no fence, so the engine continues by itself."""
    set_properties(loaded, transaction_timeout_ms=2000)
    loaded.kafka.mark_log()
    loaded.start()
    rolled_back = f"transactionalId {transactional_id(loaded)} due to timeout"
    with Load(loaded.source, pause_s=0.002):
        for _ in range(20):
            wait_for_progress(loaded)
            loaded.engine.freeze()
            rolled = wait_briefly(lambda: rolled_back in loaded.kafka.log_text(), 4)
            loaded.engine.thaw()
            if rolled:
                break
        wait_for_progress(loaded)
    assert rolled_back in loaded.kafka.log_text(), "the freezes met no open transaction"
    loaded.engine.stop()
    finish(loaded)


# Topics that are gone

@pytest.mark.parametrize("keeps_state", [True, False], ids=["with_the_disk", "with_the_slot_alone"])
def test_a_deleted_position_topic_is_refused(loaded, keeps_state):
    """Kafka's position is no longer known; the data topics are left unchanged."""
    with Load(loaded.source, pause_s=0.01):
        loaded.start()
        wait_for_progress(loaded)
        loaded.engine.stop()
    loaded.delete_position_topic()
    if not keeps_state:
        for path in loaded.state.iterdir():
            path.unlink()
    before = TopicReader(loaded.kafka.bootstrap).ends(loaded.topics())
    loaded.assert_refused("position" if keeps_state else "no sink has a position")
    assert TopicReader(loaded.kafka.bootstrap).ends(loaded.topics()) == before


def test_a_position_topic_deleted_at_work_is_refused(loaded):
    with Load(loaded.source, pause_s=0.01):
        loaded.start()
        wait_for_progress(loaded)
        loaded.delete_position_topic()
        assert loaded.engine.wait_exit(120) == 3, loaded.engine.log_tail()


def test_a_data_topic_deleted_at_work(loaded):
    """An operator has removed its records; later changes arrive in a new topic, and the others lose nothing."""
    loaded.start()
    with Load(loaded.source, pause_s=0.01):
        wait_for_progress(loaded)
        loaded.kafka.delete_topic(loaded.topic("part"))
        wait_for_progress(loaded)
        wait_until(lambda: loaded.topic("part") in loaded.topics(), lambda: f"a new topic\n{loaded.engine.log_tail()}")
        wait_for_progress(loaded)
    loaded.engine.stop()
    loaded.engine.catch_up()
    loaded.assert_equal(*[table for table in TABLES if table != "public.part"], without=["part"])


# Two engines

def test_a_frozen_engine_wakes_after_its_successor_took_over(loaded, program, tmp_path):
    """It is fenced and ends with 3, or stands by; nothing that it held becomes visible."""
    successor = second_engine(loaded, program, tmp_path)
    loaded.start()
    with Load(loaded.source, pause_s=0.01):
        wait_for_progress(loaded)
        loaded.engine.freeze()
        wait_until(lambda: not loaded.slot_is_active(), "the server to give the frozen engine up")
        successor.start()
        wait_until(loaded.is_streaming, "the successor to stream")
        wait_for_position(loaded, successor)
        loaded.engine.thaw()
        wait_until(lambda: not loaded.engine.is_running() or "another engine runs this pipeline" in loaded.engine.log_text(),
                   lambda: f"it to be fenced or to stand by\n{loaded.engine.log_tail()}")
    if loaded.engine.is_running():
        loaded.engine.stop()
    else:
        assert loaded.engine.wait_exit() == 3, loaded.engine.log_tail()
    assert successor.is_running(), successor.log_tail()
    successor.stop()
    finish(loaded)


def test_two_engines_at_once(loaded, program, tmp_path):
    """One of them ends with 3 or stands by, soon; the other one continues."""
    successor = second_engine(loaded, program, tmp_path)
    loaded.start()
    with Load(loaded.source, pause_s=0.01):
        wait_for_progress(loaded)
        successor.start("--take-over")
        engines = [loaded.engine, successor]
        wait_until(lambda: any(has_given_way(engine) for engine in engines),
                   lambda: "one of them to give way\n" + "\n".join(engine.log_tail() for engine in engines), 60)
        loser = next(engine for engine in engines if has_given_way(engine))
        winner = next(engine for engine in engines if engine is not loser)
        if not loser.is_running():
            assert loser.wait_exit() == 3, loser.log_tail()
            assert "another engine has taken over" in loser.log_text()
        wait_for_position(loaded, winner)
        before = winner.log_text()
        wait_for_position(loaded, winner)
        assert winner.log_text() == before, "the winner was disturbed"
    for engine in engines:
        if engine.is_running():
            engine.stop()
    finish(loaded)


def has_given_way(engine):
    return not engine.is_running() or "another engine runs this pipeline" in engine.log_text()


def wait_for_position(pipeline, engine):
    lsn = pipeline.source_lsn()
    wait_until(lambda: pipeline.position_reached(lsn), lambda: f"Kafka to have {lsn}\n{engine.log_tail()}")


def second_engine(pipeline, program, tmp_path):
    """The same pipeline with a state directory of its own, as on another machine."""
    from support.engine import Engine  # pylint: disable=import-outside-toplevel
    state = tmp_path / "second" / "state"
    state.mkdir(parents=True)
    return Engine(program, tmp_path / "second", {**pipeline.engine.configuration, "state": str(state)})
