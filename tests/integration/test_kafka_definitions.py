# SPDX-License-Identifier: Apache-2.0
"""The schema topic: a table's columns before the first record that has them, told once, whatever is killed and altered."""

import json
import signal
import subprocess

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from support.published import PROTO, schema
from support.topic_reader import TopicReader

BEFORE = PROTO.parent / "tests" / "support"
ITEM = "create table item (id int primary key, name varchar(20), price numeric(8,2))"


def schema_topic(pipeline):
    return f"{pipeline.name}-schema"


@pytest.fixture
def defined(kafka_pipeline):
    """A pipeline with a schema topic, over a table with a row to copy."""
    kafka_pipeline.sink_configuration["schema_topic"] = schema_topic(kafka_pipeline)
    kafka_pipeline.source.execute(f"{ITEM}; insert into item values (1, 'cup', 2.5)")
    kafka_pipeline.publish()
    return kafka_pipeline


def told(pipeline):
    """The records of the schema topic, in their order."""
    records = []
    for message in pipeline.read_topic(schema_topic(pipeline)):
        record = schema().TableSchema.FromString(message.value())
        assert schema().Key.FromString(message.key()) == schema().Key(schema=record.schema, table=record.table)
        records.append(record)
    return records


def columns_of(record):
    """(name, type, number, name before) of each."""
    return [(column.name, column.type, column.number, column.renamed_from) for column in record.columns]


def names_of(record):
    return [column.name for column in record.columns]


def in_the_stream(pipeline, *statements):
    """Each is published before the next one, so that the catalog is asked while it has the columns of the record."""
    for statement in statements:
        pipeline.source.execute(statement)
        pipeline.wait_applied()


def assert_before_its_records(pipeline):
    """From a definition's place on, and not before it, the records of the table have its columns."""
    records = told(pipeline)
    for message in pipeline.read("item"):
        change = schema().Change.FromString(message.value())
        place = (change.commit_lsn, change.index)
        valid = [record for record in records if record.oid == records[0].oid and (record.commit_lsn, record.index) <= place]
        if change.after:
            assert names_of(valid[-1]) == [column.name for column in change.after], (valid, change)


def test_told_at_the_first_record_and_at_each_change(defined):
    """A rename is certain by the number, a column dropped and made again is another one."""
    defined.start()
    in_the_stream(defined, "insert into item values (2, 'pot', 9)",
                  "alter table item rename name to title; insert into item values (3, 'jug', 4)",
                  "alter table item add note text; insert into item values (4, 'pan', 4, 'n')",
                  "alter table item drop note; alter table item add note text; insert into item values (5, 'lid', 4, 'm')",
                  "alter table item alter price type numeric(10,2), drop title; insert into item values (6, 5, 'o')")
    found = told(defined)
    assert [columns_of(record) for record in found] == [
        [("id", "int4", 1, ""), ("name", "varchar", 2, ""), ("price", "numeric", 3, "")],
        [("id", "int4", 1, ""), ("title", "varchar", 2, "name"), ("price", "numeric", 3, "")],
        [("id", "int4", 1, ""), ("title", "varchar", 2, ""), ("price", "numeric", 3, ""), ("note", "text", 4, "")],
        [("id", "int4", 1, ""), ("title", "varchar", 2, ""), ("price", "numeric", 3, ""), ("note", "text", 5, "")],
        [("id", "int4", 1, ""), ("price", "numeric", 3, ""), ("note", "text", 5, "")]]
    assert [[column.key for column in record.columns] for record in found][0] == [True, False, False]
    assert [record.columns[1].type_modifier for record in (found[0], found[-1])] == [24, (10 << 16) + 2 + 4]
    assert_before_its_records(defined)


def test_names_that_change_places(defined):
    """And the table's own name."""
    defined.start()
    in_the_stream(defined, "alter table item rename name to t; alter table item rename price to name; alter table item rename t to price;"
                           "insert into item values (2, 'pot', 9)",
                  "alter table item rename to article; insert into article values (3, 'jug', 4)")
    first, swapped, renamed = told(defined)
    assert columns_of(swapped) == [("id", "int4", 1, ""), ("price", "varchar", 2, "name"), ("name", "numeric", 3, "price")]
    assert (renamed.schema, renamed.table, renamed.renamed_from_schema, renamed.renamed_from_table) == ("public", "article", "public", "item")
    assert renamed.oid == first.oid and names_of(renamed) == names_of(swapped)


def test_not_told_again_after_a_restart(defined):
    """What was told is stored with the position; what happened while no engine ran is told at the next record."""
    defined.engine.catch_up()
    for number in (2, 3):
        defined.source.execute(f"insert into item values ({number}, 'pot', 9)")
        defined.engine.catch_up()
    assert len(told(defined)) == 1
    defined.source.execute("alter table item rename name to title; insert into item values (4, 'jug', 4)")
    defined.engine.catch_up()
    assert [columns_of(record)[1] for record in told(defined)] == [("name", "varchar", 2, ""), ("title", "varchar", 2, "name")]


