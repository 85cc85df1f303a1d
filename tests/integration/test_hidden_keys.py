# SPDX-License-Identifier: Apache-2.0
"""Before PostgreSQL 18 a generated column is not sent, also when it is part of the key: what is sent of the key then finds several rows.

Which key a table had when a row was written is not in the stream; the catalog says which key it has now. So each definition is compared
with the catalog. Where the key of then is not certain, changes are applied one by one, and each must find exactly one row.
"""

import threading

import pytest

TABLE = """create table t (a int not null, b int not null, g int generated always as (b % 7) stored not null, v text);
    create unique index t_a on t (a); alter table t replica identity using index t_a; insert into t (a, b) select x, x from generate_series(1, 40) x"""
HIDE = "create unique index t_ag on t (a, g); alter table t replica identity using index t_ag; drop index t_a"
# Each insert has the same a as the row that is then deleted.
CLASH = "begin; insert into t (a, b) select x, x + 1 from generate_series(1, 40) x; delete from t where b = a; commit"
ROWS = "select a, b from t order by a, b"
BEFORE = [(x, x) for x in range(1, 41)]
KEY_A = "create unique index t_a on t (a); alter table t replica identity using index t_a"


def assert_stops(pipeline):
    """A change that may mean another row stops the stream before it, and the remedy is the one for such a key."""
    assert pipeline.engine.wait_exit(60) == 1, pipeline.engine.log_tail()
    assert "needs a new copy" in pipeline.engine.log_text(), pipeline.engine.log_tail()
    assert pipeline.target.execute(ROWS) == BEFORE


@pytest.mark.parametrize("version", [14, 16, 17])
def test_a_key_that_gets_a_generated_column_in_mid_stream_is_noticed(new_pipeline, shared_clusters, version):
    """An insert met the delete of another row with the same sent part of the key, and both were dropped as one row that came and went."""
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target"))
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.source.execute("update t set v = 'x' where a = 1")
    pipeline.wait_applied()
    pipeline.source.execute(HIDE)
    pipeline.source.execute(CLASH)
    assert_stops(pipeline)


# What is done to the table while the changes wait, after them.
AFTERWARDS = {
    "nothing": "select",
    "the key is as before": KEY_A,
    "a primary key": "alter table t add primary key (a), replica identity default",
    "identity full": "alter table t replica identity full",
    "the column is not generated": "alter table t alter g drop expression",
    "the column is gone": f"alter table t drop column g cascade; {KEY_A}",
    "a renamed column": "alter table t rename a to c",
    "the index is another": "drop index t_ag; create unique index t_ag on t (a, b); alter table t replica identity using index t_ag",
    "the table is gone": "create table u (a int); drop table t",
}


@pytest.mark.parametrize("afterwards", AFTERWARDS)
def test_a_key_that_had_a_generated_column_while_changes_wait_is_noticed(pipeline, afterwards):
    """The catalog that is read at the start does not show it any more."""
    pipeline.source.execute(TABLE)
    pipeline.start()
    pipeline.engine.stop()
    pipeline.source.execute(HIDE)
    pipeline.source.execute(CLASH)
    pipeline.source.execute(AFTERWARDS[afterwards])
    pipeline.engine.start()
    assert_stops(pipeline)


def test_a_leaf_that_had_another_identity_while_changes_wait_is_noticed(pipeline):
    leaf = TABLE.replace("table t ", "table t_1 ").replace(" on t ", " on t_1 ").replace("into t ", "into t_1 ")
    pipeline.source.execute("create table t (a int not null, b int not null, g int generated always as (b % 7) stored not null, v text) partition by list (v)")
    pipeline.source.execute(leaf.replace("alter table t ", "alter table t_1 ") + "; alter table t attach partition t_1 default")
    pipeline.publish()
    pipeline.start()
    pipeline.engine.stop()
    hide = HIDE.replace(" on t ", " on t_1 ").replace("table t ", "table t_1 ")
    pipeline.source.execute(f"alter table t detach partition t_1; {hide}; alter table t attach partition t_1 default")
    pipeline.source.execute(CLASH)
    again = KEY_A.replace(" on t ", " on t_1 ").replace("table t ", "table t_1 ")
    pipeline.source.execute(f"alter table t detach partition t_1; {again}; alter table t attach partition t_1 default")
    pipeline.engine.start()
    assert_stops(pipeline)


