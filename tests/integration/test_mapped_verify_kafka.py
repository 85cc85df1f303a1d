# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify` of a Kafka sink under a mapping: the records are compared with what the rules make of the source's rows."""

import json

import pytest

EQUAL, DIFFERENT = 0, 4
LARGE = "(select string_agg(md5(i::text), '') from generate_series(1, 300) i)"  # stored out of line
SECRET = "Ann@Example.com"


def verify(pipeline, *arguments):
    pipeline.source.execute("select pg_logical_emit_message(true, 'test', '')")
    result = pipeline.engine.command("verify", "--json", *arguments)
    assert result.stdout, result.stderr
    assert SECRET not in result.stdout + result.stderr
    return result.returncode, {table["table"]: table for table in json.loads(result.stdout)["sinks"][0]["tables"]}


@pytest.mark.parametrize("form", ["protobuf", "debezium-json"])
def test_records_are_compared_with_the_mapped_rows(kafka_pipeline, tmp_path, form):
    pipeline = kafka_pipeline
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(b"0123456789abcdef-for-tests")
    key_file.chmod(0o600)
    pipeline.source.execute(
        "create table t (id int primary key, email text, n int, large text, secret text); alter table t alter large set storage external;"
        f"insert into t select g, '{SECRET} ' || g, g, {LARGE}, 'x' from generate_series(1, 50) g;"
        "create table keyless (v text, w int); alter table keyless replica identity full; insert into keyless select ' same', g % 2 from generate_series(1, 6) g;"
        "create table plain (id int primary key); insert into plain values (1);"
        "create table one_a (id int primary key, v text); create table one_b (id int primary key, v text); insert into one_a values (1, 'a'), (2, 'a'); insert into one_b values (1, 'b')")
    pipeline.publish()
    pipeline.sink_configuration.update({"format": form, "partitions": 3})
    masked = {"mask": {"hash": "sha256", "key_file": str(key_file)}}
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.t", "to": "crm.customer", "columns": {"id": masked, "email": {"steps": ["lower"], **masked}, "n": {"as": "count"}, "secret": "drop",
                                                                 "source": {"const": "a"}, "origin": {"meta": "table"}, "_lsn": {"meta": "commit_lsn"}}},
        {"match": "/public\\.one_(.)/", "to": "shop.one", "key": ["tenant", "id"], "columns": {"tenant": {"meta": "table"}}},
        {"match": "public.keyless", "columns": {"v": ["trim", "upper"]}}]
    pipeline.start()
    for sql in ("update t set email = email || '!' where id < 20", "insert into t values (60, 'new', null, null)", "delete from t where id = 1",
                "update t set id = 61, large = 'short' where id = 3", "insert into t values (1, 'again', 1, 'x')",
                "delete from one_a where id = 1; update one_b set v = 'c'", "update keyless set w = 9 where ctid = (select min(ctid) from keyless)", "insert into keyless values (null, null), ('', 0)"):
        pipeline.source.execute(sql)
    code, tables = verify(pipeline)
    assert code == EQUAL and {table["result"] for table in tables.values()} == {"equal"}, tables
    assert (tables["t"]["to_schema"], tables["t"]["to_table"], tables["t"]["about_changes"]) == ("crm", "customer", "_lsn") and tables["t"]["target_rows"] == 51
    assert (tables["one_a"]["target_rows"], tables["one_b"]["target_rows"], tables["one_a"]["to_table"]) == (1, 1, "one")

    pipeline.engine.stop()
    pipeline.source.execute("update t set email = 'other', n = 7 where id = 9; delete from t where id = 10; insert into keyless values ('more', 1); update t set secret = 'y' where id = 11")
    code, tables = verify(pipeline, "--keys", "9")
    assert code == DIFFERENT, tables
    assert {name: (table["missing"], table["extra"], table["different"]) for name, table in tables.items() if table["result"] != "equal"} == {"t": (0, 1, 1), "keyless": (1, 0, 0)}
    assert tables["t"]["columns"] == ["email", "count"]
    assert all(len(key["key"]["id"]) == 64 for key in tables["t"]["keys"]) and len(tables["t"]["keys"]) == 2
    assert tables["keyless"]["keys"] == [{"row": "missing", "key": {"v": "MORE", "w": "1"}}]


