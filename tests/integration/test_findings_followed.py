# SPDX-License-Identifier: Apache-2.0
"""
What `pgcdc check` finds is brought about, what it printed is followed to the letter, and then it is ready, run catches up
and verify says equal. SQL goes through psql as `check --sql` prints it; a step is done as its text says.
"""

import subprocess

import pytest

from support.server import DEFAULT_VERSION, as_server_user, server_programs

# How often what is printed is followed, since one fix can show the next fault.
ROUNDS_MAX = 4


def report_of(pipeline):
    return pipeline.engine.json("check")


def codes_of(report, *severities):
    return {finding["code"] for finding in report["findings"] if not severities or finding["severity"] in severities}


def psql(database, sql):
    """As a superuser, and stops at the first error."""
    result = subprocess.run(as_server_user([server_programs(DEFAULT_VERSION) / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                                            "-d", database.dsn(), "-f", "-"]),
                            input=sql, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{result.stderr}\n{sql}"


def follow_sql(pipeline, side):
    psql(pipeline.source if side == "source" else pipeline.target,
         pipeline.engine.command("check", "--sql", side).stdout)


def make_role(database, attributes=""):
    """A role of this database, and a dsn with it."""
    name = f"follower_{database.name}"
    database.execute(f"create role {name} login {attributes}")
    return name, database.dsn(name)


def follow_until_ready(pipeline, sides=("source", "target")):
    """Every code that was found on the way."""
    found = set()
    for _ in range(ROUNDS_MAX):
        report = report_of(pipeline)
        found |= codes_of(report)
        if not codes_of(report, "problem", "warning"):
            return found
        for side in sides:
            follow_sql(pipeline, side)
    raise AssertionError(report_of(pipeline))


def assert_goes_on(pipeline):
    """Run catches up, check is content, both sides are equal, and stay so."""
    pipeline.engine.catch_up()
    report = report_of(pipeline)
    assert report["ready"], report
    result = pipeline.engine.command("verify")
    assert result.returncode == 0 and "equal" in result.stdout, result.stdout + result.stderr


# ---- the source ----

def test_a_role_at_the_source_without_any_right(pipeline):
    """One role, every right that a copy needs, the names hard to quote."""
    pipeline.source.execute("""
        create schema "S x"; create table "S x"."T 'y" (id int primary key, v text);
        insert into "S x"."T 'y" values (1, 'a');
        create table t (id int primary key); insert into t values (1), (2);
        create table u (v int); insert into u values (1);
        create table w (v int not null unique, g int generated always as (v) stored); insert into w values (1);
        create table x (v int, g int generated always as (v) stored); insert into x values (1);
        alter table t enable row level security; revoke usage on schema public from public""")
    pipeline.source_configuration["dsn"] = make_role(pipeline.source)[1]
    pipeline.source_configuration["tables"] = ["public.*", "S x.*"]
    found = follow_until_ready(pipeline, ["source"])
    assert found >= {"replication_connection", "schema_usage", "publication_missing", "replica_identity", "row_security",
                     "table_select"}, found
    assert_goes_on(pipeline)
    pipeline.source.execute("update t set id = id + 5; update u set v = 7; delete from w; update x set v = 3")
    assert_goes_on(pipeline)


def test_a_publication_made_by_hand_that_does_not_fit(pipeline):
    pipeline.source.execute("""
        create table t (id int primary key); create table u (id int primary key); create unlogged table w (id int primary key);
        create schema other; create table other.v (id int primary key); create table other."V 2" (id int primary key);
        insert into t values (1); insert into u values (1); insert into w values (1);
        create publication shop for table t, other.v, other."V 2" with (publish = 'insert, update')""")
    found = follow_until_ready(pipeline, ["source"])
    assert found >= {"publication_lacks_table", "publication_has_more", "publication_operations", "unlogged"}, found
    assert_goes_on(pipeline)
    pipeline.source.execute("update t set id = 2; delete from u; truncate w")
    assert_goes_on(pipeline)


def test_partitions_and_keys_whose_old_rows_are_not_sent(pipeline):
    pipeline.source.execute("""
        create table p (id int, v text) partition by range (id);
        create table p1 partition of p for values from (0) to (10);
        create unlogged table p2 (id int, v text); alter table p attach partition p2 for values from (10) to (20);
        alter table p1 add primary key (id); alter table p2 add primary key (v);
        insert into p values (1, 'a'), (11, 'b');
        create table g (a int, b int generated always as (a) stored primary key); insert into g (a) values (1), (2);
        create table f (id int primary key, v text, big text); insert into f values (1, 'a', 'b');
        create publication shop for table p, g, f where (id > 0) with (publish_via_partition_root = true)""")
    found = follow_until_ready(pipeline, ["source"])
    assert found >= {"leaf_unlogged", "leaf_identities", "generated_key", "row_filter_large", "row_filter"}, found
    assert_goes_on(pipeline)
    pipeline.source.execute("update p set v = v || 'x'; update g set a = a + 10; update f set id = 5; delete from p where id = 1")
    assert_goes_on(pipeline)


# ---- the target ----

def test_a_role_at_the_target_without_any_right(pipeline):
    pipeline.source.execute("""
        create extension citext; create schema "S x"; create table "S x"."T 'y" (id int primary key, v citext);
        insert into "S x"."T 'y" values (1, 'a'); create schema open; create table open.o (id int primary key);
        create table t (id int primary key, b int); insert into t values (1, 1);
        create table u (id int primary key references t); insert into u values (1)""")
    pipeline.source_configuration["tables"] = ["public.*", "S x.*", "open.*"]
    pipeline.target.execute("""create schema open; create table t (id int primary key, b int);
        create table u (id int primary key references t); alter table t enable row level security;
        create schema shut; revoke usage on schema public from public""")
    role, pipeline.sink_configuration["dsn"] = make_role(pipeline.target)
    found = follow_until_ready(pipeline, ["target"])
    assert found >= {"position_schema", "target_schema", "target_type", "target_rights", "row_security", "target_triggers"}, found
    assert_goes_on(pipeline)
    pipeline.target.execute(f"revoke delete on pgcdc.position from {role}; revoke usage on schema pgcdc from {role};"
                            f" alter table pgcdc.position owner to postgres; alter schema pgcdc owner to postgres;"
                            f" revoke all on schema pgcdc from {role}; revoke all on pgcdc.position from {role}")
    pipeline.source.execute("update t set b = 2; delete from u")
    assert follow_until_ready(pipeline, ["target"]) >= {"position_table"}
    assert_goes_on(pipeline)
    pipeline.target.execute("""alter table pgcdc.position drop constraint position_pkey, drop column stream, drop column layout,
        drop column needs_a_newer_pgcdc, add primary key (pipeline, sink)""")
    pipeline.source.execute("update t set b = 3")
    assert follow_until_ready(pipeline, ["target"]) >= {"position_owner"}
    assert_goes_on(pipeline)


def test_tables_at_the_target_that_differ(pipeline):
    pipeline.source.execute("""
        create type mood as enum ('a', 'b'); create domain small as int;
        create table k (id int primary key, v text); create table ul (id int primary key);
        create table g (id int primary key, v int); create table c (id int primary key, v bigint, w numeric(9,4));
        create table n (id int primary key); create table e (id int primary key, v mood); create table d (id int primary key, v small);
        create table q (id int primary key, pos int unique deferrable initially deferred);
        create table z (id int primary key);
        insert into k values (1, 'a'); insert into ul values (1); insert into g values (1, 7); insert into c values (1, 1 << 31, 1.2345);
        insert into n values (1); insert into e values (1, 'b'); insert into d values (1, 20); insert into q values (1, 1), (2, 2)""")
    pipeline.target.execute("""
        create type mood as enum ('a'); create domain small as int check (value < 10);
        create table k (id int, v text); create unlogged table ul (id int primary key);
        create table g (id int primary key, v int generated always as (id) stored);
        create table c (id int primary key, v int, w numeric(9,2));
        create table n (id int primary key, more int not null); create table e (id int primary key, v mood);
        create table d (id int primary key, v small); create table q (id int primary key, pos int unique);
        create table z ()""")
    found = follow_until_ready(pipeline, ["target"])
    assert found >= {"target_key", "target_unlogged", "target_generated", "target_column_type", "target_column", "target_enum",
                     "target_domain", "target_deferrable"}, found
    pipeline.source.execute("begin; update q set pos = 3 - pos; commit; update c set v = v + 1, w = w + 0.0001; delete from k")
    assert_goes_on(pipeline)
    pipeline.source.execute("begin; update q set pos = 3 - pos; commit; update c set v = v + 1, w = w + 0.0001; update g set v = 9")
    assert_goes_on(pipeline)


def test_each_of_several_targets_gets_its_own_statements(pipeline, shared_clusters):
    """Both went to the one database that psql had; the name of a sink can be the beginning of another's."""
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, 'a')")
    pipeline.target.execute("create table t (id int primary key)")
    other = shared_clusters("target").create_database("dst")
    other.execute("create table t (id int, v text)")
    pipeline.engine.configuration["sinks"].append({"name": "ware", "type": "postgres", "dsn": other.dsn()})
    refused = pipeline.engine.command("check", "--sql", "target")
    assert refused.returncode == 2 and refused.stdout == "", refused.stdout
    assert "--sql target:warehouse --sql target:ware" in refused.stderr
    assert pipeline.engine.command("check", "--sql", "target:nobody").returncode == 2
    for name, database in (("ware", other), ("warehouse", pipeline.target)):
        psql(database, pipeline.engine.command("check", "--sql", f"target:{name}").stdout)
    assert not codes_of(report_of(pipeline), "problem", "warning"), report_of(pipeline)
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select * from t") == other.execute("select * from t") == [(1, "a")]


