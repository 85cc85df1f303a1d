# SPDX-License-Identifier: Apache-2.0
"""`pgcdc schema`: the source's objects are made at the target and compared, whatever dies on the way."""

import json
import subprocess
from pathlib import Path

import pytest

from support.server import newest_pg_dump, server_programs
from support.wait import wait_until

SHOP = (Path(__file__).parent / "schema_shop.sql").read_text(encoding="utf-8")
ROLES = ("shop_owner", "shop reader")


@pytest.fixture(name="clusters")
def clusters_fixture(shared_clusters):
    """clusters(source version, target version): both have the shop's roles."""
    if newest_pg_dump() is None:
        pytest.skip("pg_dump of 18 is not here (tests/support/install servers)")

    def get(source, target):
        pair = shared_clusters("source", source), shared_clusters("target", target)
        for cluster in pair:
            for role in ROLES:
                cluster.execute(f"""do $$ begin create role "{role}"; exception when duplicate_object then end $$""")
        return pair

    return get


@pytest.fixture(name="shop")
def shop_fixture(new_pipeline, clusters):
    """shop(source version, target version): the shop at the source, an empty target."""

    def make(source=15, target=15, sql=SHOP):
        pipeline = new_pipeline(*clusters(source, target))
        pipeline.engine.configuration["schema"] = {"pg_dump": str(newest_pg_dump()), "jobs": 3}
        del pipeline.source_configuration["tables"]
        if sql:
            pipeline.source.execute(sql)
        return pipeline

    return make


def apply(pipeline, *arguments, code=0, **more):
    result = pipeline.engine.command("schema apply", *arguments, **more)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def compare(pipeline):
    """(exit code, the differences as "missing INDEX public.t_a")."""
    result = pipeline.engine.command("schema compare", "--json")
    assert result.returncode in (0, 4), result.stderr
    found = json.loads(result.stdout)
    return result.returncode, [f"{one['fault']} {one['kind']} {one['schema']}.{one['name']}" for one in found["differences"]]


@pytest.mark.parametrize("source,target", [(14, 18), (15, 18), (15, 15), (18, 15)])
def test_every_class_of_objects_moves(shop, source, target):
    pipeline = shop(source, target)
    apply(pipeline)
    assert compare(pipeline) == (0, [])
    assert "0 objects made" in apply(pipeline).stdout


POINTS = [("before", "schema-before-object:40"), ("before", "schema-before-commit"), ("before", "schema-before-done"),
          ("after", "schema-object-commit:3"), ("after", "schema-object-done:9"), ("after", "schema-object-commit:25")]


def test_a_killed_apply_goes_on(shop):
    """At a point before the commit nothing of the object is there, and the next run makes it; after it, nothing is made twice."""
    pipeline = shop()
    for stage, point in POINTS:
        killed = pipeline.engine.command("schema apply", f"--{stage}-copy", environment={"PGCDC_FAULT": point})
        assert killed.returncode == -9, killed.stdout + killed.stderr
    apply(pipeline)
    assert compare(pipeline) == (0, [])


@pytest.mark.long
@pytest.mark.parametrize("point", ["schema-object-commit", "schema-object-done"])
def test_killed_at_each_object(shop, point):
    """Each life makes one object, or some of those that others were making."""
    pipeline = shop()
    apply(pipeline, "--before-copy")
    lives = 0
    while (killed := pipeline.engine.command("schema apply", environment={"PGCDC_FAULT": f"{point}:{1 + lives % 3}"})).returncode == -9:
        lives += 1
    assert killed.returncode == 0, killed.stderr
    assert lives > 10
    assert compare(pipeline) == (0, [])


def refused(pipeline, *words, arguments=(), code=2):
    """It ends before anything is changed, and says why."""
    before = pipeline.target.value("select count(*) from pg_class")
    result = apply(pipeline, *arguments, code=code)
    for word in words:
        assert word in result.stderr, result.stderr
    assert pipeline.target.value("select count(*) from pg_class where relnamespace <> to_regnamespace('pgcdc')"
                                 " or to_regnamespace('pgcdc') is null") <= before + 10
    return result


