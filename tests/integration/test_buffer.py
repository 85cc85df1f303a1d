# SPDX-License-Identifier: Apache-2.0
"""A buffer between the slot and the sinks: a slow or stopped sink holds up neither the slot nor the others."""

import itertools
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import oracle
from support.server import free_port
from support.wait import wait_until

SCHEMA = "create table item (id int primary key, v text); create table log (at timestamptz default now(), what text);"
ROWS = """
    insert into item select i, 'v' || i from generate_series(1, 3000) i;
    insert into log (what) select 'before ' || i from generate_series(1, 20) i;
    alter table log replica identity full;
"""
LOAD = """
    insert into item select i, 'new' || i from generate_series(10000, 10400) i;
    update item set v = v || '!' where id % 3 = 0;
    update item set id = id + 100000 where id % 50 = 0;
    delete from item where id % 7 = 0;
    insert into log (what) select 'entry ' || i from generate_series(1, 50) i;
    update log set what = null where what like '%%7';
"""


@pytest.fixture
def buffered(pipeline, tmp_path):
    pipeline.source.execute(SCHEMA + ROWS)
    pipeline.target.execute(SCHEMA)
    pipeline.publish()
    use_buffer(pipeline, tmp_path / "buffer")
    return pipeline


def use_buffer(pipeline, path, **more):
    pipeline.engine.configuration["buffer"] = {"path": str(path), **more}
    return pipeline


MARKS = itertools.count(1)


def follow(buffered, target=None):
    """Everything that is committed now is in the target. An idle source names the end of its WAL only now and then, so a row is the mark."""
    mark = -next(MARKS)
    buffered.source.execute("insert into item values (%s, 'mark')", (mark,))
    buffered.wait_while_running(lambda: (target or buffered.target).value("select count(*) from item where id = %s", (mark,)), f"row {mark} in the target")


def assert_follows(buffered):
    follow(buffered)
    buffered.assert_equal()


def confirmed(pipeline, lsn):
    return pipeline.source.value("select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s", (lsn, pipeline.slot_name()))


@contextmanager
def changes_in_the_buffer(buffered):
    """The slot is past them, and the sink waits for a lock. The LSN of their end."""
    buffered.start()
    follow(buffered)
    with locked(buffered.target, "item"):
        buffered.source.execute(LOAD)
        lsn = buffered.source_lsn()
        buffered.wait_while_running(lambda: confirmed(buffered, lsn), "the slot to be confirmed")
        yield lsn


def die_with_changes_in_the_buffer(buffered):
    """The LSN of their end."""
    with changes_in_the_buffer(buffered) as lsn:
        buffered.engine.kill()
    return lsn


def move_source_away(buffered):
    """Nothing listens there. The dsn that it had."""
    dsn = buffered.source_configuration["dsn"]
    buffered.source_configuration["dsn"] = f"host=127.0.0.1 port={free_port()} dbname=shop user=nobody connect_timeout=2"
    return dsn


@contextmanager
def locked(database, table):
    """No sink can write to it."""
    connection = database.connect()
    try:
        connection.autocommit = False
        connection.cursor().execute(f"lock table {table} in access exclusive mode")
        yield
    finally:
        connection.close()


@pytest.mark.threads
@pytest.mark.parametrize("mode", ["live", "simple"])
def test_rows_and_changes_arrive_through_a_buffer(buffered, mode):
    """The first start copies; a restart goes on; the buffer keeps nothing but its last file."""
    buffered.engine.configuration["copy"]["mode"] = mode
    buffered.start()
    buffered.source.execute(LOAD)
    buffered.engine.wait_log("the copy is complete" if mode == "live" else "the initial copy is complete")
    assert_follows(buffered)
    buffered.engine.stop()
    buffered.source.execute("insert into item values (7, 'later')")
    buffered.engine.catch_up()
    buffered.assert_equal()


def test_only_the_user_may_ask_each_part(buffered):
    """Two sockets are opened at the same time; neither changes what the other files of the process are allowed."""
    buffered.start()
    follow(buffered)
    modes = {str(path.relative_to(buffered.state)): stat.S_IMODE(path.stat().st_mode) for path in buffered.state.rglob("*.control")}
    assert modes == {"shop.control": 0o600, "shop.warehouse/shop.control": 0o600}
    assert stat.S_IMODE((buffered.state / "shop.warehouse").stat().st_mode) & 0o700 == 0o700


