# SPDX-License-Identifier: Apache-2.0
"""
What users of other tools reported about schemas that would not move. Each test is named after one report, and its text tells it;
the numbers are those of pgcopydb's tracker.
"""

import json
import pytest

from integration.test_schema import apply, clusters_fixture, compare, shop_fixture  # pylint: disable=unused-import


CONSTRAINTS = "select conrelid::regclass::text, conname, convalidated from pg_constraint where connamespace = 'public'::regnamespace"


def migrate(pipeline, *arguments, code=0, **more):
    result = pipeline.engine.command("migrate", "--until", "verified", *arguments, **more)
    assert result.returncode == code, result.stderr + result.stdout
    return result


def report(pipeline):
    result = pipeline.engine.command("report", "--json")
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout)["report"]


@pytest.fixture(name="moved")
def moved_fixture(shop):
    """moved(sql, accept): a database from 15 in 18, with its rows; the report closes and the schemas are equal."""

    def move(sql, accept=None):
        pipeline = shop(15, 18, sql=sql)
        if accept:
            pipeline.engine.configuration["accept"] = accept
        migrate(pipeline)
        report(pipeline)
        assert compare(pipeline) == (0, [])
        return pipeline

    return move


def test_498_a_check_that_is_not_valid(moved):
    """The rows that break it come first, and it stays as it is; the list of what to make was cut at its words."""
    pipeline = moved("""create table t (id int primary key, v int, u int); insert into t values (1, -1, -1), (2, 2, 2);
        create table child () inherits (t); alter table child add primary key (id);
        alter table t add constraint "v, NOT VALID" check (v > 0) not valid, add check (u < 9)""", accept=["not_valid:*"])
    checks = CONSTRAINTS + " and contype = 'c' order by 1, 2"
    assert pipeline.target.execute(checks) == pipeline.source.execute(checks)
    assert ("t", "v, NOT VALID", False) in pipeline.target.execute(checks)
    assert pipeline.target.value("select count(*) from t where v < 0") == 1


def test_an_entry_of_the_list_is_longer_than_1024_bytes(moved):
    """A function's arguments are in its name there."""
    name = "n" * 60
    arguments = ", ".join(f"{name}{i:02} {name}" for i in range(40))
    pipeline = moved(f"""create type {name} as enum ({', '.join(f"'label {i}'" for i in range(500))});
        create function long({arguments}) returns int language sql immutable as 'select 1';
        comment on function long({', '.join([name] * 40)}) is '{"words " * 1000}';
        create table t (id int primary key, {arguments}); create index i on t ({', '.join(f'{name}{i:02}' for i in range(20))})""")
    assert pipeline.target.value("select length(obj_description('long'::regproc))") == 6000


@pytest.mark.parametrize("point", ["schema-object-commit:2", "schema-object-done:3", "schema-object-commit:6"])
def test_220_881_a_constraint_is_made_once_by_a_run_that_goes_on(shop, point):
    """Others met their own index, or left a table without its key and said that all was done."""
    pipeline = shop(15, 18, sql="""create table t (id int primary key, a int unique, b int, constraint t_b unique (b) deferrable);
        create table u (id int primary key, t int references t, a int references t (a)); create index u_t on u (t);
        insert into t select i, i, i from generate_series(1, 100) i; insert into u select i, i, i from generate_series(1, 100) i""")
    migrate(pipeline, code=-9, environment={"PGCDC_FAULT": point})
    migrate(pipeline)
    assert compare(pipeline) == (0, [])
    keys = CONSTRAINTS + " and contype <> 'n' order by 1, 2"  # 18 has one for each column that is not null
    assert pipeline.target.execute(keys) == pipeline.source.execute(keys)
    assert pipeline.target.value("select count(*) from pg_index where indrelid in ('t'::regclass, 'u'::regclass)") == 5


def test_965_an_exclusion_constraint_is_made_once(moved):
    """Its index is not an index to be made before it."""
    pipeline = moved("""create table t (id int primary key, during tsrange, constraint "no overlap" exclude using gist (during with &&));
        insert into t values (1, '[2025-01-01,2025-01-02)')""")
    assert pipeline.target.value("select count(*) from pg_index where indrelid = 't'::regclass") == 2
    with pytest.raises(Exception, match="conflicting key value"):
        pipeline.target.execute("insert into t values (2, '[2025-01-01 12:00,2025-01-01 13:00)')")


def test_484_materialized_views_are_filled_in_the_order_in_which_they_need_each_other(moved):
    """And with the search_path that the functions in them were written for."""
    pipeline = moved("""create schema app; create table app.t (id int primary key, v int); insert into app.t values (1, 10), (2, 20);
        set check_function_bodies = off;
        create function app.total() returns bigint language sql stable set search_path = app as 'select sum(v) from t';
        create materialized view app.z_first as select app.total() as total;
        create materialized view app.m_second as select total + 1 as total from app.z_first; create unique index on app.m_second (total);
        create view app.k_between as select total from app.m_second;
        create materialized view app.a_third as select total + 1 as total from app.k_between;
        create materialized view app.empty as select 1 as one with no data""")
    assert pipeline.target.value("select total from app.a_third") == 32
    assert pipeline.target.value("select relispopulated from pg_class where relname = 'empty'") is False


