# SPDX-License-Identifier: Apache-2.0
"""
The example consumers of sinks/kafka/consumers, in Python, Java and Go, print exactly what was committed, all in the same words.

One topic with every operation, every kind of value, messages of an aborted transaction and messages that come again is read by all.
Called again, they go on where they were.
"""

import os
import subprocess
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer

from support.committed import lsn_text
from support.consumers import CONSUMERS, FOLDER, ROOT, build, missing_tools
from support.kafka import CLIENT
from support.kafka_pipeline import KafkaPipeline
from support.published import published, schema
from support.topic_reader import UNCOMMITTED, TopicReader

TABLES = """
create type mood as enum ('happy');
create domain small as int2;
create table item (id int primary key, v text, big text);
alter table item alter big set storage external;
create table "Größe.1" (a text, b numeric);
alter table "Größe.1" replica identity full;
create table part (id serial primary key, item int references item);
create table value (id int primary key, {values});
"""
# type, SQL of a value, what the consumers print
VALUES = [
    ("bool", "true", "true"),
    ("bool", "false", "false"),
    ("int2", "-32768", "-32768"),
    ("int8", "9223372036854775807", "9223372036854775807"),
    ("oid", "4294967295", "4294967295"),
    ("float4", "'1.5e-30'", "1.50000000e-30"),
    ("float4", "'NaN'", "nan"),
    ("float8", "0.1::float8 + 0.2::float8", "3.0000000000000004e-01"),
    ("float8", "1e23", "9.9999999999999992e+22"),
    ("float8", "'5e-324'", "4.9406564584124654e-324"),
    ("float8", "'-0'", "-0.0000000000000000e+00"),
    ("float8", "'Infinity'", "inf"),
    ("float8", "'-Infinity'", "-inf"),
    ("float8", "null", "null"),
    ("text", "'Grüße 😀'", '"Grüße 😀"'),
    ("text", r"""E'a "b" \\ \n\r\t'""", r'"a \"b\" \\ \n\r\t"'),
    ("text", "''", '""'),
    ("text", "null", "null"),
    ("text", "'null'", '"null"'),
    ("char(5)", "'tea'", '"tea  "'),
    ("bytea", r"'\x00ff10'", "0x00ff10"),
    ("bytea", "''", "0x"),
    ("numeric(10,2)", "12.5", '"12.50"'),
    ("jsonb", """'{"a": [1]}'""", r'"{\"a\": [1]}"'),
    ("timestamptz(0)", "'2026-01-31 13:00:00+01'", '"2026-01-31 12:00:00+00"'),
    ("int4[]", "'{1,NULL,3}'", '"{1,NULL,3}"'),
    ("mood", "'happy'", '"happy"'),
    ("small", "7", "7"),
]
VALUE_COLUMNS = ", ".join(f"c{number} {kind}" for number, (kind, _, _) in enumerate(VALUES))
VALUE_ROW = ", ".join(sql for _, sql, _ in VALUES)
VALUE_PRINTED = ", ".join(f'"c{number}": {printed}' for number, (_, _, printed) in enumerate(VALUES))

