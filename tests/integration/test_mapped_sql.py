# SPDX-License-Identifier: Apache-2.0
"""`sql`: columns that PostgreSQL computes from the source's row, the same in a copied row, a streamed one and a topic."""

import json

import pytest

PERSONS = """create table person (id int primary key, first text, last text, born date, score numeric, tags text[], mood "char", extra jsonb);
    alter table person replica identity full;
    insert into person select g, 'First' || g, case when g % 5 = 0 then null else ' Last "' || g || '\\' end, date '1970-01-01' + g, g / 7.0,
        array['a', null, g::text], 'x', jsonb_build_object('n', g, 'deep', jsonb_build_object('k', g % 3)) from generate_series(1, 300) g"""
COLUMNS = {
    "full_name": "first || ' ' || last",
    "year": "extract(year from born)::int",
    "half": "round(score / 2, 3)",
    "second": "tags[3]",
    "deep": "extra #>> '{deep,k}'",
    "double": "score * 2",
}


@pytest.fixture
def persons(pipeline):
    pipeline.source.execute(PERSONS)
    pipeline.engine.configuration["mapping"] = [{"match": "public.person", "to": "public.human", "columns":
        {name: {"sql": sql} for name, sql in COLUMNS.items()} | {"first": {"sql": "upper(first)", "steps": ["trim"]}, "last": "drop"}}]
    return pipeline


def expected(database, where="true"):
    return database.execute(f"select id, upper(first), born, score, tags, mood, extra, {', '.join(COLUMNS.values())} from person where {where} order by id")


def found(database):
    return database.execute(f"select id, first, born, score, tags, mood, extra, {', '.join(COLUMNS)} from human order by id")


CHANGES = """insert into person select id + 1000, first, last, born, score, tags, mood, extra from person where id < 50;
    update person set first = 'Changed', score = null where id between 20 and 30; update person set id = id + 5000 where id > 290; delete from person where id in (1, 1001);
    update person set last = 'Same' where id = 40; begin; insert into person (id) values (9001); update person set first = 'now', last = 'there' where id = 9001; commit"""


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_copied_and_streamed_rows_are_computed_alike(persons, mode):
    persons.engine.configuration["copy"] = {"mode": mode}
    persons.start()
    persons.source.execute(CHANGES)
    if mode == "live":
        persons.wait_while_running(lambda: persons.target.value("select count(*) from pgcdc.copy") == 0, "the copy to end")
    persons.wait_applied()
    assert found(persons.target) == expected(persons.source)
    types = dict(persons.target.execute("select attname::text, format_type(atttypid, atttypmod) from pg_attribute where attrelid = 'human'::regclass and attnum > 0"))
    assert (types["full_name"], types["year"], types["half"], types["deep"], types["first"]) == ("text", "integer", "numeric", "text", "text")


def test_verify_computes_what_the_sink_has(persons):
    persons.engine.configuration["mapping"][0]["where"] = "score > 3"
    persons.start()
    persons.source.execute(CHANGES)
    persons.wait_applied()
    assert found(persons.target) == expected(persons.source, "score > 3")
    equal = persons.engine.command("verify")
    assert equal.returncode == 0, equal.stdout + equal.stderr
    persons.target.execute("update human set deep = 'x' where id = 100; delete from human where id = 200; insert into human (id, first) values (1, 'x')")
    different = persons.engine.command("verify")
    assert different.returncode == 4 and "1 missing, 1 extra, 1 different" in different.stdout, different.stdout + different.stderr
    assert persons.engine.command("verify", "--repair").returncode in (0, 4)
    persons.wait_while_running(lambda: persons.target.value("select count(*) from pgcdc.copy") == 0, "the repair")
    persons.wait_applied()
    assert found(persons.target) == expected(persons.source, "score > 3") and persons.engine.command("verify").returncode == 0


