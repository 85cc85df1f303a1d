# SPDX-License-Identifier: Apache-2.0
"""`where`: rows that a condition leaves out are not in the sink, however they came to be so: copied, inserted, or by an update that changes the condition."""

import json
import random
import threading

import pytest

ITEMS = """create table item (id int primary key, country text, price numeric(8,2), note text);
    alter table item replica identity full;
    insert into item select g, case g % 4 when 0 then 'XX' when 1 then 'DE' when 2 then null else 'FR' end, g * 1.50, 'copied' from generate_series(1, 400) g"""
WHERE = "country <> 'XX' and price < 500"


def rows(database, table, where="true"):
    return database.execute(f"select id, country, price::text, note from {table} where {where} order by id")


@pytest.fixture
def items(pipeline):
    pipeline.source.execute(ITEMS)
    pipeline.engine.configuration["mapping"] = [{"match": "public.item", "to": "public.kept", "where": WHERE, "columns": {"note": ["trim"]}}]
    return pipeline


def assert_filtered(pipeline):
    pipeline.wait_applied()
    expected = rows(pipeline.source, "item", WHERE)
    assert expected and rows(pipeline.target, "kept") == expected


def test_every_transition_of_a_row(items):
    items.start()
    assert_filtered(items)
    items.source.execute("""begin;
        insert into item values (1001, 'DE', 10, 'in'), (1002, 'XX', 10, 'out'), (1003, null, 10, 'null is out'), (1004, 'FR', 500, 'dear');
        update item set note = 'stays in' where id = 1;
        update item set country = 'DE', note = 'enters' where id = 4;
        update item set country = 'XX', note = 'leaves' where id = 5;
        update item set country = null, note = 'leaves by null' where id = 9;
        update item set note = 'stays out' where id = 8;
        update item set id = 2001 where id = 13;
        update item set id = 2002, country = 'FR' where id = 12;
        update item set id = 2003, price = 999 where id = 17;
        delete from item where id in (21, 24);
        insert into item values (1005, 'DE', 1, 'in and out'); update item set country = 'XX' where id = 1005; update item set country = 'IT' where id = 1005;
        delete from item where id = 1001; insert into item values (1001, 'ES', 7, 'again');
        commit""")
    assert_filtered(items)
    items.wait_while_running(lambda: "(5 left out by the mapping)" in items.engine.command("status").stdout, "the count of rows left out")
    kept = {row[0] for row in rows(items.target, "kept")}
    assert {1, 4, 1005, 1001, 2001, 2002} <= kept and not {5, 8, 9, 13, 12, 17, 2003, 21, 24, 1002, 1003, 1004} & kept
    items.source.execute("update item set country = 'XX'")
    items.wait_applied()
    assert rows(items.target, "kept") == []
    items.source.execute("update item set country = 'DE'; truncate item; insert into item values (1, 'DE', 1, 'after truncate'), (2, 'XX', 1, 'no')")
    assert_filtered(items)


def left_out(pipeline, sink=0):
    return {(one["rule"], one["table"]): (one["changes"], one["copied_rows"]) for one in pipeline.engine.json("status")["sinks"][sink]["left_out_by_rule"]}


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_rows_left_out_are_counted_by_rule_and_table(pipeline, mode):
    """Copied ones too, in one step and in chunks. What the target took back, and got again, is counted once."""
    pipeline.source.execute("""create table a_1 (id int primary key); create table a_2 (id int primary key); create table b (id int primary key, v int); create table c (id int primary key);
        insert into a_1 select generate_series(1, 100); insert into a_2 select generate_series(1, 10); insert into b select g, g from generate_series(1, 1000) g""")
    pipeline.engine.configuration["mapping"] = [{"match": "/public\\.a_\\d/", "where": "id % 2 = 0"}, {"match": "public.b", "where": "id > 250"}]
    pipeline.engine.configuration["copy"] = {"mode": mode}
    pipeline.engine.catch_up()
    rule = "/public\\.a_\\d/"
    assert left_out(pipeline) == {(rule, "public.a_1"): (0, 50), (rule, "public.a_2"): (0, 5), ("public.b", "public.b"): (0, 250)}
    assert "50 copied rows of public.a_1, by the rule for /public" in pipeline.engine.command("status").stdout
    pipeline.target.execute("""create sequence tries; create function fail_twice() returns trigger language plpgsql as
        $$ begin if nextval('public.tries') < 3 then raise exception 'again' using errcode = '40001'; end if; return new; end $$;
        create trigger fails before insert on b for each row execute function fail_twice(); alter table b enable always trigger fails""")
    pipeline.start()
    pipeline.source.execute("""begin; insert into a_1 select generate_series(101, 111); insert into b select g, g from generate_series(-99, 0) g;
        delete from b where id < -50; insert into b values (2000); commit""")
    pipeline.wait_applied()
    assert pipeline.target.value("select last_value from tries") == 3 and pipeline.target.value("select count(*) from b where id = 2000") == 1
    expected = {(rule, "public.a_1"): (6, 0), ("public.b", "public.b"): (149, 0)}
    pipeline.wait_while_running(lambda: left_out(pipeline) == expected, "the counts of this process")
    pipeline.engine.stop()
    pipeline.source.execute("insert into a_2 values (11), (12)")
    counts = json.loads(pipeline.engine.command("run", "--until", "caught-up", "--json").stdout)["left_out"]
    assert counts == {"warehouse": [{"rule": rule, "table": "public.a_2", "changes": 1, "copied_rows": 0}]}


