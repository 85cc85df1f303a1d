# SPDX-License-Identifier: Apache-2.0
"""Engine and commands killed around dead letters: after any kill no change is lost, repeated, or out of order within its key."""

import random
import signal

import pytest

from support.lives import points_of

ENGINE_POINTS = ["dead-sent", "dead-set-aside", "postgres-before-commit", "postgres-after-commit", "postgres-after-undo"]
COMMAND_POINTS = ["dead-retry-applied", "dead-retry-committed", "dead-skipped"]
CONDITION = "n % 5 <> 0"


@pytest.fixture
def refusing(pipeline):
    """The target refuses a fifth of all rows."""
    pipeline.sink_configuration["on_error"] = "dead_letter"
    pipeline.source.execute("create table t (id int primary key, n int not null, v text); insert into t select g, 1, 'a' from generate_series(1, 40) g")
    pipeline.engine.catch_up()
    pipeline.target.execute(f"alter table t add constraint c check ({CONDITION})")
    return pipeline


def change(pipeline, chance, transactions=12):
    for _ in range(transactions):
        key = chance.randrange(1, 60)
        statements = [f"update t set n = {chance.randrange(100)} where id = {chance.randrange(1, 60)}" for _ in range(chance.choice([1, 3, 60]))]
        statements.append(chance.choice([
            f"insert into t values ({key}, {chance.randrange(100)}, 'b') on conflict do nothing",
            f"delete from t where id = {key}",
            f"update t set id = {key + 100} where id = {key} and not exists (select from t where id = {key + 100})",
            f"update t set v = v || 'c' where id = {key}",
        ]))
        pipeline.source.execute("begin; " + "; ".join(statements) + "; commit")


def run_killed(pipeline, point, *arguments, command="run"):
    result = pipeline.engine.command(command, *arguments, environment={"PGCDC_FAULT": point})
    assert result.returncode == -signal.SIGKILL, f"{point} was not reached\n{result.stderr}"


def mend(pipeline):
    pipeline.target.execute("alter table t drop constraint c")


def finish(pipeline):
    """Rows of keys without a letter are equal now; all are, once the letters are applied."""
    pipeline.engine.catch_up()
    mend(pipeline)
    result = pipeline.engine.command("dead retry")
    assert result.returncode == 0, result.stdout + result.stderr
    assert pipeline.target.value("select count(*) from pgcdc.dead") == 0
    pipeline.assert_equal()


def test_the_list_is_complete():
    points = set(points_of("cdc", "sinks/postgres"))
    assert {point for point in points if point.startswith("dead-")} == {point for point in ENGINE_POINTS + COMMAND_POINTS if point.startswith("dead-")}


@pytest.mark.parametrize("point", ENGINE_POINTS)
def test_the_engine_is_killed(refusing, point):
    chance = random.Random(point)
    for visit in (1, 2, 7):
        change(refusing, chance)
        refusing.source.execute("update t set n = 5 where id = 3; update t set n = 1 where id = 4")
        run_killed(refusing, f"{point}:{visit}" if point.startswith("dead") else point, "--until", "caught-up")
    finish(refusing)


@pytest.mark.parametrize("point", ["dead-retry-applied", "dead-retry-committed"])
def test_a_retry_is_killed(refusing, point):
    chance = random.Random(point)
    change(refusing, chance)
    refusing.source.execute("update t set n = 5 where id < 3")
    refusing.engine.catch_up()
    run_killed(refusing, point, command="dead retry")
    change(refusing, chance)
    refusing.engine.catch_up()
    mend(refusing)
    run_killed(refusing, point, command="dead retry")
    refusing.target.execute(f"alter table t add constraint c check ({CONDITION}) not valid")
    finish(refusing)


def test_a_skip_is_killed(refusing):
    refusing.source.execute("update t set n = 5 where id = 3")
    refusing.engine.catch_up()
    number = str(refusing.target.value("select id from pgcdc.dead"))
    run_killed(refusing, "dead-skipped", "--reason", "test", number, command="dead skip")
    assert refusing.target.value("select count(*) from pgcdc.dead") == 1
    assert refusing.target.value("select count(*) from pgcdc.dead_log") == 0
    finish(refusing)


def copy_is_finished(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null") and \
        pipeline.target.value("select count(*) from pgcdc.copy") == 0


def test_changes_do_not_fit_while_the_table_is_copied_in_chunks(pipeline):
    """Rows that were copied get changes that are refused; those of chunks that are still to come are in the chunk. TRUNCATE in between."""
    chance = random.Random(5)
    pipeline.sink_configuration["on_error"] = "dead_letter"
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "1", "chunk_bytes": "64kB"}
    pipeline.source.execute("create table t (id int primary key, n int not null, v text);"
                            " insert into t select g, 1, repeat('a', 200) from generate_series(1, 40000) g")
    pipeline.target.execute("create table t (id int primary key, n int not null, v text, constraint c check (v <> 'no'))")
    pipeline.start()
    for life in range(6):
        for _ in range(10):
            low = chance.randrange(1, 40000)
            pipeline.source.execute(f"begin; update t set v = 'no', n = n + 1 where id between {low} and {low + 5};"
                                    f" update t set n = n + 1 where id between {low - 50} and {low + 50};"
                                    f" update t set v = 'yes' where id between {low} and {low + 5}; commit")
        if life == 3:
            pipeline.source.execute("begin; create temp table kept as select * from t where id % 2 = 0; truncate t; insert into t select * from kept; commit")
        pipeline.engine.kill()
        pipeline.wait_slot_free()
        pipeline.start()
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    pipeline.source.execute("update t set v = 'no' where id = 4; ")
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from pgcdc.dead") > 0
    mend(pipeline)
    result = pipeline.engine.command("dead retry")
    assert result.returncode == 0, result.stdout + result.stderr
    pipeline.wait_applied()
    pipeline.assert_equal()
    pipeline.engine.stop()
