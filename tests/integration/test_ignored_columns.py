# SPDX-License-Identifier: Apache-2.0
"""`add_column: ignore`: a column that the source has added stays out of the target, and everything else arrives."""

import json
import signal

import pytest

from support.server import VERSIONS

TABLE = "create table t (id int primary key, a int, b text); insert into t select g, g, 'b' || g from generate_series(1, 50) g"
OTHERS = """create table u (id int primary key, a int); insert into u values (1, 1);
    create table n (a int, b int); alter table n replica identity full; insert into n select g, g from generate_series(1, 100) g"""
KEPT = "select id, a, b from t order by 1"


@pytest.fixture
def ignoring(pipeline):
    pipeline.sink_configuration["add_column"] = "ignore"
    pipeline.source.execute(f"{TABLE}; {OTHERS}")
    pipeline.engine.catch_up()
    return pipeline


def columns(database, table="t"):
    return [name for name, in database.execute("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum", (table,))]


def findings(pipeline):
    return {one["code"]: one["what"] for one in json.loads(pipeline.engine.command("check", "--json").stdout)["findings"]}


def assert_kept(pipeline, sql=KEPT):
    assert pipeline.target.execute(sql) == pipeline.source.execute(sql)


def change(pipeline, first):
    """Few rows, many rows, and rows of which only the column that is left out changes."""
    pipeline.source.execute(f"insert into t (id, a, b, c) values ({first}, 1, 'x', 'c')")
    pipeline.source.execute(f"insert into t (id, a, b, c) select g, g, 'y', 'c' from generate_series({first} + 1, {first} + 300) g")
    pipeline.source.execute("update t set c = 'd' where id < 60; update t set a = -a, c = 'e' where id % 3 = 0; delete from t where id % 7 = 0; update t set id = id + 100000, c = 'f' where id % 11 = 0")


