# SPDX-License-Identifier: Apache-2.0
"""on_error: dead_letter where rows of several sources want one place: what the settled table refuses waits as a candidate's change, the others are settled without it."""

import random

import pytest

from support.letters import flow, states
from support.wait import wait_until

POLICIES = {"first_wins": "first_wins", "last_commit_wins": "last_commit_wins", "by_source": {"by_source": ["south", "north"]}}
KEYS = 10


@pytest.fixture
def banks(new_pipeline, shared_clusters):
    """Two pipelines from two databases into one table."""
    both = [new_pipeline(shared_clusters("source"), shared_clusters("target"), name) for name in ("north", "south")]
    both[1].target = both[0].target
    both[1].sink_configuration["dsn"] = both[0].target.dsn()
    return both


def begin(banks, policy, **rule):
    for pipeline in banks:
        pipeline.source.execute("create table account (id int primary key, owner text, n int)")
        pipeline.sink_configuration["on_error"] = "dead_letter"
        pipeline.engine.configuration["mapping"] = [
            {"match": "public.account", "to": "public.accounts", "source": pipeline.name, "on_clash": POLICIES[policy], **rule}]
        pipeline.engine.catch_up()


def retry(pipeline, code=0):
    result = pipeline.engine.command("dead retry")
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


def kept(target):
    return target.execute("select id, owner, n, _pgcdc_source from accounts order by 1")


def rejected(target):
    return sorted(target.execute("select (row->>'id')::int, row->>'owner', source from pgcdc.rejected where table_name = 'accounts'"))


def refuse(target):
    target.execute("alter table accounts add constraint c check (n <> 13)")


def mend(target):
    target.execute("alter table accounts drop constraint c")


@pytest.mark.parametrize("policy", ["last_commit_wins", "by_source", "first_wins"])
def test_a_row_that_the_table_refuses_waits(banks, policy):
    """Its candidate is not there until it is retried, and the other source's row has the place meanwhile."""
    north, south = banks
    begin(banks, policy)
    target = north.target
    refuse(target)
    flow(south, "insert into account values (1, 's', 13)", "update account set owner = 's2' where id = 1", "insert into account values (2, 's', 1)")
    flow(north, "insert into account values (1, 'n', 1), (3, 'n', 1)")
    assert states(south) == ["failed", "waiting"] and states(north) == []
    assert kept(target) == [(1, "n", 1, "north"), (2, "s", 1, "south"), (3, "n", 1, "north")] and rejected(target) == []
    mend(target)
    retry(south)
    assert states(south) == []
    winner = {"last_commit_wins": ("n", 1, "north"), "by_source": ("s2", 13, "south"), "first_wins": ("n", 1, "north")}[policy]
    assert kept(target)[0] == (1, *winner)
    assert rejected(target) == [(1, "n" if winner[2] == "south" else "s2", "north" if winner[2] == "south" else "south")]
    for pipeline in banks:
        assert pipeline.engine.command("verify").returncode == 0


def test_a_place_that_nobody_fits(banks):
    """The other candidate was rejected, so the table never refused it: the deletion that would give it the place is the letter."""
    north, south = banks
    begin(banks, "by_source")
    target = north.target
    flow(north, "insert into account values (1, 'n', 13)")
    target.execute("update accounts set n = 13 where id = 1")
    flow(south, "insert into account values (1, 's', 1)")
    refuse(target)
    flow(south, "delete from account where id = 1", "insert into account values (1, 'again', 2)", "insert into account values (2, 's', 1)")
    assert states(south) == ["failed", "waiting"]
    assert kept(target) == [(1, "s", 1, "south"), (2, "s", 1, "south")]
    flow(north, "update account set n = 5 where id = 1")
    retry(south)
    assert kept(target)[0] == (1, "again", 2, "south") and rejected(target) == [(1, "n", "north")]


def test_a_clash_that_stops_is_a_letter(banks):
    """Without a policy, a row that another source has is a refusal of the target like any other."""
    north, south = banks
    for pipeline in banks:
        pipeline.source.execute("create table account (id int primary key, n int)")
        pipeline.sink_configuration.update(on_error="dead_letter", on_exists="stop")
        pipeline.engine.configuration["mapping"] = [{"match": "public.account", "to": "public.accounts"}]
        pipeline.engine.catch_up()
    flow(north, "insert into account values (1, 1)")
    flow(south, "insert into account values (1, 10)", "update account set n = 20 where id = 1", "insert into account values (2, 10)")
    assert states(south) == ["failed", "waiting"]
    assert north.target.execute("select id, n from accounts order by 1") == [(1, 1), (2, 10)]
    flow(north, "delete from account where id = 1")
    retry(south)
    assert north.target.execute("select id, n from accounts order by 1") == [(1, 20), (2, 10)]


@pytest.mark.parametrize("policy,rule", [("last_commit_wins", {}), ("by_source", {}), ("last_commit_wins", {"dedupe": {"by": ["owner"], "keep": "last_commit"}})])
def test_random_changes_beside_each_other(banks, policy, rule):
    """Engines that run and are killed, and a table that refuses some: retried, what is settled is what it would be without letters."""
    chance = random.Random(str((policy, rule)))
    begin(banks, policy, **rule)
    target = banks[0].target
    refuse(target)
    for pipeline in banks:
        pipeline.start()
    for life in range(3):
        for _ in range(30):
            pipeline = chance.choice(banks)
            key, n = chance.randrange(KEYS), chance.choice([1, 2, 3, 13])
            pipeline.source.execute(chance.choice([
                f"insert into account values ({key}, 'o{chance.randrange(6)}', {n}) on conflict (id) do update set n = {n}",
                f"update account set n = {n} where id between {key} and {key + 3}", f"delete from account where id = {key}",
                f"update account set id = {key + 20} where id = {key} and not exists (select from account where id = {key + 20})"]))
        pipeline = banks[life % 2]
        pipeline.engine.kill()
        pipeline.wait_slot_free()
        pipeline.start()
    for pipeline in banks:
        pipeline.wait_applied()
    assert any(states(pipeline) for pipeline in banks)
    mend(target)
    for pipeline in banks * 2:
        retry(pipeline)
        wait_until(lambda pipeline=pipeline: states(pipeline) == [], "no letter")
    for pipeline in banks:
        pipeline.wait_applied()
        pipeline.engine.stop()
    assert sum(map(len, map(states, banks))) == 0
    for pipeline in banks:
        result = pipeline.engine.command("verify")
        assert result.returncode == 0, result.stdout + result.stderr
    best = target.execute("""
        select distinct on (id) id, owner, n, _pgcdc_source from _pgcdc_accounts
        order by id, """ + ("_pgcdc_source = 'south' desc" if policy == "by_source" else "_pgcdc_commit_time desc nulls last, _pgcdc_source desc"))
    if not rule:
        assert kept(target) == best
    assert target.value("select count(*) from _pgcdc_accounts") == len(kept(target)) + target.value("select count(*) from pgcdc.rejected where table_name = 'accounts'")