@pytest.mark.parametrize("point", ["definition-told", "definition-noted", "kafka-before-commit", "kafka-after-commit"])
def test_killed_around_a_definition(defined, point):
    """It is visible with its first record, or neither is."""
    defined.engine.catch_up()
    defined.source.execute("alter table item rename name to title; insert into item values (2, 'jug', 4)")
    defined.engine.start(environment={"PGCDC_FAULT": point})
    assert defined.engine.wait_exit() == -signal.SIGKILL, defined.engine.log_tail()
    published = point == "kafka-after-commit" and len(defined.read("item")) == 2
    assert len(told(defined)) == (2 if published else 1)
    defined.engine.catch_up()
    assert len(defined.read("item")) == 2
    assert [columns_of(record)[1] for record in told(defined)] == [("name", "varchar", 2, ""), ("title", "varchar", 2, "name")]
    assert_before_its_records(defined)


def test_dropped_with_the_pipeline(defined):
    """A new pipeline tells its tables again."""
    defined.sink_configuration["position_topic"] = f"{defined.name}-position"  # it is not deleted with the pipeline
    defined.engine.catch_up()
    assert defined.engine.command("drop").returncode == 0
    defined.kafka.delete_topic(defined.topic("item"))
    defined.engine.catch_up()
    assert len(told(defined)) == 2


def test_names_are_the_sinks(defined):
    """With a mapping: the columns as records have them, each with the number of the source's; one that a rule makes has none."""
    defined.engine.configuration["mapping"] = [
        {"match": "public.item", "columns": {"name": {"as": "title"}, "price": "drop", "origin": {"const": "a"}}}]
    defined.engine.catch_up()
    defined.source.execute("alter table item rename price to cost; insert into item values (2, 'pot', 9)")
    result = defined.engine.command("run", "--until", "caught-up")
    found = [columns_of(record) for record in told(defined)]
    assert [(name, number) for name, _, number, _ in found[0]] == [("id", 1), ("title", 2), ("origin", 0)], (found, result.stderr)


def test_debezium_json(defined):
    defined.sink_configuration["format"] = "debezium-json"
    defined.start()
    in_the_stream(defined, "alter table item rename name to title; insert into item values (2, 'jug', 4)")
    (key, first), (_, second) = [(json.loads(message.key()), json.loads(message.value()))
                                 for message in defined.read_topic(schema_topic(defined))]
    assert key == {"schema": "public", "table": "item"}
    assert first["replicaIdentity"] == "d" and "renamedFrom" not in first["columns"][1]
    assert second["columns"] == [
        {"name": "id", "typeName": "int4", "typeSchema": "pg_catalog", "typeModifier": -1, "position": 1, "key": True, "number": 1},
        {"name": "title", "typeName": "varchar", "typeSchema": "pg_catalog", "typeModifier": 24, "position": 2, "key": False, "number": 2,
         "renamedFrom": "name"},
        {"name": "price", "typeName": "numeric", "typeSchema": "pg_catalog", "typeModifier": (8 << 16) + 2 + 4, "position": 3, "key": False,
         "number": 3}]
    copied, last = [json.loads(message.value()) for message in defined.read("item")]
    assert first["lsn"] == copied["source"]["lsn"]
    assert second["lsn"] == last["source"]["lsn"] and second["ts_ms"] == last["source"]["ts_ms"]


# Consumers of older records

def messages_of(folder, file, tmp_path):
    """The classes that a consumer has who took the file then, and its descriptions; beside the present ones."""
    out = tmp_path / file
    subprocess.run(["protoc", f"--proto_path={folder}", f"--descriptor_set_out={out}", file], check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for each in files.file:
        pool.Add(each)
    get_class = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {message.name: get_class(pool.FindMessageTypeByName(f"pgcdc.v1.{message.name}")) for message in files.file[0].message_type}, files.file[0]


def numbers_of(description):
    """Each field and each value, with its number and type."""
    fields = {(message.name, field.name): (field.number, field.type, field.label, field.type_name)
              for message in description.message_type for field in message.field}
    return fields | {(kind.name, value.name): value.number for kind in description.enum_type for value in kind.value}


def test_a_consumer_of_older_records_reads_newer_ones(defined, tmp_path):
    """With the classes of change.proto as it was before the schema topic: after each change of the table the records are complete."""
    old, before = messages_of(BEFORE, "change_before.proto", tmp_path)
    _, now = messages_of(PROTO, "change.proto", tmp_path)
    assert numbers_of(before).items() <= numbers_of(now).items(), "a number or a type has changed"
    defined.start()
    in_the_stream(defined, "alter table item rename name to title; insert into item values (2, 'jug', 4)",
                  "alter table item add note text; insert into item values (3, 'pan', 4, 'n')",
                  "alter table item drop price, alter id type bigint; insert into item values (10000000000, 'lid', 'm')")
    rows = []
    for message in TopicReader(defined.kafka.bootstrap).read({defined.topic("item"): 1}):
        change = old["Change"].FromString(message.value())
        rows.append({column.name: getattr(column, column.WhichOneof("value")) for column in change.after})
    assert rows == [{"id": 1, "name": "cup", "price": "2.50"}, {"id": 2, "title": "jug", "price": "4.00"},
                    {"id": 3, "title": "pan", "price": "4.00", "note": "n"}, {"id": 10000000000, "title": "lid", "note": "m"}]