LARGE = "x" * 10000
COPIED = """
insert into item values (1, 'copied', null);
insert into value values (0, {row});
"""
WORK = [
    "insert into item values (2, null, repeat('x', 10000)), (3, '', null)",
    "update item set v = 'two' where id = 2",
    "update item set id = 20 where id = 2",
    "delete from item where id = 3",
    """insert into "Größe.1" values ('old', 1.50)""",
    """update "Größe.1" set a = null""",
    """delete from "Größe.1" """,
    "insert into value values (1, {row})",
    "insert into part (item) values (1)",
    "truncate item restart identity cascade",
]
LAST = "insert into item values (1, 'last', null)"
PRINTED = {
    "item": [
        'READ public.item key={"id": 1} after={"id": 1, "v": "copied", "big": null}',
        f'INSERT public.item key={{"id": 2}} after={{"id": 2, "v": null, "big": "{LARGE}"}}',
        'INSERT public.item key={"id": 3} after={"id": 3, "v": "", "big": null}',
        'UPDATE public.item key={"id": 2} after={"id": 2, "v": "two", "big": unchanged}',
        'DELETE public.item key={"id": 2} before={"id": 2} moved_to={"id": 20}',
        'UPDATE public.item key={"id": 20} before={"id": 2} after={"id": 20, "v": "two", "big": unchanged}',
        'DELETE public.item key={"id": 3} before={"id": 3}',
        "TRUNCATE public.item key={} cascade restart_identity",
        'INSERT public.item key={"id": 1} after={"id": 1, "v": "last", "big": null}',
    ],
    "Größe.1": [
        'INSERT public.Größe.1 key=none after={"a": "old", "b": "1.50"}',
        'UPDATE public.Größe.1 key=none before={"a": "old", "b": "1.50"} after={"a": null, "b": "1.50"}',
        'DELETE public.Größe.1 key=none before={"a": null, "b": "1.50"}',
    ],
    "value": [
        f'READ public.value key={{"id": 0}} after={{"id": 0, {VALUE_PRINTED}}}',
        f'INSERT public.value key={{"id": 1}} after={{"id": 1, {VALUE_PRINTED}}}',
    ],
    "part": [
        'INSERT public.part key={"id": 1} after={"id": 1, "item": 1}',
        "TRUNCATE public.part key={} cascade restart_identity",
    ],
}


@pytest.fixture(scope="module")
def new_pipeline(program, shared_clusters, shared_kafka, tmp_path_factory):
    """with new_pipeline(name) as made: a pipeline that all tests of this file share."""
    @contextmanager
    def make(name):
        source, replay = (shared_clusters("source").create_database(part) for part in ("src", "replay"))
        made = KafkaPipeline(program, tmp_path_factory.mktemp(name), source, replay, shared_kafka, name)
        try:
            yield made
        finally:
            made.close()
            made.engine.assert_sane()
            source.drop()
            replay.drop()
    return make


@pytest.fixture(scope="module")
def pipeline(new_pipeline):
    """One whose topics hold all of the above; its engine has done its work."""
    with new_pipeline("consumed") as made:
        made.source_configuration["tables"] = ["*.*"]
        made.sink_configuration["tombstones"] = True
        fill(made)
        yield made


def fill(pipeline):
    pipeline.source.execute(TABLES.replace("{values}", VALUE_COLUMNS))
    pipeline.source.execute(COPIED.replace("{row}", VALUE_ROW))
    pipeline.publish()
    pipeline.engine.catch_up()
    for statement in WORK:
        pipeline.source.execute(statement.replace("{row}", VALUE_ROW))
    pipeline.engine.catch_up()
    abort_messages(pipeline)
    repeat_messages(pipeline)
    pipeline.source.execute(LAST)
    pipeline.engine.catch_up()


def abort_messages(pipeline):
    """
    A transaction that another program wrote to the topic and took back: its changes look like new ones, and were never committed.

    They must be new: what comes again is left out by its position, whatever the isolation level, and would prove nothing.
    """
    copies = pipeline.read("item")
    producer = Producer({**CLIENT, "bootstrap.servers": pipeline.kafka.bootstrap, "transactional.id": f"{pipeline.name}-aborted"})
    producer.init_transactions(60)
    producer.begin_transaction()
    for copy in copies:
        if copy.value() is None:
            continue
        change = schema().Change.FromString(copy.value())
        change.commit_lsn += 1 << 40
        producer.produce(copy.topic(), change.SerializeToString(), copy.key(), copy.partition())
    assert producer.flush(60) == 0
    producer.abort_transaction(60)


