# SPDX-License-Identifier: Apache-2.0
"""A copy in chunks of tables of many kinds, of tables whose definition changes meanwhile."""

import signal

import pytest

from support.oracle import assert_equal

LIVE = {"mode": "live", "workers": "2", "chunk_bytes": "16kB"}


def stop_in_the_middle(pipeline, chunks=3):
    """Some chunks are copied, no engine runs."""
    pipeline.engine.configuration["copy"] = LIVE
    pipeline.engine.start(environment={"PGCDC_FAULT": f"chunk-committed:{chunks}"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    assert pipeline.target.value("select count(*) from pgcdc.chunk where state <> 'copied'") > 0


def copy_is_finished(pipeline):
    return pipeline.target.value("select count(*) from pgcdc.copy") == 0


def finish(pipeline):
    pipeline.wait_while_running(lambda: copy_is_finished(pipeline), "the copy to end")
    pipeline.wait_applied()
    pipeline.engine.stop()


def rows(database, sql):
    return database.execute(sql)


@pytest.fixture
def simple(pipeline):
    pipeline.source.execute("create table item (id int primary key, n int, pad text);"
                            "insert into item select g, 0, repeat('x', 100) from generate_series(1, 3000) g")
    pipeline.publish()
    return pipeline


KINDS = """
create table filtered (id int primary key, n int, pad text);
create table listed (id int primary key, n int, secret text, pad text);
create table generated (id int generated always as identity primary key, n int, twice int generated always as (n * 2) stored, pad text);
create table composite (b int, a int, pad text, primary key (a, b));
create table leaves (id int primary key, n int, pad text) partition by range (id);
create table leaves_1 partition of leaves for values from (minvalue) to (1000);
create table leaves_2 partition of leaves for values from (1000) to (maxvalue);
create table parent (id int primary key, code int not null unique, pad text);
create table child (id int primary key, parent int references parent, n int, pad text);
create table bare (n int, pad text);
alter table bare replica identity full;
"""
TARGET_KINDS = KINDS.replace("secret text, ", "")
FILL = """
insert into filtered select g, g % 3, repeat('x', 60) from generate_series(1, 2000) g;
insert into listed select g, g, 'secret', repeat('x', 60) from generate_series(1, 2000) g;
insert into generated (n, pad) select g, repeat('x', 60) from generate_series(1, 2000) g;
insert into composite select g, g % 300, repeat('x', 60) from generate_series(1, 2000) g;
insert into leaves select g, g, repeat('x', 60) from generate_series(1, 2000) g;
insert into parent select g, 5000 - g, repeat('x', 60) from generate_series(1, 1500) g;
insert into child select g, g % 1500 + 1, g, repeat('x', 60) from generate_series(1, 2000) g;
insert into bare select g, repeat('x', 60) from generate_series(1, 500) g;
"""
CHANGES = """
update filtered set n = (n + 1) % 3 where id % 7 = 0;
delete from filtered where id % 50 = 0;
update listed set n = n + 1, secret = 'other' where id % 7 = 0;
insert into generated (n, pad) select g, 'new' from generate_series(1, 100) g;
update generated set n = n + 1 where id % 7 = 0;
update composite set a = a + 1000 where b % 7 = 0;
update leaves set id = id + 3000 where id % 70 = 0;
update leaves set n = n + 1 where id % 7 = 0;
update parent set code = -code where id % 7 = 0;
update parent a set code = 10000 + code where id between 10 and 20;
delete from child where id % 7 = 0;
insert into parent select g, 20000 + g, 'new' from generate_series(2001, 2100) g;
insert into child select g, g, g, 'new' from generate_series(2001, 2100) g;
delete from bare where n % 7 = 0;
update bare set n = -n where n % 7 = 1;
"""
COMPARED = {
    "filtered": "select * from filtered where n <> 1 order by id", "listed": "select id, n, pad from listed order by id",
    "generated": "select * from generated order by id", "composite": "select * from composite order by a, b",
    "leaves_1": "select * from leaves_1 order by id", "leaves_2": "select * from leaves_2 order by id",
    "parent": "select * from parent order by id", "child": "select * from child order by id", "bare": "select * from bare order by n, pad",
}


@pytest.mark.threads
def test_tables_of_every_kind(pipeline):
    """Row filter, column list, generated and identity columns, keys of two columns, partitions by leaf, unique and foreign keys, no key."""
    pipeline.source.execute(KINDS + FILL)
    pipeline.target.execute(TARGET_KINDS)
    pipeline.source.execute(f"create publication {pipeline.name} for table filtered where (n <> 1), listed (id, n, pad), generated, composite,"
                            " leaves, parent, child, bare")
    pipeline.source.execute("alter table filtered replica identity full")
    stop_in_the_middle(pipeline)
    pipeline.source.execute(CHANGES)
    pipeline.start()
    pipeline.source.execute(CHANGES.replace("2001, 2100", "3001, 3100").replace("10000", "40000").replace("20000", "50000"))
    finish(pipeline)
    for table, sql in COMPARED.items():
        assert rows(pipeline.source, sql) == rows(pipeline.target, sql), table


@pytest.mark.threads
def test_two_sinks(simple, shared_clusters):
    """Each has a plan of its own, and only the second one is behind after a kill."""
    second = shared_clusters("target").create_database("second")
    simple.engine.configuration["sinks"].append({"name": "second", "type": "postgres", "dsn": second.dsn()})
    try:
        stop_in_the_middle(simple)
        simple.source.execute("update item set n = 1 where id % 3 = 0; delete from item where id % 10 = 0")
        simple.engine.catch_up()
        for target in (simple.target, second):
            assert target.value("select count(*) from pgcdc.copy") == 0
            assert_equal(simple.source, target, ["public.item"])
    finally:
        second.drop()


def test_stopped_and_started_again(simple):
    stop_in_the_middle(simple)
    for _ in range(3):
        simple.engine.start()
        simple.engine.wait_log("the copy continues")
        simple.engine.stop()
        simple.source.execute("update item set n = n + 1 where id % 3 = 0")
    simple.engine.catch_up()
    simple.assert_equal()


def test_columns_change_while_a_table_is_copied(simple):
    """Chunks of before and of after the change: the stream brings the rest."""
    stop_in_the_middle(simple)
    simple.execute_both("alter table item add extra int default 7")
    simple.source.execute("update item set extra = id where id % 3 = 0")
    simple.start()
    simple.source.execute("insert into item values (5000, 1, 'p', 2)")
    finish(simple)
    assert rows(simple.source, "select * from item order by id") == rows(simple.target, "select * from item order by id")


def test_a_table_is_rewritten_while_it_is_copied(simple):
    stop_in_the_middle(simple)
    simple.source.execute("update item set n = 5 where id % 3 = 0")
    simple.execute_both("alter table item alter n type bigint")
    simple.source.execute("vacuum full item")
    simple.start()
    simple.source.execute("update item set n = n + 10000000000 where id % 5 = 0")
    finish(simple)
    simple.assert_equal()


LOCKED = "table public.item is locked by pid"


def test_a_locked_table_does_not_hold_up_the_stream_at_a_start(simple):
    """The definitions of the tables could not be read, so every start failed, and no table was streamed."""
    simple.source.execute("create table free (id int primary key)")
    stop_in_the_middle(simple)
    simple.source.execute("insert into free values (1)")
    with simple.source.connect(autocommit=False) as holder:
        holder.cursor().execute("lock table item in access exclusive mode")
        simple.engine.start()
        simple.wait_while_running(lambda: simple.target.value("select count(*) from free") == 1, "the stream")
        log = simple.engine.log_text()
        assert "the copy waits, and the stream goes on" in log and LOCKED in log
    finish(simple)
    simple.assert_equal()


def test_a_locked_table_does_not_hold_up_the_copy_of_others(simple):
    """Each copier took a chunk of it, and waited."""
    simple.source.execute("create table first (id int primary key, pad text); insert into first select g, repeat('x', 900) from generate_series(1, 1000) g;"
                          "create table last (id int primary key, pad text); insert into last select g, repeat('x', 100) from generate_series(1, 1000) g; analyze")
    simple.target.execute("create table first (id int primary key, pad text)")
    simple.engine.configuration["copy"] = LIVE
    with simple.target.connect(autocommit=False) as blocker, simple.source.connect(autocommit=False) as holder:
        blocker.cursor().execute("lock table first in share mode")
        simple.start()
        simple.wait_while_running(lambda: simple.target.value("select count(*) from pg_locks where not granted") == 2, "both copiers to wait")
        holder.cursor().execute("lock table item in access exclusive mode")
        blocker.rollback()
        simple.wait_while_running(lambda: simple.target.value("select count(*) from pgcdc.chunk where table_name = 'last' and state <> 'copied'") == 0,
                                  "the other table")
        simple.engine.wait_log("the copy of table public.item waits, and others go on")
        assert LOCKED in simple.engine.log_text()
        assert simple.target.value("select count(*) from item") == 0
    finish(simple)
    simple.assert_equal()


def test_a_table_is_dropped_while_it_is_copied(simple):
    simple.source.execute("create table stays (id int primary key, pad text); insert into stays select g, repeat('y', 50) from generate_series(1, 1000) g")
    stop_in_the_middle(simple)
    simple.source.execute("drop table item")
    simple.start()
    simple.source.execute("insert into stays values (5000, 'z')")
    finish(simple)
    simple.assert_equal("public.stays")


def test_a_table_is_renamed_while_it_is_copied(simple):
    stop_in_the_middle(simple)
    simple.execute_both("alter table item rename to thing")
    simple.start()
    simple.source.execute("update thing set n = 6 where id % 5 = 0")
    finish(simple)
    simple.assert_equal("public.thing")


def test_a_table_is_truncated_while_it_is_copied(simple):
    stop_in_the_middle(simple)
    simple.source.execute("update item set n = 5; truncate item; insert into item select g, 9, 'again' from generate_series(1, 500) g")
    simple.engine.catch_up()
    simple.assert_equal()


@pytest.mark.parametrize("key", ["int", "numeric"])  # the source alone orders the second
def test_rows_of_tables_that_inherit_from_the_targets_stay(simple, key):
    """TRUNCATE and a second copy remove a table's own rows, and those of its partitions."""
    simple.source.execute(f"alter table item alter id type {key}")
    simple.source.execute("create table leafy (id int primary key, n int); insert into leafy select g, 0 from generate_series(1, 3000) g")
    simple.target.execute("create table leafy (id int primary key, n int) partition by range (id); create table leaf partition of leafy default")
    stop_in_the_middle(simple)
    simple.target.execute("create table child () inherits (item); insert into child select g, 1, 'own' from generate_series(1, 3000) g")
    simple.source.execute("truncate item, leafy; insert into item select g, 9, 'again' from generate_series(1, 500) g; insert into leafy values (1, 1), (2, 2)")
    simple.start()
    finish(simple)
    assert simple.target.value("select count(*) from child") == 3000
    simple.target.execute("update only item set n = -1; update leafy set n = -1")
    simple.engine.start()
    for table in ("public.item", "public.leafy"):
        assert simple.engine.command("table copy", table).returncode == 0
    finish(simple)
    assert simple.target.value("select count(*) from child") == 3000
    assert rows(simple.target, "select * from only item order by id") == rows(simple.source, "select * from item order by id")
    simple.assert_equal("public.leafy")


def test_without_options_the_copy_is_live_and_takes_new_tables(simple):
    del simple.engine.configuration["copy"]
    simple.start()
    simple.wait_while_running(lambda: copy_is_finished(simple), "the copy to end")
    simple.source.execute("create table later (id int primary key); insert into later values (1)")
    simple.source.execute("insert into later values (2)")
    simple.wait_while_running(lambda: simple.target.value("select to_regclass('later') is not null") and
                              simple.target.value("select count(*) from later") == 2, "the new table")
    finish(simple)
    assert_equal(simple.source, simple.target, ["public.item", "public.later"])