def test_a_sink_that_waits_holds_no_wal(buffered):
    """The slot goes on while the target's table is locked; everything arrives afterwards."""
    with changes_in_the_buffer(buffered) as lsn:
        assert not buffered.position_reached(lsn)
    assert_follows(buffered)


def test_a_pipeline_gets_a_buffer_and_loses_it(buffered):
    """Positions stay: the buffer begins where the slot is, and is left once the sinks have what is in it."""
    buffer = buffered.engine.configuration.pop("buffer")
    buffered.start()
    follow(buffered)
    buffered.engine.stop()
    buffered.source.execute(LOAD)
    buffered.engine.configuration["buffer"] = buffer
    buffered.engine.catch_up()
    buffered.assert_equal()
    buffered.source.execute("delete from item where id % 5 = 0")
    del buffered.engine.configuration["buffer"]
    buffered.engine.catch_up()
    buffered.assert_equal()


def test_a_buffer_that_is_left_with_changes_in_it_is_refused(buffered):
    """The slot is ahead of the sink, and the remedy is to take the buffer back."""
    die_with_changes_in_the_buffer(buffered)
    buffer = buffered.engine.configuration.pop("buffer")
    buffered.assert_refused("ahead of sink warehouse")
    buffered.engine.configuration["buffer"] = buffer
    buffered.engine.catch_up()
    buffered.assert_equal()


def test_a_full_buffer_stops_reading_and_goes_on(buffered):
    """max_bytes is reached while the target is locked: the slot keeps the rest, and nothing is lost."""
    path = Path(buffered.engine.configuration["buffer"]["path"])
    use_buffer(buffered, path, max_bytes="256kB", segment_bytes="64kB")
    buffered.start(environment={"PGCDC_INTERVAL_MS": "300"})
    follow(buffered)
    with locked(buffered.target, "item"):
        for part in range(20):
            buffered.source.execute("insert into item select i, md5(i::text) || md5((i + 1)::text) from generate_series(%s, %s) i",
                                    (200000 + part * 1000, 200999 + part * 1000))
        buffered.engine.wait_log("nothing is read until shop.warehouse has read more of it")
        lsn = buffered.source_lsn()
        assert not confirmed(buffered, lsn)
    assert_follows(buffered)
    buffered.wait_while_running(lambda: confirmed(buffered, lsn), "the slot to be confirmed")
    wait_until(lambda: follow(buffered) or len(list(path.glob("*.segment"))) <= 2, lambda: f"the read files to go: {sorted(path.iterdir())}")


def test_a_new_table_is_copied_behind_a_buffer(buffered):
    """The part of the sink has the source at hand."""
    buffered.engine.configuration["copy"] = {"mode": "live"}
    buffered.start()
    buffered.engine.wait_log("the copy is complete")
    buffered.source.execute("create table fresh (id int primary key, v text); insert into fresh select i, 'f' || i from generate_series(1, 500) i")
    buffered.source.execute("update fresh set v = 'changed' where id % 10 = 0")
    buffered.wait_while_running(lambda: buffered.target.value("select to_regclass('fresh')") is not None
                                and buffered.target.value("select count(*) from fresh") == 500, "the new table's rows")
    assert_follows(buffered)


@pytest.mark.threads
def test_a_sink_that_fails_leaves_the_others_alone(buffered, shared_clusters):
    """A row that cannot be applied stops its own sink only; it goes on once the cause is gone."""
    second = shared_clusters("target").create_database("second")
    try:
        second.execute(SCHEMA)
        buffered.engine.configuration["sinks"].append({"name": "second", "type": "postgres", "dsn": second.dsn()})
        buffered.start(environment={"PGCDC_INTERVAL_MS": "500"})
        follow(buffered)
        buffered.target.execute("alter table item add constraint short check (length(v) < 30)")
        buffered.source.execute("insert into item values (777777, repeat('x', 40))")
        buffered.engine.wait_log("sink warehouse: ")
        buffered.source.execute(LOAD)
        lsn = buffered.source_lsn()
        follow(buffered, second)
        buffered.wait_while_running(lambda: confirmed(buffered, lsn), "the slot to be confirmed")
        assert not buffered.position_reached(lsn)
        assert "(id)=(777777)" in wait_until(lambda: between_tries(buffered, "why"), "an answer of `why`")
        status = buffered.engine.command("status")
        assert status.returncode == 1 and "violates check constraint" in status.stdout, status.stdout
        buffered.target.execute("alter table item drop constraint short")
        assert_follows(buffered)
        oracle.assert_equal(buffered.source, second, ["public.item", "public.log"])
    finally:
        buffered.engine.close()
        second.drop()