def test_a_missing_role_is_named_before_anything_is_made(shop):
    pipeline = shop(sql="""create table t (id int primary key); create role "only here"; grant select on t to "only here" """)
    refused(pipeline, 'lacks a role that owners or rights name: "only here"')
    assert pipeline.target.value("select to_regclass('t')") is None
    pipeline.engine.configuration["schema"]["grants"] = "no"
    apply(pipeline)
    pipeline.target.cluster.execute('create role "only here"')
    pipeline.engine.configuration["schema"]["grants"] = "yes"
    assert compare(pipeline) == (4, ["missing ACL public.TABLE \"t\""])
    assert "1 object made" in apply(pipeline).stdout
    assert compare(pipeline) == (0, [])
    for database in (pipeline.source, pipeline.target):
        database.execute('drop owned by "only here"; drop role "only here"')


def test_an_extension_that_the_target_lacks_is_named(shop):
    """The files of an extension are on the source's server only."""
    pipeline = shop(sql="create table t (id int)")
    folder = Path(pipeline.source.value("select setting from pg_config where name = 'SHAREDIR'")) / "extension"
    pipeline = shop(15, 18, sql=None)
    pipeline.source.execute("create extension adminpack")
    assert (folder / "adminpack.control").exists()
    refused(pipeline, 'does not have the extension "adminpack"', "drop the extension at the source")


def test_a_pg_dump_that_is_too_old_is_refused(shop):
    pipeline = shop(15, 18, sql="create table t (id int)")
    pipeline.engine.configuration["schema"]["pg_dump"] = str(server_programs(15) / "pg_dump")
    refused(pipeline, "is of PostgreSQL 15, and one of the servers is of 18", "postgresql-client-18")
    pipeline.engine.configuration["schema"]["pg_dump"] = "/nowhere/pg_dump"
    refused(pipeline, "/nowhere/pg_dump", "name the path of a pg_dump")


def test_a_role_that_may_only_read_is_enough_at_the_source(shop):
    pipeline = shop(sql="create table t (id serial primary key); create table secret (id int); create role reader login")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn("reader")
    try:
        refused(pipeline, "permission denied for table", "grant pg_read_all_data to reader")
        pipeline.source.execute("grant pg_read_all_data to reader")
        apply(pipeline)
        assert compare(pipeline) == (0, [])
    finally:
        pipeline.source.execute("drop owned by reader; drop role reader")


def test_a_role_of_the_target_needs_no_superuser(shop):
    pipeline = shop(sql="create schema app; create table app.t (id int primary key, note text); create index on app.t (note);"
                        "create table app.u (t int references app.t); create view app.v as select * from app.t")
    pipeline.target.execute("create role mover login; create schema pgcdc authorization mover")
    pipeline.target.execute(f"grant create on database {pipeline.target.name} to mover")
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn("mover")
    try:
        refused(pipeline, "role mover may not give objects to", "grant NAME to mover")
        pipeline.engine.configuration["schema"]["owners"] = "no"
        apply(pipeline)
        assert compare(pipeline) == (0, [])
        assert pipeline.target.value("select relowner::regrole::text from pg_class where oid = 'app.t'::regclass") == "mover"
    finally:
        pipeline.target.execute("drop owned by mover; drop role mover")


def test_an_object_of_another_definition_is_not_replaced(shop):
    pipeline = shop(sql="create table t (id int primary key, note text); create view v as select id from t")
    pipeline.target.execute("create table t (id int primary key)")
    refused(pipeline, "the target has TABLE public.t, whose definition differs from the source's", "schema compare")
    assert compare(pipeline) == (4, ["different TABLE public.t", "missing VIEW public.v"])
    pipeline.target.execute("alter table t add note text; create view extra as select 1 as one")
    apply(pipeline)
    assert compare(pipeline) == (4, ["extra VIEW public.extra"])
    text = pipeline.engine.command("schema compare")
    assert text.stdout.startswith("extra      VIEW public.extra\n") and text.stdout.endswith(" objects: 0 missing, 0 different, 1 extra\n")


def test_what_another_tool_made_in_another_version_is_kept(shop):
    """The same view has other words in 14 and in 18: the target decides whether it is the same."""
    sql = "create table t (id int, mood text); create view v as select t.id from t where t.id in (1, 2) group by t.id, t.mood"
    pipeline = shop(14, 18, sql=sql)
    pipeline.target.execute(sql)
    before = pipeline.target.value("select xmin::text from pg_class where relname = 'v'")
    apply(pipeline)
    assert pipeline.target.value("select xmin::text from pg_class where relname = 'v'") == before
    assert compare(pipeline) == (0, [])
    pipeline.target.execute("create or replace view v as select t.id from t where t.id in (1, 3) group by t.id, t.mood")
    refused(pipeline, "VIEW public.v")
    assert compare(pipeline) == (4, ["different VIEW public.v"])
    assert not pipeline.target.execute("select 1 from pg_database where datname like 'pgcdc_schema%%'")