@pytest.mark.parametrize("version", [version if version in (14, 18) else pytest.param(version, marks=pytest.mark.long) for version in VERSIONS])
def test_it_stays_out_over_restarts_and_copies(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    pipeline.sink_configuration["add_column"] = "ignore"
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t add column c text default 'old'")
    assert "column \"c\"" in findings(pipeline)["target_column_ignored"]
    change(pipeline, 100)
    ended = pipeline.engine.catch_up()
    assert ended.stderr.count('table public.t: leaves out column "c", which the source has added') == 1, ended.stderr
    assert columns(pipeline.target) == ["id", "a", "b"]
    assert_kept(pipeline)
    assert pipeline.target.value("select target_numbers[array_position(names, 'c')] from pgcdc.columns") == -1
    pipeline.sink_configuration["add_column"] = "apply"  # says nothing about a column that is left out already
    change(pipeline, 1000)
    assert "leaves out" not in pipeline.engine.catch_up().stderr
    assert columns(pipeline.target) == ["id", "a", "b"]
    assert_kept(pipeline)
    assert "target_column_ignored" in findings(pipeline) and "target_column" not in findings(pipeline)
    verified = pipeline.engine.command("verify")
    assert verified.returncode == 0 and "(left out by add_column: ignore: c)" in verified.stdout, verified.stdout
    pipeline.source.execute("alter table t rename column c to cc; alter table t add column d int default 5; insert into t values (5000, 1, 'x', 'c', 6)")
    pipeline.engine.catch_up()
    assert columns(pipeline.target) == ["id", "a", "b", "d"]
    assert_kept(pipeline, "select id, a, b, d from t order by 1")
    pipeline.target.execute("update t set a = 0")
    pipeline.engine.command("table copy", "public.t")
    pipeline.engine.catch_up()
    assert columns(pipeline.target) == ["id", "a", "b", "d"]
    assert_kept(pipeline, "select id, a, b, d from t order by 1")
    assert pipeline.target.value("select target_numbers[array_position(names, 'cc')] from pgcdc.columns") == -1
    pipeline.source.execute("update t set cc = 'again', a = 7 where id = 5000; alter table t drop column cc; insert into t values (5001, 1, 'x', 6)")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_rule_says_it_for_one_table_and_a_mapping_passes_it_on(pipeline):
    pipeline.engine.configuration |= {"ddl": [{"match": "public.t", "add_column": "ignore"}],
                                      "mapping": [{"match": "public.t", "to": "public.t_there", "columns": {"b": ["upper"]}}]}
    pipeline.source.execute(f"{TABLE}; {OTHERS}")
    pipeline.engine.catch_up()
    pipeline.source.execute("alter table t add column c text; alter table u add column c text; insert into u values (2, 2, 'c')")
    change(pipeline, 100)
    pipeline.engine.catch_up()
    assert columns(pipeline.target, "t_there") == ["id", "a", "b"] and columns(pipeline.target, "u") == ["id", "a", "c"]
    assert pipeline.target.execute("select id, a, b from t_there order by 1") == pipeline.source.execute("select id, a, upper(b) from t order by 1")
    verified = pipeline.engine.command("verify")
    assert verified.returncode == 0 and "(left out by add_column: ignore: c)" in verified.stdout, verified.stdout
    pipeline.engine.command("table copy", "public.t")
    pipeline.engine.catch_up()
    assert pipeline.engine.command("verify").returncode == 0


def test_a_kept_column_of_its_name_keeps_its_values(ignoring):
    ignoring.source.execute("alter table t drop column b; insert into t values (100, 1); alter table t add column b text default 'new'; insert into t values (101, 1, 'x')")
    ignoring.engine.catch_up()
    assert ignoring.target.execute("select b from t where id in (1, 100, 101) order by id") == [("b1",), (None,), (None,)]


def test_a_column_that_the_target_has_is_used(ignoring):
    ignoring.target.execute("alter table t add column c text")
    ignoring.source.execute("alter table t add column c text; insert into t values (100, 1, 'x', 'c')")
    ignoring.engine.catch_up()
    assert ignoring.target.value("select c from t where id = 100") == "c"


def test_without_a_key_rows_are_found_by_the_rest(ignoring):
    ignoring.source.execute("alter table n add column c int; insert into n select g, g, g from generate_series(1, 50) g; update n set c = 5, b = -b where a < 20; delete from n where a > 90")
    ignoring.engine.catch_up()
    assert columns(ignoring.target, "n") == ["a", "b"]
    assert_kept(ignoring, "select a, b from n order by 1, 2")


def test_a_key_cannot_do_without_it_and_the_remedy_holds(ignoring):
    ignoring.source.execute("alter table t add column c int not null default 1; insert into t values (100, 1, 'x', 2)")
    ignoring.engine.catch_up()
    ignoring.source.execute("alter table t drop constraint t_pkey; alter table t add primary key (id, c); update t set a = 5 where id = 3")
    for _ in range(2):
        result = ignoring.engine.command("run", "--until", "caught-up")
        assert result.returncode == 1 and "it is part of the key at the source by now" in result.stderr, result.stderr
    ignoring.target.execute("drop table t")
    assert ignoring.engine.command("table copy", "public.t").returncode == 0
    ignoring.engine.catch_up()
    ignoring.source.execute("update t set a = 6, c = 3 where id = 4")
    ignoring.engine.catch_up()
    ignoring.assert_equal()


@pytest.mark.parametrize("point", ["postgres-after-write", "postgres-before-commit", "postgres-after-commit"])
def test_a_kill_changes_nothing(ignoring, point):
    ignoring.source.execute("begin; alter table t add column c text; insert into t values (100, 1, 'x', 'c'); commit; update t set c = 'y'")
    assert ignoring.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point}).returncode == -signal.SIGKILL
    ignoring.engine.catch_up()
    assert columns(ignoring.target) == ["id", "a", "b"]
    assert_kept(ignoring)
