# SPDX-License-Identifier: Apache-2.0
"""on_error: dead_letter: a change that does not fit waits with those of its key, the rest flows, and nothing is lost: retried, target = source."""

import json

import pytest

START = """create table t (id int primary key, v text, n int);
           insert into t select g, 'a', g from generate_series(1, 20) g;
           create table other (id int primary key)"""
SECRET = "private"


def begin(pipeline, more=""):
    """The target accepts all of the source's rows so far."""
    pipeline.sink_configuration["on_error"] = "dead_letter"
    pipeline.source.execute(START + more)
    pipeline.engine.catch_up()


@pytest.fixture
def dead(pipeline):
    begin(pipeline)
    return pipeline


def letters(pipeline, *options):
    result = pipeline.engine.command("dead list", "--json", *options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def states(pipeline):
    return [letter["state"] for letter in letters(pipeline)]


def retry(pipeline, *options, code=0):
    result = pipeline.engine.command("dead retry", *options)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


def skip(pipeline, *options, code=0):
    result = pipeline.engine.command("dead skip", *options)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def values(pipeline, key):
    return pipeline.target.execute("select v, n from t where id = %s", (key,))


def assert_silent(pipeline):
    """No value of a row is where people look."""
    shown = pipeline.engine.log_text() + json.dumps(letters(pipeline)) + pipeline.engine.command("dead list").stdout
    shown += pipeline.engine.command("status").stdout + str(pipeline.target.execute("select sqlstate, reason, remedy from pgcdc.dead"))
    assert SECRET not in shown


# what spoils the target, a change that does not fit it, what makes room for it
CASES = {
    "check": ("alter table t add constraint c check (v <> 'private')", "update t set v = 'private' where id = 3",
              "alter table t drop constraint c", "23514"),
    "not null": ("alter table t alter v set not null", "update t set v = null where id = 3", "alter table t alter v drop not null", "23502"),
    "unique": ("create unique index u on t (v) where v = 'private'; insert into t values (99, 'private', 0)",
               "update t set v = 'private' where id = 3", "delete from t where id = 99; drop index u", "23505"),
    "too long": ("alter table t alter v type varchar(3)", "update t set v = 'private' where id = 3", "alter table t alter v type text", "22001"),
    "row is missing": ("delete from t where id = 3", "update t set v = 'private' where id = 3", "insert into t values (3, 'a', 3)", None),
    "trigger": ("""create function f() returns trigger language plpgsql as $$ begin
                   if new.v = 'private' then raise '%', new.v; end if; return new; end $$;
                   create trigger g before insert or update on t for each row execute function f(); alter table t enable always trigger g""",
                "update t set v = 'private' where id = 3", "drop trigger g on t", "P0001"),
}


@pytest.mark.parametrize("case,surroundings", [(case, 0) for case in CASES] + [("check", 300)])
def test_its_key_waits_and_the_rest_flows(dead, case, surroundings):
    spoil, change, mend, sqlstate = CASES[case]
    if case == "too long":
        dead.sink_configuration["narrowing"] = "allow"
    dead.target.execute(spoil)
    dead.source.execute(f"begin; insert into other select generate_series(1, {surroundings}); {change};"
                        f" update t set n = 44 where id = 4; insert into other values (-1); commit")
    dead.source.execute("update t set n = 33 where id = 3")
    dead.source.execute("update t set n = 55 where id = 5")
    dead.engine.catch_up()
    assert values(dead, 4) == [("a", 44)] and values(dead, 5) == [("a", 55)]
    assert dead.target.value("select count(*) from other") == surroundings + 1
    assert values(dead, 3) in ([], [("a", 3)])
    failed, waiting = letters(dead)
    assert (failed["state"], failed["sqlstate"], failed["table"]) == ("failed", sqlstate, "t")
    assert waiting["state"] == "waiting" and waiting["reason"] is None
    assert_silent(dead)
    assert "dead letter: " in dead.engine.log_text()

    retry(dead, code=1)
    assert states(dead) == ["failed", "waiting"], "nothing has changed, so it fails again"
    dead.source.execute("update t set n = 34 where id = 3")
    dead.engine.catch_up()
    assert states(dead) == ["failed", "waiting", "waiting"]

    dead.target.execute(mend)
    assert "3 dead letters applied" in retry(dead)
    dead.assert_equal()
    dead.source.execute("update t set n = 35 where id = 3")
    dead.engine.catch_up()
    dead.assert_equal()
    assert letters(dead) == []


def spoil(pipeline, condition="v <> 'private'"):
    pipeline.target.execute(f"alter table t add constraint c check ({condition})")


def mend(pipeline):
    pipeline.target.execute("alter table t drop constraint c")


def test_an_update_of_the_key_makes_both_keys_wait(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.source.execute("update t set id = 103 where id = 3")
    dead.source.execute("insert into t values (3, 'new', 0)")
    dead.source.execute("update t set n = 7 where id = 103")
    dead.source.execute("update t set n = 8 where id = 4")
    dead.engine.catch_up()
    assert states(dead) == ["failed"] + 3 * ["waiting"]
    assert values(dead, 3) == [("a", 3)] and values(dead, 103) == [] and values(dead, 4) == [("a", 8)]
    mend(dead)
    first = str(letters(dead)[-1]["id"])
    assert "4 dead letters applied" in retry(dead, first), "all that share a key with it, through the moved one"
    dead.assert_equal()


def test_a_letter_within_a_transaction_holds_what_follows_in_it(dead):
    spoil(dead)
    dead.source.execute("begin; update t set v = 'private' where id = 3; update t set v = 'b' where id = 3; delete from t where id = 3;"
                        " insert into t values (3, 'again', 1); update t set v = 'b' where id = 4; commit")
    dead.engine.catch_up()
    assert states(dead) == ["failed", "waiting", "waiting", "waiting"]
    assert values(dead, 3) == [("a", 3)] and values(dead, 4) == [("b", 4)]
    mend(dead)
    retry(dead)
    dead.assert_equal()


def test_many_in_one_group_and_beside_a_set(dead):
    """Rows enough for a set, before a key has a letter, after it, and with every tenth row refused."""
    dead.target.execute("alter table t add constraint c check (n % 10 <> 1 or n < 100)")
    dead.source.execute("insert into t select g, 'b', g from generate_series(100, 2099) g")
    dead.engine.catch_up()
    assert len(letters(dead)) == 200
    dead.source.execute("update t set v = 'c', n = n + 10 where id >= 100")
    dead.source.execute("delete from t where id between 100 and 299")
    dead.engine.catch_up()
    assert dead.target.value("select count(*) from t where id >= 100") == 1620
    assert dead.target.value("select count(*) from t where v = 'c'") == 1620
    assert len(letters(dead)) == 420
    mend(dead)
    assert "420 dead letters applied" in retry(dead)
    dead.assert_equal()


def test_more_keys_than_the_limit_stop_the_pipeline(dead):
    dead.sink_configuration["dead_letter_limit"] = 5
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id <= 5")
    dead.engine.catch_up()
    dead.source.execute("update t set n = 0 where id <= 5")
    dead.engine.catch_up()
    dead.source.execute("update t set v = 'private' where id = 6")
    assert SECRET not in dead.assert_refused("dead_letter_limit", "23514", code=1)
    assert len(letters(dead)) == 10
    mend(dead)
    retry(dead)
    dead.engine.catch_up()
    dead.assert_equal()


def test_a_truncate_makes_them_moot(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id in (3, 4)")
    dead.source.execute("update t set n = 0 where id = 3")
    dead.engine.catch_up()
    dead.source.execute("begin; update t set n = 1 where id = 4; truncate t; insert into t values (3, 'b', 0); commit")
    dead.engine.catch_up()
    assert letters(dead) == []
    assert "table public.t was emptied: 4 dead letters removed" in dead.engine.log_text()
    dead.assert_equal()


def test_without_a_key_the_table_waits(pipeline):
    dead = pipeline
    begin(dead, "; create table bare (v text); alter table bare replica identity full")
    dead.target.execute("alter table bare add constraint bare_v_check check (v <> 'private')")
    for value in ("a", SECRET, "b"):
        dead.source.execute("insert into bare values (%s)", (value,))
    dead.source.execute("update t set n = 0")
    dead.engine.catch_up()
    assert dead.target.execute("select v from bare") == [("a",)]
    assert dead.target.value("select sum(n) from t") == 0
    dead.target.execute("alter table bare drop constraint bare_v_check")
    retry(dead, "--table", "public.bare")
    dead.assert_equal()


def test_skip_leaves_a_trace(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.source.execute("update t set n = 0, v = 'b' where id = 3")
    dead.source.execute("update t set v = 'private' where id = 4")
    dead.source.execute("update t set n = 0 where id = 4")
    dead.engine.catch_up()
    first, second = (str(letter["id"]) for letter in letters(dead) if letter["state"] == "failed")
    assert "1 dead letter of the same keys" in skip(dead, first, "--reason", "a test row")
    assert "2 dead letters left out" in skip(dead, second, "--waiting", "--reason", "another")
    retry(dead)
    assert values(dead, 3) == [("b", 0)] and values(dead, 4) == [("a", 4)]
    assert dead.target.execute("select action, reason, done_by <> '' from pgcdc.dead_log order by id") == [
        ("skipped", "a test row", True), ("skipped", "another", True), ("skipped", "another", True), ("retried", None, True)]
    assert "no dead letter" in skip(dead, first, "--reason", "twice", code=2)
    status = dead.engine.json("status")
    assert status["sinks"][0]["dead_letters"] == {"failed": 0, "waiting": 0, "skipped": 3}
    assert not status["is_degraded"]


def test_commands_beside_a_running_engine(dead):
    spoil(dead)
    dead.start()
    dead.source.execute("update t set v = 'private' where id in (3, 4)")
    dead.source.execute("update t set n = 0 where id in (3, 4, 5)")
    dead.wait_applied()
    assert dead.engine.json("status")["is_degraded"]
    assert "degraded" in dead.engine.command("status").stdout
    assert values(dead, 5) == [("a", 0)]
    skip(dead, str(letters(dead)[1]["id"]), "--reason", "no", "--waiting")
    dead.source.execute("update t set n = 1, v = 'b' where id = 4")
    dead.wait_applied()
    assert values(dead, 4) == [("b", 1)], "the engine has seen that nothing of the key waits"
    mend(dead)
    retry(dead)
    dead.source.execute("update t set n = 2")
    dead.wait_applied()
    dead.assert_equal()
    assert letters(dead) == []


def test_stop_refuses_to_pass_what_waits(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.engine.catch_up()
    dead.sink_configuration["on_error"] = "stop"
    dead.source.execute("update t set v = 'b' where id = 3")
    dead.assert_refused("dead letters", "pgcdc dead retry", code=2)
    mend(dead)
    retry(dead)
    dead.engine.catch_up()
    dead.assert_equal()


def test_what_is_about_the_system_is_none(dead):
    dead.target.execute("alter table other add v int not null default 0; alter table other alter v drop default")
    dead.source.execute("insert into other values (1)")
    dead.engine.catch_up()
    assert states(dead) == ["failed"], "a not-null column of the target only is about the row"
    dead.target.execute("drop table other")
    dead.source.execute("insert into other values (2)")
    dead.assert_refused("other", "is missing", code=1)
    assert states(dead) == ["failed"]


def test_a_table_with_letters_is_not_copied_again(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.engine.catch_up()
    result = dead.engine.command("table copy", "public.t")
    assert result.returncode == 3 and "dead retry" in result.stderr, result.stderr
    assert values(dead, 3) == [("a", 3)]


def test_values_are_mapped_and_shown_only_on_request(pipeline, tmp_path):
    dead = pipeline
    key_file = tmp_path / "mask.key"
    key_file.write_bytes(b"0123456789abcdef-for-tests")
    key_file.chmod(0o600)
    dead.engine.configuration["mapping"] = [{"match": "public.person", "to": "public.someone", "columns": {
        "id": {"as": "person_id"}, "email": {"mask": {"hash": "sha256", "key_file": str(key_file)}}, "age": {"type": "smallint"}}}]
    begin(dead, "; create table person (id int primary key, email text, age text)")
    dead.source.execute("insert into person values (1, 'private', '40'), (2, 'private', 'old private'), (3, 'private', '70000')")
    dead.source.execute("update person set age = '41' where id = 2")
    dead.engine.catch_up()
    assert dead.target.execute("select person_id, age from someone") == [(1, 40)]
    assert [(letter["table"], letter["sqlstate"]) for letter in letters(dead)] == [("someone", "22P02"), ("someone", "22003"), ("someone", None)]
    assert_silent(dead)
    shown = letters(dead, "--values")
    assert shown[0]["row"]["after"]["age"] == "old private" and shown[0]["row"]["after"]["email"] != SECRET
    dump = dead.target.value("select string_agg(encode(record, 'escape'), '') from pgcdc.dead")
    assert "old private" in dump and "\\x07private" not in dump and "\x07private" not in dump
    dead.target.execute("alter table someone alter age type text")
    retry(dead, "--table", "public.someone")
    assert dead.target.execute("select person_id, age from someone order by 1") == [(1, "40"), (2, "41"), (3, "70000")]


def test_check_knows_whether_the_role_may(dead):
    dead.target.execute("alter schema pgcdc owner to postgres; create role lesser login superuser; alter role lesser nosuperuser")
    try:
        dead.target.execute("grant usage on schema pgcdc to lesser; grant all on pgcdc.position to lesser; grant all on t, other to lesser")
        dead.sink_configuration["dsn"] = dead.target.dsn("lesser")
        assert "dead_table" in str(dead.engine.json("check"))
        dead.target.execute("grant select, insert, update, delete on pgcdc.dead, pgcdc.dead_log to lesser")
        assert "dead_table" not in str(dead.engine.json("check"))
    finally:
        dead.target.execute("drop owned by lesser; drop role lesser")


def test_verify_says_why_rows_differ(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.engine.catch_up()
    result = dead.engine.command("verify")
    assert result.returncode == 4 and "it has 1 dead letter, so rows" in result.stderr, result.stderr
    skip(dead, str(letters(dead)[0]["id"]), "--reason", "test")
    assert "1 dead letter left out" in dead.engine.command("verify").stderr


def test_drop_removes_them(dead):
    spoil(dead)
    dead.source.execute("update t set v = 'private' where id = 3")
    dead.engine.catch_up()
    assert dead.engine.command("drop").returncode == 0
    assert dead.target.value("select to_regclass('pgcdc.dead')") is None