def test_verify_compares_behind_a_buffer(buffered):
    """The barrier is held in the part of the sink, and the slot's part hands on positions for it."""
    buffered.start()
    follow(buffered)
    result = buffered.engine.command("verify")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_transaction_is_skipped_behind_a_buffer(buffered):
    """The other part of the pipeline runs on meanwhile; the next try of the sink leaves the transaction out."""
    buffered.start(environment={"PGCDC_INTERVAL_MS": "500"})
    follow(buffered)
    buffered.target.execute("alter table item add constraint short check (length(v) < 30)")
    buffered.source.execute("insert into item values (777777, repeat('x', 40))")
    text = wait_until(lambda: next((line for line in buffered.engine.log_text().splitlines() if "error shop: sink warehouse: " in line), None), "the stop")
    lsn = text.split("transaction that commits at ")[1].split(":")[0]
    skipped = wait_until(lambda: between_tries(buffered, "skip", lsn), "the skip to be taken")
    assert "will be left out" in skipped
    follow(buffered)
    buffered.target.execute("alter table item drop constraint short; insert into item values (777777, repeat('x', 40))")
    assert_follows(buffered)


def between_tries(buffered, *arguments):
    """What a command prints that needs the part of the sink to be stopped, or None: it may be trying again just now."""
    result = buffered.engine.command(*arguments)
    assert result.returncode in (0, 3), result.stdout + result.stderr
    return result.stdout if result.returncode == 0 else None


def test_a_table_is_copied_again_behind_a_buffer(buffered):
    """`table copy` finds the part of the sink; `drop` leaves nothing."""
    buffered.start()
    follow(buffered)
    buffered.target.execute("delete from item where id < 1000")
    result = buffered.engine.command("table copy", "public.item")
    assert result.returncode == 0 and "the running engine copies them now" in result.stdout, result.stdout + result.stderr
    wait_until(lambda: buffered.target.value("select count(*) from item") == buffered.source.value("select count(*) from item"), "the rows to be there again")
    assert_follows(buffered)
    buffered.engine.stop()
    buffer = Path(buffered.engine.configuration["buffer"]["path"])
    assert buffered.engine.command("drop").returncode == 0
    assert buffered.slot() is None and list(buffered.state.iterdir()) == []
    assert not list(buffer.glob("*.segment")) and not list(buffer.glob("*.follower"))


def test_caught_up_is_not_claimed_while_the_source_is_away(buffered):
    """The sink drains the buffer meanwhile, but whether that is all nobody knows."""
    buffered.engine.catch_up()
    dsn = move_source_away(buffered)
    result = buffered.engine.command("run", "--until", "caught-up", "--retry-for", "3s")
    assert result.returncode == 1, result.stderr
    buffered.source_configuration["dsn"] = dsn
    buffered.engine.catch_up()
    buffered.assert_equal()


def test_a_sink_drains_the_buffer_while_the_source_is_away(buffered):
    """Without an end the buffer is read without the source."""
    lsn = die_with_changes_in_the_buffer(buffered)
    dsn = move_source_away(buffered)
    buffered.engine.start()
    buffered.wait_while_running(lambda: buffered.position_reached(lsn), f"the target to reach {lsn}")
    buffered.engine.stop()
    buffered.source_configuration["dsn"] = dsn
    buffered.assert_equal()


def test_a_sink_from_before_the_buffer_is_refused(buffered):
    """Its target was restored, and the state that would know it is gone: the changes before the buffer are gone, too."""
    buffer = buffered.engine.configuration.pop("buffer")
    buffered.engine.catch_up()
    before = buffered.position()
    buffered.source.execute(LOAD)
    buffered.engine.catch_up()
    buffered.engine.configuration["buffer"] = buffer
    buffered.engine.catch_up()
    buffered.target.execute("update pgcdc.position set end_lsn = %s::pg_lsn", (before,))
    shutil.rmtree(buffered.state)
    result = buffered.engine.command("run", "--until", "caught-up", "--retry-for", "3s")
    assert result.returncode == 3 and "those in between are gone" in result.stderr, result.stderr