def repeat_messages(pipeline):
    """As a consumer gets them that died before its offset was committed."""
    producer = Producer({**CLIENT, "bootstrap.servers": pipeline.kafka.bootstrap})
    for copy in pipeline.read("item"):
        producer.produce(copy.topic(), copy.value(), copy.key(), copy.partition())
    assert producer.flush(60) == 0


def names(pipeline):
    """{table: the names of its changes} in the topics; a repeated message counts once."""
    found = {}
    for topic, partitions in pipeline.topics().items():
        named = {}
        for message in TopicReader(pipeline.kafka.bootstrap).read({topic: partitions}):
            if message.value() is None:
                continue
            change = published(message)
            named[change.commit_lsn, change.index, change.kind] = (change.table, f"{lsn_text(change.commit_lsn)} {change.index}")
        for table, name in named.values():
            found.setdefault(table, []).append(name)
    return found


def expected(pipeline):
    """{table: lines}, each with the name that its change has in the topic."""
    found = names(pipeline)
    assert {table: len(names) for table, names in found.items()} == {table: len(lines) for table, lines in PRINTED.items()}
    return {table: [f"{name} {line}" for name, line in zip(found[table], PRINTED[table])] for table in found}


def by_table(output):
    """{table: lines}; the order of a consumer's lines means something only within a topic."""
    found = {}
    for line in output.splitlines():
        found.setdefault(line.split(" ")[3].split(".", 1)[1], []).append(line)
    return found


def consume(pipeline, language, count):
    """What the consumer prints of the next changes of its group."""
    if missing_tools(language):
        pytest.skip(f"the consumer in {language} needs {', '.join(missing_tools(language))} (tests/support/install consumers)")
    folder = build(language)
    result = subprocess.run([*CONSUMERS[language].call, pipeline.kafka.bootstrap, pipeline.name, f"{pipeline.name}-{language}", str(count)],
                            cwd=folder, capture_output=True, timeout=300, env={**os.environ, "LC_ALL": "C"}, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


@pytest.mark.parametrize("language", CONSUMERS)
def test_a_consumer_prints_what_was_committed(pipeline, language):
    lines = expected(pipeline)
    assert by_table(consume(pipeline, language, sum(map(len, lines.values())))) == lines


@pytest.fixture(scope="module")
def copied(new_pipeline):
    """A pipeline whose two topics, named as `check` advises when Kafka cannot tell two apart, hold five rows each."""
    with new_pipeline("copied") as made:
        made.sink_configuration["topic"] = "{source}.{schema}..{table}"
        made.source.execute("create table one as select generate_series(1, 5) as id; create table two as table one")
        made.publish()
        made.engine.catch_up()
        yield made


@pytest.mark.parametrize("language", CONSUMERS)
def test_a_consumer_that_comes_again_goes_on_where_it_was(copied, language):
    """Not before, although it left in the middle of what it had fetched; not after it either."""
    lines = [line for count in (3, 4, 3) for line in consume(copied, language, count).splitlines()]
    found = {table: [" ".join(line.split(" ")[:2]) for line in printed] for table, printed in by_table("\n".join(lines)).items()}
    assert found == names(copied)
    assert {table: len(rows) for table, rows in found.items()} == {"one": 5, "two": 5}


def test_the_topic_holds_messages_that_were_taken_back(pipeline):
    """Otherwise the test above would prove nothing about isolation."""
    topic = {pipeline.topic("item"): 1}
    reader = TopicReader(pipeline.kafka.bootstrap)
    taken_back = reader.count(topic, UNCOMMITTED) - reader.count(topic)
    assert taken_back == len(PRINTED["item"]) - 1


def test_the_topic_holds_messages_without_a_value(pipeline):
    assert None in [message.value() for message in pipeline.read("item")]


@pytest.mark.parametrize("language", CONSUMERS)
def test_the_readme_builds_them_in_the_same_way(language):
    text = (ROOT / FOLDER / "README.md").read_text(encoding="utf-8").replace("\\\n        ", "")
    for step in CONSUMERS[language].steps:
        assert f"    {step}\n" in text, step