def change_items(database, seed, stop):
    chance = random.Random(seed)
    while not stop.is_set():
        id_ = chance.randrange(1, 600)
        country = chance.choice(["'XX'", "'DE'", "null", "country"])
        database.execute(chance.choice([
            f"insert into item values ({id_}, {country if country != 'country' else 'null'}, {chance.randrange(900)}, ' load ') on conflict (id) do update set country = excluded.country",
            f"update item set country = {country}, price = {chance.randrange(900)} where id between {id_} and {id_ + 3}",
            f"delete from item where id = {id_}",
            f"begin; update item set country = {country} where id < {id_ % 40}; update item set note = 'twice' where id < 20; commit",
        ]))


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_copied_and_streamed_rows_under_load_with_kills(items, mode):
    """Copied in one step or in chunks, while rows come and go; the engine is killed again and again."""
    items.source.execute("insert into item select g, case when g % 3 = 0 then 'XX' else 'DE' end, g % 700, repeat('x', 100) from generate_series(1000, 9000) g")
    items.engine.configuration["copy"] = {"mode": mode, "chunk_bytes": "64kB"} if mode == "live" else {"mode": mode}
    items.engine.configuration["mapping"][0]["columns"]["note"] = ["trim", "upper"]
    chance, stop = random.Random(20261201), threading.Event()
    load = threading.Thread(target=change_items, args=(items.source, 5, stop))
    load.start()
    try:
        for _ in range(6):
            items.engine.start()
            stop.wait(0.2 + chance.random() * 0.8)
            items.engine.kill()
            items.wait_slot_free()
        items.start()
        stop.wait(1)
    finally:
        stop.set()
        load.join()
    if mode == "live":
        items.wait_while_running(lambda: items.target.value("select count(*) from pgcdc.copy") == 0, "the copy to end")
    items.wait_applied()
    expected = items.source.execute(f"select id, country, price::text, upper(trim(note)) from item where {WHERE} order by id")
    assert rows(items.target, "kept") == expected and len(expected) > 1000


