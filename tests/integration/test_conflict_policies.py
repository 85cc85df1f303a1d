# SPDX-License-Identifier: Apache-2.0
"""on_missing and on_exists: what they settle is counted exactly, shown, and logged without a value."""

import json
import signal

import pytest

from support.wait import wait_until

SCHEMA = "create table t (id int primary key, v text)"
ROWS = "insert into t select g, 'v' || g from generate_series(1, 400) g"
COUNTS = {"update_missing": 40, "delete_missing": 40, "insert_exists": 40, "update_exists": 10}


def start_and_differ(pipeline, **policy):
    pipeline.sink_configuration.update(policy)
    pipeline.source.execute(f"{SCHEMA}; {ROWS}")
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id between 1 and 80")
    pipeline.target.execute("insert into t select g, 'private' from generate_series(1001, 1050) g")


def change_source(pipeline, sizes=(10, 30)):
    """Small transactions and a large one, every kind of conflict in both; some in each part when it is done in two."""
    for size in sizes:
        first, new = (1, 1001) if size == 10 else (11, 1011)
        pipeline.source.execute(f"begin; update t set v = 'secret' where id between {first} and {first + size - 1}; "
                                f"delete from t where id between {first + 40} and {first + 40 + size - 1}; "
                                f"insert into t select g, 'secret' from generate_series({new}, {new + size - 1}) g; commit")
    for number in range(10) if len(sizes) == 2 else range(7) if 10 in sizes else range(7, 10):
        pipeline.source.execute(f"update t set id = {1041 + number} where id = {201 + number}")


def conflicts(pipeline):
    return json.loads(pipeline.engine.command("status", "--json").stdout)["sinks"][0]["conflicts"]


def test_conflicts_are_settled_counted_and_logged_without_values(pipeline):
    start_and_differ(pipeline, on_missing="insert", on_exists="overwrite")
    pipeline.start()
    change_source(pipeline, sizes=[10])
    pipeline.wait_applied()
    assert conflicts(pipeline) == {"update_missing": 10, "delete_missing": 10, "insert_exists": 10, "update_exists": 7}
    change_source(pipeline, sizes=[30])
    pipeline.assert_follows()
    pipeline.engine.stop()
    assert conflicts(pipeline) == COUNTS, "the second part's are added"
    assert "settled: 40 insert_exists, 10 update_exists, 40 update_missing, 40 delete_missing" in pipeline.engine.command("status").stdout
    log = pipeline.engine.log_text()
    assert "has settled 130 conflicts since the start: 40 insert_exists, 10 update_exists" in log
    assert "secret" not in log and "private" not in log


def test_ignored_rows_stay_missing(pipeline):
    start_and_differ(pipeline, on_missing="ignore", on_exists="overwrite")
    change_source(pipeline)
    pipeline.engine.catch_up()
    assert conflicts(pipeline) == COUNTS
    assert pipeline.target.value("select count(*) from t where id <= 80") == 0


@pytest.mark.parametrize("point", ["postgres-after-undo", "postgres-after-resolve", "postgres-before-commit", "postgres-after-commit"])
def test_counts_are_exact_over_kills(pipeline, point):
    """A kill undoes rows, counts and position together, or none of them: each conflict counts once."""
    start_and_differ(pipeline, on_missing="insert", on_exists="overwrite")
    change_source(pipeline)
    for visit in (1, 3):
        pipeline.engine.start(environment={"PGCDC_FAULT": f"{point}:{visit}"})
        lsn = pipeline.source_lsn()
        if visit == 1:
            assert pipeline.engine.wait_exit(60) == -signal.SIGKILL
            continue
        wait_until(lambda: not pipeline.engine.is_running() or pipeline.position_reached(lsn), "the point or the end")
        if pipeline.engine.is_running():
            pipeline.engine.kill()
    pipeline.engine.catch_up()
    pipeline.assert_equal()
    assert conflicts(pipeline) == COUNTS


def test_check_names_an_unknown_policy(pipeline):
    pipeline.sink_configuration["on_missing"] = "skip"
    pipeline.source.execute(SCHEMA)
    result = pipeline.engine.command("check")
    assert result.returncode == 2
    assert "sinks[0].on_missing: expected stop, ignore or insert" in result.stderr
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "stop, ignore or insert" in result.stderr


@pytest.mark.parametrize("policy", ["ignore", "insert"])
def test_a_row_that_a_generated_key_hides_is_not_called_missing(pipeline, policy):
    """The key did not change, what it is made of did: the row is on the target, with the values from before."""
    pipeline.source.execute("create table t (g int generated always as (a / 10) stored primary key, a int, v text);"
                            "insert into t (a) values (11), (25)")
    pipeline.sink_configuration["on_missing"] = policy
    pipeline.engine.catch_up()
    pipeline.source.execute("update t set v = 'x' where a = 25; update t set a = 12, v = 'y' where a = 11")
    pipeline.engine.start()
    assert pipeline.engine.wait_exit() == 1
    assert "update that row on the target, then start again" in pipeline.engine.log_text()
    assert sum(conflicts(pipeline).values()) == 0 and pipeline.target.execute("select a from t order by a") == [(11,), (25,)]
    pipeline.target.execute("update t set a = 12 where a = 11")
    pipeline.engine.catch_up()
    pipeline.assert_equal()
