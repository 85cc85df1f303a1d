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


INSERT = "insert into t values (1, 'x', 10, '[1,5)')"
# What the target has, the statement that stops, and the constraints in its way with their rows.
TARGETS = {
    "an expression": ("create unique index low on t (lower(v), (n % 7)); insert into t values (7, 'X', 17), (8, 'x', 11)", INSERT, [("low", "7")]),
    "ranges of some rows": ("alter table t add constraint apart exclude using gist (r with &&) where (n > 5); insert into t values"
                            " (7, 'y', 1, '[4,9)'), (8, 'y', 7, '[4,9)')", INSERT, [("apart", "8")]),
    "an operator that is not =": ("alter table t add constraint apart exclude using spgist (r with -|-); insert into t values (6, 'y', 1, '[4,6)'),"
                                  " (7, 'y', 1, '[5,9)')", INSERT, [("apart", "7")]),
    "nulls that are equal": ("create unique index one on t (v, n) nulls not distinct; insert into t values (7, null, 10)",
                             "insert into t values (1, null, 10)", [("one", "7")]),
    "a collation": ("create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
                    "create unique index one on t (v collate any_case); insert into t values (7, 'X')", INSERT, [("one", "7")]),
    "a column of its own": ("alter table t add \"of 'its own\" int default 4; create unique index one on t (v, \"of 'its own\"); insert into t values"
                            " (6, 'x', 1, null, null, 5), (7, 'x', 1, null, null, default)", INSERT, [("one", "7")]),
    "what it generates": ("alter table t add g text generated always as (v || n) stored unique; insert into t values (7, 'x', 10)", INSERT,
                          [("t_g_key", "7")]),
    "a sequence of its own": ("alter table t add s serial; create unique index low on t (lower(v)); insert into t values (7, 'X')", INSERT, [("low", "7")]),
    "several": ("create unique index low on t (lower(v)); create unique index part on t (n) where n > 5; insert into t values (7, 'X', null), (8, 'z', 10)",
                INSERT, [("low", "7"), ("part", "8")]),
    "what an update leaves": ("create unique index one on t (md5(big), v); insert into t (id, v, big) select 7, 'x', big from t where id = 2",
                              "update t set v = 'x' where id = 2", [("one", "7")]),
    "its own row": ("create unique index low on t (lower(v)); insert into t values (7, 'X')", "update t set v = 'x', id = 3 where id = 2",
                    [("low", "7")]),
}


@pytest.mark.parametrize("case", TARGETS)
def test_the_target_evaluates_its_constraints(pipeline, case):
    """They were named, and nobody was told which row is in the way."""
    target, statement, clashes = TARGETS[case]
    pipeline.source.execute("create table t (id int primary key, v text, n int, r int4range, big text); alter table t alter big set storage external;"
                            "insert into t values (2, 'private', 3, '[100,200)', repeat('private', 2000))")
    pipeline.engine.catch_up()
    pipeline.target.execute(target)
    pipeline.source.execute(statement)
    log = pipeline.assert_refused("the transaction that commits at", code=1)
    assert "private" not in log and "(id)=(" not in log
    found = why(pipeline)
    assert [(clash["constraint"], clash["key"]["id"]) for clash in found["clashes"]] == clashes
    assert found["not_asked"] == []
    unique = [name for name, _ in clashes if name != "apart"]
    kind = "multiple_unique_conflicts" if len(unique) > 1 else None if not unique else "update_exists" if "update" in statement else "insert_exists"
    assert found["conflict"] == kind
    printed = pipeline.engine.command("why").stdout
    assert f"clash      {clashes[0][0]}: the target's row (id)=({clashes[0][1]})" in printed, printed
    assert "private" not in printed and ("conflict   an exclusion constraint, which has no kind" in printed) == (kind is None), printed


def test_periods_that_overlap(new_pipeline, shared_clusters):
    """A key WITHOUT OVERLAPS is unique and compares with operators of its own."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    pipeline.source.execute("create table t (id int primary key, room int4range, at int4range)")
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t add constraint once unique (room, at without overlaps);"
                            "insert into t values (6, '[1,2)', '[3,9)'), (7, '[5,6)', '[3,9)')")
    pipeline.source.execute("insert into t values (1, '[5,6)', '[8,12)')")
    pipeline.assert_refused("23P01", code=1)
    assert [(clash["constraint"], clash["key"]["id"]) for clash in why(pipeline)["clashes"]] == [("once", "7")]


def test_constraints_that_cannot_be_evaluated_are_named(pipeline):
    """One cannot be computed for this row; the others are asked all the same."""
    pipeline.source.execute("create table t (id int primary key, v text, n int)")
    pipeline.engine.catch_up()
    pipeline.target.execute("create unique index low on t (lower(v)); create unique index share on t ((100 / n)); insert into t values (7, 'X', 5)")
    pipeline.source.execute("insert into t values (1, 'x', 0)")
    pipeline.assert_refused("conflict insert_exists: ", code=1)
    found = why(pipeline)
    assert ([clash["constraint"] for clash in found["clashes"]], found["not_asked"]) == (["low"], ["share"])
    assert "not asked  share: the target could not evaluate it for this row" in pipeline.engine.command("why").stdout


def test_a_row_without_a_key_is_named_by_the_targets(pipeline):
    pipeline.source.execute("create table t (id int not null, v text)")
    pipeline.target.execute("create table t (id int primary key, v text)")
    pipeline.source.execute("create publication shop for table t with (publish = 'insert')")
    pipeline.engine.catch_up()
    pipeline.target.execute("insert into t values (1, 'private')")
    pipeline.source.execute("insert into t values (1, 'private')")
    pipeline.assert_refused("conflict insert_exists: ", code=1)
    found = why(pipeline)
    assert (found["key"], found["clashes"]) == ({"id": "1"}, [{"constraint": "t_pkey", "key": {"id": "1"}}])


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


def test_an_index_of_a_partition_alone_is_asked(pipeline):
    """Only the root's indexes were asked. Each partition has its own; that of another one does not matter."""
    tables = ("create table t (id int primary key, u int) partition by range (id); create table t1 partition of t for values from (0) to (10);"
              "create table t2 partition of t for values from (10) to (20)")
    pipeline.execute_both(tables)
    pipeline.source.execute("insert into t values (1, 5), (11, 6)")
    pipeline.engine.catch_up()
    pipeline.target.execute("create unique index low on t1 (u); create unique index high on t2 (u) where u > 3")
    pipeline.source.execute("insert into t values (3, 6), (12, 5), (13, 6)")
    pipeline.assert_refused("the transaction that commits at", code=1)
    found = why(pipeline)
    assert (found["key"], found["conflict"], found["not_asked"]) == ({"id": "13"}, "insert_exists", [])
    assert [(clash["constraint"], clash["key"]) for clash in found["clashes"]] == [("high", {"id": "11"})]


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
