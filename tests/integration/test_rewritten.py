# SPDX-License-Identifier: Apache-2.0
"""A table that the source has written anew: no change carries the values of its rows, so it is copied again."""

import signal

import pytest

from support.server import VERSIONS
from support.wait import wait_until

RANDOM = "alter table t add column r double precision default random()"
REWRITES = {
    "a default that is no constant": RANDOM,
    "an expression": "alter table t alter column n type int using n * 10",
    "an expression and a wider type": "alter table t alter column n type bigint using n * 10",
}
KEEPING = {
    "vacuum full": "vacuum full t",
    "cluster": "cluster t using t_pkey",
    "a constant default": "alter table t add column c int default 7",
    "statistics": "alter table t alter column n set statistics 10",
    "truncate": "truncate t; insert into t select g, g from generate_series(1, 100) g",
}


def prepare(pipeline):
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB"}
    pipeline.source.execute("create table t (id int primary key, n int); insert into t select g, g from generate_series(1, 3000) g;"
                            "create table mark (id serial primary key)")


@pytest.fixture
def live(pipeline):
    prepare(pipeline)
    return pipeline


def is_copied(pipeline):
    return pipeline.target.value("select to_regclass('pgcdc.copy') is not null and not exists (select from pgcdc.copy)")


def start(pipeline, **arguments):
    pipeline.start(**arguments)
    pipeline.wait_while_running(lambda: is_copied(pipeline), "the first copy")


def copies(pipeline):
    return pipeline.engine.log_text().count("whose older rows no change carries (copy.new_tables): public.t")


def is_equal(pipeline):
    columns = pipeline.source.value("select string_agg(attname, ', ' order by attname) from pg_attribute where attrelid = 't'::regclass"
                                    " and attnum > 0 and not attisdropped")
    query = f"select {columns} from t order by id"
    try:
        return pipeline.source.execute(query) == pipeline.target.execute(query)
    except Exception:  # the column is not there yet
        return False


def finish(pipeline):
    """Another change follows, so that the end of the WAL is named soon."""
    pipeline.source.execute("insert into mark default values")
    pipeline.wait_applied()
    wait_until(lambda: is_copied(pipeline), "the copy to end")
    pipeline.source.execute("insert into mark default values")
    pipeline.wait_applied()
    assert is_equal(pipeline)


@pytest.mark.parametrize("sql", REWRITES.values(), ids=REWRITES.keys())
def test_while_the_pipeline_runs(live, sql):
    """The next change of the table shows it."""
    start(live)
    live.source.execute(sql)
    live.source.execute("update t set n = n + 1 where id % 10 = 0; delete from t where id % 100 = 1; insert into t (id, n) values (9999, 1)")
    live.wait_while_running(lambda: copies(live) == 1, "the copy")
    finish(live)
    assert "because the source has written them anew" in live.engine.log_text()


@pytest.mark.parametrize("sql", REWRITES.values(), ids=REWRITES.keys())
def test_while_it_does_not(live, sql):
    live.engine.catch_up()
    live.source.execute("update t set n = n + 1 where id % 7 = 0")
    live.source.execute(sql)
    live.source.execute("update t set n = n + 1 where id % 10 = 0; delete from t where id % 100 = 1")
    live.start()
    live.wait_while_running(lambda: copies(live) == 1, "the copy")
    finish(live)


def test_a_table_without_a_change_since_is_copied_at_the_next_start(live):
    live.engine.catch_up()
    live.source.execute(REWRITES["an expression"])
    live.start()
    live.wait_while_running(lambda: copies(live) == 1, "the copy")
    finish(live)


@pytest.mark.parametrize("sql", KEEPING.values(), ids=KEEPING.keys())
def test_what_leaves_the_values_copies_nothing(live, sql):
    start(live)
    live.source.execute(sql)
    live.source.execute("update t set n = n + 1 where id % 10 = 0")
    finish(live)
    live.engine.stop()
    live.start()
    live.source.execute("update t set n = n + 1 where id % 10 = 0")
    finish(live)
    assert copies(live) == 0


