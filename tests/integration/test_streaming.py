# SPDX-License-Identifier: Apache-2.0
"""Transactions that are streamed while they are open: they arrive whole, in commit order, without what was rolled back."""

import shutil
import subprocess

import pytest

from support.server import VERSIONS

SCHEMA = """
    create table item (id int primary key, v text, doc text);
    alter table item alter column doc set storage external;
    create table log (what text, n int);
    alter table log replica identity full;
"""
MANY = "select g, md5(g::text), repeat(md5(g::text), 80) from generate_series({0}, {0} + 1999) g"


@pytest.fixture
def streaming(request, new_pipeline, shared_clusters):
    pipeline = new_pipeline(shared_clusters("source", getattr(request, "param", 15)), shared_clusters("target"))
    pipeline.execute_both(SCHEMA)
    pipeline.publish()
    pipeline.source_configuration.update({"streaming": "on", "decoding_work_mem": "64kB"})
    pipeline.engine.catch_up()
    return pipeline


def streamed(pipeline):
    """How many transactions the server has streamed from the slot."""
    return pipeline.source.value("select coalesce(max(stream_txns), 0) from pg_stat_replication_slots where slot_name = 'shop'")


def equal(pipeline, *tables):
    for table in tables or ("item", "log"):
        sql = f"select to_jsonb(t) from {table} t order by 1"
        assert pipeline.source.execute(sql) == pipeline.target.execute(sql), table


@pytest.mark.parametrize("streaming", VERSIONS, indirect=True)
def test_large_transactions_of_every_version(streaming):
    """With subtransactions that roll back, nested ones too, and unsent large values."""
    source = streaming.source
    source.execute(f"insert into item {MANY.format(0)}")
    source.execute(f"""begin; insert into item {MANY.format(10000)};
        savepoint a; insert into item {MANY.format(20000)}; update item set v = 'never' where id < 100; rollback to a;
        savepoint b; insert into log select 'kept', g from generate_series(1, 3000) g;
        savepoint c; delete from item where id < 50; rollback to c;
        savepoint d; update item set v = v || '!' where id < 1000; release d; release b;
        update item set id = id + 100000 where id between 500 and 600; commit""")
    source.execute(f"begin; insert into item {MANY.format(30000)}; insert into log values ('of one that rolls back', 1); rollback")
    source.execute("update log set n = -n; delete from log where n % 10 = 0; truncate log; insert into log values ('after', 1)")
    streaming.engine.catch_up()
    equal(streaming)
    assert streamed(streaming) > 1, "nothing was streamed, so nothing was tested"


TRUNCATED_TWICE = f"""
    begin; savepoint a; truncate log; insert into log select 'never', g from generate_series(1, 3000) g; rollback to a;
    insert into log select 'first', g from generate_series(1, 3000) g; truncate log; insert into log values ('kept', 1); commit
"""


@pytest.mark.parametrize("streaming", VERSIONS, indirect=True)
@pytest.mark.parametrize("runs", ["at work", "at a start"])
def test_what_the_server_cannot_decode_before_its_commit_is_read_after_it(streaming, runs):
    """A TRUNCATE in a savepoint that is rolled back, and another one: the server loses the table's file."""
    if runs == "at work":
        streaming.start()
    streaming.source.execute("insert into log select 'before', g from generate_series(1, 5) g")
    streaming.source.execute(TRUNCATED_TWICE)
    streaming.source.execute(f"insert into item {MANY.format(0)}")
    if runs == "at work":
        streaming.assert_follows()
        streaming.engine.stop()
    else:
        streaming.engine.catch_up()
    equal(streaming)
    assert "read as with source.streaming: off, until the next start" in streaming.engine.log_text()