# ---- files of this machine ----

def follow_in_a_shell(fix):
    """A fix that is a command, by root as it says."""
    command = fix.removeprefix("as root: ").split("; or ")[0]
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stderr}"


def fixes_of(pipeline, code):
    return [finding["fix"] for finding in report_of(pipeline)["findings"] if finding["code"] == code]


def test_files_whose_names_a_shell_would_take_apart(pipeline, tmp_path):
    """Their names were used in chmod and mkdir without quotes."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    odd = tmp_path / "it's a \"$HOME\" -- of; files\t&"
    odd.mkdir()
    pipeline.engine.config_path = odd / "-c of shop.yaml"
    pipeline.engine.configuration["state"] = str(odd / "more of it" / "state's")
    password = odd / "pass 'word"
    password.write_text("secret\n", encoding="utf-8")
    password.chmod(0o666)
    pipeline.source_configuration["password_file"] = str(password)
    pipeline.sink_configuration["dsn"] += " password=x"
    pipeline.engine.write_configuration()
    pipeline.engine.config_path.chmod(0o644)
    for code in ("password_file_mode", "file_mode", "state"):
        [fix] = fixes_of(pipeline, code)
        follow_in_a_shell(fix)
        assert fixes_of(pipeline, code) == [], code
    assert password.stat().st_mode & 0o7 == 0
    assert_goes_on(pipeline)


STATES = {
    "a file is in the way": (lambda path: path.write_text("", encoding="utf-8"), "", "it exists but is not a directory"),
    "a file is in its path": (lambda path: path.write_text("", encoding="utf-8"), "/a/state", "Not a directory"),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_directory_that_cannot_be(pipeline, tmp_path, state):
    """A file that may be executed was taken for a directory."""
    make, more, what = STATES[state]
    pipeline.source.execute("create table t (id int primary key)")
    path = tmp_path / "there"
    make(path)
    path.chmod(0o755)
    pipeline.engine.configuration["state"] = f"{path}{more}"
    [finding] = [finding for finding in report_of(pipeline)["findings"] if finding["code"] == "state"]
    assert what in finding["what"] and "let state in the configuration file name a " in finding["fix"], finding
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and result.stderr.count("\n") == 1 and finding["fix"] in result.stderr, result.stderr
    pipeline.engine.configuration["state"] = str(tmp_path / "other")
    assert_goes_on(pipeline)


# ---- positions that do not fit: the same three steps ----

def lose_slot(pipeline):
    pipeline.source.execute("select pg_drop_replication_slot('shop')")


def advance_slot(pipeline):
    pipeline.source.execute("insert into t values (100)")
    pipeline.source.execute("select pg_replication_slot_advance('shop', pg_current_wal_lsn())")


def lose_publication(pipeline):
    pipeline.source.execute("drop publication shop")


def go_back_at_the_source(pipeline):
    pipeline.target.execute("update pgcdc.position set end_lsn = 'FFFF/0'")
    (pipeline.state / "shop.checkpoint").unlink()


def forget_at_the_target(pipeline):
    pipeline.target.execute("delete from pgcdc.position")


def go_back_at_the_target(pipeline):
    pipeline.target.execute("update pgcdc.position set end_lsn = '0/1'")


def come_from_elsewhere(pipeline):
    pipeline.target.execute("update pgcdc.position set system_id = 1")


def publish_later(pipeline):
    pipeline.source.execute("create table u (id int primary key); insert into u values (1); alter publication shop add table u")
    pipeline.target.execute("create table u (id int primary key)")




# What was done, and the code that says so.
LOSSES = [
    (lose_slot, "refusal"), (advance_slot, "refusal"), (lose_publication, "publication_missing"),
    (go_back_at_the_source, "refusal"), (forget_at_the_target, "refusal"), (go_back_at_the_target, "refusal"),
    (come_from_elsewhere, "refusal"), (publish_later, "target_old_rows"),
]


def start_over(pipeline, fix):
    """run `pgcdc drop`, empty the target's tables, and start over with a new copy"""
    assert "run `pgcdc drop`, empty the target's tables, and start over with a new copy" in fix, fix
    dropped = pipeline.engine.command("drop")
    assert dropped.returncode == 0, dropped.stderr
    for table, in pipeline.target.execute("select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public'"):
        pipeline.target.execute(f"truncate {table}")