def test_only_rows_that_pass_are_computed(pipeline):
    """The condition guards the expression, in the copy and in the stream."""
    pipeline.source.execute("create table t (id int primary key, n int); alter table t replica identity full; insert into t select g, g % 3 from generate_series(1, 30) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "n <> 0", "columns": {"part": {"sql": "60 / n", "type": "smallint"}}}]
    pipeline.start()
    pipeline.source.execute("insert into t select g, g % 4 from generate_series(31, 60) g; update t set n = 0 where id = 1; update t set n = 5 where n = 0 and id < 20")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from t order by id") == pipeline.source.execute("select id, n, 60 / n from t where n <> 0 order by id")


def test_values_that_an_update_did_not_send(pipeline):
    """Nothing sent: the column stays. Something sent: it cannot be computed without the whole old row."""
    pipeline.source.execute("create table t (id int primary key, n int, large text); alter table t alter large set storage external;"
                            "insert into t select g, g, repeat(chr(96 + g), 4000) from generate_series(1, 5) g;")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {
        "size": {"sql": "length(large)"}, "both": {"sql": "n || left(large, 3)"}, "twice": {"sql": "n * 2"}}}]
    pipeline.engine.configuration["mapping"][0]["columns"].pop("both")
    pipeline.start()
    pipeline.source.execute("update t set n = 100 where id = 1; update t set large = repeat('z', 5000) where id = 2; update t set id = 30 where id = 3")
    pipeline.wait_applied()
    same = "select id, n, large, length(large), n * 2 from t order by id"
    assert pipeline.target.execute("select id, n, large, size, twice from t order by id") == pipeline.source.execute(same)
    pipeline.engine.stop()
    pipeline.target.execute("alter table t add column both_of text; update t set both_of = n || left(large, 3)")
    pipeline.engine.configuration["mapping"][0]["columns"]["both_of"] = {"sql": "n || left(large, 3)"}
    pipeline.source.execute("alter table t replica identity full; update t set n = 200 where id = 2; alter table t replica identity default")
    pipeline.start()
    pipeline.wait_applied()
    assert pipeline.target.value("select both_of from t where id = 2") == "200zzz"
    pipeline.source.execute("update t set n = 300 where id = 4")
    assert pipeline.engine.wait_exit(60) == 1
    log = pipeline.engine.log_text()
    assert "sql needs it together with others" in log and "alter table public.t replica identity full" in log


def test_a_keyless_table_is_found_by_computed_values(pipeline):
    pipeline.source.execute("create table heap (a int, b text); alter table heap replica identity full; insert into heap values (1, 'x'), (1, 'x'), (2, 'y')")
    pipeline.engine.configuration["mapping"] = [{"match": "public.heap", "columns": {"b": {"sql": "b || a"}, "c": {"sql": "a + 1"}}}]
    pipeline.start()
    pipeline.source.execute("update heap set b = 'z' where a = 2; delete from heap where ctid = (select min(ctid) from heap)")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from heap order by a") == [(1, "x1", 2), (2, "z2", 3)]


def test_an_error_names_the_column_and_no_value(pipeline):
    pipeline.source.execute("create table t (id int primary key, a int, b text)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"fine": {"sql": "a + 1"}, "number": {"sql": "b::int"}}}]
    pipeline.start()
    pipeline.source.execute("insert into t select g, g, g from generate_series(1, 50) g; insert into t values (51, 1, 'hidden value'), (52, 1, '7')")
    assert pipeline.engine.wait_exit(60) == 1
    log = pipeline.engine.log_text()
    assert "sql of column number fails on a row of table public.t (key id)" in log and "22P02" in log and "hidden" not in log
    pipeline.source.execute("update t set b = '51' where id = 51")
    assert pipeline.engine.command("run", "--until", "caught-up").returncode == 1


@pytest.mark.parametrize("columns, problem, remedy", [
    ({"x": {"sql": "now()"}}, "sql of column x, for table public.t: target: generation expression is not immutable", "use only what is immutable"),
    ({"x": {"sql": "created::text"}}, "not immutable", "use only what is immutable"),
    ({"x": {"sql": "mood::text"}}, 'column "mood" does not exist', "create the types of these in the target before: mood (public.feeling)"),
    ({"id": {"sql": "id + 1"}}, "is part of the key, and its sql can make two keys equal", ""),
    ({"id": {"sql": "n + 1", "accept_loss": "true"}}, "column n is not in old rows", "replica identity full"),
    ({"x": {"sql": "1, 2"}}, "pseudo-type record", "correct the expression"),
    ({"x": {"sql": " "}}, "sql: the expression is empty", ""),
    ({"x": {"sql": "n", "const": "a"}}, "cannot be together", ""),
])
def test_what_cannot_be_computed_is_refused(pipeline, columns, problem, remedy):
    pipeline.source.execute("create type feeling as enum ('good', 'bad'); create table t (id int primary key, n int, created timestamptz, mood feeling)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": columns}]
    result = pipeline.engine.command("check", "--json")
    if not result.stdout:
        assert problem in result.stderr
        return
    findings = [finding for finding in json.loads(result.stdout)["findings"] if finding["code"].endswith("mapping")]
    assert len(findings) == 1 and problem in findings[0]["what"], findings
    assert remedy in (findings[0]["fix"] or "")
    pipeline.engine.start()
    assert pipeline.engine.wait_exit(60) == 2