def test_they_interleave_with_small_ones(streaming):
    """Two large ones are open at the same time, small ones commit in between; each is whole when it is visible."""
    source = streaming.source
    first, second = source.connect(autocommit=False), source.connect(autocommit=False)
    streaming.start()
    for step in range(4):
        first.cursor().execute(f"insert into item {MANY.format(step * 2000)}")
        second.cursor().execute(f"insert into log select 'second', g from generate_series(1, 2000) g; insert into item {MANY.format(100000 + step * 2000)}")
        source.execute(f"insert into log values ('small', {step})")
        streaming.wait_applied()
        assert streaming.target.execute("select what, count(*) from log group by 1") == [("small", step + 1)]
        assert streaming.target.value("select count(*) from item") == 0
    second.commit()
    streaming.wait_applied()
    assert streaming.target.value("select count(*) from item") == 8000
    first.rollback()
    streaming.wait_applied()
    equal(streaming)
    first.close()
    second.close()
    assert streamed(streaming) >= 2
    streaming.engine.stop()


def test_a_table_that_the_transaction_alters(streaming):
    """The definitions are those of the transaction, and of what follows it."""
    source = streaming.source
    streaming.target.execute("alter table item add column later int; create table fresh (id int primary key, v text)")
    source.execute(f"""begin; insert into item {MANY.format(0)}; alter table item add column later int;
        insert into item select g, 'v', 'd', g from generate_series(50000, 51999) g;
        savepoint a; alter table log add column gone int; insert into log select 'x', g, g from generate_series(1, 2000) g; rollback to a;
        create table fresh (id int primary key, v text); insert into fresh select g, 'v' from generate_series(1, 2000) g;
        insert into log select 'y', g from generate_series(1, 2000) g; commit""")
    source.execute("insert into item values (-1, 'after', null, 7); insert into log values ('after', 0)")
    streaming.engine.catch_up()
    equal(streaming, "item", "log", "fresh")
    assert streamed(streaming) >= 1


def test_the_end_is_exact(streaming):
    """--until in the middle of what was streamed."""
    source = streaming.source
    source.execute(f"insert into item {MANY.format(0)}")
    lsn = streaming.source_lsn()
    source.execute(f"insert into item {MANY.format(10000)}")
    result = streaming.engine.command("run", "--until", lsn)
    assert result.returncode == 0, result.stderr
    assert streaming.target.value("select count(*) from item") == 2000
    streaming.engine.catch_up()
    equal(streaming)


def test_nothing_stays_in_the_state_directory(streaming):
    source = streaming.source
    connection = source.connect(autocommit=False)
    streaming.start()
    connection.cursor().execute(f"insert into item {MANY.format(0)}")
    source.execute("insert into log values ('small', 1)")
    streaming.wait_applied()
    before = sorted(path.name for path in streaming.state.iterdir())
    streaming.engine.kill()
    assert [name for name in before if "spool" in name] == []
    connection.commit()
    connection.close()
    streaming.start()
    streaming.wait_applied()
    equal(streaming)
    streaming.engine.stop()


def test_prepared_transactions_arrive_when_they_commit(streaming):
    source = streaming.source
    source.execute(f"begin; insert into item {MANY.format(0)}; prepare transaction 'one'")
    source.execute(f"begin; insert into item {MANY.format(10000)}; prepare transaction 'two'")
    source.execute("insert into log values ('small', 1)")
    streaming.engine.catch_up()
    assert streaming.target.value("select count(*) from item") == 0
    source.execute("rollback prepared 'two'")
    source.execute("commit prepared 'one'")
    streaming.engine.catch_up()
    assert streaming.target.value("select count(*) from item") == 2000
    equal(streaming)
    assert streamed(streaming) >= 1


def test_a_spool_whose_disk_is_full_is_waited_for(streaming, tmp_path):
    """It says so, loses nothing, and goes on by itself."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "pgcdc-test", disk], capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(streaming.state, disk / "state")
        streaming.engine.configuration["state"] = str(disk / "state")
        streaming.source.execute("insert into item select g, md5(random()::text), (select string_agg(md5(random()::text), '') from generate_series(1, 60) where g > 0)"
                                 " from generate_series(1, 3000) g")
        streaming.engine.start()
        streaming.engine.wait_log("no space left on the disk; nothing is read until there is room")
        assert streaming.target.value("select count(*) from item") == 0
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True, capture_output=True)
        streaming.wait_applied()
        equal(streaming)
        assert "has room again" in streaming.engine.log_text() and "retrying" not in streaming.engine.log_text()
        streaming.engine.stop()
    finally:
        streaming.engine.close()
        subprocess.run(["umount", "-l", disk], check=False, capture_output=True)