def test_what_the_target_cannot_make_is_named_and_may_be_made_by_hand(shop):
    """A generated column that is not stored is new in 18."""
    pipeline = shop(18, 15, sql="create table t (id int primary key, twice int generated always as (id * 2) virtual); create view v as select * from t")
    refused(pipeline, "TABLE public.t", "SQLSTATE 42601", "make it in the target by hand")
    pipeline.target.execute("create table t (id int, twice int generated always as (id * 2) stored)")
    apply(pipeline)
    assert compare(pipeline) == (4, ["different TABLE public.t", "different VIEW public.v"])


def test_inherited_columns_come_first_where_a_table_is_made(shop):
    """Nothing but the order differs, in the same version too; a column that is missing does."""
    pipeline = shop(sql="""create table p (a int, b int); create table one (b int, a int, c int); alter table one inherit p;
        create table two (c int) inherits (p)""")
    apply(pipeline)
    assert compare(pipeline) == (0, [])
    assert "0 objects made" in apply(pipeline).stdout
    pipeline.target.execute("alter table one drop c")
    assert compare(pipeline) == (4, ["different TABLE public.one"])


def test_a_function_whose_library_the_target_lacks_is_named(shop):
    pipeline = shop(15, 18, sql=None)
    pipeline.source.execute("create function inc() returns trigger language c as '/usr/lib/postgresql/15/lib/autoinc.so', 'autoinc'")
    refused(pipeline, "FUNCTION public.inc()", "built for its version, or drop the function at the source", code=1)


def test_a_table_that_stays_behind_takes_along_what_needs_it(shop):
    pipeline = shop(sql="""create table t (id int primary key); create table old (id int primary key, t int references t);
        create table child (old int references old); create view old_view as select * from old; comment on view old_view is 'old';
        create table part (id int) partition by range (id); create table other_name partition of part for values from (0) to (9)""")
    pipeline.source_configuration["tables"] = ["public.t", "public.child", "public.part"]
    assert "left out" in apply(pipeline).stdout
    assert compare(pipeline) == (0, [])
    names = pipeline.target.execute("select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v') order by 1")
    assert [name for name, in names] == ["child", "other_name", "part", "t"]


def test_functions_that_rely_on_a_search_path_are_found(shop):
    """pg_restore runs with an empty search_path, and fails on these."""
    pipeline = shop(sql="""set check_function_bodies = off; create schema tools; create table tools.rate (rate int); insert into tools.rate values (3);
        create function tools.rates() returns bigint language sql stable as 'select sum(rate) from rate';
        create function tools.low(text) returns text language sql immutable as 'select plain($1)';
        create function tools.plain(text) returns text language sql immutable as 'select lower($1)';
        create table t (id int, note text)""")
    pipeline.source.execute(f"alter database {pipeline.source.name} set search_path = tools, public")
    pipeline.source.execute("insert into t values (1, 'A'); create index t_low on t (low(note)); create materialized view m as select tools.rates() as r")
    apply(pipeline, "--before-copy")
    pipeline.target.execute("insert into public.t values (1, 'A'); insert into tools.rate values (4)")
    apply(pipeline, "--after-copy")
    assert pipeline.target.value("select r from tools.m") == 4
    assert compare(pipeline) == (0, [])


def test_an_index_that_a_kill_left_invalid_is_built_again(shop):
    pipeline = shop(sql="create table t (id int primary key, a int); create unique index t_a on t (a)")
    apply(pipeline, "--before-copy")
    pipeline.target.execute("insert into t values (1, 1), (2, 1)")
    with pytest.raises(Exception):
        pipeline.target.execute("create unique index concurrently t_a on t (a)")
    result = apply(pipeline, "--after-copy", code=1)
    assert "INDEX public.t_a" in result.stderr and "once the pipeline has caught up" in result.stderr
    pipeline.target.execute("delete from t where id = 2")
    apply(pipeline, "--after-copy")
    assert compare(pipeline) == (0, [])


