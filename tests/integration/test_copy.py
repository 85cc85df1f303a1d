# SPDX-License-Identifier: Apache-2.0
"""The initial copy: what it creates, what it refuses, what remains when it dies, and what DDL does to it."""

import re
import signal
from pathlib import Path

import psycopg2
import pytest

from integration.test_transactions import peak_memory_kb
from integration.test_verify import EVERY_TYPE
from support.wait import wait_until

MANUAL = Path(__file__).resolve().parents[2] / "cdc" / "manual" / "operation.md"

POINTS = ["snapshot-pinned", "copy-tables-created", "copy-data-sent", "snapshot-table-read", "copy-table-ended",
          "snapshot-table-moved", "copy-before-store", "copy-before-commit", "copy-committed"]


def user_tables(database):
    return [row[0] for row in database.execute(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'pgcdc') order by 1")]


def assert_refused(pipeline, *texts):
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2, result.stderr
    for text in texts:
        assert text in result.stderr, result.stderr
    return result.stderr


# What it creates

def test_types_come_with_their_tables(pipeline):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute("""create schema kinds; create type kinds.mood as enum ('sad', 'it''s', 'back\\slash'); create type kinds.none as enum ();
        create domain kinds.positive as int not null constraint p check (value > 0); create domain kinds.moods as kinds.mood[];
        create type kinds.pair as (a text collate "C", p kinds.positive, m kinds.moods); create domain kinds.dpair as kinds.pair;
        create table t (id int primary key, a kinds.dpair[], n kinds.none, c text collate "POSIX" not null, g int generated always as (id * 2) stored);
        insert into t values (1, array['(x,1,{sad})'::kinds.dpair, null], null, 'c')""")
    pipeline.start()
    pipeline.source.execute("insert into t values (2, array['(y,2,\"{it''s}\")'::kinds.dpair], null, 'd')")
    pipeline.assert_follows()
    assert pipeline.target.value("select array_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = 'kinds.mood'::regtype") == \
        ["sad", "it's", "back\\slash"]
    with pytest.raises(psycopg2.errors.CheckViolation):
        pipeline.target.execute("select (-1)::kinds.positive")
    with pytest.raises(psycopg2.errors.NotNullViolation):
        pipeline.target.execute("insert into t (id) values (3)")
    assert pipeline.target.value("select g from t where id = 2") == 4


def test_every_type_in_odd_places(pipeline):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute(EVERY_TYPE)
    pipeline.publish()
    pipeline.start()
    pipeline.assert_follows()


def test_what_exists_is_used_as_it_is(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int); insert into t values (1, 2)")
    pipeline.target.execute("create table t (loaded text default 'by pgcdc', v text, id bigint primary key)")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select id, v, loaded from t") == [(1, "2", "by pgcdc")]


def test_keys_in_their_order(pipeline):
    pipeline.source.execute("""create table inc (a int, b int, c int, primary key (b, a) include (c)); insert into inc values (1, 2, 3);
        create table def (id int primary key deferrable initially deferred); alter table def replica identity full; insert into def values (1)""")
    pipeline.engine.catch_up()
    keys = "select conrelid::regclass::text, conkey, condeferrable from pg_constraint where contype = 'p' and connamespace = 'public'::regnamespace order by 1"
    assert pipeline.target.execute(keys) == [("def", [1], True), ("inc", [2, 1], False)]


def test_a_type_that_cannot_be_made_is_named(pipeline):
    pipeline.source.execute("create type span as range (subtype = float8); create table t (id int primary key, s span)")
    assert_refused(pipeline, "public.t.s", "public.span", "create it there")
    assert user_tables(pipeline.target) == []
    pipeline.target.execute("create type span as range (subtype = float8)")
    pipeline.engine.catch_up()


def test_foreign_keys_that_act_find_their_rows(pipeline):
    """triggers: fire. The order of names is not the order of references; a circle needs a constraint that waits."""
    schema = """create table z_customer (id int primary key); create table m_order (id int primary key, customer int references z_customer, parent int references m_order);
        create table a_line (id int primary key, ordered int references m_order);
        create table b (id int primary key, c int); create table c (id int primary key, b int references b); alter table b add foreign key (c) references c deferrable"""
    pipeline.execute_both(schema)
    pipeline.source.execute("""insert into z_customer values (1); insert into m_order values (1, 1, 2), (2, 1, null); insert into a_line values (1, 2);
        insert into b values (1, null); insert into c values (1, 1); update b set c = 1""")
    pipeline.sink_configuration["triggers"] = "fire"
    pipeline.engine.catch_up()
    pipeline.assert_equal()


# What it refuses

def test_tables_with_rows_are_all_named(pipeline):
    pipeline.execute_both("create table a (id int primary key); create table b (id int primary key); create table c (id int primary key)")
    pipeline.target.execute("insert into a values (1); insert into c values (1)")
    log = assert_refused(pipeline, "public.a, public.c", "snapshot: never")
    assert "public.b" not in log
    assert pipeline.target.value("select count(*) from a") == 1
    pipeline.target.execute("truncate a, c")
    pipeline.engine.catch_up()


def test_missing_columns_come_with_their_statement(pipeline):
    pipeline.source.execute("create table t (id int primary key, a text, \"b c\" numeric(5,2))")
    pipeline.target.execute("create table t (id int primary key)")
    added = 'alter table "public"."t" add column "a" text, add column "b c" numeric(5,2)'
    assert_refused(pipeline, added)
    pipeline.target.execute(added)
    pipeline.engine.catch_up()


def test_columns_generated_on_one_side_only(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int)")
    pipeline.target.execute("create table t (id int primary key, v int generated always as (id) stored)")
    assert_refused(pipeline, 'column "v" of table "public"."t" is generated at the target only', 'alter column "v" drop expression')


def test_a_view_in_the_way(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.target.execute("create view t as select 1 as id")
    assert_refused(pipeline, "public.t", "not a table")


def test_a_role_that_may_not_create(pipeline):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute("create schema shop; create table shop.t (id int primary key)")
    name = f"loader_{pipeline.target.name}"
    pipeline.target.execute(f"create role {name} login; grant all on schema public to {name}; create schema pgcdc authorization {name}")
    pipeline.sink_configuration["dsn"] = pipeline.target.dsn(name)
    assert_refused(pipeline, "shop", "grant create on the database")
    pipeline.target.execute(f"grant create on database {pipeline.target.name} to {name}")
    pipeline.engine.catch_up()
    pipeline.target.execute(f"drop owned by {name}; drop role {name}")


# What it leaves behind

@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_leaves_all_or_nothing(pipeline, point):
    pipeline.source.execute("create table a (id int primary key, pad text); insert into a select g, repeat('p', 200) from generate_series(1, 3000) g;"
                            "create table b (v text); insert into b select 'same' from generate_series(1, 1000); create type mood as enum ('sad');"
                            "create table c (id int primary key, m mood); insert into c values (1, 'sad')")
    pipeline.publish()
    result = pipeline.engine.command("run", environment={"PGCDC_FAULT": point})
    if result.returncode != -signal.SIGKILL:
        pytest.fail(f"never came to {point}: {result.stderr}")
    wait_until(lambda: not pipeline.target.execute("select 1 from pg_stat_activity where datname = current_database() and application_name = 'pgcdc:shop'"),
               "the killed engine's session to end")
    if point == "copy-committed":
        assert pipeline.target.value("select count(*) from b") == 1000
    else:
        assert user_tables(pipeline.target) == []
    pipeline.start()
    pipeline.source.execute("insert into b values ('streamed'); insert into c values (2, 'sad')")
    pipeline.assert_follows()


# What DDL does to it

class Window:
    """
    The time between the slot's creation and the copy's first look, held open: the source's postmaster is stopped, so the engine's slot
    gets created on its open connection, and the copy's own connection waits.
    """

    def __init__(self, pipeline):
        self.pipeline = pipeline
        self.blocker = pipeline.source.connect(autocommit=False)
        self.other = pipeline.source.connect()

    def __enter__(self):
        with self.blocker.cursor() as cursor:
            cursor.execute("select pg_current_xact_id()")
        self.pipeline.engine.start()
        self.pipeline.engine.wait_log("creating the slot waits")
        self.pipeline.source.cluster.signal(signal.SIGSTOP)
        self.blocker.rollback()
        self.pipeline.engine.wait_log("created slot")
        return self

    def execute(self, sql):
        with self.other.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def __exit__(self, *_):
        self.pipeline.source.cluster.signal(signal.SIGCONT)
        self.blocker.close()
        self.other.close()


@pytest.fixture
def own_pipeline(own_cluster, new_pipeline, shared_clusters):
    return new_pipeline(own_cluster("source"), shared_clusters("target"))


@pytest.mark.parametrize("ddl", ["alter table t alter id type bigint", "truncate t; insert into t values (7)", "drop table t; create table t (id int primary key); insert into t values (5)",
                                 "alter table t rename to u; create table t (id int primary key)"], ids=["rewrite", "truncate", "replace", "rename"])
def test_ddl_before_the_lock_starts_the_copy_over(own_pipeline, ddl):
    """A rewritten table looks empty to the older snapshot, and the rewrite sends nothing: the rows would be lost without a word."""
    pipeline = own_pipeline
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 1000); create table rest (id int primary key);"
                            "create publication shop for all tables")
    with Window(pipeline) as window:
        window.execute(ddl)
    pipeline.wait_while_running(pipeline.position, "a position in the target")
    pipeline.assert_follows()


