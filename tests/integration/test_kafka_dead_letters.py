# SPDX-License-Identifier: Apache-2.0
"""on_error: dead_letter into Kafka: a change too large for its topic waits with those of its keys, the rest flows, and retried, topics = source."""

import pytest

from support.letters import (
    ITEM, LARGE, assert_verified, command, flow, headers_of, keep_letters, keys, letter_topic, letters_of, make_room, states,
)
from support.published import published


@pytest.fixture
def dead(kafka_pipeline):
    keep_letters(kafka_pipeline, [kafka_pipeline.topic("item")])
    for database in (kafka_pipeline.source, kafka_pipeline.replay):
        database.execute(ITEM)
    kafka_pipeline.source.execute("insert into item select g, 'v' from generate_series(1, 5) g")
    kafka_pipeline.publish()
    kafka_pipeline.engine.catch_up()
    return kafka_pipeline


def status_of(pipeline):
    found = pipeline.engine.json("status")
    return found["is_degraded"], found["sinks"][0]["dead_letters"]


def test_a_key_waits_and_the_rest_flows(dead):
    """Nothing of the key after the change that is missing; after the retry everything, in order, and verify finds nothing."""
    flow(dead, f"update item set v = {LARGE} where id = 1; update item set v = 'w' where id = 2",
         "update item set v = 'small again' where id = 1", "delete from item where id = 3")
    assert keys(dead) == [("U", 2), ("D", 3)]
    assert states(dead) == ["failed", "waiting"]
    assert status_of(dead) == (True, {"failed": 1, "waiting": 1, "skipped": 0})
    first = letters_of(dead)[0]
    assert (first["schema"], first["table"], first["index"]) == ("public", "item", 0) and "at most" in first["reason"], first
    again = command(dead, "dead retry", code=1)
    assert "0 dead letters applied" in again and "1 later one" in again, again
    make_room(dead)
    assert "2 dead letters applied" in command(dead, "dead retry")
    assert keys(dead)[2:] == [("U", 1), ("U", 1)]
    assert status_of(dead) == (False, {"failed": 0, "waiting": 0, "skipped": 0}) and letters_of(dead) == []
    flow(dead, "update item set v = 'last' where id = 1")
    assert_verified(dead)


def test_the_whole_record_in_parts(dead):
    """Put together they are the message, and each says which it is."""
    flow(dead, f"insert into item values (100, {LARGE})")
    records = dead.read_topic(letter_topic(dead))
    assert len(records) > 3
    headers = [headers_of(record) for record in records]
    assert [each["pgcdc.part"] for each in headers] == [f"{part}/{len(records)}" for part in range(1, len(records) + 1)]
    assert {each["pgcdc.topic"] for each in headers} == {dead.topic("item")} and {each["pgcdc.state"] for each in headers} == {"failed"}
    make_room(dead)
    command(dead, "dead retry")
    assert b"".join(record.value() for record in records) == dead.read("item")[-1].value()


def test_an_update_of_the_key_has_two(dead):
    """What has the old key or the new one waits; other letters are retried without it."""
    flow(dead, f"update item set id = 50, v = {LARGE} where id = 1", "insert into item values (1, 'new')",
         "update item set v = 'w' where id = 50", f"insert into item values (200, {LARGE})")
    assert keys(dead) == [] and states(dead) == ["failed", "waiting", "waiting", "failed"]
    make_room(dead)
    last = letters_of(dead)[-1]["id"]
    assert "1 dead letter applied" in command(dead, "dead retry", str(last))
    assert keys(dead) == [("I", 200)] and states(dead) == ["failed", "waiting", "waiting"]
    assert "3 dead letters applied" in command(dead, "dead retry", "--table", "public.item")
    dead.engine.catch_up()
    assert_verified(dead)


def test_left_out(dead):
    """In their order; what is left is published by a retry, and the topic says who did it and why."""
    flow(dead, f"insert into item values (100, {LARGE})", "update item set v = 'a' where id = 100", "update item set v = 'b' where id = 100")
    first, second, _ = [str(letter["id"]) for letter in letters_of(dead)]
    assert f"retry or skip {first} first" in command(dead, "dead skip", second, "--reason", "r", code=2)
    assert "2 dead letters of the same keys are left" in command(dead, "dead skip", first, "--reason", "too large for anybody")
    assert status_of(dead) == (True, {"failed": 0, "waiting": 2, "skipped": 1})
    flow(dead, "update item set v = 'c' where id = 100")
    assert keys(dead) == [] and states(dead) == ["waiting"] * 3
    command(dead, "dead retry")
    assert keys(dead) == [("U", 100)] * 3
    notes = [headers_of(record) for record in dead.read_topic(letter_topic(dead)) if record.value() is None]
    assert [note["pgcdc.action"] for note in notes] == ["skipped", "retried", "retried", "retried"]
    assert notes[0]["pgcdc.reason"] == "too large for anybody" and notes[0]["pgcdc.done_by"]