def test_a_condition_on_the_key_needs_no_old_rows(pipeline):
    """The key is in each old row, so replica identity default is enough; an update that changes the key moves a row in and out."""
    pipeline.source.execute("create table t (id int primary key, large text); alter table t alter large set storage external;"
                            "insert into t select g, repeat('x', 4000) from generate_series(1, 20) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "id % 2 = 0"}]
    pipeline.start()
    pipeline.source.execute("update t set id = 101 where id = 2; update t set id = 100, large = 'sent' where id = 3; update t set large = 'new' where id = 4;"
                            "update t set id = 102 where id = 6; delete from t where id in (7, 8)")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from t order by id") == pipeline.source.execute("select * from t where id % 2 = 0 order by id")
    pipeline.source.execute("update t set id = 110 where id = 101")
    assert pipeline.engine.wait_exit(60) == 1
    log = pipeline.engine.log_text()
    assert "did not send a large value that it left unchanged" in log and "replica identity full" in log


def test_an_unsent_large_value_comes_from_the_whole_old_row(pipeline):
    pipeline.source.execute("create table t (id int primary key, n int, large text); alter table t alter large set storage external; alter table t replica identity full;"
                            "insert into t select g, g, repeat(chr(96 + g), 4000) from generate_series(1, 6) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "n > 3 and large > 'b'"}]
    pipeline.start()
    pipeline.source.execute("update t set n = 10 where id in (1, 2); update t set n = 0 where id = 5; update t set n = 9 where id = 6")
    pipeline.wait_applied()
    assert pipeline.target.execute("select * from t order by id") == pipeline.source.execute("select * from t where n > 3 and large > 'b' order by id")


@pytest.mark.parametrize("where, problem, remedy", [
    ("price > 1", "column price is not in old rows", "alter table public.item replica identity full"),
    ("id > 1 and now() > 'epoch'", "generation expression is not immutable", "use only what is immutable"),
    ("id in (select 1)", "cannot use subquery", ""),
    ("id", "must be type boolean", ""),
    ("nothing = 1", 'column "nothing" does not exist', "name columns of this table"),
    ("id > 1), (id > 0", "it is not one expression", ""),
    ("id > 1; drop table item", "syntax error", ""),
    ("id = $1", "it has a parameter", ""),
    ("f(id)", "function f(integer) does not exist", "with their schema"),
    ("count(*) > 1", "aggregate functions are not allowed", ""),
])
def test_a_condition_that_cannot_be_is_refused_before_a_row(pipeline, where, problem, remedy):
    pipeline.source.execute("create table item (id int primary key, price numeric)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.item", "where": where}]
    findings = [finding for finding in pipeline.engine.json("check")["findings"] if finding["code"].endswith("mapping")]
    assert len(findings) == 1 and problem in findings[0]["what"] and "the rule for public.item: where, for table public.item" in findings[0]["what"], findings
    assert remedy in (findings[0]["fix"] or "")
    pipeline.engine.start()
    assert pipeline.engine.wait_exit(60) == 2
    assert problem in pipeline.engine.log_text() and pipeline.target.value("select to_regclass('item')") is None


def test_an_error_on_a_row_stops_and_shows_no_value(pipeline):
    pipeline.source.execute("create table t (id int primary key, secret int); alter table t replica identity full; insert into t values (1, 100)")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "100000 / (secret - 4711) < 0"}]
    pipeline.start()
    pipeline.source.execute("insert into t select g, g from generate_series(2, 300) g")
    pipeline.wait_applied()
    pipeline.source.execute("insert into t select g, 4400 + g from generate_series(301, 330) g")
    assert pipeline.engine.wait_exit(60) == 1
    log = pipeline.engine.log_text()
    assert "where fails on a row of table public.t: target: division by zero" in log and "22012" in log and "4711" not in log.replace("4711) < 0", "")
    assert pipeline.target.value("select max(id) from t") == 300
    assert "4711" not in pipeline.engine.command("why").stdout


@pytest.mark.parametrize("rule, problem", [({"columns": {"n": {"sql": "code::int"}}}, "sql of column n fails"), ({"where": "code::numeric > 0"}, "where fails")])
@pytest.mark.parametrize("copied", [True, False])
def test_a_value_that_the_server_quotes_is_not_shown(pipeline, rule, problem, copied):
    """PostgreSQL's own message has the text that is no number."""
    pipeline.source.execute("create table t (id int primary key, code text); alter table t replica identity full")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t"} | rule]
    if not copied:
        pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (1, 'top-secret-7')")
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode != 0 and problem in result.stderr and "22P02" in result.stderr, result.stderr
    for command in ("status", "why", "check"):
        shown = pipeline.engine.command(command)
        assert "top-secret" not in result.stderr + shown.stdout + shown.stderr


def test_a_session_that_is_lost_is_opened_again(items):
    items.start()
    for _ in range(3):
        items.target.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        items.source.execute("insert into item select max(id) + 1, 'DE', 2, 'later' from item; update item set country = 'DE' where id = (select min(id) from item where country = 'XX')")
        assert_filtered(items)


def test_two_sinks_see_different_rows(items):
    """A rule for one sink leaves the other as it is."""
    items.engine.configuration["sinks"].append({"name": "all_rows", "type": "null"})
    items.engine.configuration["mapping"][0]["sinks"] = ["warehouse"]
    items.start()
    assert_filtered(items)
    assert items.engine.is_running()
