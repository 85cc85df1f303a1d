# SPDX-License-Identifier: Apache-2.0
"""`pgcdc drop`: nothing of ours is left, nothing of others is touched, and an interrupted one is finished by the next."""

import signal

import pytest

from support.wait import wait_until

T = "create table t (id int primary key)"


@pytest.fixture
def ran(pipeline):
    """A pipeline that has run and is idle."""
    pipeline.source.execute(T + "; insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.wait_slot_free()
    return pipeline


def drop(pipeline, code=0):
    result = pipeline.engine.command("drop")
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def assert_nothing_left(pipeline):
    assert pipeline.slot() is None
    assert pipeline.source.execute("select pubname from pg_publication") == []
    assert pipeline.target.execute("select nspname from pg_namespace where nspname = 'pgcdc'") == []
    assert list(pipeline.state.iterdir()) == []


def test_everything_goes_and_the_data_stays(ran):
    said = drop(ran)
    assert said.splitlines() == ["slot shop: dropped", "publication shop: dropped",
                                 "sink warehouse: its position is dropped, its data stays",
                                 f"state {ran.state}: the files of shop are removed"]
    assert_nothing_left(ran)
    assert ran.target.execute("select id from t") == [(1,)]


def test_a_second_drop_finds_nothing_to_do(ran):
    drop(ran)
    said = drop(ran)
    assert "slot shop: does not exist" in said
    assert "publication shop: does not exist" in said
    assert "sink warehouse: it had no position" in said
    assert_nothing_left(ran)


@pytest.mark.parametrize("gone", ["slot", "publication", "position", "state"])
def test_what_is_gone_already_does_not_matter(ran, gone):
    if gone == "slot":
        ran.source.execute("select pg_drop_replication_slot('shop')")
    elif gone == "publication":
        ran.source.execute("drop publication shop")
    elif gone == "position":
        ran.target.execute("drop schema pgcdc cascade")
    else:
        for path in ran.state.iterdir():
            path.unlink()
        ran.state.rmdir()
    drop(ran)
    ran.state.mkdir(exist_ok=True)
    assert_nothing_left(ran)


def test_a_new_pipeline_can_begin_afterwards(ran):
    drop(ran)
    ran.target.execute("truncate t")
    ran.source.execute("insert into t values (2)")
    ran.engine.catch_up()
    ran.assert_equal()


def start_migration(ran):
    """The table of the steps as an administrator would make it, with a step of this pipeline and one of another."""
    ran.target.execute("create table pgcdc.migration (pipeline text, step text, object text, state text not null, detail text,"
                       " started_at timestamptz not null, ended_at timestamptz, primary key (pipeline, step, object));"
                       " insert into pgcdc.migration select p, 'copy', '', 'done', null, now(), now() from (values ('shop'), ('other')) v (p)")


def test_the_steps_of_a_migration_go_and_those_of_another_stay(ran):
    start_migration(ran)
    drop(ran)
    assert ran.target.execute("select pipeline from pgcdc.migration") == [("other",)]


def test_a_migration_that_a_process_works_on_stays_whole(ran):
    start_migration(ran)
    with ran.target.connect() as conn:
        conn.cursor().execute("select pg_advisory_lock(hashtextextended('pgcdc.migration shop', 0))")
        assert "another process works on the migration of pipeline shop" in drop(ran, 6)
    assert ran.slot() is not None and len(ran.target.execute("select 1 from pgcdc.migration")) == 2


def test_a_running_engine_is_not_pulled_from_under(ran):
    ran.start()
    said = drop(ran, 3)
    assert f"already run by pid {ran.engine.process.pid}" in said
    assert ran.slot_is_active()
    ran.engine.stop()


def test_an_engine_elsewhere_keeps_the_slot(ran):
    ran.start()
    ran.engine.configuration["state"] = str(ran.state) + "2"
    pid = ran.slot()["active_pid"]
    said = drop(ran, 3)
    assert said.startswith(f"pgcdc drop: slot shop is in use by the server's pid {pid}; waiting up to 5 s for it\n")
    assert f"pid {pid}" in said.splitlines()[-1]
    assert ran.slot_is_active()
    process = ran.engine.spawn("drop")
    wait_until(lambda: ran.source.execute("select 1 from pg_stat_activity where pid <> pg_backend_pid() and query like '%from pg_catalog.pg_replication_slots%'"
                                          " and application_name = 'pgcdc:shop'"), "drop to look at the slot")
    process.send_signal(signal.SIGINT)
    assert process.wait(2) == 1
    ran.engine.configuration["state"] = str(ran.state)
    ran.engine.stop()


def test_a_publication_of_the_users_own_is_left(pipeline):
    pipeline.source.execute(T + "; create publication shop for table t")
    pipeline.engine.catch_up()
    pipeline.wait_slot_free()
    assert "publication shop: kept, because pgcdc did not create it" in drop(pipeline)
    assert pipeline.source.execute("select pubname from pg_publication") == [("shop",)]
    assert pipeline.slot() is None


@pytest.mark.parametrize("create,text", [
    ("select pg_create_physical_replication_slot('shop')", "not a logical slot"),
    ("select pg_create_logical_replication_slot('shop', 'test_decoding')", "not a logical slot with plugin pgoutput"),
])
def test_a_slot_that_cannot_be_ours_is_left(pipeline, create, text):
    pipeline.source.execute(create)
    assert text in drop(pipeline, 3)
    assert pipeline.slot() is not None
    pipeline.source.execute("select pg_drop_replication_slot('shop')")


def test_a_slot_of_another_database_is_left(ran, shared_clusters):
    other = ran.source.cluster.create_database("other")
    ran.source_configuration["dsn"] = other.dsn()
    said = drop(ran, 3)
    assert ran.source.name in said and other.name in said
    assert ran.slot() is not None
    other.drop()


def test_a_target_that_is_away_is_left_for_the_next_time(ran):
    dsn = ran.sink_configuration["dsn"]
    ran.sink_configuration["dsn"] = "host=127.0.0.1 port=1 user=u dbname=d"
    said = drop(ran, 1)
    assert "sink warehouse" in said and "run it again" in said
    assert ran.slot() is None, "what holds WAL back goes first"
    ran.sink_configuration["dsn"] = dsn
    ran.assert_refused("slot shop is missing")
    drop(ran)
    assert_nothing_left(ran)


def test_a_source_that_is_away_keeps_everything(ran):
    dsn = ran.source_configuration["dsn"]
    ran.source_configuration["dsn"] = "host=127.0.0.1 port=1 user=u dbname=d"
    drop(ran, 1)
    ran.source_configuration["dsn"] = dsn
    ran.engine.catch_up()
    ran.assert_equal()
