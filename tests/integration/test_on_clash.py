# SPDX-License-Identifier: Apache-2.0
"""Rows of several sources with one key: the policy's row is in the table, the others are in pgcdc.rejected."""

import random
import signal
import threading
from time import sleep

import pytest

from support.wait import wait_until

TABLE = "create table account (id int primary key, owner text, note text)"
POLICIES = {"first_wins": "first_wins", "last_commit_wins": "last_commit_wins", "by_source": {"by_source": ["south", "north"]}}


def bank(pipeline, policy, **rule):
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.account", "to": "public.accounts", "source": pipeline.name, "on_clash": POLICIES[policy] if isinstance(policy, str) and policy in POLICIES else policy} | rule]


@pytest.fixture
def two_banks(new_pipeline, shared_clusters):
    """Two pipelines from two databases into one table."""
    both = [new_pipeline(shared_clusters("source"), shared_clusters("target"), name) for name in ("north", "south")]
    both[1].target = both[0].target
    both[1].sink_configuration["dsn"] = both[0].target.dsn()
    return both


class Model:
    """All candidates, and what a policy makes of them. A row that was copied has the time 0."""

    def __init__(self, policy):
        self.policy = policy
        self.candidates = {}
        self.holders = {}

    def write(self, source, key, values, time):
        self.candidates[key, source] = (time, values)

    def remove(self, source, key):
        self.candidates.pop((key, source), None)

    def order(self, key):
        rivals = [(time, source, values) for (other, source), (time, values) in self.candidates.items() if other == key]
        if self.policy == "last_commit_wins":
            return sorted(rivals, reverse=True)
        if self.policy == "by_source":
            return sorted(rivals, key=lambda rival: POLICIES["by_source"]["by_source"].index(rival[1]))
        return sorted(rivals, key=lambda rival: (rival[1] != self.holders.get(key), rival[:2]))

    def settle(self):
        orders = {key: self.order(key) for key in {key for key, _ in self.candidates}}
        self.holders = {key: order[0][1] for key, order in orders.items()}
        kept = sorted((key, *order[0][2], order[0][1]) for key, order in orders.items())
        rejected = sorted((key, *values, source) for key, order in orders.items() for _, source, values in order[1:])
        return kept, rejected


def kept_rows(target):
    return target.execute("select id, owner, note, _pgcdc_source from accounts order by 1")


def rejected_rows(target, reason="clash"):
    return sorted(target.execute("select (row->>'id')::int, row->>'owner', row->>'note', source from pgcdc.rejected"
                                 " where schema_name = 'public' and table_name = 'accounts' and reason = %s", (reason,)))


def assert_settled(target, model):
    kept, rejected = model.settle()
    assert kept_rows(target) == kept
    assert rejected_rows(target) == rejected


KEYS = 12


def random_statements(chance, pipeline, model, time):
    """On one source; the model has each when it comes out."""
    source = pipeline.name
    for number in range(chance.randint(1, 4)):
        own = {key for key, name in model.candidates if name == source}
        kind, key, values = chance.random(), chance.randrange(KEYS), (f"{source} {time}.{number}", chance.choice([None, "x", "y" * 3000]))
        text = [f"'{value}'" if value is not None else "null" for value in values]
        if kind < 0.03:
            for gone in own:
                model.remove(source, gone)
            yield "truncate account"
        elif key not in own and kind < 0.3 and own:
            old = chance.choice(sorted(own))
            values = (values[0], model.candidates[old, source][1][1])
            model.remove(source, old)
            model.write(source, key, values, time)
            yield f"update account set id = {key}, owner = {text[0]} where id = {old}"
        elif key not in own:
            model.write(source, key, values, time)
            yield f"insert into account values ({key}, {text[0]}, {text[1]})"
        elif kind < 0.45:
            model.remove(source, key)
            yield f"delete from account where id = {key}"
        elif kind < 0.7:
            model.write(source, key, (values[0], model.candidates[key, source][1][1]), time)
            yield f"update account set owner = {text[0]} where id = {key}"
        else:
            model.write(source, key, values, time)
            yield f"update account set owner = {text[0]}, note = {text[1]} where id = {key}"