@pytest.mark.parametrize("lose,code", LOSSES)
def test_a_loss_ends_with_a_new_copy(pipeline, lose, code):
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 9)")
    pipeline.engine.catch_up()
    lose(pipeline)
    pipeline.source.execute("insert into t values (10)")
    [finding] = [finding for finding in report_of(pipeline)["findings"] if finding["code"] == code]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode in (2, 3), result.stderr
    assert finding["fix"] in result.stderr, "run prints what check does"
    start_over(pipeline, finding["fix"])
    assert_goes_on(pipeline)


# ---- a table that is added later and not copied ----

LATER = """
    create schema ext; create extension citext with schema ext; create schema "S x";
    create type "S x".mood as enum ('a', 'it''s'); create domain "S x".small as int check (value < 100);
    create domain small2 as "S x".small not null; create type pair as (a small2, b "S x".mood[]);
    create table "S x"."U 'q" (id bigint generated always as identity primary key, m "S x".mood not null, p pair, c ext.citext,
        n numeric(9, 3), g text collate "C" generated always as (upper(k)) stored, k text default 'x' collate "C");
    create table v (a int, b "S x".mood, primary key (b, a)) partition by range (a);
    create table v1 partition of v for values from (0) to (9);
    create table w (id int); alter table w replica identity full;
    alter publication shop add table "S x"."U 'q", v, w;
    insert into "S x"."U 'q" (m, p, c, n) values ('it''s', row(7, '{a}'), 'C', 1.5); insert into v values (1, 'a'); insert into w values (1)"""