def test_a_key_that_is_computed_from_the_key(pipeline):
    pipeline.source.execute("create table t (id int primary key, n int); insert into t select g, g from generate_series(1, 10) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"id": {"sql": "id * 10", "accept_loss": "true"}}}]
    pipeline.start()
    pipeline.source.execute("update t set n = 5 where id = 1; update t set id = 20 where id = 2; delete from t where id = 3")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from t order by id") == pipeline.source.execute("select id * 10, n from t order by id")


def test_the_map_shows_conditions_and_expressions(persons):
    persons.engine.configuration["mapping"][0]["where"] = "id > 2"
    text = persons.engine.command("map").stdout
    assert "where id > 2" in text and "sql: first || ' ' || last" in text and "trim (uniqueness: lost)" in text
    table, = json.loads(persons.engine.command("map", "--json").stdout)["sinks"][0]["tables"]
    columns = {column["to"]: (column["source"], column["type"], column["sql"]) for column in table["columns"]}
    assert table["where"] == "id > 2" and columns["year"] == ("sql", "integer", COLUMNS["year"]) and columns["id"] == ("column", "integer", None)
    sample = persons.engine.command("map", "--dry-run")
    assert sample.returncode == 0 and "FIRST3" in sample.stdout and "FIRST2" not in sample.stdout, sample.stdout + sample.stderr


def latest_rows(pipeline, topic):
    """The rows that the records leave, by their ids; and how many records there were."""
    rows, count = {}, 0
    for message in pipeline.read_topic(topic):
        count += 1
        envelope = json.loads(message.value())
        if envelope["before"]:
            rows.pop(envelope["before"]["id"], None)
        if envelope["after"]:
            rows[envelope["after"]["id"]] = envelope["after"]
    return [rows[key] for key in sorted(rows)], count


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_topics_have_the_rows_that_pass(kafka_pipeline, mode):
    """The source computes: rows enter and leave, and each start after a kill gives the same records."""
    pipeline = kafka_pipeline
    pipeline.source.execute("create table t (id int primary key, n int, name text); alter table t replica identity full;"
                            "insert into t select g, g % 10, 'Name ' || g from generate_series(1, 2000) g")
    pipeline.engine.configuration["copy"] = {"mode": mode}
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "n >= 5", "columns": {
        "n": {"sql": "n * 2"}, "label": {"sql": "upper(name) || n", "steps": [{"truncate": 9}]}}}]
    pipeline.sink_configuration["format"] = "debezium-json"
    pipeline.engine.catch_up()
    for round_, point in enumerate(("mapping-evaluate", "kafka-after-write", "mapping-evaluate")):
        pipeline.source.execute(f"update t set n = (n + 3) % 10 where id % 7 = {round_}; delete from t where id % 50 = {round_}; insert into t values ({3000 + round_}, 7, 'new');"
                                f"update t set id = id + 10000 where id between {100 + round_} and {101 + round_}")
        killed = pipeline.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point})
        assert killed.returncode < 0, killed.stderr
        pipeline.engine.catch_up()
    found_rows, count = latest_rows(pipeline, pipeline.topic("t"))
    assert [(row["id"], row["n"], row["name"], row["label"]) for row in found_rows] == \
        pipeline.source.execute("select id, n * 2, name, left(upper(name) || n, 9) from t where n >= 5 order by id")
    assert 1000 < count < 3000


def test_a_row_that_leaves_is_a_delete_record(kafka_pipeline):
    pipeline = kafka_pipeline
    pipeline.source.execute("create table t (id int primary key, n int); alter table t replica identity full; insert into t values (1, 1), (2, 0)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "n > 0"}]
    pipeline.sink_configuration["format"] = "debezium-json"
    pipeline.engine.catch_up()
    pipeline.source.execute("update t set n = 0 where id = 1; update t set n = 1 where id = 2; update t set n = 2 where id = 2; update t set n = n where id = 1; delete from t")
    pipeline.engine.catch_up()
    told = [((envelope["after"] or envelope["before"])["id"], envelope["op"])
            for envelope in (json.loads(message.value()) for message in pipeline.read_topic(pipeline.topic("t")))]
    assert told == [(1, "r"), (1, "d"), (2, "c"), (2, "u"), (2, "d")]
