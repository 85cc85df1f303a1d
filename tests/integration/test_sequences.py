# SPDX-License-Identifier: Apache-2.0
"""Sequences: kept ahead in the target while the pipeline runs, never set back."""

import signal

import pytest

from support.wait import wait_until

OFTEN = {"PGCDC_INTERVAL_MS": "300"}
KINDS = """
    create sequence up;
    create sequence down increment -3;
    create sequence tens increment 10 start 5;
    create sequence unused start 7;
    create sequence ring maxvalue 100 cycle;
    create sequence nearly maxvalue 100;
    create sequence spent maxvalue 3;
    create sequence "Odd ""name.\'s" start 20;
"""
USE = """
    select nextval('up') from generate_series(1, 42); select nextval('down'), nextval('down'), nextval('tens');
    select setval('ring', 98), setval('nearly', 90), setval('spent', 3), nextval('"Odd ""name.\'\'s"')
"""
# as (last_value, is_called): 20 values ahead of what USE has left, or as far as the range allows
AHEAD = {"up": (62, True), "down": (-64, True), "tens": (205, True), "unused": (27, True), "ring": (18, True), "nearly": (95, True),
         "spent": (3, True), 'Odd "name.\'s': (40, True)}


def places(database, schema="public"):
    names = [row[0] for row in database.execute("select relname from pg_class where relkind = 'S' and relnamespace = %s::regnamespace", (schema,))]
    return {name: database.execute('select last_value, is_called from {}."{}"'.format(schema, name.replace('"', '""')))[0] for name in names}


@pytest.fixture
def kinds(pipeline):
    pipeline.execute_both("create table t (id int primary key);" + KINDS)
    pipeline.engine.configuration["sequences"] = {"headroom": 20}
    return pipeline


@pytest.mark.threads
def test_each_kind_is_kept_ahead_in_its_direction_and_its_range(kinds):
    kinds.source.execute(USE)
    kinds.start(environment=OFTEN)
    kinds.wait_while_running(lambda: places(kinds.target) == AHEAD, lambda: f"the sequences ahead: {places(kinds.target)}")

    kinds.source.execute("select nextval('up'), nextval('down')")
    kinds.wait_while_running(lambda: places(kinds.target)["up"] == (63, True) and places(kinds.target)["down"] == (-67, True), "the next values")
    kinds.engine.stop()


def test_a_sequence_is_never_set_back(kinds):
    kinds.target.execute("select setval('up', 5000), setval('down', -5000)")
    kinds.start(environment=OFTEN)
    kinds.wait_while_running(lambda: places(kinds.target)["tens"] == (205, True), "a round")
    assert places(kinds.target)["up"] == (5000, True) and places(kinds.target)["down"] == (-5000, True)


def test_the_first_round_comes_an_interval_after_the_start(kinds):
    """A short run, as of a cutover, has no session for sequences in its way."""
    before = places(kinds.target)
    kinds.source.execute(USE)
    kinds.engine.catch_up()
    assert places(kinds.target) == before


def test_those_of_published_tables_are_found_wherever_they_are(pipeline):
    pipeline.execute_both("""
        create schema numbers; create schema other;
        create sequence numbers.invoice; create sequence other.unrelated; create sequence here;
        create table t (id int primary key default nextval('numbers.invoice'), n int generated always as identity, s serial)""")
    pipeline.source.execute("insert into t select from generate_series(1, 3)")
    pipeline.start(environment=OFTEN)
    pipeline.wait_while_running(lambda: places(pipeline.target, "numbers")["invoice"] == (1003, True), "numbers.invoice")
    wait_until(lambda: places(pipeline.target) == {"here": (1001, True), "t_n_seq": (1003, True), "t_s_seq": (1003, True)}, "the rest")
    assert places(pipeline.target, "other")["unrelated"] == (1, False)


def test_all_takes_the_whole_database(pipeline):
    pipeline.execute_both("create schema other; create sequence other.unrelated; create table t (id int primary key)")
    pipeline.engine.configuration["sequences"] = {"follow": "all", "headroom": 5}
    pipeline.start(environment=OFTEN)
    pipeline.wait_while_running(lambda: places(pipeline.target, "other")["unrelated"] == (6, True), "other.unrelated")


def test_what_cannot_be_set_is_named_and_the_rest_is_set(kinds):
    """Missing, of another direction, without a right: once, not every minute."""
    kinds.target.execute("drop sequence tens; drop sequence down; create sequence down")
    kinds.source.execute("create role reader login replication; grant select on all tables in schema public to reader; revoke all on sequence unused from reader;"
                         "grant select on sequence up, down, tens, ring, nearly, spent to reader; select nextval('down') from generate_series(1, 2)")
    kinds.publish()
    kinds.source_configuration["dsn"] = kinds.source.dsn(user="reader")
    try:
        kinds.start(environment=OFTEN)
        kinds.engine.wait_log('sink warehouse: sequences: the target lacks "public"."tens"; no right to read at the source: '
                              '"public"."Odd ""name.\'s", "public"."unused"; the target\'s range or direction is another one: "public"."down"')
        assert places(kinds.target)["up"] == (21, True)
        kinds.source.execute("select nextval('up')")
        kinds.wait_while_running(lambda: places(kinds.target)["up"] == (21, True), "another round")
        assert kinds.engine.log_text().count("the target lacks") == 1
        kinds.engine.stop()
    finally:
        kinds.engine.close()
        kinds.source.execute("drop owned by reader; drop role reader")


def test_a_sequence_that_is_locked_waits_for_a_later_round_and_stops_nothing(kinds):
    kinds.start(environment=OFTEN)
    with kinds.target.connect(autocommit=False) as altering:
        altering.cursor().execute("alter sequence up cache 2")
        kinds.source.execute("select setval('up', 100); insert into t values (1)")
        kinds.assert_follows()
        kinds.engine.wait_log("sink warehouse: sequences: ")
        altering.rollback()
    altering.close()
    kinds.wait_while_running(lambda: places(kinds.target)["up"] == (120, True), "up")


def test_a_kill_between_two_groups_leaves_the_rest_for_the_next_life(pipeline):
    """A group is two hundred."""
    pipeline.execute_both("create table t (id int primary key);" + "".join(f"create sequence s{i};" for i in range(450)))
    pipeline.publish()
    pipeline.engine.start(environment={**OFTEN, "PGCDC_FAULT": "sequences-set:2"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    counts = list(places(pipeline.target).values())
    assert counts.count((1001, True)) == 400
    pipeline.start(environment=OFTEN)
    pipeline.wait_while_running(lambda: set(places(pipeline.target).values()) == {(1001, True)}, "all of them")


def test_none_is_the_default_where_changes_go_both_ways(new_pipeline, shared_clusters):
    """The other side writes, too, and gives out values of its own."""
    pair = new_pipeline(shared_clusters("source", "16"), shared_clusters("target", "16"))
    pair.execute_both("create table t (id int primary key); create sequence up")
    pair.source_configuration["origin"] = "none"
    pair.start(environment=OFTEN)
    pair.source.execute("insert into t values (1)")
    pair.assert_follows()
    pair.engine.stop()
    assert places(pair.target) == {"up": (1, False)}