def test_a_lost_snapshot_starts_the_copy_over(own_pipeline):
    pipeline = own_pipeline
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 1000)")
    with Window(pipeline) as window:
        window.execute("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'")
    pipeline.engine.wait_log("new slot")
    pipeline.wait_streaming()
    pipeline.assert_follows()


def test_ddl_waits_for_the_copy(pipeline):
    """Once the copy has looked, a table that is not copied yet cannot be rewritten under it."""
    pipeline.source.execute("create table a (id int primary key, pad text); insert into a select g, repeat('p', 500) from generate_series(1, 20000) g;"
                            "create table z (id int primary key); insert into z select generate_series(1, 100)")
    pipeline.target.execute("create table a (id int primary key, pad text)")
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table a in access exclusive mode")
        pipeline.engine.start()
        wait_until(lambda: pipeline.source.execute("select 1 from pg_locks where relation = 'z'::regclass and mode = 'AccessShareLock' and granted"),
                   "the copy to lock its tables")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            pipeline.source.execute("set lock_timeout = '500ms'; alter table z alter id type bigint")
    blocker.rollback()
    blocker.close()
    pipeline.wait_streaming()
    pipeline.assert_follows()


# Large things

@pytest.mark.parametrize("type_name", ["text", "xml"], ids=["binary", "text"])
def test_a_row_larger_than_any_buffer(pipeline, type_name):
    pipeline.source.execute(f"create table t (id int primary key, v {type_name}); alter table t alter v set storage external;"
                            f"insert into t select g, (repeat(md5(g::text), g * 1000000))::{type_name} from generate_series(0, 1) g;"
                            f"insert into t values (2, 'small')")
    pipeline.engine.catch_up()
    sums = "select id, md5(v::text), length(v::text) from t order by id"
    assert pipeline.target.execute(sums) == pipeline.source.execute(sums)


