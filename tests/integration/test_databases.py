# SPDX-License-Identifier: Apache-2.0
"""Several databases of one server move with one file, each as a pipeline of its own."""

import json
import signal

import pytest

from support.cluster import Cluster
from support.databases import NAMES, PIPELINES, TABLE, Move, Named
from support.server import newest_pg_dump, server_programs
from support.wait import wait_until


@pytest.fixture(name="clusters", scope="module")
def clusters_fixture():
    if newest_pg_dump() is None or server_programs(18) is None:
        pytest.skip("PostgreSQL 18 is not here (tests/support/install servers)")
    with Cluster("many15", 15) as source, Cluster("many18", 18) as target:
        yield source, target


@pytest.fixture(name="move")
def move_fixture(clusters, program, tmp_path):
    move = Move(program, tmp_path / "move", *clusters)
    for name in NAMES:
        for cluster in clusters:
            Named(cluster, name).make()
        move.at_source(name).execute(TABLE)
    yield move
    move.engine.close()
    move.drop_all()


def test_each_database_moves_and_is_named(move):
    said = move.command("migrate", "--until", "verified")
    for number, (name, pipeline) in enumerate(zip(NAMES, PIPELINES), 1):
        assert f"migrate: database {number} of 3, {name}, as pipeline {pipeline}" in said
    assert move.counts() == [300, 300, 300]
    slots = {row[0]: row[1] for row in move.source.execute("select slot_name, database from pg_replication_slots")}
    assert slots == dict(zip(PIPELINES, NAMES))
    plan = json.loads(move.engine.command("plan", "--json").stdout)
    assert [one["database"] for one in plan["databases"]] == NAMES and plan["pipeline"] == "move"
    assert [one["result"]["pipeline"] for one in plan["databases"]] == PIPELINES
    status = move.command("status")
    assert all(f"database {name}, pipeline {pipeline}\n" in status for name, pipeline in zip(NAMES, PIPELINES))
    assert move.command("schema compare").count("database ") >= 3
    assert sorted(path.name for path in (move.engine.folder / "state").iterdir()) == sorted(PIPELINES)


def test_the_first_that_cannot_go_on_ends_it_and_all_states_are_said(move):
    move.at_source(NAMES[1]).execute("create table u (id int)")
    said = move.command("migrate", "--until", "caught-up", code=2)
    assert "migrate: database Shop: done" in said and "database crm data: cannot go on" in said
    assert "database o\"brien's: not begun" in said
    assert move.at_target(NAMES[2]).execute("select 1 from pg_class where relname = 't'") == []
    move.at_source(NAMES[1]).execute("drop table u")
    said = move.command("migrate", "--until", "caught-up")
    assert "move_shop: migrate: copy was done before" in said and move.counts() == [300, 300, 300]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_all_are_followed_and_end_with_their_parent(move, end):
    """migrate follows those that are proven while it moves the next one; run goes on with all of them at once."""
    for command in ("migrate", "run"):
        move.engine.write_configuration()
        process = move.engine.spawn(command)
        for name in NAMES:
            wait_until(lambda n=name: move.at_target(n).execute("select 1 from pg_class where relname = 't' and relkind = 'r'")
                       and move.at_target(n).value("select count(*) from t") >= 300, f"the rows of {name}")
        for name in NAMES:
            move.at_source(name).execute("insert into t select max(id) + 1, 'later' from t")
        for name in NAMES:
            rows = move.at_source(name).value("select count(*) from t")
            wait_until(lambda n=name, r=rows: move.at_target(n).value("select count(*) from t") == r, f"the changes of {name}")
        children = children_of(process.pid)
        assert len(children) == 3
        process.send_signal(end)
        assert process.wait(60) == (0 if end == signal.SIGTERM else -9)
        wait_until(lambda c=children: not any(map(is_alive, c)), "the children to end")
    assert move.counts() == [302, 302, 302]