def test_a_key_whose_expression_changed_while_changes_wait_finds_no_other_row(new_pipeline, shared_clusters):
    """SET EXPRESSION of 17: the row was looked for by what the key is made of now, and found another one."""
    pipeline = new_pipeline(shared_clusters("source", 17), shared_clusters("target"))
    pipeline.source.execute("create table t (code text generated always as ('c' || a::text) stored primary key, a int, b int);"
                            "insert into t (a, b) values (1, 1), (2, 2)")
    pipeline.start()
    pipeline.engine.stop()
    pipeline.source.execute("update t set b = 2 where a = 1; update t set b = 1 where a = 2; alter table t alter code set expression as ('c' || b::text)")
    pipeline.assert_refused("does not identify its row", "needs a new copy", code=1)
    assert pipeline.target.execute(ROWS) == [(1, 1), (2, 2)]


# What an application may do in mid stream to a table with a generated column that is not in the key.
HARMLESS = {
    "a key that was made again": "alter table t drop constraint t_pkey, add primary key (a)",
    "a key of other columns": "alter table t drop constraint t_pkey, add primary key (a, b)",
    "reindex": "reindex table concurrently t",
    "an index instead of the key": "create unique index t_b on t (b); alter table t replica identity using index t_b",
    "identity full": "alter table t replica identity full",
    "a new column": "alter table t add column more int generated always as (b * 2) stored",
    "a new expression": "alter table t drop column g, add column g int generated always as (b % 9) stored not null",
    "analyze": "analyze t",
}


@pytest.mark.parametrize("waits", [False, True], ids=["live", "waiting"])
def test_a_table_whose_key_is_altered_or_made_anew_goes_on(pipeline, waits):
    """Certain or not, each change finds its one row."""
    changes = "begin; delete from {0} where a <= 40; insert into {0} (a, b) select x, x + 1000 from generate_series(1, 40) x; update {0} set v = v || 'u', b = b + 1000 where a > 60; commit"
    names = [f"t_{i}" for i in range(len(HARMLESS))]
    for name in names:
        pipeline.source.execute(f"create table {name} (a int primary key, b int not null, g int generated always as (b % 7) stored not null, v text);"
                                f"insert into {name} (a, b, v) select x, x, 'v' from generate_series(1, 99) x")
    pipeline.publish()
    pipeline.start()
    for name in names:
        pipeline.source.execute(changes.format(name))
    pipeline.wait_applied()
    if waits:
        pipeline.engine.stop()
    for name, statement in zip(names, HARMLESS.values()):
        pipeline.source.execute(changes.format(name))
        pipeline.source.execute(statement.replace("t_pkey", f"{name}_pkey").replace("table t ", f"table {name} ").replace(" on t ", f" on {name} ")
                                .replace("concurrently t", f"concurrently {name}").replace("analyze t", f"analyze {name}").replace("index t_b", f"index {name}_b"))
        pipeline.source.execute(changes.format(name))
    pipeline.source.execute("create table late (a int primary key, b int not null, g int generated always as (b % 7) stored not null, v text)")
    pipeline.target.execute("create table late (a int primary key, b int not null, v text)")
    pipeline.source.execute(changes.format("late"))
    if waits:
        pipeline.start()
    pipeline.wait_applied()
    for name in [*names, "late"]:
        rows = f"select a, b, v from {name} order by a"
        assert pipeline.target.execute(rows) == pipeline.source.execute(rows), name


def test_kafka_gets_no_message_under_a_part_of_a_key(kafka_pipeline):
    """Consumers would take it for another row."""
    kafka_pipeline.source.execute(TABLE)
    kafka_pipeline.publish()
    kafka_pipeline.start()
    kafka_pipeline.engine.stop()
    kafka_pipeline.source.execute(f"{HIDE}; insert into t (a, b) values (1, 2); alter table t replica identity full")
    kafka_pipeline.engine.start()
    assert kafka_pipeline.engine.wait_exit(60) == 1, kafka_pipeline.engine.log_tail()
    assert "had or may have had a generated column" in kafka_pipeline.engine.log_text()


def test_a_key_that_its_own_transaction_altered_is_noticed_before_others_see_it(new_pipeline, own_cluster, shared_clusters):
    """A transaction that waits for a synchronous standby is sent before the catalog shows what it did."""
    source = own_cluster("source")
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute(TABLE)
    pipeline.start()
    source.configure({"synchronous_standby_names": "nobody"})
    source.reload()
    connection = pipeline.source.connect()
    altering = threading.Thread(target=lambda: connection.cursor().execute(f"begin; {HIDE}; {CLASH.replace('begin;', '')}"))
    try:
        altering.start()
        assert_stops(pipeline)
    finally:
        source.configure({"synchronous_standby_names": ""})
        source.reload()
        altering.join(60)
        connection.close()