@pytest.mark.parametrize("mode", ["simple", "live"])
@pytest.mark.parametrize("policy", ["last_commit_wins", "by_source"])
def test_candidates_alone_decide(two_banks, policy, mode):
    """Whatever came first at the target, and with a kill in between."""
    chance, model, time = random.Random(f"{policy} {mode}"), Model(policy), 0
    for pipeline in two_banks:
        bank(pipeline, policy)
        pipeline.engine.configuration["copy"] = {"mode": mode}
        for key in range(0, KEYS, 2):
            pipeline.source.execute("insert into account values (%s, 'old', 'n')", (key,))
            model.write(pipeline.name, key, ("old", "n"), 0)
    for pipeline in two_banks:
        pipeline.start()
    for round_ in range(4):
        for _ in range(25):
            time += 1
            pipeline = chance.choice(two_banks)
            pipeline.source.execute("; ".join(random_statements(chance, pipeline, model, time)))
        if round_ == 1:
            two_banks[1].engine.kill()
        elif round_ == 2:
            two_banks[1].wait_slot_free()
            two_banks[1].start()
    for pipeline in two_banks:
        pipeline.wait_applied()
    assert_settled(two_banks[0].target, model)
    for pipeline in two_banks:
        result = pipeline.engine.command("verify")
        assert result.returncode == 0, result.stdout + result.stderr


def test_the_first_keeps_its_place(two_banks):
    chance, model = random.Random(20261130), Model("first_wins")
    for pipeline in two_banks:
        bank(pipeline, "first_wins")
    for pipeline in two_banks:
        for key in range(0, KEYS, 2):
            pipeline.source.execute("insert into account values (%s, 'old', 'n')", (key,))
            model.write(pipeline.name, key, ("old", "n"), 0)
        pipeline.start()
        pipeline.wait_applied()
        assert_settled(pipeline.target, model)
    for time in range(1, 30):
        pipeline = chance.choice(two_banks)
        statements = []
        for statement in random_statements(chance, pipeline, model, time):
            statements.append(statement)
            model.settle()
        pipeline.source.execute("; ".join(statements))
        pipeline.wait_applied()
        assert_settled(pipeline.target, model)


