# SPDX-License-Identifier: Apache-2.0
"""A stop leaves its cause, a first start that cannot work ends, and a second engine leaves a healthy one alone."""

import json
import re

from support.engine import Engine
from support.wait import wait_until


def status(pipeline, code):
    result = pipeline.engine.command("status", "--json")
    assert result.returncode == code, result.stdout + result.stderr
    return json.loads(result.stdout)


def test_a_stop_leaves_its_cause_until_there_is_progress_again(pipeline):
    """status said "stopped" with exit 0 and check "ready": the cause was in a log that may be gone."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.target.execute("insert into t values (1)")
    pipeline.source.execute("insert into t values (1)")
    assert pipeline.engine.command("run", "--until", "caught-up").returncode == 1
    found = status(pipeline, code=1)
    assert found["state"] == "failed" and found["last_error"]["sqlstate"] == "23505"
    assert found["last_error"]["remedy"] and found["last_error"]["position"] == pipeline.position()
    assert found["last_error"]["text"] in pipeline.engine.command("status").stdout
    findings = pipeline.engine.json("check")["findings"]
    [last] = [finding for finding in findings if finding["code"] == "last_error"]
    assert last["what"].startswith("the last run failed ") and last["fix"].startswith("if the cause is still there: "), last
    pipeline.target.execute("delete from t")
    pipeline.engine.catch_up()
    assert status(pipeline, code=0)["last_error"] is None
    pipeline.assert_equal()


def dead_target(pipeline):
    """The dsn that it had, after a database that is there is out of reach."""
    right = pipeline.sink_configuration["dsn"]
    pipeline.sink_configuration["dsn"] = right + " host=127.0.0.1 port=1"
    return right


def test_a_broker_that_is_down_is_one_warning_and_one_error(pipeline):
    """librdkafka says in each text after how many milliseconds it failed: no two were the same, and the last had no remedy."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.configuration["sinks"] = [{"name": "events", "type": "kafka", "brokers": "127.0.0.1:1"}]
    result = pipeline.engine.command("run", "--until", "caught-up", "--retry-for", "5s")
    lines = result.stderr.splitlines()
    warnings = [line for line in lines if " warn " in line and not re.search(r"; repeated \d times? in ", line)]
    assert result.returncode == 2 and len(warnings) == 1 and " error " in lines[-1], result.stderr
    assert "start the cluster, or correct brokers" in result.stderr, result.stderr
    assert " in state " not in result.stderr


def test_status_says_what_an_engine_retries(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    right = dead_target(pipeline)
    pipeline.engine.start()
    wait_until(lambda: (pipeline.state / "shop.failure").exists(), "the error to be stored")
    found = status(pipeline, code=1)
    assert found["state"] == "retrying" and found["last_error"]["attempts"] >= 1
    assert found["engine_pid"] == pipeline.engine.process.pid
    pipeline.engine.stop()
    pipeline.sink_configuration["dsn"] = right
    assert status(pipeline, code=1)["state"] == "failed"
    pipeline.source.execute("insert into t values (1)")
    pipeline.start()
    wait_until(lambda: not (pipeline.state / "shop.failure").exists(), "the error to be forgotten")
    pipeline.assert_follows()
    pipeline.engine.stop()


def test_a_mistake_at_the_first_start_ends_with_2(pipeline):
    """A wrong port was retried forever, so a cron job hung."""
    dead_target(pipeline)
    result = pipeline.engine.command("run", "--until", "caught-up", "--retry-for", "1s")
    assert result.returncode == 2, result.stderr
    assert "correct host and port in the dsn" in result.stderr
    assert result.stderr.count("port 1") <= 3, "an identical error is logged once, and at the end"
    assert pipeline.slot() is None


def test_an_error_that_lasts_longer_than_retry_for_ends_with_1(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    dead_target(pipeline)
    result = pipeline.engine.command("run", "--retry-for", "1s")
    assert result.returncode == 1, result.stderr


def test_a_first_run_that_fails_drops_the_slot_that_it_made(pipeline):
    """It stayed and kept WAL without a message."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.execute_both("create table if not exists t (id int primary key)")
    pipeline.target.execute("insert into t values (7)")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode in (1, 2), result.stderr
    assert "dropped slot" in result.stderr and pipeline.slot() is None
    pipeline.target.execute("delete from t")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def other_engine(pipeline, folder):
    (folder / "second").mkdir()
    configuration = {**pipeline.engine.configuration, "state": str(folder / "second")}
    return Engine(pipeline.engine.program, folder / "other", configuration)


def test_a_second_engine_waits_for_a_healthy_one(pipeline, tmp_path):
    """It raised the epoch first and then asked for the slot, so the good one ended, and two under supervision swapped forever."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    epoch = pipeline.target.value("select epoch from pgcdc.position")
    second = other_engine(pipeline, tmp_path)
    second.start()
    second.wait_log("another engine runs this pipeline")
    pipeline.source.execute("insert into t values (1)")
    pipeline.assert_follows()
    assert pipeline.engine.is_running() and pipeline.target.value("select epoch from pgcdc.position") == epoch
    pipeline.engine.stop()
    pipeline.source.execute("insert into t values (2)")
    lsn = pipeline.source_lsn()
    wait_until(lambda: pipeline.position_reached(lsn), lambda: f"the second to go on\n{second.log_tail()}")
    second.stop()
    pipeline.assert_equal()


def test_a_second_run_with_an_end_says_that_another_runs(pipeline, tmp_path):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 6, result.stderr
    elsewhere = other_engine(pipeline, tmp_path).command("run", "--until", "caught-up")
    assert elsewhere.returncode == 6, elsewhere.stderr
    pipeline.engine.stop()


def test_take_over_ends_the_engine_that_runs(pipeline, tmp_path):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    second = other_engine(pipeline, tmp_path)
    second.start("--take-over")
    pipeline.source.execute("insert into t values (1)")
    assert pipeline.engine.wait_exit() == 3, pipeline.engine.log_tail()
    lsn = pipeline.source_lsn()
    wait_until(lambda: pipeline.position_reached(lsn), lambda: f"the second to go on\n{second.log_tail()}")
    second.stop()
    pipeline.assert_equal()