def test_a_role_that_may_not_create_the_tables(pipeline):
    """check's finding was printed, then the server's answer without a remedy."""
    pipeline.source.execute("create table t (id int primary key); create table u (id int primary key); insert into t values (1)")
    pipeline.target.execute("revoke create on schema public from public")
    role, dsn = make_role(pipeline.target)
    pipeline.target.execute(f"grant create on database {pipeline.target.value('select quote_ident(current_database())')} to {role}")
    pipeline.sink_configuration["dsn"] = dsn
    result = pipeline.engine.command("run", "--until", "caught-up")
    errors = [line for line in result.stderr.splitlines() if " error " in line]
    assert result.returncode == 2 and len(errors) == 1 and "grant usage, create on schema" in errors[0], result.stderr
    psql(pipeline.target, pipeline.engine.command("check", "--sql", "target").stdout)
    assert_goes_on(pipeline)


@pytest.mark.parametrize("who", ["superuser", "the sink's role"])
def test_a_table_that_only_a_copy_would_create(pipeline, who):
    """It was a pg_dump that gave away owners and publications, and forgot schemas and types."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.target.execute("revoke create on schema public from public")
    role, dsn = make_role(pipeline.target)
    name = pipeline.target.value("select quote_ident(current_database())")
    pipeline.target.execute(f"grant create on database {name} to {role}; grant create, usage on schema public to {role}")
    pipeline.sink_configuration["dsn"] = dsn
    pipeline.engine.catch_up()
    if who == "superuser":
        pipeline.target.execute(f"revoke create on database {name} from {role}; revoke create on schema public from {role}")
    pipeline.source.execute(LATER)
    pipeline.source_configuration["tables"] = ["public.*", "S x.*"]
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "pgcdc check prints" in result.stderr.splitlines()[-1], result.stderr
    sql = pipeline.engine.command("check", "--sql", "target").stdout
    psql(pipeline.target, sql if who == "superuser" else f"set role {role};\n{sql}")
    assert not codes_of(report_of(pipeline), "problem"), report_of(pipeline)
    assert_goes_on(pipeline)
    pipeline.source.execute("""update "S x"."U 'q" set k = 'y'; delete from v; update w set id = 2; truncate w""")
    assert_goes_on(pipeline)


def test_what_has_the_name_of_a_table(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.target.execute("create view t as select 1 as id")
    [fix] = fixes_of(pipeline, "target_table")
    assert fix == "drop it, or give it another name"
    pipeline.target.execute("alter view t rename to old")
    assert_goes_on(pipeline)
    pipeline.source.execute("create table u (id int primary key); alter publication shop add table u; insert into u values (1)")
    pipeline.target.execute("create view u as select 1 as id")
    last = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
    assert '"public"."u" is not a table' in last and "drop it, or give it another name" in last
    pipeline.target.execute("drop view u")
    follow_sql(pipeline, "target")
    assert_goes_on(pipeline)


# ---- what is left to a decision ----

def test_rows_at_the_target_are_emptied_with_what_refers_to_them(pipeline):
    """psql is given nothing that empties a table, and a table that others refer to is not emptied by itself."""
    tables = "create table t (id int primary key); create table u (id int primary key references t); create table v (id int primary key references u)"
    pipeline.source.execute(tables + "; insert into t values (1); insert into u values (1)")
    pipeline.target.execute(tables + "; insert into t values (5), (6); insert into u values (5)")
    follow_sql(pipeline, "target")
    assert pipeline.target.value("select count(*) from t") == 2
    [fix] = fixes_of(pipeline, "target_rows")
    assert len(fix.splitlines()) == 2 and "with the tables that refer to it" in fix
    for line in fix.splitlines():
        psql(pipeline.target, line)
    assert_goes_on(pipeline)


def test_rows_are_emptied_and_those_of_other_tables_stay(pipeline):
    """The target's own table that inherits from it keeps its rows; one that refers to a partition is emptied with it."""
    tables = """create table t (id int primary key);
        create table p (id int primary key, v int) partition by range (id); create table p1 partition of p for values from (0) to (100);
        create table r (id int primary key references p1)"""
    pipeline.source.execute(tables + "; insert into t values (1); insert into p values (1)")
    pipeline.target.execute(tables + "; create table w () inherits (t); insert into w values (9); insert into p values (5); insert into r values (5)")
    pipeline.source_configuration["tables"] = ["public.t", "public.p"]
    [fix] = fixes_of(pipeline, "target_rows")
    assert "only" not in fix and '"r"' in fix, fix
    pipeline.target.execute("insert into t values (5)")
    said = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
    assert "already hold rows (2): public.p, public.t; pgcdc check prints the statements that empty them; or set" in said, said
    [fix] = fixes_of(pipeline, "target_rows")
    for line in fix.splitlines():
        psql(pipeline.target, line)
    assert pipeline.target.execute("select id from t") == [(9,)] and pipeline.target.execute("select from p") == []
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select id from t order by 1") == [(1,), (9,)] and pipeline.target.execute("select id from p") == [(1,)]


