# SPDX-License-Identifier: Apache-2.0
"""Dead letters of a Kafka sink under a mapping, in shared topics and partitions, and of a copy."""

import pytest

from support.letters import (
    ITEM, LARGE, assert_verified, command, flow, headers_of, keep_letters, keys, letter_topic, letters_of, make_room, states,
)


@pytest.mark.parametrize("form", ["protobuf", "debezium-json"])
def test_masked_values_are_in_no_letter(kafka_pipeline, tmp_path, form):
    """Neither in the topic of letters nor among the keys that wait; in partitions, with tombstones, and verified under the mapping."""
    pipeline = kafka_pipeline
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(b"0123456789abcdef-for-tests")
    key_file.chmod(0o600)
    topic = f"{pipeline.name}.crm.customer"
    keep_letters(pipeline, [topic], partitions=3)
    masked = {"mask": {"hash": "sha256", "key_file": str(key_file)}}
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "to": "crm.customer", "columns": {"email": masked, "note": "drop"}}]
    pipeline.sink_configuration.update({"format": form, "partitions": 3, "headers": "on"})
    pipeline.source.execute("create table t (email text primary key, v text, note text); insert into t select 'SECRET-' || g, 'v', 'HIDDEN' from generate_series(1, 20) g")
    pipeline.publish()
    pipeline.engine.catch_up()
    before = {record.key() for record in pipeline.read_topic(topic)}
    flow(pipeline, f"update t set v = {LARGE} where email in ('SECRET-3', 'SECRET-4')", "update t set email = 'SECRET-x' where email = 'SECRET-3'",
         "update t set v = 'w' where email <> 'SECRET-9'", "delete from t where email = 'SECRET-x'", "insert into t values ('SECRET-3', 'new', 'HIDDEN')")
    assert states(pipeline)[:2] == ["failed", "failed"] and set(states(pipeline)[2:]) == {"waiting"}
    told = "".join(map(str, letters_of(pipeline))) + pipeline.engine.log_path.read_text() + command(pipeline, "dead list")
    for name in (letter_topic(pipeline), pipeline.position_topic):
        for record in pipeline.read_topic(name):
            told += repr((record.key(), record.value(), record.headers()))
    assert "SECRET" not in told and "HIDDEN" not in told and b"SECRET-x".hex() not in told and b"SECRET-3".hex() not in told
    assert len({record.key() for record in pipeline.read_topic(topic)} - before) == 0
    make_room(pipeline, topic)
    command(pipeline, "dead retry")
    pipeline.engine.catch_up()
    assert_verified(pipeline)
    records = pipeline.read_topic(topic)
    assert all("pgcdc.commit_lsn" in headers_of(record) and "pgcdc.letter" not in headers_of(record) for record in records if record.headers())
    for key in {record.key() for record in records}:
        lsns = [headers_of(record)["pgcdc.commit_lsn"] for record in records if record.key() == key and record.headers()]
        assert lsns == sorted(lsns, key=lambda lsn: int(lsn.split("/")[1], 16)), "out of order within a key"


def test_one_topic_of_several_tables(kafka_pipeline):
    """Keys of two tables that are the same bytes wait for each other; of a table without a key all of the topic waits. TRUNCATE must know whose they are."""
    pipeline = kafka_pipeline
    topic = f"{pipeline.name}.all"
    keep_letters(pipeline, [topic])
    pipeline.sink_configuration.update({"topic": "{source}.all", "format": "debezium-json"})
    pipeline.source.execute("create table a (id int primary key, v text); create table b (id int primary key, v text); create table loose (v text);"
                            " alter table loose replica identity full")
    pipeline.publish()
    flow(pipeline, f"insert into a values (1, {LARGE})", "insert into b values (1, 'b'), (2, 'b')")
    assert [(letter["table"], letter["state"]) for letter in letters_of(pipeline)] == [("a", "failed"), ("b", "waiting")]
    pipeline.source.execute("truncate a")
    pipeline.sink_configuration["skipped.operations"] = "none"
    pipeline.assert_refused("a key with dead letters of several tables", code=1)
    make_room(pipeline, topic)
    assert "2 dead letters applied" in command(pipeline, "dead retry")
    pipeline.kafka.set_topic_config(topic, {"max.message.bytes": 100000})
    flow(pipeline, f"insert into loose values ({LARGE})", "insert into b values (3, 'b')", "insert into a values (1, 'a')", "insert into loose values ('l')")
    assert states(pipeline) == ["failed", "waiting", "waiting", "waiting"]
    number = letters_of(pipeline)[0]["id"]
    assert "3 dead letters of the same keys are left" in command(pipeline, "dead skip", str(number), "--reason", "none needs it")
    assert "3 dead letters applied" in command(pipeline, "dead retry")
    assert pipeline.engine.json("status")["is_degraded"] is False and letters_of(pipeline) == []


def test_rows_of_the_first_copy(kafka_pipeline):
    """They are letters like changes, in the one transaction of the copy."""
    pipeline = kafka_pipeline
    keep_letters(pipeline, [pipeline.topic("item")])
    pipeline.source.execute(ITEM)
    pipeline.source.execute(f"insert into item select g, case g when 3 then {LARGE} else 'v' end from generate_series(1, 5) g")
    pipeline.publish()
    pipeline.engine.catch_up()
    assert states(pipeline) == ["failed"] and len(pipeline.read("item")) == 4
    flow(pipeline, "update item set v = 'w' where id > 2")
    assert states(pipeline) == ["failed", "waiting"] and keys(pipeline) == [("U", 4), ("U", 5)]
    make_room(pipeline)
    command(pipeline, "dead retry")
    pipeline.engine.catch_up()
    assert_verified(pipeline)