def test_pipelines_under_load_and_kills(two_banks):
    """Both write the same places at once, and each is killed again and again: no candidate is lost."""
    chance, stop = random.Random(20261202), []
    for pipeline in two_banks:
        bank(pipeline, "last_commit_wins")
        pipeline.source.execute("insert into account select g, 'old', 'n' from generate_series(1, 300) g")
        pipeline.start()

    def load(pipeline, seed):
        mine = random.Random(seed)
        while not stop:
            sleep(0.02)  # what an engine with a sanitizer can follow, too
            keys = sorted(mine.sample(range(1, 400), 12))
            pipeline.source.execute(f"update account set owner = '{mine.random()}' where id in ({keys[0]}, {keys[1]}, {keys[2]}); delete from account where id = {keys[3]};"
                                    f"insert into account values ({keys[4]}, 'new', 'n'), ({keys[5]}, 'new', 'n') on conflict (id) do update set owner = 'again'")

    threads = [threading.Thread(target=load, args=(pipeline, seed)) for seed, pipeline in enumerate(two_banks)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(8):
            pipeline = chance.choice(two_banks)
            sleep(chance.random() * 0.5)
            pipeline.engine.kill()
            pipeline.wait_slot_free()
            pipeline.start()
    finally:
        stop.append(True)
        for thread in threads:
            thread.join()
    for pipeline in two_banks:
        pipeline.wait_applied()
    target = two_banks[0].target
    sources = sorted((key, owner, note, pipeline.name) for pipeline in two_banks for key, owner, note in pipeline.source.execute("select id, owner, note from account"))
    assert target.execute("select id, owner, note, _pgcdc_source from _pgcdc_accounts order by 1, 2, 3, 4") == sources
    best = target.execute("select distinct on (id) id, owner, note, _pgcdc_source from _pgcdc_accounts"
                          " order by id, _pgcdc_commit_time::timestamptz desc nulls last, _pgcdc_source collate \"C\" desc")
    assert kept_rows(target) == best
    assert rejected_rows(target) == sorted((key, owner, note, source) for key, owner, note, source in sources if (key, owner, note, source) not in best)


def test_a_clash_stops_where_the_rule_says_so(two_banks):
    north, south = two_banks
    for pipeline in two_banks:
        bank(pipeline, "error", dedupe={"by": ["owner"], "keep": "first"})
        pipeline.start()
    north.source.execute("insert into account values (1, 'a', '')")
    north.wait_applied()
    south.source.execute("insert into account values (1, 'b', '')")
    south.engine.wait_exit()
    assert "two sources have a row with this key" in south.engine.log_tail() and "on_clash" in south.engine.log_tail()
    north.source.execute("delete from account")
    north.wait_applied()
    south.start()
    south.wait_applied()
    assert kept_rows(south.target) == [(1, "b", "", "south")]


def test_a_table_that_was_there_first(pipeline):
    """The first start says what it lacks; its own rows stay, and other types are the candidates' too."""
    bank(pipeline, "first_wins")
    pipeline.source.execute("insert into account values (1, 'a', 'n')")
    pipeline.target.execute("create table accounts (id bigint not null, owner text, note text, own text); insert into accounts values (7, 'own', '', '')")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and "add column _pgcdc_source text" in result.stderr, result.stderr
    pipeline.target.execute("alter table accounts add column _pgcdc_source text")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and 'create unique index on "public"."accounts" ("id")' in result.stderr, result.stderr
    pipeline.target.execute("create unique index on accounts (id)")
    pipeline.start()
    pipeline.source.execute("insert into account values (2, 'b', 'n')")
    pipeline.wait_applied()
    assert kept_rows(pipeline.target) == [(1, "a", "n", "shop"), (2, "b", "n", "shop"), (7, "own", "", None)]
    assert pipeline.target.value("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = '_pgcdc_accounts'::regclass and attname = 'id'") == "bigint"
    pipeline.source.execute("insert into account values (7, 'b', 'n')")
    pipeline.engine.wait_exit()
    assert "a row of its own" in pipeline.engine.log_tail() and pipeline.target.value("select owner from accounts where id = 7") == "own"


def test_another_rule_settles_again_and_columns_follow(two_banks):
    north, south = two_banks
    for pipeline in two_banks:
        bank(pipeline, {"by_source": ["north", "south"]})
        pipeline.source.execute("insert into account values (1, %s, 'n')", (pipeline.name,))
        pipeline.start()
    assert kept_rows(north.target) == [(1, "north", "n", "north")]
    status = north.engine.command("status")
    assert "rejected rows: public.accounts 1" in status.stdout, status.stdout
    assert "candidates for public.accounts  on_clash: by_source north, south" in north.engine.command("map").stdout
    for pipeline in two_banks:
        pipeline.engine.stop()
        pipeline.engine.configuration["mapping"][0]["on_clash"] = {"by_source": ["south", "north"]}
    south.source.execute("alter table account add column extra int default 5; insert into account values (2, 'x', 'n', 6)")
    south.start()
    south.wait_applied()
    assert south.target.execute("select id, owner, extra from accounts order by 1") == [(1, "south", 5), (2, "x", 6)]
    assert rejected_rows(south.target) == [(1, "north", "n", "north")]
    south.source.execute("alter table account rename column extra to other; insert into account values (3, 'x', 'n', 7)")
    south.engine.wait_exit()
    assert "is new, or is another one renamed" in south.engine.log_tail(), south.engine.log_tail()
    south.target.execute("alter table accounts rename column extra to other")
    south.start()
    south.wait_applied()
    assert south.target.execute("select id, other from accounts order by 1") == [(1, 5), (2, 6), (3, 7)]


@pytest.mark.parametrize("point", ["settle-before-install", "settle-installed"])
def test_killed_while_the_tables_are_made(pipeline, point):
    """Nothing is left, and the next start makes them."""
    bank(pipeline, "last_commit_wins")
    pipeline.source.execute("insert into account values (1, 'a', 'n')")
    pipeline.engine.start(environment={"PGCDC_FAULT": f"{point}:1"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    pipeline.wait_slot_free()
    wait_until(lambda: not pipeline.target.execute("select from pg_stat_activity where datname = current_database() and application_name like 'pgcdc%%'"), "the target to notice it")
    assert pipeline.target.value("select to_regclass('accounts') is null and to_regclass('_pgcdc_accounts') is null")
    pipeline.start()
    pipeline.wait_applied()
    assert kept_rows(pipeline.target) == [(1, "a", "n", "shop")]
    result = pipeline.engine.command("check")
    assert result.returncode == 0 and "_pgcdc_accounts" not in result.stdout, result.stdout


@pytest.mark.parametrize("rule, problem", [
    ({"on_clash": "best"}, "on_clash"),
    ({"on_clash": {"by_source": []}}, "by_source"),
    ({"on_clash": {"by_source": ["other"]}, "source": "shop"}, "by_source does not name it"),
    ({"on_clash": "error", "source": "shop"}, "has no use without on_clash or dedupe"),
    ({"on_clash": "first_wins", "mode": "append"}, "is not possible with on_clash or dedupe"),
    ({"dedupe": {"by": ["owner"]}}, "keep"),
    ({"on_clash": "first_wins", "to": "public." + "a" * 54}, "may have 53 bytes"),
])
def test_a_rule_that_cannot_be_followed(pipeline, rule, problem):
    pipeline.source.execute(TABLE)
    pipeline.engine.configuration["mapping"] = [{"match": "public.account", "to": "public.accounts"} | rule]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and problem in result.stderr, result.stderr
