# SPDX-License-Identifier: Apache-2.0
"""`pgcdc skip`: the transaction that stopped the pipeline is left out, whole, and no other."""

import re
import signal

import pytest

ROWS = "create table t (id int primary key, v text); insert into t select g, 'a' from generate_series(1, 10) g"


def stop_at_a_missing_row(pipeline, rows=3):
    """The transaction inserts some rows, too, which go with it; others come before and behind."""
    pipeline.source.execute(ROWS)
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id = 3")
    pipeline.source.execute("insert into t values (100, 'before')")
    pipeline.source.execute(f"begin; insert into t select g, repeat('private', 40) from generate_series(1000, {999 + rows}) g; "
                            "update t set v = 'private' where id = 3; commit")
    pipeline.source.execute("insert into t values (300, 'behind')")
    pipeline.source.execute("insert into t values (301, 'behind')")
    return stopped_lsn(pipeline)


def stopped_lsn(pipeline):
    log = pipeline.assert_refused("pgcdc verify", code=1)
    return re.findall(r"the transaction that commits at ([0-9A-F]+/[0-9A-F]+)", log)[-1]


def skip(pipeline, lsn):
    return pipeline.engine.command("skip", lsn)


def ids(pipeline):
    return pipeline.target.value("select string_agg(id::text, ' ' order by id) from t where id >= 100")


@pytest.mark.parametrize("rows", [3, 300])
def test_only_that_transaction_is_left_out(pipeline, rows):
    lsn = stop_at_a_missing_row(pipeline, rows)
    result = skip(pipeline, lsn)
    assert result.returncode == 0, result.stderr
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301"
    log = pipeline.engine.log_text()
    assert f"commits at {lsn} was left out with its {rows + 1} changes" in log
    assert "private" not in log
    pipeline.source.execute("insert into t values (302, 'later')")
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301 302"
    assert not list(pipeline.state.glob("*.skip")), "what the sink is past is forgotten"


def test_another_lsn_is_refused(pipeline):
    lsn = stop_at_a_missing_row(pipeline)
    high, low = lsn.split("/")
    for other in (f"{high}/{int(low, 16) + 8:X}", f"{high}/{int(low, 16) - 8:X}", "0/1"):
        result = skip(pipeline, other)
        assert result.returncode == 3
        assert lsn in result.stderr
    assert skip(pipeline, "nonsense").returncode == 2
    assert not list(pipeline.state.glob("*.skip"))
    assert stopped_lsn(pipeline) == lsn


def test_nothing_is_skipped_of_a_pipeline_that_works(pipeline):
    pipeline.source.execute(ROWS)
    pipeline.engine.catch_up()
    assert skip(pipeline, pipeline.position()).returncode == 3
    pipeline.start()
    result = skip(pipeline, pipeline.position())
    assert result.returncode == 3
    assert "stop it first" in result.stderr


def test_a_second_failure_stops_again(pipeline):
    first = stop_at_a_missing_row(pipeline)
    pipeline.source.execute("update t set v = 'b' where id = 3")
    assert skip(pipeline, first).returncode == 0
    second = stopped_lsn(pipeline)
    assert second != first
    assert ids(pipeline) == "100 300 301"
    assert skip(pipeline, first).returncode == 3
    assert skip(pipeline, second).returncode == 0
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301"


@pytest.mark.parametrize("point", ["runner-before-flush", "postgres-after-write", "runner-after-flush"])
def test_a_kill_leaves_out_that_transaction_once_or_not_yet(pipeline, point):
    lsn = stop_at_a_missing_row(pipeline)
    assert skip(pipeline, lsn).returncode == 0
    pipeline.engine.start(environment={"PGCDC_FAULT": point})
    assert pipeline.engine.wait_exit(60) == -signal.SIGKILL
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301"


def test_drop_forgets_it(pipeline):
    assert skip(pipeline, stop_at_a_missing_row(pipeline)).returncode == 0
    assert pipeline.engine.command("drop").returncode == 0
    assert not list(pipeline.state.glob("*"))