def test_a_foreign_key_without_its_rows_is_checked_by_a_later_run(shop):
    pipeline = shop(sql="create table t (id int primary key); create table u (t int references t)")
    apply(pipeline, "--before-copy")
    pipeline.target.execute("insert into u values (7)")
    assert "VALIDATE public.u u_t_fkey" in apply(pipeline, "--after-copy", code=1).stderr
    assert compare(pipeline) == (4, ["different FK CONSTRAINT public.u u_t_fkey"])
    pipeline.target.execute("insert into t values (7)")
    apply(pipeline, "--after-copy")
    assert compare(pipeline) == (0, [])


def test_what_was_dropped_is_made_again_with_what_follows(shop):
    pipeline = shop(sql="""create table t (id int primary key); create table u (t int constraint f references t);
        create materialized view m as select 1 as one; comment on materialized view m is 'one'""")
    apply(pipeline)
    pipeline.target.execute("alter table u drop constraint f; drop materialized view m")
    apply(pipeline)
    assert pipeline.target.value("select one from m") == 1
    assert pipeline.target.value("select convalidated from pg_constraint where conname = 'f'")
    assert compare(pipeline) == (0, [])


def test_after_the_copy_needs_what_is_before_it(shop):
    pipeline = shop(sql="create table t (id int)")
    refused(pipeline, "lacks TABLE public.t", "--before-copy first", arguments=["--after-copy"])


def test_one_process_at_a_time(shop):
    """One that waits for a table's lock has the pipeline's lock; another says so; stopped, it ends, and nothing is half made."""
    pipeline = shop(sql="create table t (id int primary key, a int); create index t_a on t (a)")
    apply(pipeline, "--before-copy")
    holder = pipeline.target.connect(autocommit=False)
    holder.cursor().execute("lock table t in row exclusive mode")
    process = subprocess.Popen([pipeline.engine.program, "schema", "apply", "-c", pipeline.engine.config_path], stderr=subprocess.DEVNULL)
    wait_until(lambda: pipeline.target.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~* 'create index'"),
               "the index to wait for the table")
    assert "pgcdc schema apply" in apply(pipeline, code=6).stderr
    process.terminate()
    assert process.wait(20) == 1
    holder.close()
    apply(pipeline)
    assert compare(pipeline) == (0, [])


def test_statements_that_a_kill_left_at_work_are_waited_for(shop):
    """The server goes on with an index whose process is dead until it notices; the next run makes it once."""
    pipeline = shop(sql="create table t (id int primary key, a int); create index t_a on t (a)")
    apply(pipeline, "--before-copy")
    holder = pipeline.target.connect(autocommit=False)
    holder.cursor().execute("lock table t in row exclusive mode")
    process = subprocess.Popen([pipeline.engine.program, "schema", "apply", "-c", pipeline.engine.config_path], stderr=subprocess.DEVNULL)
    wait_until(lambda: pipeline.target.execute("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~* 'create index'"),
               "the index to wait for the table")
    process.kill()
    process.wait()
    holder.close()
    apply(pipeline)
    assert compare(pipeline) == (0, [])


def test_a_pipeline_runs_between_the_stages(shop):
    """The rows come by copy and stream into the tables of the first stage; then indexes, keys and triggers, and nothing acts twice."""
    pipeline = shop(15, 15, sql=None)
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    pipeline.source_configuration["tables"] = ["public.*"]
    pipeline.source.execute("""create table customer (id serial primary key, name text unique);
        create table sale (id int generated always as identity primary key, customer int references customer, note text);
        create index on sale (note); create table seen (sale int);
        create function see() returns trigger language plpgsql as 'begin insert into public.seen values (new.id); return null; end';
        create trigger sale_seen after insert on sale for each row execute function see();
        insert into customer (name) select 'c' || i from generate_series(1, 100) i;
        insert into sale (customer, note) select 1 + i % 100, i from generate_series(1, 1000) i;
        alter table seen add primary key (sale)""")
    apply(pipeline, "--before-copy")
    pipeline.start()
    pipeline.source.execute("insert into sale (customer, note) select 1 + i % 100, i from generate_series(1, 50) i")
    pipeline.wait_applied()
    apply(pipeline, "--after-copy")
    pipeline.source.execute("insert into sale (customer, note) values (1, 'late'); delete from sale where id < 10")
    pipeline.assert_follows()
    pipeline.engine.stop()
    assert compare(pipeline) == (0, [])