@pytest.mark.parametrize("point", ["columns-altered", "runner-after-commit", "tables-before-add", "tables-added", "chunk-committed"])
def test_a_kill_loses_no_copy(live, point):
    start(live)
    live.engine.stop()
    live.source.execute(RANDOM + "; update t set n = n + 1 where id % 10 = 0")
    live.engine.start(environment={"PGCDC_FAULT": point})
    assert live.engine.wait_exit() == -signal.SIGKILL, live.engine.log_tail()
    live.start()
    wait_until(lambda: is_equal(live), lambda: f"equal tables\n{live.engine.log_tail()}")
    finish(live)


def test_a_table_of_an_earlier_version_gets_what_it_lacks(live):
    """pgcdc.columns had no column for it: the next start adds it, and goes on."""
    live.engine.catch_up()
    live.target.execute("alter table pgcdc.columns drop column wants_rows")
    live.source.execute(RANDOM + "; update t set n = n + 1 where id % 10 = 0")
    live.engine.catch_up()
    live.engine.catch_up()
    assert is_equal(live), live.engine.log_tail()


def test_each_of_two_sinks_gets_each_table_once(live, shared_clusters):
    """Both name the tables; a table is planned once in each."""
    second = shared_clusters("target").create_database("second")
    live.engine.configuration["sinks"].append({"name": "second", "type": "postgres", "dsn": second.dsn()})
    live.source.execute("create table u (id int primary key, n int); insert into u select g, g from generate_series(1, 300) g;"
                        "create table v (id int primary key, n int); insert into v select g, g from generate_series(1, 300) g")
    try:
        live.engine.catch_up()
        for table in "tuv":
            live.source.execute(f"alter table {table} alter column n type int using n * 10")
        log = live.engine.catch_up().stderr
        assert "copying 3 tables whose older rows no change carries (copy.new_tables): public.t, public.u, public.v" in log, log
        for table in "tuv":
            query = f"select * from {table} order by id"
            assert live.source.execute(query) == live.target.execute(query) == second.execute(query)
    finally:
        live.engine.close()
        second.drop()


def test_a_table_of_another_mode_is_left_as_it_is(live):
    """Its rows are what was, so a copy does not replace them; the others of the sink are copied."""
    live.engine.configuration["mapping"] = [{"match": "public.kept", "to": "public.kept_history", "mode": "history"}]
    live.source.execute("create table kept (id int primary key, n int); insert into kept select g, g from generate_series(1, 10) g")
    start(live)
    live.source.execute("alter table kept alter column n type int using n * 10; update kept set n = n + 1 where id = 5;" + REWRITES["an expression"])
    live.source.execute("update t set n = n + 1 where id % 10 = 0")
    live.wait_while_running(lambda: copies(live) == 1, "the copy")
    finish(live)
    assert live.target.value("select count(*) from kept_history") == 11


def test_without_copies_by_itself_it_is_told(live):
    """The values of an expression; a new column without a constant stops the pipeline, as test_columns.py has it."""
    live.engine.configuration["copy"]["new_tables"] = "stop"
    start(live)
    live.source.execute(REWRITES["an expression"])
    live.source.execute("update t set n = n + 1 where id = 5")
    live.engine.wait_log("table public.t: the source has written its rows anew; if values have changed, `pgcdc table copy` copies them")
    result = live.engine.command("table copy", "public.t")
    assert result.returncode == 0, result.stderr
    wait_until(lambda: is_equal(live), "equal tables")
    finish(live)


@pytest.mark.parametrize("version", [version if version in (14, 18) else pytest.param(version, marks=pytest.mark.long) for version in VERSIONS])
def test_sources_of_other_versions(new_pipeline, shared_clusters, version):
    live = new_pipeline(shared_clusters("source", version), shared_clusters("target", 15))
    prepare(live)
    start(live)
    live.source.execute(RANDOM)
    live.source.execute("update t set n = n + 1 where id % 10 = 0")
    live.wait_while_running(lambda: copies(live) == 1, "the copy")
    finish(live)
    live.engine.stop()
    live.source.execute(REWRITES["an expression"] + "; update t set n = -n where id % 5 = 0")
    live.engine.catch_up()
    start(live)
    finish(live)
    live.source.execute(KEEPING["vacuum full"])
    live.source.execute("update t set n = 0 where id = 3")
    before = copies(live)
    finish(live)
    assert copies(live) == before