def test_a_publication_without_tables(pipeline):
    """Its fix had the words SCHEMA.TABLE, and was given to psql."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1); create publication shop")
    pipeline.source_configuration.pop("tables")
    pipeline.source_configuration["publication"] = "shop"
    [fix] = fixes_of(pipeline, "publication_empty")
    follow_sql(pipeline, "source")
    pipeline.source.execute(fix.removeprefix("add tables: ").replace("SCHEMA.TABLE", "public.t"))
    assert fixes_of(pipeline, "publication_empty") == []
    assert_goes_on(pipeline)


@pytest.mark.parametrize("way", ["correct the entry", "make the table"])
def test_an_entry_that_stands_for_no_table(pipeline, way):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.source_configuration["tables"] = ["public.t", "public.ordres"]
    [fix] = fixes_of(pipeline, "no_tables")
    assert fix.startswith("correct source.tables"), fix
    if way == "make the table":
        pipeline.source.execute("create table ordres (id int primary key)")
    else:
        pipeline.source_configuration["tables"] = ["public.t"]
    assert_goes_on(pipeline)


@pytest.mark.parametrize("way", ["ordinary", "detached"])
def test_a_foreign_table_among_partitions(pipeline, way):
    pipeline.source.execute("""
        create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
        create table p (id int not null) partition by range (id); create table p1 partition of p for values from (0) to (9);
        create foreign table p2 partition of p for values from (10) to (19) server nowhere; insert into p values (1);
        alter table p replica identity full; alter table p1 replica identity full""")
    [fix] = fixes_of(pipeline, "leaf_foreign")
    detach = fix.split("or detach it: ")[1]
    follow_sql(pipeline, "source")
    pipeline.source.execute(detach)
    pipeline.source.execute("drop foreign table p2")
    if way == "ordinary":
        pipeline.source.execute("create table p2 partition of p for values from (10) to (19); insert into p values (11);"
                                " alter table p2 replica identity full")
    assert_goes_on(pipeline)


def test_a_column_that_only_the_source_generates(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int, g int generated always as (v * 2) stored); insert into t values (1, 4)")
    pipeline.target.execute("create table t (id int primary key, v int, g int)")
    [fix] = fixes_of(pipeline, "source_generated")
    follow_sql(pipeline, "target")
    assert fixes_of(pipeline, "source_generated") == [fix], "psql drops no column by itself"
    pipeline.target.execute(fix.removeprefix("if it is to be here, too: "))
    assert fixes_of(pipeline, "source_generated") == []
    assert_goes_on(pipeline)
    assert pipeline.target.execute("select * from t") == [(1, 4, 8)]


def test_labels_of_an_enum_in_another_order(pipeline):
    pipeline.source.execute("""create schema "S x"; create type "S x"."Mo'od" as enum ('a', 'b', 'c');
        create table t (id int primary key, m "S x"."Mo'od", a "S x"."Mo'od"[]); insert into t values (1, 'b', '{c,a}')""")
    pipeline.target.execute("""create schema "S x"; create type "S x"."Mo'od" as enum ('b', 'a', 'c');
        create table t (id int primary key, m "S x"."Mo'od", a "S x"."Mo'od"[])""")
    pipeline.engine.catch_up()
    [fix] = fixes_of(pipeline, "target_enum_order")
    follow_sql(pipeline, "target")
    assert fixes_of(pipeline, "target_enum_order") == [fix], "psql runs no half of it"
    head, rename, create, alter, drop = fix.splitlines()
    assert head == "make the type anew, in one transaction:"
    alter, array = alter.split("for each column that has it: ")[1].removesuffix(")").split(" (an array: ")
    named = array.removesuffix("[]")
    in_array = alter.replace(f"type {named}", f"type {array}").replace(f"::{named}", f"::{array}")
    statements = [rename[3:], create[3:], alter.replace("TABLE", "t").replace("COLUMN", "m"),
                  in_array.replace("TABLE", "t").replace("COLUMN", "a"), drop[3:]]
    psql(pipeline.target, "begin;\n" + ";\n".join(statements) + ";\ncommit;\n")
    assert fixes_of(pipeline, "target_enum_order") == []
    assert_goes_on(pipeline)
    assert pipeline.target.value("""select array_agg(v::text order by v) from unnest(enum_range(null::"S x"."Mo'od")) v""") == ["a", "b", "c"]


def test_a_database_of_another_encoding(pipeline):
    cluster = pipeline.target.cluster
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, '\u20ac')")
    cluster.execute("create database latin encoding latin1 template template0 lc_collate 'C' lc_ctype 'C'")
    try:
        pipeline.sink_configuration["dsn"] = cluster.dsn("latin")
        assert fixes_of(pipeline, "encoding") == ["use a target database with encoding UTF8"]
        last = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
        assert "22P05" in last and "UTF8" in last, last
        assert pipeline.engine.command("drop").returncode == 0
        pipeline.sink_configuration["dsn"] = pipeline.target.dsn()
        assert_goes_on(pipeline)
    finally:
        cluster.execute("drop database latin")


# ---- generated at one side only ----

# How the column is generated, and what verify says of the row that was there before.
KINDS = {
    "stored": ("generated always as (a * 2) stored", "existing rows keep the computed value: pgcdc verify finds them"),
    "virtual": ("generated always as (a * 2)", "existing rows have no value then: pgcdc verify finds them"),
}


@pytest.fixture
def newest(new_pipeline, shared_clusters):
    """Between servers that have virtual columns."""
    return new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_generated_at_the_target_after_the_copy(newest, kind):
    """The remark holds: verify finds the rows from before, and when the source sends them again both sides are equal."""
    how, remark = KINDS[kind]
    newest.source.execute('create table t (id int primary key, a int, "G g" int default 5); insert into t values (1, 10)')
    newest.engine.catch_up()
    newest.target.execute(f'alter table t drop column "G g", add column "G g" int {how}')
    newest.source.execute("insert into t values (2, 20, 7)")
    last = newest.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
    [fix] = fixes_of(newest, "target_generated")
    assert fix in last and fix.endswith("  -- " + remark), last
    follow_sql(newest, "target")
    assert fixes_of(newest, "target_generated") == []
    newest.engine.catch_up()
    assert newest.target.execute("select * from t order by id") == [(1, 10, 20 if kind == "stored" else None), (2, 20, 7)]
    verified = newest.engine.command("verify", "--keys", "9")
    assert verified.returncode == 4 and "(id)=(1)" in verified.stdout and "(id)=(2)" not in verified.stdout, verified.stdout
    newest.source.execute('update t set "G g" = "G g" where id = 1')
    assert_goes_on(newest)


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_generated_at_the_target_before_the_copy(newest, kind):
    """No remark then: the copy fills every row."""
    newest.source.execute("create table t (id int primary key, a int, g int default 5); insert into t values (1, 10)")
    newest.target.execute(f"create table t (id int primary key, a int, g int {KINDS[kind][0]})")
    [fix] = fixes_of(newest, "target_generated")
    assert "--" not in fix
    follow_sql(newest, "target")
    assert_goes_on(newest)
    assert newest.target.execute("select * from t") == [(1, 10, 5)]


@pytest.mark.parametrize("target", [15, 18])
def test_a_virtual_column_of_the_source_alone(new_pipeline, shared_clusters, target):
    """A target before 18 has no virtual columns and gets a stored one."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", target))
    pipeline.source.execute("create table t (id int primary key, a int, g int generated always as (a * 2) virtual); insert into t values (1, 10)")
    pipeline.target.execute("create table t (id int primary key, a int, g int)")
    [fix] = fixes_of(pipeline, "source_generated")
    pipeline.target.execute(fix.removeprefix("if it is to be here, too: "))
    assert fixes_of(pipeline, "source_generated") == []
    assert_goes_on(pipeline)
    assert pipeline.target.execute("select * from t") == [(1, 10, 20)]
    assert pipeline.target.value("select attgenerated from pg_attribute where attrelid = 't'::regclass and attname = 'g'") == ("v" if target == 18 else "s")


