# SPDX-License-Identifier: Apache-2.0
"""`pgcdc skip`: the transaction that stopped the pipeline is left out, whole, and no other."""

import re
import signal

import pytest

ROWS = "create table t (id int primary key, v text); insert into t select g, 'a' from generate_series(1, 10) g"


LARGE = 60000  # rows of a transaction of several batches


def stop_at_a_missing_row(pipeline, rows=3, first=False):
    """The transaction also inserts rows, which are left out with it; other transactions come before and after. first: it begins with the change that fails."""
    pipeline.source.execute(ROWS)
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id = 3")
    pipeline.source.execute("insert into t values (100, 'before')")
    update = "update t set v = 'private' where id = 3;"
    insert = f"insert into t select g, repeat('private', 40) from generate_series(1000, {999 + rows}) g;"
    pipeline.source.execute(f"begin; {update + insert if first else insert + update} commit")
    pipeline.source.execute("insert into t values (300, 'behind')")
    pipeline.source.execute("insert into t values (301, 'behind')")
    return stopped_lsn(pipeline)


def stopped_lsn(pipeline):
    log = pipeline.assert_refused("the transaction that commits at", "then start again", code=1)
    return re.findall(r"the transaction that commits at ([0-9A-F]+/[0-9A-F]+)", log)[-1]


def skip(pipeline, lsn):
    return pipeline.engine.command("skip", lsn)


def ids(pipeline):
    return pipeline.target.value("select string_agg(id::text, ' ' order by id) from t where id >= 100")


@pytest.mark.parametrize("rows,first", [(3, False), (300, False), (LARGE, False), (LARGE, True)])
def test_only_that_transaction_is_left_out(pipeline, rows, first):
    """
    A large one was named by where it ends when its last part did not fit, which its first part does not know yet: it stopped the
    pipeline again, forever.
    """
    lsn = stop_at_a_missing_row(pipeline, rows, first)
    result = skip(pipeline, lsn)
    assert result.returncode == 0, result.stderr
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301"
    log = pipeline.engine.log_text()
    assert f"commits at {lsn} was skipped with its {rows + 1} changes" in log
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


@pytest.mark.parametrize("point,rows", [("runner-before-flush", 3), ("postgres-after-write", 3), ("runner-after-flush", 3),
                                        ("runner-batch:3", LARGE), ("runner-after-flush", LARGE), ("checkpoint-before-confirm:2", LARGE)])
def test_a_kill_leaves_out_that_transaction_once_or_not_yet(pipeline, point, rows):
    lsn = stop_at_a_missing_row(pipeline, rows)
    assert skip(pipeline, lsn).returncode == 0
    pipeline.engine.start(environment={"PGCDC_FAULT": point})
    assert pipeline.engine.wait_exit(60) == -signal.SIGKILL
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 300 301"


def commits(pipeline):
    """Where the commit records of what waits in the slot begin and end."""
    sql = ("select encode(substr(data, 3, 8), 'hex'), encode(substr(data, 11, 8), 'hex') from pg_logical_slot_peek_binary_changes("
           "%s, null, null, 'proto_version', '1', 'publication_names', %s) where get_byte(data, 0) = ascii('C')")
    return [(int(begin, 16), int(end, 16)) for begin, end in pipeline.source.execute(sql, (pipeline.slot_name(), pipeline.name))]


def commit_close_together(pipeline, first, second):
    """The second commits right after the first: its changes are older."""
    connection = pipeline.source.connect(autocommit=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute(second)
        pipeline.source.execute(first)
        connection.commit()
    finally:
        connection.close()


@pytest.mark.parametrize("place", ["the first", "the second"])
def test_one_commit_record_begins_where_the_other_transaction_ends(pipeline, place):
    """
    One LSN names both then: skip leaves out the one that stopped, and the other is applied. The first is named by where it ends; the
    second, which is large, by where its commit record begins.
    """
    pipeline.source.execute(ROWS)
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id = 3")
    bad = "update t set v = 'x' where id = 3"
    for number in range(10):  # until nothing else has come in between
        good = f"insert into t values ({100 + number}, 'good')"
        more = f"; insert into t select g, repeat('x', 280) from generate_series({number + 1}00000, {number + 1}30000) g"
        commit_close_together(pipeline, *((bad, good) if place == "the first" else (good, bad + more)))
        (_, end), (begin, _) = commits(pipeline)[-2:]
        if begin == end:
            break
        assert skip(pipeline, stopped_lsn(pipeline)).returncode == 0
        pipeline.engine.catch_up()
    assert begin == end, "never at once"
    named = stopped_lsn(pipeline)
    assert named == f"{end >> 32:X}/{end & 0xFFFFFFFF:X}"
    assert skip(pipeline, named).returncode == 0
    pipeline.engine.catch_up()
    assert ids(pipeline) == " ".join(str(100 + each) for each in range(number + 1))


def test_what_only_the_commit_refuses_is_named_and_left_out(pipeline):
    """The error of a deferred constraint is of no change, and was of no transaction."""
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t add unique (v) deferrable initially deferred")
    for number, value in enumerate("abac", 100):
        pipeline.source.execute(f"insert into t values ({number}, '{value}')")
    assert skip(pipeline, stopped_lsn(pipeline)).returncode == 0
    pipeline.engine.catch_up()
    assert ids(pipeline) == "100 101 103"


def test_drop_forgets_it(pipeline):
    assert skip(pipeline, stop_at_a_missing_row(pipeline)).returncode == 0
    assert pipeline.engine.command("drop").returncode == 0
    assert not list(pipeline.state.glob("*"))