@pytest.mark.parametrize("form", ["protobuf", "debezium-json"])
def test_conditions_and_expressions(kafka_pipeline, form):
    """The source computes them for its rows, as it did for the stream."""
    pipeline = kafka_pipeline
    pipeline.source.execute(
        "create table t (id int primary key, country text, n int, large text); alter table t alter large set storage external, replica identity full;"
        f"insert into t select g, case g % 3 when 0 then 'XX' when 1 then 'DE' end, g, {LARGE} from generate_series(1, 2500) g;"
        "create table by_key (id int primary key, n numeric, large text); alter table by_key alter large set storage external;"
        f"insert into by_key select g, g, {LARGE} from generate_series(1, 30) g;"
        "create table keyless (v text, w int); alter table keyless replica identity full; insert into keyless select 'v', g % 4 from generate_series(1, 12) g")
    pipeline.publish()
    pipeline.sink_configuration.update({"format": form, "partitions": 3})
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.t", "to": "kept.t", "where": "country is distinct from 'XX' and n > 0",
         "columns": {"double": {"sql": "n * 2"}, "as_text": {"sql": "n * 2", "type": "text"}, "n": {"sql": "n / 2.0", "steps": [{"truncate": 6}]}, "country": ["lower"], "bytes": {"sql": "length(large)"}}},
        {"match": "public.by_key", "where": "id % 2 = 0", "columns": {"n": {"sql": "n + 1"}, "head": {"sql": "left(large, 5)"}}},
        {"match": "public.keyless", "where": "w < 3", "columns": {"v": {"sql": "v || w"}}}]
    pipeline.start()
    for sql in ("update t set n = n + 1 where id < 20", "update t set country = 'XX' where id in (1, 2)", "update t set country = 'FR' where id in (3, 6)", "delete from t where id in (4, 9)",
                "insert into t values (4, 'IT', 4, 'short'), (5001, 'XX', 1, 'x')", "update t set id = 6001 where id = 5", "update by_key set n = 9 where id < 5", "update by_key set id = 41 where id = 6",
                "update by_key set large = 'new' where id = 8", "update keyless set w = w + 1", "insert into keyless values (null, 1), ('x', null)"):
        pipeline.source.execute(sql)
    code, tables = verify(pipeline)
    assert code == EQUAL and {table["result"] for table in tables.values()} == {"equal"}, tables
    counts = {name: pipeline.source.value(f"select count(*) from {name} where {condition}")
              for name, condition in (("t", "country is distinct from 'XX' and n > 0"), ("by_key", "id % 2 = 0"), ("keyless", "w < 3"))}
    assert {name: (table["source_rows"], table["target_rows"]) for name, table in tables.items()} == {name: (count, count) for name, count in counts.items()}

    pipeline.engine.stop()
    pipeline.source.execute("update t set country = 'XX' where id = 7; update t set country = 'DE' where id = 12; update t set n = n + 5 where id = 8; update t set n = n + 5 where id = 15;"
                            "update by_key set n = 0 where id in (1, 2); update keyless set v = 'y' where v = 'x'; insert into keyless values ('more', 1), ('more', 3)")
    code, tables = verify(pipeline, "--keys", "9")
    assert code == DIFFERENT, tables
    assert {name: (table["missing"], table["extra"], table["different"]) for name, table in tables.items()} == {"t": (2, 2, 0), "by_key": (0, 0, 1), "keyless": (1, 0, 0)}
    assert tables["by_key"]["columns"] == ["n"]
    assert sorted((key["row"], key["key"]["id"]) for key in tables["t"]["keys"]) == [("extra", "7"), ("extra", "8"), ("missing", "12"), ("missing", "8")]
    assert tables["keyless"]["keys"] == [{"row": "missing", "key": {"v": "more1", "w": "1"}}]


def test_a_row_for_which_an_expression_fails_is_named(kafka_pipeline):
    pipeline = kafka_pipeline
    pipeline.source.execute("create table t (id int primary key, n int); insert into t values (1, 1)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"part": {"sql": "1000 / n"}}}]
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (77, 0)")
    result = pipeline.engine.command("verify")
    assert result.returncode not in (EQUAL, DIFFERENT) and "77" not in result.stderr.replace("0/", ""), result.stderr
    assert "part" in result.stderr and "public.t" in result.stderr, result.stderr