# ---- foreign keys that act on the copy ----

CIRCLE = ("create table b (id int primary key, c int); create table c (id int primary key, b int references b);"
          "alter table b add constraint \"to C'\" foreign key (c) references c")
PARTED = ("create schema \"S x\"; create table \"S x\".a (id int primary key, p int) partition by range (id);"
          "create table \"S x\".a1 partition of \"S x\".a for values from (0) to (9);"
          "create table p (id int primary key, a int references \"S x\".a) partition by range (id); create table p1 partition of p for values from (0) to (9);"
          "alter table \"S x\".a add foreign key (p) references p")
# The tables, foreign keys that only the target has, rows, and what is found.
REFERENCES = {
    "a circle": (CIRCLE, "", "insert into b values (1, null); insert into c values (1, 1); update b set c = 1", 1),
    "a circle of partitions": (PARTED, "", "insert into \"S x\".a values (1, null); insert into p values (1, 1); update \"S x\".a set p = 1", 1),
    "at the target only": ("create table b (id int primary key, c int); create table c (id int primary key)",
                           "alter table b add foreign key (c) references c", "insert into b values (1, 1); insert into c values (1)", 1),
    "in order": ("create table b (id int primary key); create table a (id int primary key references b, a int references a)", "",
                 "insert into b values (1); insert into a values (1, 1)", 0),
}


