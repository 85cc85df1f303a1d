# SPDX-License-Identifier: Apache-2.0
"""`run --until LSN` ends exactly there, whatever precedes and follows, and a run that stops earlier says so."""

import json
import signal

import pytest

from support.lives import points_of

ROWS = 3  # of a transaction
FAULTS = ["attempt-end-reached", "runner-before-flush", "runner-after-flush", "runner-after-commit", "checkpoint-written",
          "checkpoint-before-confirm", "stream-before-last-status"]


def lsn_text(lsn):
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def commit(pipeline, rows=ROWS):
    """One transaction: the position in front of its commit's end, and that end or a little more."""
    pipeline.source.execute("begin; insert into t select (select count(*) from t) + g from generate_series(1, %s) g; commit", (rows,))
    end = lsn_number(pipeline.source.value("select pg_current_wal_flush_lsn()"))
    return end - 8, end


def transactions(pipeline, *sizes):
    """A pipeline that has caught up, and then one transaction of each size: their ends."""
    pipeline.source.execute("create table t (id int); alter table t replica identity full")
    pipeline.engine.catch_up()
    return [commit(pipeline, size) for size in sizes]


def run_until(pipeline, lsn, *arguments, code=0, **more):
    result = pipeline.engine.command("run", "--until", lsn_text(lsn), *arguments, **more)
    assert result.returncode == code, f"exit code {result.returncode}\n{result.stderr}"
    return result


def count(pipeline):
    return pipeline.target.value("select count(*) from t")


def test_until_ends_after_the_last_transaction_that_ends_there(pipeline):
    """It continued up to everything that the server had sent by then, so a schema change came too late for the rows after it."""
    ends = transactions(pipeline, *[ROWS] * 5)
    for done, (_, end) in enumerate(ends[:4], 1):
        run_until(pipeline, end)
        assert count(pipeline) == done * ROWS
        assert pipeline.position() == lsn_text(end)
        assert pipeline.slot()["confirmed_flush_lsn"] == lsn_text(end)
    run_until(pipeline, ends[0][1])
    assert count(pipeline) == 4 * ROWS, "an end that lies behind is reached, and nothing more is read"
    pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.parametrize("size", [ROWS, 40000], ids=["a small transaction", "one of many batches"])
def test_until_inside_a_commit_record_ends_before_its_transaction(pipeline, size):
    """A position inside the record would say to the next start that the transaction is applied."""
    (_, first), (inside, _) = transactions(pipeline, ROWS, size)
    for _ in range(2):
        run_until(pipeline, inside)
        assert count(pipeline) == ROWS
        assert lsn_number(pipeline.position()) <= first
    pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.parametrize("point", ["kafka-after-split:3", "kafka-before-split:15", "stream-before-last-status"])
def test_until_inside_a_commit_record_with_a_sink_that_splits(kafka_pipeline, point):
    """A part is published before the Commit says that the transaction ends after the LSN: the next run continues after that part."""
    kafka_pipeline.execute_both = lambda sql: (kafka_pipeline.source.execute(sql), kafka_pipeline.replay.execute(sql))
    kafka_pipeline.sink_configuration["transaction_changes"] = 1000
    kafka_pipeline.execute_both("create table t (id int primary key)")
    kafka_pipeline.publish()
    kafka_pipeline.engine.catch_up()
    (_, first), (inside, end) = commit(kafka_pipeline), commit(kafka_pipeline, 50000)
    commit(kafka_pipeline)
    run_until(kafka_pipeline, inside, code=-signal.SIGKILL, environment={"PGCDC_FAULT": point})
    for _ in range(2):
        log = run_until(kafka_pipeline, inside).stderr
        assert lsn_number(kafka_pipeline.engine.json("status")["sinks"][0]["position"]) <= first
        assert f"sink events: {lsn_text(inside)} is inside the commit record of a large transaction" in log
        published = len(kafka_pipeline.read("t"))
        assert ROWS + 1000 <= published < ROWS + 50000, published
    run_until(kafka_pipeline, end)
    assert len(kafka_pipeline.read("t")) == ROWS + 50000
    kafka_pipeline.engine.catch_up()
    kafka_pipeline.assert_equal()


def test_until_ends_there_in_every_sink(pipeline):
    (_, first), _ = transactions(pipeline, ROWS, ROWS)
    pipeline.engine.command("drop")
    pipeline.target.execute("drop table t")
    pipeline.engine.configuration["sinks"].append({"name": "nowhere", "type": "null"})
    pipeline.source_configuration["snapshot"] = "never"
    pipeline.target.execute("create table t (id int); alter table t replica identity full")
    pipeline.engine.catch_up()
    _, first = commit(pipeline)
    commit(pipeline)
    run_until(pipeline, first)
    assert count(pipeline) == ROWS
    assert {sink["position"] for sink in pipeline.engine.json("status")["sinks"]} == {lsn_text(first)}


