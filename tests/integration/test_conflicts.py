# SPDX-License-Identifier: Apache-2.0
"""A change that does not fit stops the pipeline before its transaction; no row is ever skipped in silence."""

import time

import pytest

from support import load
from support.load import Load

START = "create table t9 (id int primary key, v text); insert into t9 select g, 'a' from generate_series(1, 10) g"
CASES = {
    "row to update is gone": ("delete from t9 where id = 3", "update t9 set v = 'private' where id = 3", "t9"),
    "row to delete is gone": ("delete from t9 where id = 3", "delete from t9 where id = 3", "t9"),
    "key is taken": ("insert into t9 values (11, 'local')", "insert into t9 values (11, 'private')", "23505"),
    "check is violated": ("alter table t9 add check (v <> 'private')", "insert into t9 values (12, 'private')", "23514"),
    "type does not fit": ("alter table t9 alter v type varchar(3)", "insert into t9 values (12, 'private')", "silently"),
    "null does not fit": ("alter table t9 alter v set not null", "insert into t9 values (12, null)", "23502"),
    "new key is taken": ("insert into t9 values (50, 'local')", "update t9 set id = 50 where id = 4", "23505"),
}


@pytest.mark.parametrize("surroundings", [1, 300], ids=["alone", "in_a_large_group"])
@pytest.mark.parametrize("case", CASES)
def test_it_stops_before_the_transaction(pipeline, case, surroundings):
    spoil, change, sign = CASES[case]
    pipeline.source.execute(START + "; create table other (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.target.execute(spoil)
    for number in range(surroundings):
        pipeline.source.execute(f"insert into other values ({number})")
    position = pipeline.source_lsn()
    pipeline.source.execute(f"begin; insert into other values (-1); {change}; insert into other values (-2); commit")
    pipeline.source.execute("insert into other values (-3)")
    for _ in range(2):
        log = pipeline.assert_refused("t9", sign, code=1)
        assert "private" not in log, "a row's value was logged"
        assert pipeline.target.execute("select count(*), min(id) from other") == [(surroundings, 0)]
        assert not pipeline.position_reached(pipeline.source_lsn())
        assert pipeline.position_reached(position)


def test_a_table_that_the_target_has_lost_needs_a_copy(pipeline):
    """An empty table made anew would accept the change, and the earlier rows would be missing forever."""
    pipeline.source.execute(START)
    pipeline.engine.catch_up()
    pipeline.target.execute("drop table t9")
    pipeline.source.execute("insert into t9 values (12, 'private')")
    assert "private" not in pipeline.assert_refused("t9", "new copy", code=2)


def test_it_goes_on_once_the_target_is_mended(pipeline):
    pipeline.source.execute(START)
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t9 where id = 3")
    pipeline.source.execute("update t9 set v = 'b' where id = 3")
    pipeline.source.execute("insert into t9 values (30, 'after')")
    pipeline.assert_refused("t9", code=1)
    pipeline.target.execute("insert into t9 values (3, 'a')")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_deferred_constraint_that_fails_at_commit_is_a_conflict(pipeline):
    """As replica, PostgreSQL does not check deferrable constraints, so triggers have to fire."""
    pipeline.sink_configuration["triggers"] = "fire"
    pipeline.source.execute("create table t (id int primary key, pos int)")
    pipeline.target.execute("create table t (id int primary key, pos int unique deferrable initially deferred)")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (1, 1)")
    pipeline.source.execute("insert into t values (2, 1)")
    pipeline.assert_refused("23505", code=1)
    assert pipeline.target.execute("select id from t") == [(1,)]


def seconds_to_stop(pipeline):
    """From a change that does not fit, among others that keep coming, to the engine's end."""
    pipeline.engine.start()
    with Load(pipeline.source):
        pipeline.wait_applied()
        pipeline.target.execute("delete from t9 where id = 3")
        pipeline.source.execute("update t9 set v = 'b' where id = 3")
        start = time.monotonic()
        assert pipeline.engine.wait_exit(60) == 1, pipeline.engine.log_tail()
        seconds = time.monotonic() - start
    pipeline.target.execute("insert into t9 values (3, 'a')")
    return seconds


def test_a_failure_while_data_flows_does_not_wait_for_the_source(pipeline):
    """Each attempt once waited the whole 2 s for the server's goodbye, whose few bytes did not wake it; the best of three counts."""
    pipeline.source.execute(load.SCHEMA + load.ROWS + START)
    pipeline.publish()
    pipeline.target.execute(load.TARGET_SCHEMA)
    pipeline.engine.catch_up()
    assert min(seconds_to_stop(pipeline) for _ in range(3)) < 1.8