@pytest.mark.parametrize("leaves", [False, True], ids=["roots", "leaves"])
@pytest.mark.parametrize("case", REFERENCES)
def test_a_foreign_key_that_acts_before_its_rows_are_copied(pipeline, case, leaves):
    """Nobody said so before run, and then no statement was printed. Only the first constraint of a circle waits for the others."""
    tables, more, rows, count = REFERENCES[case]
    pipeline.execute_both(tables)
    pipeline.target.execute(more or "select")
    pipeline.source.execute(rows + f"; create publication shop for all tables with (publish_via_partition_root = {not leaves})")
    pipeline.source_configuration["tables"] = ["public.*", "S x.*"] if "S x" in tables else ["public.*"]
    pipeline.sink_configuration["triggers"] = "fire"
    fixes = [line for fix in fixes_of(pipeline, "target_references") for line in fix.splitlines()]
    assert len(fixes) == count, fixes
    if count > 0:
        last = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()[-1]
        assert "copying table " in last and "SQLSTATE 23503" in last and fixes[0] in last, last
    follow_sql(pipeline, "target")
    assert fixes_of(pipeline, "target_references") == []
    assert_goes_on(pipeline)


def test_a_foreign_key_to_rows_that_no_copy_brings(pipeline):
    """The message said that they are copied later, and to defer would have moved the error to the commit."""
    pipeline.source.execute("create table b (id int primary key, c int); insert into b values (1, 1); create publication shop for table b")
    pipeline.target.execute("create table c (id int primary key); create table b (id int primary key, c int constraint out references c)")
    pipeline.sink_configuration["triggers"] = "fire"
    for change in ("select", "alter table b alter constraint out deferrable"):
        pipeline.target.execute(change)
        result = pipeline.engine.command("run", "--until", "caught-up")
        last = result.stderr.splitlines()[-1]
        assert result.returncode == 2 and "SQLSTATE 23503" in last and "replicate the table that it refers to, too, or drop the constraint" in last, last
    pipeline.target.execute("alter table b drop constraint out")
    assert_goes_on(pipeline)