def test_until_survives_a_kill_at_every_point(pipeline):
    """Whatever dies: never a row after the end, and finally each row once."""
    assert set(FAULTS) <= set(points_of("cdc")), "a point has another name"
    ends = transactions(pipeline, *[ROWS] * (2 * len(FAULTS)))
    for place, point in enumerate(FAULTS):
        inside, end = ends[2 * place + 1][0], ends[2 * place][1]
        for lsn in (end, inside):
            run_until(pipeline, lsn, code=-signal.SIGKILL, environment={"PGCDC_FAULT": point}) if lsn == end else None
            run_until(pipeline, lsn)
            assert count(pipeline) == (2 * place + 1) * ROWS, f"{point}, {lsn_text(lsn)}"
        run_until(pipeline, ends[2 * place + 1][1])
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_run_that_is_stopped_before_its_end_says_so(pipeline):
    (_, end), = transactions(pipeline, ROWS)
    far = end + (1 << 40)
    result = run_until(pipeline, far, "--timeout", "1s", "--json", code=5)
    assert f"before {lsn_text(far)}: this run waits for it" in result.stderr
    assert f"{lsn_text(far)} not reached" in result.stderr
    numbers = json.loads(result.stdout)
    assert numbers["exit_code"] == 5 and not numbers["reached"] and numbers["until"] == lsn_text(far)
    assert numbers["changes"] == ROWS and numbers["transactions"] == 1 and lsn_number(numbers["position"]) >= end
    pipeline.assert_equal()


def test_a_run_without_an_end_stops_at_its_timeout_with_0(pipeline):
    transactions(pipeline)
    result = pipeline.engine.command("run", "--timeout", "300ms")
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_the_last_line_counts_what_was_done(pipeline, mode):
    """A run that is to end when it has caught up ends with a copy in chunks, too."""
    pipeline.engine.configuration["copy"] = {"mode": mode}
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 7)")
    copied = json.loads(pipeline.engine.catch_up("--json").stdout)
    assert copied["reached"] and copied["rows_copied"] == 7 and copied["changes"] == 0
    pipeline.source.execute("insert into t values (8), (9)")
    last = pipeline.engine.catch_up().stderr.splitlines()[-1]
    assert ": 1 transaction, 2 changes, 0 rows copied in " in last and f"position {pipeline.position()}" in last


def test_signals_that_mean_something_elsewhere_do_not_end_it(pipeline):
    transactions(pipeline)
    pipeline.start()
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        pipeline.engine.process.send_signal(number)
    commit(pipeline)
    pipeline.assert_follows()
    pipeline.engine.stop()


def test_a_stop_names_the_position_that_brings_the_target_behind_its_transaction(pipeline):
    """It named the start of the commit record, so that --until with it left the transaction out."""
    del pipeline.source_configuration["tables"]
    pipeline.execute_both("create table sw (id int primary key, v text)")
    pipeline.source.execute("insert into sw values (1, 'old')")
    pipeline.engine.catch_up()
    swap = "create table sw_new (like sw including all)"
    pipeline.source.execute(f"begin; {swap}; insert into sw_new values (1, 'new'); drop table sw; alter table sw_new rename to sw; commit")
    pipeline.source.execute("insert into sw values (2, 'later')")
    stopped = pipeline.engine.command("run", "--until", "caught-up")
    assert stopped.returncode != 0 and "sw_new" in stopped.stderr
    named = stopped.stderr.splitlines()[-1].split("commits at ")[1].split(":")[0]
    pipeline.target.execute(swap)
    run_until(pipeline, lsn_number(named))
    assert pipeline.target.execute("select id, v from sw_new") == [(1, "new")]
    pipeline.target.execute("begin; drop table sw; alter table sw_new rename to sw; commit")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def tables(numbers, sink="warehouse"):
    return {row["table"]: row for row in numbers["tables"][sink]}


def test_the_ledger_says_where_each_change_went(pipeline):
    pipeline.source.execute("create table t (id int primary key); create table other (id int primary key); insert into t values (0)")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t select generate_series(1, 20); insert into other values (1); delete from t where id > 15;"
                            "truncate other")
    found = tables(json.loads(pipeline.engine.catch_up("--json").stdout))
    for name, count_in in (("t", 25), ("other", 2)):
        row = found[name]
        assert row["in"] == row["written"] == count_in and row["in_copy"] == row["present"] == row["skipped"] == 0


def test_a_change_that_the_engine_loses_ends_in_exit_4(pipeline):
    """The engine is built to lose a batch on request."""
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.start()
    pipeline.engine.stop()
    pipeline.source.execute("insert into t select generate_series(1, 20)")
    result = pipeline.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": "runner-loses-batch:lose"})
    assert result.returncode == 4, result.stderr
    assert "table public.t does not close: of 20 changes that came in, 0 were written" in result.stderr
    assert "this is a defect of pgcdc" in result.stderr
    assert pipeline.engine.catch_up().returncode == 0 and count(pipeline) == 20, "nothing was confirmed"
