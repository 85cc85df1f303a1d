# SPDX-License-Identifier: Apache-2.0
"""
What other tools have lost when columns of the source changed: one test for each loss, named after where it was reported.

Tested elsewhere:

- materialize 6739, values in the column beside: test_columns_followed.py, "two names exchanged", and its random programs
- peerdb 3768 and 1438, a column between two changes of one transaction: test_columns_followed.py, "in the middle of a transaction"
- airbyte 80920, the values of a new column in older rows: test_rewritten.py; a constant: test_columns_followed.py
- debezium 7668, a label of an enum that comes later: test_schema_changes.py
- decoderbufs 6, rows after a dropped column: test_columns_followed.py, "a column less"
- pgstream, a statement inside a function, or one of several in a string: test_columns_followed.py, "inside a function"
- a crash between the ALTER and its note: test_columns_followed.py and test_kills.py, columns-altered
- partitions that are attached with rows: test_attached.py
- tables that are copied while their columns change: test_columns_while_copied.py
"""

import pytest

from support.wait import wait_until

# Each line with rows of its own, so that what the columns are is certain.
PROGRAM = [
    "insert into t values (1, 2, 3)",
    "alter table t add column d text default 'x'; insert into t values (2, 2, 3, 'y')",
    "alter table t drop column b; insert into t values (3, 33, 'z')",
    "alter table t add column b bigint default 7; insert into t values (4, 44, 'w', 5)",
    'alter table t rename column c to "C c"; update t set "C c" = 0 where a = 1',
    "begin; alter table t add column e int; insert into t values (6, 6, '6', 6, 6); alter table t add column f int; insert into t values (7, 7, '7', 7, 7, 7); commit",
    "alter table t add column g int; alter table t drop column g; update t set e = 1",
    "alter table t rename to aside; insert into aside (a) values (8); alter table aside rename to t; update t set f = 3 where a = 1",
]


def rows(database, names, where="true"):
    return database.execute(f"select {names} from t where {where} order by 1")


@pytest.mark.parametrize("is_away", [False, True], ids=["live", "behind"])
def test_every_kind_in_one_table(pipeline, is_away):
    """feldera 6123, courtlistener 1164, pglogical 95 and 373: a rule for the order in which both sides are altered. Here there is none."""
    pipeline.source.execute("create table t (a int primary key, b int, c int); create table mark (id serial primary key)")
    pipeline.target.execute("create table aside (a int primary key, d text, \"C c\" int, b bigint, e int, f int)")
    pipeline.start()
    if is_away:
        pipeline.engine.stop()
    for line in PROGRAM:
        for statement in line.split("; ") if not line.startswith("begin") else [line]:
            pipeline.source.execute(statement)
        if not is_away:
            pipeline.wait_applied()
    if is_away:
        pipeline.engine.start()
    pipeline.source.execute("insert into mark default values")
    pipeline.wait_applied()
    names = 'a, "C c", d, b, e, f'
    assert rows(pipeline.source, names, "a <> 8") == rows(pipeline.target, names, "a <> 8")
    assert pipeline.target.value("select count(*) from aside") == 1  # under the name that it had then


def test_199_the_first_change_of_a_table_comes_before_its_first_row(pipeline):
    """pgstream 199 and 121: the first change was not noticed, because nothing was known of the table."""
    pipeline.source.execute("create table t (id int primary key, a int, b int)")
    pipeline.start()
    pipeline.source.execute("alter table t rename column a to x; alter table t rename column b to a; alter table t rename column x to b; alter table t add column c int default 5;"
                            "insert into t (id, a, b) values (1, 10, 20)")
    pipeline.wait_applied()
    assert rows(pipeline.target, "id, a, b, c") == [(1, 10, 20, 5)]


def test_393_a_type_of_an_extension_is_no_change(pipeline):
    """etl 393: each definition that came again looked as if the columns had changed, and the pipeline was stuck."""
    pipeline.execute_both("create extension hstore; create extension citext")
    pipeline.source.execute("create table t (id int primary key, h hstore, c citext); insert into t values (1, 'a=>1', 'X')")
    pipeline.start()
    for number in range(2, 6):
        pipeline.source.execute(f"insert into t values ({number}, 'a=>{number}', 'Y'); analyze t")
    pipeline.source.execute("alter table t add column more hstore default 'k=>\"v w\"'; insert into t (id, c) values (9, 'Z')")
    pipeline.assert_follows()
    assert "would not" not in pipeline.engine.log_text() and "follows the source's columns" not in pipeline.engine.log_text()
    assert pipeline.engine.log_text().count("added column") == 1


def test_107_a_column_that_the_target_has_already(pipeline):
    """pglogical 89 and 107: a statement that had worked at the target was run there again, and the apply process went down until the server was restarted."""
    pipeline.source.execute("create table t (id int primary key, a int); insert into t values (1, 1)")
    pipeline.start()
    pipeline.target.execute("alter table t add column b text default 'old'; alter table t rename column a to aa")
    pipeline.source.execute("alter table t add column b text default 'old'; alter table t rename column a to aa; insert into t values (2, 2, 'new')")
    pipeline.assert_follows()
    assert "added column" not in pipeline.engine.log_text()


def test_a_last_column_that_is_dropped_and_made_again(pipeline):
    """By name, type and place it is the old one, so others left the old values in the target. It is not certain here, and the remedy makes both sides equal."""
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    pipeline.source.execute("create table t (id int primary key, a int); insert into t values (1, 1), (2, 2); create table mark (id serial primary key)")
    pipeline.start()
    pipeline.source.execute("update t set a = a + 10")
    pipeline.wait_applied()
    pipeline.source.execute("alter table t drop column a; alter table t add column a int; insert into t values (3, 3)")
    lsn = pipeline.source_lsn()
    wait_until(lambda: not pipeline.engine.is_running() or pipeline.position_reached(lsn), "the row, or a stop")
    if not pipeline.engine.is_running():
        assert "pgcdc table copy public.t" in pipeline.engine.log_text()
        pipeline.target.execute("drop table t")
        assert pipeline.engine.command("table copy", "public.t").returncode == 0
        pipeline.engine.start()
    pipeline.wait_while_running(lambda: pipeline.target.value("select to_regclass('t') is not null") and rows(pipeline.target, "id, a") == [(1, None), (2, None), (3, 3)],
                                "rows without the old values")


def test_1193_a_value_that_the_old_column_would_not_hold(pipeline):
    """kafka-connect-jdbc 1193: a type that had changed was not noticed, so the value was cut or the sink failed on each start."""
    pipeline.source.execute("create table t (id int primary key, v varchar(3)); insert into t values (1, 'abc'); create table mark (id serial primary key)")
    pipeline.start()
    pipeline.source.execute("alter table t alter column v type varchar(9); insert into t values (2, 'abcdefgh')")
    pipeline.assert_follows()
    pipeline.source.execute("alter table t alter column v type int using length(v); insert into t values (3, 77)")
    assert pipeline.engine.wait_exit(60) == 1
    log = pipeline.engine.log_text()
    assert "alter table" in log.lower() and '"v"' in log
    assert rows(pipeline.target, "id, v") == [(1, "abc"), (2, "abcdefgh")]