def test_what_is_refused(dead):
    """More keys than the limit; a command beside an engine; no letters wanted any more; a number that is none."""
    dead.sink_configuration["dead_letter_limit"] = 1
    flow(dead, f"insert into item values (100, {LARGE})")
    dead.start()
    assert "stop the engine" in command(dead, "dead retry", code=3)
    assert "no dead letter 77" in command_stopped(dead, "dead skip", "77", "--reason", "r")
    dead.source.execute(f"insert into item values (101, {LARGE})")
    dead.start()
    assert dead.engine.wait_exit() == 1 and "dead_letter_limit" in dead.engine.log_text()
    dead.sink_configuration.pop("dead_letter_limit")
    dead.sink_configuration["on_error"] = "stop"
    dead.assert_refused("retry or skip them", code=2)


def command_stopped(pipeline, *words):
    pipeline.engine.stop()
    return command(pipeline, *words, code=2)


def test_an_emptied_table_has_no_letters_of(dead):
    flow(dead, f"insert into item values (100, {LARGE})", "truncate item", "insert into item values (100, 'new')")
    assert states(dead) == []
    assert_verified(dead)


def test_the_older_way(dead):
    """oversized: dead-letter is as it was: the message alone, unchanged, and later changes pass. It is no letter for the commands."""
    dead.sink_configuration.pop("on_error")
    dead.sink_configuration["oversized"] = "dead-letter"
    dead.kafka.set_topic_config(letter_topic(dead), {"max.message.bytes": 1000000})
    flow(dead, f"insert into item values (100, {LARGE})", "update item set v = 'a' where id = 100")
    assert keys(dead) == [("U", 100)] and states(dead) == []
    record, = dead.read_topic(letter_topic(dead))
    assert len(published(record).after["v"]) == 320000 and headers_of(record).keys() == {"pgcdc.topic", "pgcdc.commit_lsn", "pgcdc.index", "pgcdc.xid"}
    dead.sink_configuration["on_error"] = dead.sink_configuration.pop("oversized").replace("-", "_")
    flow(dead, f"update item set v = {LARGE} where id = 2")
    assert states(dead) == ["failed"]
    make_room(dead)
    command(dead, "dead retry")
    assert keys(dead)[1:] == [("U", 2)]


def test_dropped_and_made_again(dead):
    """In a position topic that stays: the letters of before are no more, and numbers that come again are those of other keys."""
    command(dead, "drop")
    dead.sink_configuration["position_topic"] = f"{dead.name}-where"
    flow(dead, f"insert into item values (100, {LARGE})", "update item set v = 'a' where id = 100")
    command(dead, "drop")
    dead.source.execute("delete from item where id = 100")
    dead.engine.catch_up()
    assert states(dead) == []
    flow(dead, f"insert into item values (200, {LARGE})", "update item set v = 'a' where id = 200", "insert into item values (100, 'b')")
    assert states(dead) == ["failed", "waiting"] and keys(dead)[-1] == ("I", 100)


def test_where_letters_are(dead):
    """The topic's name is remembered, and a topic that would lose letters is refused."""
    flow(dead, f"insert into item values (100, {LARGE})")
    dead.sink_configuration["dead_letter_topic"] = "another"
    dead.assert_refused(f"set dead_letter_topic: {letter_topic(dead)}", code=2)
    assert f"set dead_letter_topic: {letter_topic(dead)}" in command(dead, "dead list", code=2)
    dead.sink_configuration["dead_letter_topic"] = letter_topic(dead)
    findings = {each["code"]: each for each in dead.engine.json("check")["findings"]}
    assert letter_topic(dead) in findings["dead_letter_retention"]["what"], findings
    dead.kafka.set_topic_config(letter_topic(dead), {"cleanup.policy": "compact"})
    dead.source.execute(f"insert into item values (101, {LARGE})")
    dead.assert_refused("cleanup.policy is compact", code=2)
    assert [each["severity"] for each in dead.engine.json("check")["findings"] if each["code"].endswith("cleanup_policy")] == ["problem"]
