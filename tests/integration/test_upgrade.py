# SPDX-License-Identifier: Apache-2.0
"""pg_upgrade of the source and of the target: what the page of upgrades says."""

import subprocess

import pytest

from support.server import as_server_user, free_port

T = "create table t (id int primary key, v text); insert into t select g, 'a' from generate_series(1, 100) g"


def upgrade(cluster):
    """By pg_upgrade into a new cluster. Of the same version: what matters here, another system identifier and later WAL, is the same."""
    cluster.stop()
    old = cluster.folder / f"old{free_port()}"
    cluster.data.rename(old)
    cluster.init()
    program = [cluster.programs / "pg_upgrade", "-b", cluster.programs, "-B", cluster.programs, "-d", old, "-D", cluster.data, "-U", "postgres",
               "-p", str(free_port()), "-P", str(free_port()), "-s", cluster.folder, "--link", "--no-sync"]
    done = subprocess.run(as_server_user(program), capture_output=True, text=True, cwd=cluster.folder, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cluster.start()


def system_of(cluster):
    return cluster.execute("select system_identifier from pg_control_system()")[0][0]


@pytest.fixture
def upgradable(new_pipeline, own_cluster):
    pipeline = new_pipeline(own_cluster("source"), own_cluster("target"))
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    return pipeline


def test_a_source_is_upgraded_in_the_steps_of_the_page(upgradable):
    source = upgradable.source.cluster
    upgradable.source.execute("insert into t values (101, 'before')")
    upgradable.engine.catch_up()
    system, lsn = system_of(source), upgradable.source_lsn()
    assert upgradable.engine.command("drop").returncode == 0
    upgrade(source)
    assert system_of(source) != system
    assert upgradable.source.value("select pg_current_wal_lsn() > %s", (lsn,)), "later records have higher LSNs"
    upgradable.source_configuration["snapshot"] = "never"
    upgradable.start()
    upgradable.source.execute("insert into t values (102, 'after'); update t set v = 'b' where id = 1; delete from t where id = 2")
    upgradable.assert_follows()
    upgradable.engine.stop()
    del upgradable.source_configuration["snapshot"]
    upgradable.start()
    upgradable.source.execute("insert into t values (103, 'later')")
    upgradable.assert_follows()
    verified = upgradable.engine.command("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.long
def test_a_target_is_upgraded_and_a_source_that_was_not_dropped_before_is_refused(upgradable):
    upgrade(upgradable.target.cluster)
    upgradable.source.execute("insert into t values (101, 'after the target')")
    upgradable.engine.catch_up()
    upgradable.assert_equal()
    upgrade(upgradable.source.cluster)
    upgradable.assert_refused("the source is another cluster: system identifier")
    assert upgradable.target.value("select count(*) from t") == 101
    assert upgradable.engine.command("drop").returncode == 0
    upgradable.source_configuration["snapshot"] = "never"
    upgradable.start()
    upgradable.source.execute("insert into t values (102, 'after the source')")
    upgradable.assert_follows()
