# SPDX-License-Identifier: Apache-2.0
"""
Schema changes in mid-stream: the target's columns follow the source's, or an operator has changed them there already.
"""

import pytest

START = "create table t7 (a int primary key, b int, c int); insert into t7 values (1, 2, 3)"
STEPS = [
    ("alter table t7 add column d text default 'x'", "insert into t7 values (2, 2, 3, 'y')"),
    ("alter table t7 drop column b", "insert into t7 values (3, 33, 'z')"),
    ("alter table t7 add column b bigint default 7", "insert into t7 values (4, 44, 'w', 5)"),
    ("alter table t7 rename column c to \"C c\"", "update t7 set \"C c\" = 0 where a = 1"),
    ("alter table t7 alter column d drop default, alter column d type int using length(d)",
     "insert into t7 values (5, 5, 5, 5)"),
    ("alter table t7 add column e int; alter table t7 add column f int",
     "insert into t7 values (7, 7, 7, 7, 7, 7); update t7 set f = 1 where a < 4; delete from t7 where a = 2"),
    ("alter table t7 add column g int; alter table t7 drop column g", "update t7 set e = 9"),
    ("alter table t7 replica identity full",
     "update t7 set a = a + 100 where a > 4; insert into t7 (a) values (8)"),
]


def test_columns_come_and_go_while_rows_flow(pipeline):
    pipeline.source.execute(START)
    pipeline.start()
    for ddl, change in STEPS:
        pipeline.execute_both(ddl)
        pipeline.source.execute(change)
        pipeline.assert_follows()


def test_definitions_change_inside_a_transaction(pipeline):
    pipeline.source.execute(START)
    pipeline.target.execute("create table t7 (a int primary key, b int, c int, e int, f int)")
    pipeline.start()
    pipeline.source.execute("""begin; insert into t7 values (5, 5, 5); alter table t7 add column e int; insert into t7 values (6, 6, 6, 6);
        alter table t7 add column f int; insert into t7 values (7, 7, 7, 7, 7); update t7 set b = 0; commit""")
    pipeline.assert_follows()


def test_old_rows_are_decoded_with_the_definition_of_their_time(pipeline):
    """The engine is away during everything; what it reads later was written under older definitions."""
    pipeline.source.execute(START)
    pipeline.engine.catch_up()
    steps = [STEPS[0], STEPS[1], ("alter table t7 add column e int", "insert into t7 values (10, 1, 'e', 2)")]
    for ddl, change in steps:
        pipeline.source.execute(f"{ddl}; {change}")
    pipeline.target.execute("alter table t7 add column d text default 'x', add column e int")
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t7 drop column b")
    pipeline.assert_equal()


def test_a_missing_column_stops_before_its_transaction_and_is_named(pipeline):
    pipeline.sink_configuration["add_column"] = "stop"
    pipeline.source.execute(START)
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t7 values (10, 1, 1)")
    pipeline.source.execute("alter table t7 add column extra text; begin; insert into t7 values (11, 1, 1); "
                            "insert into t7 values (12, 1, 1, 'secret value'); commit; insert into t7 values (13, 1, 1)")
    log = pipeline.assert_refused("extra", "t7", "alter table", code=1)
    assert "secret value" not in log
    assert pipeline.target.execute("select a from t7 order by a") == [(1,), (10,)]
    pipeline.target.execute("alter table t7 add column extra text")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_missing_table_stops_before_its_transaction_and_is_named(pipeline):
    pipeline.source.execute(START)
    pipeline.engine.catch_up()
    pipeline.source.execute("create table later (id int primary key); alter publication shop add table later;"
                            "insert into later values (1)")
    pipeline.assert_refused("later", code=1)
    pipeline.target.execute("create table later (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_renamed_table_is_another_table(pipeline):
    pipeline.source.execute(START)
    pipeline.start()
    pipeline.execute_both("alter table t7 rename to t7b")
    pipeline.source.execute("insert into t7b (a) values (8)")
    pipeline.wait_applied()
    pipeline.execute_both("alter table t7b rename to t7")
    pipeline.source.execute("insert into t7 (a) values (9)")
    pipeline.assert_follows()


def test_a_table_dropped_and_created_again_is_not_mixed_up(pipeline):
    pipeline.source.execute(START)
    pipeline.start()
    pipeline.execute_both("drop table t7; create table t7 (x text, a int primary key)")
    pipeline.source.execute("alter publication shop add table t7; insert into t7 values ('x', 1)")
    pipeline.assert_follows()


def test_enum_labels_that_come_later(pipeline):
    pipeline.source.execute("create type mood as enum ('a'); create table t (id int primary key, m mood); insert into t values (1, 'a')")
    pipeline.start()
    pipeline.execute_both("alter type mood add value 'b' before 'a'")
    pipeline.source.execute("insert into t values (2, 'b')")
    pipeline.assert_follows()


@pytest.mark.parametrize("change", ["alter table t alter column v type bigint", "alter table t alter column v type text",
                                    "alter table t alter column v type numeric(20,5)"])
def test_the_target_type_may_be_wider(pipeline, change):
    pipeline.source.execute("create table t (id int primary key, v int)")
    pipeline.start()
    pipeline.target.execute(change)
    pipeline.source.execute("insert into t select g, g from generate_series(1, 300) g; update t set v = -v where id < 150; delete from t where id = 1")
    pipeline.wait_applied()
    assert pipeline.target.value("select sum(v::numeric) from t") == pipeline.source.value("select sum(v) from t")