def test_more_tables_than_locks(own_cluster, new_pipeline):
    source, target = own_cluster("source"), own_cluster("target", settings={"max_locks_per_transaction": 10, "max_connections": 20, "max_prepared_transactions": 0})
    pipeline = new_pipeline(source, target)
    pipeline.source.execute("".join(f"create table t{n} (id int primary key, v text);" for n in range(800)))
    assert_refused(pipeline, "raise max_locks_per_transaction on the target")


def test_fifty_thousand_columns_take_little_memory(pipeline):
    """What the source's catalog says of them is not held twice, and given back. A database may have a million."""
    columns = ", ".join(f"c{n} int" for n in range(250))
    pipeline.source.execute(f"do $$ begin for n in 1..200 loop execute format('create table t%s (id int primary key, {columns})', n); end loop; end $$")
    pipeline.start()
    peak_kb = peak_memory_kb(pipeline.engine.process.pid)
    pipeline.source.execute("insert into t7 (id) values (1)")
    pipeline.assert_follows("public.t7", "public.t8")
    if "san" not in str(pipeline.engine.program):
        assert peak_kb < 26 * 1024, f"the engine's peak is {peak_kb} kB"


def test_rows_become_changes_for_a_sink_without_copy(pipeline):
    pipeline.engine.configuration["sinks"].append({"name": "nothing", "type": "null"})
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, E'a\\tb' from generate_series(1, 5000) g")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_a_database_is_moved_as_the_manual_says(pipeline):
    """The README promised a move, and after it the first insert failed: both sequences were at their start, and no constraint was there."""
    pipeline.source.execute("create table t (id int generated always as identity primary key, no text unique, at timestamptz default now());"
                            "create table u (id serial primary key, t int references t, n int check (n > 0));"
                            "create table empty (id serial primary key);"
                            "insert into t (no) select 'R' || g from generate_series(1, 20) g; insert into u (t, n) select g, g from generate_series(1, 20) g")
    pipeline.engine.configuration["sequences"] = {"follow": "none"}
    for stage in ("--before-copy", "--after-copy"):
        done = pipeline.engine.command("schema apply", stage)
        assert done.returncode == 0, done.stderr
        pipeline.engine.catch_up()
    assert pipeline.engine.command("verify").returncode == 0
    for (statement,) in pipeline.source.execute(moving(r'psql -At -c "(select .*?)" SOURCE')):
        pipeline.target.execute(statement)
    assert pipeline.engine.command("drop").returncode == 0
    ids = [pipeline.target.value(f"insert into {table} values (default) returning id") for table in ("t", "u", "empty")]
    assert ids == [21, 21, 1]
    with pytest.raises(psycopg2.errors.UniqueViolation):
        pipeline.target.execute("insert into t (no) values ('R1')")


def moving(pattern):
    """What the manual's section tells to type."""
    section = MANUAL.read_text(encoding="utf-8").partition("## Moving a database")[2].partition("\n## ")[0]
    return re.search(pattern, section, re.S)[1]