def test_a_kill_between_databases_goes_on(move):
    for number in (2, 3):
        killed = move.engine.command("migrate", "--until", "copied", environment={"PGCDC_FAULT": f"databases-next:{number}"})
        assert killed.returncode == -9
        assert [bool(move.at_target(name).execute("select 1 from pg_class where relname = 't'")) for name in NAMES] \
            == [True, number == 3, False]
    move.command("migrate", "--until", "caught-up")
    assert move.counts() == [300, 300, 300]


def test_one_database_is_chosen(move):
    move.command("migrate", "--until", "caught-up", "--database", NAMES[1])
    assert move.at_target(NAMES[1]).value("select count(*) from t") == 300
    assert move.at_target(NAMES[0]).execute("select 1 from pg_class where relname = 't'") == []
    said = move.command("plan", "--database", "shop", code=2)
    assert "has no database shop in migrate.databases" in said
    said = move.command("cutover", code=2)
    assert "has 3 databases, and this command is for one of them; name one: --database Shop" in said
    move.command("cutover", "--dry-run", "--database", NAMES[1])
    assert "--html, --fdw and --sql are for one of them" in move.command("plan", "--fdw", code=2)


def test_one_that_fails_does_not_stop_the_others(move):
    """run starts it again after a while; with an end it does not."""
    move.command("migrate", "--until", "caught-up")
    move.at_target(NAMES[0]).execute("alter table t drop column v")
    for name in NAMES:
        move.at_source(name).execute("insert into t values (0, 'late')")
    said = move.command("run", "--until", "caught-up", code=1)
    assert "run: database Shop: cannot go on" in said and "database crm data: done" in said
    assert [move.at_target(name).value("select count(*) from t") for name in NAMES[1:]] == [301, 301]
    move.at_target(NAMES[0]).execute("alter table t add column v text")
    move.command("run", "--until", "caught-up")
    assert move.counts() == [301, 301, 301]


def test_names_of_other_databases(move):
    Named(move.target, "other").make()
    move.engine.configuration["migrate"]["databases"] = [{"source": "Shop", "target": "other", "name": "short"}]
    move.command("migrate", "--until", "caught-up")
    assert Named(move.target, "other").value("select count(*) from t") == 300
    assert move.source.execute("select 1 from pg_replication_slots where slot_name = 'short'")


def test_one_database_is_cut_over_and_rolled_back(move):
    """The others go on as they are; each stream keeps its own names."""
    name = NAMES[1]
    hook = move.engine.folder / "flipped"
    move.engine.configuration["cutover"] = {"on_flip": f'echo "$PGCDC_PIPELINE $PGCDC_DIRECTION $PGCDC_DATABASE" >> {hook}'}
    move.command("migrate", "--until", "verified")
    move.command("cutover", "--database", name)
    move.at_target(name).execute("insert into t values (1000, 'new')")
    move.command("run", "--until", "caught-up", "--database", name, code=3)
    move.command("run", "--reverse", "--until", "caught-up", "--database", name)
    assert move.at_source(name).value("select v from t where id = 1000") == "new"
    move.command("run", "--until", "caught-up", "--database", NAMES[0])
    move.command("rollback", "--database", name)
    assert hook.read_text(encoding="utf-8").splitlines() == [f"{PIPELINES[1]} cutover {name}", f"{PIPELINES[1]} rollback {name}"]
    move.at_source(name).execute("insert into t values (1001, 'again')")
    move.command("run", "--until", "caught-up")
    assert move.at_target(name).value("select v from t where id = 1001") == "again"


def test_a_plan_counts_the_slots_of_all_databases(move):
    """The first database would get the last slot, and the next one stop in the middle of the move."""
    free = int(move.source.execute("show max_replication_slots")[0][0]) - 2
    move.source.execute("select pg_create_physical_replication_slot('filler_' || g) from generate_series(1, %s) g", (free,))
    try:
        said = move.command("plan", "--database", NAMES[0], code=2)
        assert f"{free} replication slots of {free + 2} are taken, and the databases of the file need 3 more" in said
        move.source.execute("select pg_drop_replication_slot('filler_1')")
        assert "max_replication_slots" not in move.command("plan", "--database", NAMES[0])
    finally:
        move.source.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'filler%'")
