# SPDX-License-Identifier: Apache-2.0
"""Triggers of the target that act on changes: what they may do to a change, and what we do to them."""

import pytest

TABLE = "create table t (id int primary key, v text); create table other (id int primary key)"
TAKER = """create function take() returns trigger language plpgsql as $$begin return null; end$$;
    create trigger "Taker" before {event} on t for each row execute function take();
    alter table t enable {how} trigger "Taker\""""
CHANGES = {"insert": "insert into t values (9, 'x')", "update": "update t set v = 'y' where id = 1", "delete": "delete from t where id = 1"}


@pytest.mark.parametrize("how", ["replica", "always"])
@pytest.mark.parametrize("event", CHANGES)
def test_a_trigger_that_takes_a_change_away_is_named(pipeline, event, how):
    """For an update or a delete the message was that the row is not at the target."""
    pipeline.source.execute(TABLE + "; insert into t values (1, 'a'), (2, 'b')")
    pipeline.engine.catch_up()
    pipeline.target.execute(TAKER.format(event=event, how=how))
    pipeline.source.execute("insert into other values (1)")
    pipeline.source.execute(CHANGES[event])
    pipeline.assert_refused('"public"."t"', 'trigger "Taker" of the target', "drop it there", code=1)
    pipeline.target.execute('drop trigger "Taker" on t')
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_another_trigger_is_not_blamed(pipeline):
    pipeline.source.execute(TABLE + "; insert into t values (1, 'a'), (2, 'b')")
    pipeline.engine.catch_up()
    pipeline.target.execute(TAKER.format(event="insert", how="always") + "; delete from t where id = 1")
    pipeline.source.execute("update t set v = 'y' where id = 1")
    log = pipeline.assert_refused("the row is missing on the target", code=1)
    assert "Taker" not in log


SEEN = """create table public.seen (event text, settings text);
    create function note() returns trigger language plpgsql as $$begin
        insert into public.seen select tg_name || ' ' || tg_op, string_agg(current_setting(name), ',' order by name) from unnest(array['enable_seqscan',
            'enable_hashjoin', 'enable_mergejoin', 'plan_cache_mode', 'max_parallel_workers_per_gather']) name;
        return null; end$$;
    create trigger now after insert or update or delete on t for each row execute function note();
    create trigger cut after truncate on t execute function note();
    create constraint trigger late after insert on t deferrable initially deferred for each row execute function note();
    alter table t enable always trigger now; alter table t enable always trigger cut; alter table t enable always trigger late"""


def test_triggers_plan_as_the_database_has_it(pipeline):
    """We switch ways of planning off for our own statements; the functions of triggers are not ours."""
    pipeline.execute_both(TABLE)
    pipeline.target.execute(SEEN + "; alter database \"%s\" set enable_mergejoin = off" % pipeline.target.name)
    pipeline.source.execute("create publication shop for table t, other; insert into t values (1, 'a')")
    pipeline.start()
    pipeline.source.execute("begin; insert into other select generate_series(1, 100); insert into t values (2, 'b');"
                            "update t set v = 'c'; insert into other select generate_series(101, 200); delete from t where id = 1; commit")
    pipeline.source.execute("update t set v = 'd'; insert into other values (1000); truncate t; insert into t values (5, 'e')")
    pipeline.wait_applied()
    pipeline.assert_equal()
    pipeline.engine.stop()
    # How often, and as in a session of one's own there; the initial copy fires, too, before.
    assert pipeline.target.execute("select distinct event from seen order by 1") == [
        ("cut TRUNCATE",), ("late INSERT",), ("now DELETE",), ("now INSERT",), ("now UPDATE",)]
    assert pipeline.target.execute("select distinct settings from seen") == [("on,off,on,2,auto",)]


FIRED = "create table fired (id int); create function fire() returns trigger language plpgsql as $$begin insert into public.fired values (new.id); return new; end$$;" \
    "create trigger fires after insert on t for each row execute function fire()"


def asks_to_fire(pipeline, attributes=""):
    """A role at the target whose default would disable the triggers of `triggers: fire`."""
    role = f"quiet_{pipeline.target.name}"
    pipeline.execute_both(TABLE)
    pipeline.source.execute("create publication shop for table t, other")
    pipeline.target.execute(FIRED + f"; create role {role} login {attributes}; alter role {role} set session_replication_role = replica;"
                            f"grant create on database {pipeline.target.name} to {role}; grant all on all tables in schema public to {role}")
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn(user=role)
    pipeline.sink_configuration["triggers"] = "fire"
    return role


def forget(pipeline, role):
    pipeline.target.execute(f"drop owned by {role} cascade; drop role {role}")


def fires(pipeline):
    pipeline.source.execute("insert into t values (1, 'a')")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (2, 'b')")
    pipeline.engine.catch_up()
    return pipeline.target.execute("select id from fired order by id") == [(1,), (2,)]


def test_triggers_fire_whatever_a_role_has_by_default(pipeline):
    """The role's session_replication_role was left unchanged, so no trigger and no foreign key acted."""
    role = asks_to_fire(pipeline, "superuser")
    try:
        assert pipeline.engine.command("check").returncode == 0
        assert fires(pipeline)
    finally:
        forget(pipeline, role)


def test_triggers_that_cannot_be_made_to_fire_are_refused(pipeline):
    role = asks_to_fire(pipeline)
    try:
        refused = pipeline.engine.command("run", "--until", "caught-up")
        fix = f'alter role {role} in database {pipeline.target.name} set session_replication_role = origin;'
        assert refused.returncode == 2 and fix in refused.stderr.replace('"', ""), refused.stderr
        findings = pipeline.engine.json("check")["findings"]
        fixes = [finding["fix"] for finding in findings if finding["code"] == "target_triggers"]
        assert len(fixes) == 1
        pipeline.target.execute(fixes[0])
        assert fires(pipeline)
    finally:
        forget(pipeline, role)