def test_922_lines_that_are_commands_of_psql(moved):
    r"""pg_dump writes \restrict since CVE-2025-8714; and text of the user can look like it."""
    pipeline = moved(r"""create table "\restrict x" (id int primary key, "
\! touch" text default E'\n\\unrestrict x\n\\copy t from stdin\n\\.\n');
        comment on table "\restrict x" is E'two\n\\connect other\n-- Name: x; Type: TABLE; Schema: public; Owner: -';
        create function f() returns text language sql as $$ select '
\restrict token
\unrestrict token
' $$;
        insert into "\restrict x" values (1)""")
    assert pipeline.target.value("select f()") == "\n\\restrict token\n\\unrestrict token\n"
    assert pipeline.target.value(r'select obj_description($$"\restrict x"$$::regclass)').startswith("two\n\\connect other\n")


def test_8_the_comment_of_an_extension_that_the_role_does_not_own(shop):
    pipeline = shop(15, 18, sql="create extension pg_trgm; comment on extension pg_trgm is 'ours'; create table t (id int primary key, v text);"
                                "create index on t using gin (v gin_trgm_ops); insert into t values (1, 'x')")
    pipeline.target.execute("create extension pg_trgm; create role mover login")
    pipeline.target.execute(f"grant create on database {pipeline.target.name} to mover; grant all on schema public to mover;"
                            "grant set on parameter session_replication_role to mover")
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn("mover")
    pipeline.engine.configuration["schema"].update(owners="no", grants="no")
    try:
        migrate(pipeline)
        assert compare(pipeline) == (0, [])
        assert pipeline.target.value("select obj_description(oid) from pg_extension where extname = 'pg_trgm'") != "ours"
    finally:
        pipeline.target.execute("drop schema if exists pgcdc cascade; drop owned by mover cascade; drop role mover")


def test_5_rights_of_a_role_that_the_target_lacks(shop):
    """It is said before anything is made, with its name, or the rights stay behind as a whole, if the file says so."""
    pipeline = shop(15, 18, sql="""create role museum_only; create table t (id int primary key); grant select on t to museum_only;
        create policy p on t to museum_only using (true); alter default privileges grant select on tables to museum_only""")
    try:
        assert 'role that owners or rights name: "museum_only"' in apply(pipeline, code=2).stderr
        assert pipeline.target.value("select to_regclass('t')") is None
        pipeline.source.execute("drop policy p on t")
        pipeline.engine.configuration["schema"]["grants"] = "no"
        migrate(pipeline)
        assert compare(pipeline) == (0, [])
    finally:
        pipeline.source.execute("drop owned by museum_only; drop role museum_only")


def test_390_a_sequence_in_another_schema_than_its_table(moved):
    pipeline = moved("""create schema numbers; create sequence numbers."s ""1" start 5 increment 5; create schema app;
        create table app.t (id int primary key default nextval('numbers."s ""1"')); insert into app.t default values; insert into app.t default values""")
    assert pipeline.target.value("select nextval('numbers.\"s \"\"1\"') > 10")
    pipeline.target.execute("insert into app.t default values")


def test_276_no_sequence_is_skipped(moved):
    """Owned or not, never used, counting down, of a type other than bigint, cycling."""
    pipeline = moved("""create table t (id serial primary key, n bigint generated always as identity, unused bigint generated by default as identity);
        insert into t (unused) select g from generate_series(1, 10) g; create sequence alone; create sequence down increment -1 minvalue -1000 maxvalue -1;
        create sequence small as smallint cycle; create sequence never start 77; select nextval('alone'), nextval('down'), nextval('small')""")
    names = {sequence["name"] for sequence in report(pipeline)["sequences"]}
    assert names == {"t_id_seq", "t_n_seq", "t_unused_seq", "alone", "down", "small", "never"}
    next_values = pipeline.target.execute("select nextval('t_id_seq') > 10, nextval('t_n_seq') > 10, nextval('alone') > 1, nextval('down') < -1, nextval('never') >= 77")
    assert next_values == [(True,) * 5]


def test_135_no_superuser_at_the_source(shop):
    """Roles' passwords are what only a superuser can read, and no table needs them."""
    pipeline = shop(15, 18, sql="create table t (id int primary key, v int unique); insert into t values (1, 1)")
    pipeline.source.execute("create publication shop for all tables; create role museum_reader login replication; grant pg_read_all_data to museum_reader")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn("museum_reader")
    try:
        migrate(pipeline)
        report(pipeline)
        assert compare(pipeline) == (0, [])
    finally:
        pipeline.source.execute("drop owned by museum_reader; drop role museum_reader")


def test_the_configuration_tables_of_an_extension(shop):
    """The extension's own script makes them, and fills some; then they are copied as others are."""
    conf = """create extension hstore; create table conf (id int primary key); insert into conf values {}; alter extension hstore add table conf;
        update pg_extension set extconfig = array['conf'::regclass::oid], extcondition = array[''] where extname = 'hstore';"""
    pipeline = shop(15, 18, sql=conf.format("(1), (2)") + "create table t (id int primary key, h hstore); insert into t values (1, 'a=>1')")
    pipeline.target.execute(conf.format("(1)"))
    migrate(pipeline, code=2)
    findings = {finding["code"]: finding for finding in pipeline.engine.json("plan")["findings"]}
    assert "empty them at the target" in findings["extension_config"]["fix"]
    pipeline.target.execute(findings["target_rows"]["fix"])
    migrate(pipeline)
    report(pipeline)
    assert compare(pipeline) == (0, [])
    assert pipeline.target.execute("select id from conf order by 1") == [(1,), (2,)]
