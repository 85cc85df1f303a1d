# SPDX-License-Identifier: Apache-2.0
"""`pgcdc why`: the change that stopped the pipeline is found in the slot, and so are the target's rows that clash with it."""

import json

import pytest

TABLE = ("create table t (id int primary key, u int unique, w int unique, v text);"
         "insert into t select g, g, g, 'private' from generate_series(1, 9) g")

# the change at the target, the statement that stops, and the message
CASES = {
    "insert_exists": ("insert into t values (50, 1050)", "insert into t values (50, 50)",
                      ("insert", {"id": "50"}, "exists", [("t_pkey", {"id": "50"})])),
    "insert_unique": ("insert into t values (70, 50)", "insert into t values (50, 50)",
                      ("insert", {"id": "50"}, "missing", [("t_u_key", {"id": "70"})])),
    "update_missing": ("delete from t where id = 3", "update t set v = 'private2' where id = 3",
                       ("update", {"id": "3"}, "missing", [])),
    "update_exists": ("insert into t values (70, 50)", "update t set u = 50 where id = 3",
                      ("update", {"id": "3"}, "exists", [("t_u_key", {"id": "70"})])),
    "delete_missing": ("delete from t where id = 3", "delete from t where id = 3",
                       ("delete", {"id": "3"}, "missing", [])),
    "multiple_unique_conflicts": ("insert into t values (70, 50, null), (71, null, 50)", "insert into t values (50, 50, 50)",
                                  ("insert", {"id": "50"}, "missing", [("t_u_key", {"id": "70"}), ("t_w_key", {"id": "71"})])),
}


def stop(pipeline, spoil, statement, before=3):
    """Other changes precede it in its transaction, and other transactions come before and after."""
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t add constraint t_u_key unique (u), add constraint t_w_key unique (w);" + spoil)
    pipeline.source.execute("insert into t values (100)")
    pipeline.source.execute(f"begin; insert into t (id) select g from generate_series(1000, {999 + before}) g; {statement}; "
                            "insert into t values (300); commit")
    pipeline.source.execute("insert into t values (301)")
    return pipeline.assert_refused("the transaction that commits at", code=1)


def why(pipeline):
    result = pipeline.engine.command("why", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def counted(pipeline):
    """The kind of the last error, and the counts of the sink."""
    status = pipeline.engine.json("status")
    return status["last_error"]["conflict"], status["sinks"][0]["conflicts_stopped"]


@pytest.mark.parametrize("case", CASES)
def test_the_change_and_what_is_in_its_way(pipeline, case):
    spoil, statement, (operation, key, target, clashes) = CASES[case]
    stop(pipeline, spoil, statement)
    confirmed = pipeline.slot()
    found = why(pipeline)
    kind = "insert_exists" if case == "insert_unique" else case
    assert (found["operation"], found["key"], found["target"], found["conflict"]) == (operation, key, target, kind)
    assert [(clash["constraint"], clash["key"]) for clash in found["clashes"]] == clashes
    assert (found["schema"], found["table"], found["index"]) == ("public", "t", 3)
    printed = pipeline.engine.command("why")
    assert printed.returncode == 0 and kind in printed.stdout and f"(id)=({key['id']})" in printed.stdout
    assert not printed.stderr
    assert "private" not in printed.stdout + pipeline.engine.log_text()
    assert pipeline.slot() == confirmed, "nothing is consumed"
    assert f"conflict {kind}: " in pipeline.engine.log_text(), "the stop names it, too"
    assert counted(pipeline) == (kind, {kind: 1})
    again = pipeline.assert_refused("the transaction that commits at", code=1)
    assert "(id)=(" not in again
    assert counted(pipeline) == (kind, {kind: 2}), "each stop is counted, over processes"
    assert f"conflicts that stopped it: 2 {kind}" in pipeline.engine.command("status").stdout


def test_constraints_that_are_not_asked_are_named(pipeline):
    """An index on a part of the rows clashes here: the stop is a conflict, and no message says that nothing clashes."""
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.engine.catch_up()
    pipeline.target.execute("create unique index part on t (v) where id > 0; create unique index low on t (lower(v)); insert into t values (7, 'x'); "
                            "alter table t add constraint apart exclude (id with =) where (id > 5)")
    pipeline.source.execute("insert into t values (1, 'x')")
    pipeline.assert_refused("conflict insert_exists: ", code=1)
    found = why(pipeline)
    assert (found["clashes"], found["not_asked"]) == ([], ["apart", "low", "part"])
    printed = pipeline.engine.command("why").stdout
    assert "not asked  part: " in printed and "none is seen now" in printed


def test_what_is_no_conflict_is_not_named_as_one(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t add check (id < 5)")
    pipeline.source.execute("insert into t values (7, 'x')")
    log = pipeline.assert_refused("23514", code=1)
    assert "conflict" not in log
    assert counted(pipeline) == (None, {})


def test_identity_full_is_named_by_the_targets_key(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); alter table t replica identity full; insert into t values (1, 'private')")
    pipeline.engine.catch_up()
    pipeline.target.execute("truncate t")
    pipeline.source.execute("update t set v = 'private2'")
    pipeline.assert_refused("the transaction that commits at", code=1)
    found = why(pipeline)
    assert (found["key"], found["conflict"]) == ({"id": "1"}, "update_missing")


def test_a_change_far_into_a_large_transaction_is_found(pipeline):
    stop(pipeline, "delete from t where id = 3", "delete from t where id = 3", before=60000)
    found = why(pipeline)
    assert (found["key"], found["index"], found["conflict"]) == ({"id": "3"}, 60000, "delete_missing")


def test_refused_while_an_engine_runs_and_when_nothing_stopped(pipeline):
    pipeline.source.execute(TABLE)
    pipeline.engine.catch_up()
    result = pipeline.engine.command("why")
    assert result.returncode == 3 and "nothing has stopped" in result.stderr
    pipeline.start()
    result = pipeline.engine.command("why")
    assert result.returncode == 3 and "stop it first" in result.stderr


def test_a_row_of_a_partition_is_its_roots(pipeline):
    pipeline.source.execute("create table t (id int, v text, primary key (id)) partition by range (id); create table t1 partition of t for values from (0) to (10);"
                            "create table t2 partition of t for values from (10) to (20); insert into t values (1, 'private'), (11, 'private')")
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id = 11")
    pipeline.source.execute("update t set v = 'private1' where id = 1")
    pipeline.source.execute("update t set v = 'private2' where id = 11")
    pipeline.assert_refused("the transaction that commits at", code=1)
    found = why(pipeline)
    assert (found["table"], found["key"], found["conflict"]) == ("t", {"id": "11"}, "update_missing")
