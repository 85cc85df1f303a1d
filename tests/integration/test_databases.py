# SPDX-License-Identifier: Apache-2.0
"""Several databases of one server move with one file, each as a pipeline of its own."""

import json
import re
import signal

import psycopg2
import pytest

from support.cluster import Cluster
from support.engine import Engine
from support.server import newest_pg_dump, server_programs
from support.wait import wait_until

NAMES = ["Shop", "crm data", "o\"brien's"]
PIPELINES = ["move_shop", "move_crm_data", "move_o_brien_s"]
TABLE = "create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 300) g"


@pytest.fixture(name="clusters", scope="module")
def clusters_fixture():
    if newest_pg_dump() is None or server_programs(18) is None:
        pytest.skip("PostgreSQL 18 is not here (tests/support/install servers)")
    with Cluster("many15", 15) as source, Cluster("many18", 18) as target:
        yield source, target


class Named:
    """A database of any name."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def execute(self, sql, params=None):
        connection = psycopg2.connect(host="127.0.0.1", port=self.cluster.port, user="postgres", dbname=self.name)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, params=None):
        return self.execute(sql, params)[0][0]

    def quoted(self):
        return '"' + self.name.replace('"', '""') + '"'

    def make(self):
        self.cluster.execute(f"create database {self.quoted()}")

    def drop(self):
        wait_until(lambda: not self.cluster.execute("select 1 from pg_replication_slots where database = %s and active", (self.name,)), "its slots to be free")
        self.cluster.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", (self.name,))
        self.cluster.execute(f"drop database {self.quoted()} with (force)")


class Move:
    """The databases of a source, and one file that moves them."""

    def __init__(self, program, folder, source, target):
        self.source, self.target = source, target
        self.engine = Engine(program, folder, {
            "name": "move",
            "source": {"dsn": source.dsn()},
            "state": str(folder / "state"),
            "schema": {"pg_dump": str(newest_pg_dump())},
            "migrate": {"databases": list(NAMES)},
            "sinks": [{"name": "new", "type": "postgres", "dsn": target.dsn()}],
        })

    def at_source(self, name):
        return Named(self.source, name)

    def at_target(self, name):
        return Named(self.target, name)

    def drop_all(self):
        for cluster in (self.source, self.target):
            for name, in cluster.execute("select datname from pg_database where not datistemplate and datname <> 'postgres'"):
                Named(cluster, name).drop()

    def command(self, name, *arguments, code=0, **more):
        result = self.engine.command(name, *arguments, **more)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def counts(self):
        return [self.at_target(name).value("select count(*) from t") for name in NAMES]


@pytest.fixture(name="move")
def move_fixture(clusters, program, tmp_path):
    move = Move(program, tmp_path / "move", *clusters)
    for name in NAMES:
        for cluster in clusters:
            Named(cluster, name).make()
        move.at_source(name).execute(TABLE)
    yield move
    move.engine.close()
    move.drop_all()


def test_each_database_moves_and_is_named(move):
    said = move.command("migrate", "--until", "verified")
    for number, (name, pipeline) in enumerate(zip(NAMES, PIPELINES), 1):
        assert f"migrate: database {number} of 3, {name}, as pipeline {pipeline}" in said
    assert move.counts() == [300, 300, 300]
    slots = {row[0]: row[1] for row in move.source.execute("select slot_name, database from pg_replication_slots")}
    assert slots == dict(zip(PIPELINES, NAMES))
    plan = json.loads(move.engine.command("plan", "--json").stdout)
    assert [one["database"] for one in plan["databases"]] == NAMES and plan["pipeline"] == "move"
    assert [one["result"]["pipeline"] for one in plan["databases"]] == PIPELINES
    status = move.command("status")
    assert all(f"database {name}, pipeline {pipeline}\n" in status for name, pipeline in zip(NAMES, PIPELINES))
    assert move.command("schema compare").count("database ") >= 3
    assert sorted(path.name for path in (move.engine.folder / "state").iterdir()) == sorted(PIPELINES)


def test_the_first_that_cannot_go_on_ends_it_and_all_states_are_said(move):
    move.at_source(NAMES[1]).execute("create table u (id int)")
    said = move.command("migrate", "--until", "caught-up", code=2)
    assert "migrate: database Shop: done" in said and "database crm data: cannot go on" in said
    assert "database o\"brien's: not begun" in said
    assert move.at_target(NAMES[2]).execute("select 1 from pg_class where relname = 't'") == []
    move.at_source(NAMES[1]).execute("drop table u")
    said = move.command("migrate", "--until", "caught-up")
    assert "move_shop: migrate: copy was done before" in said and move.counts() == [300, 300, 300]


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_all_are_followed_and_end_with_their_parent(move, end):
    """migrate follows those that are proven while it moves the next one; run goes on with all of them at once."""
    for command in ("migrate", "run"):
        move.engine.write_configuration()
        process = move.engine.spawn(command)
        for name in NAMES:
            wait_until(lambda n=name: move.at_target(n).execute("select 1 from pg_class where relname = 't' and relkind = 'r'")
                       and move.at_target(n).value("select count(*) from t") >= 300, f"the rows of {name}")
        for name in NAMES:
            move.at_source(name).execute("insert into t select max(id) + 1, 'later' from t")
        for name in NAMES:
            rows = move.at_source(name).value("select count(*) from t")
            wait_until(lambda n=name, r=rows: move.at_target(n).value("select count(*) from t") == r, f"the changes of {name}")
        children = children_of(process.pid)
        assert len(children) == 3
        process.send_signal(end)
        assert process.wait(60) == (0 if end == signal.SIGTERM else -9)
        wait_until(lambda c=children: not any(map(is_alive, c)), "the children to end")
    assert move.counts() == [302, 302, 302]


def test_a_kill_between_databases_goes_on(move):
    for number in (2, 3):
        killed = move.engine.command("migrate", "--until", "copied", environment={"PGCDC_FAULT": f"databases-next:{number}"})
        assert killed.returncode == -9
        assert [bool(move.at_target(name).execute("select 1 from pg_class where relname = 't'")) for name in NAMES] \
            == [True, number == 3, False]
    move.command("migrate", "--until", "caught-up")
    assert move.counts() == [300, 300, 300]


def test_one_database_is_chosen(move):
    move.command("migrate", "--until", "caught-up", "--database", NAMES[1])
    assert move.at_target(NAMES[1]).value("select count(*) from t") == 300
    assert move.at_target(NAMES[0]).execute("select 1 from pg_class where relname = 't'") == []
    said = move.command("plan", "--database", "shop", code=2)
    assert "has no database shop in migrate.databases" in said
    said = move.command("cutover", code=2)
    assert "has 3 databases, and this command is for one of them; name one: --database Shop" in said
    move.command("cutover", "--dry-run", "--database", NAMES[1])
    assert "--html, --fdw and --sql are for one of them" in move.command("plan", "--fdw", code=2)


def test_one_that_fails_does_not_stop_the_others(move):
    """run starts it again after a while; with an end it does not."""
    move.command("migrate", "--until", "caught-up")
    move.at_target(NAMES[0]).execute("alter table t drop column v")
    for name in NAMES:
        move.at_source(name).execute("insert into t values (0, 'late')")
    said = move.command("run", "--until", "caught-up", code=1)
    assert "run: database Shop: cannot go on" in said and "database crm data: done" in said
    assert [move.at_target(name).value("select count(*) from t") for name in NAMES[1:]] == [301, 301]
    move.at_target(NAMES[0]).execute("alter table t add column v text")
    move.command("run", "--until", "caught-up")
    assert move.counts() == [301, 301, 301]


def test_names_of_other_databases(move):
    Named(move.target, "other").make()
    move.engine.configuration["migrate"]["databases"] = [{"source": "Shop", "target": "other", "name": "short"}]
    move.command("migrate", "--until", "caught-up")
    assert Named(move.target, "other").value("select count(*) from t") == 300
    assert move.source.execute("select 1 from pg_replication_slots where slot_name = 'short'")


ROLES = """
    create role many_owner createdb; create role "Many group"; create role many_app login password 'secret of app' in role "Many group" connection limit 7;
    create role many_plain login valid until '2040-01-01 00:00:00+00'; grant "Many group" to many_owner with admin option;
    grant pg_read_all_data to many_plain; create role many_unrelated;
    alter role many_app set search_path = '$user', public, "odd, ""name"; alter role many_app set statement_timeout = '5s';
    alter role many_app set app.tenant = 'it''s'; comment on role many_app is 'the application''s';
"""
MANY_ROLES = ["Many group", "many_app", "many_owner", "many_plain"]


@pytest.fixture(name="owned")
def owned_fixture(move):
    """Roles that the first two databases need; no database is at the target yet."""
    move.source.execute(ROLES)
    for name in NAMES:
        Named(move.target, name).drop()
    first, second = move.at_source(NAMES[0]), move.at_source(NAMES[1])
    first.execute(f"alter table t owner to many_owner; grant select on t to \"Many group\"; alter database {first.quoted()} owner to many_owner;"
                  f"alter database {first.quoted()} set work_mem = '7MB'; comment on database {first.quoted()} is 'of ''many''';"
                  f"alter role many_app in database {first.quoted()} set search_path = app, public;"
                  f"revoke connect on database {first.quoted()} from public; grant connect, create on database {first.quoted()} to \"Many group\" with grant option")
    second.execute("grant select on t to many_plain; alter default privileges for role many_owner grant select on tables to many_plain")
    move.engine.configuration["migrate"].update(create="yes", roles="create")
    yield move
    for cluster in (move.source, move.target):
        for name, in cluster.execute("select datname from pg_database where not datistemplate and datname <> 'postgres'"):
            Named(cluster, name).drop()
        cluster.execute("drop schema if exists pgcdc cascade")
        for role, in cluster.execute("select quote_ident(rolname) from pg_roles where rolname ilike 'many%'"):
            cluster.execute(f"drop owned by {role}; drop role {role}")


def roles_of(cluster, but="many_unrelated"):
    """What a server says about its roles, in words that both versions use."""
    return {
        "roles": cluster.execute("select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,"
                                 " rolvaliduntil, rolpassword, shobj_description(oid, 'pg_authid') from pg_authid where rolname ilike 'many%%' and rolname <> %s"
                                 " order by 1", (but,)),
        "members": cluster.execute("select distinct roleid::regrole::text, member::regrole::text, admin_option from pg_auth_members where member::regrole::text"
                                   " ilike '%many%' order by 1, 2"),
        "settings": cluster.execute("select coalesce(datname, ''), coalesce(rolname, ''), (select array_agg(v order by v) from unnest(setconfig) v) from pg_db_role_setting s left join pg_database d on d.oid = setdatabase"
                                    " left join pg_roles r on r.oid = setrole order by 1, 2"),
        "databases": cluster.execute("select datname, datdba::regrole::text, pg_encoding_to_char(encoding), datcollate, datctype, shobj_description(oid, 'pg_database'),"
                                     " (select array_agg(a::text order by a::text) from unnest(datacl) a) from pg_database where not datistemplate and datname <> 'postgres' order by 1"),
    }


def test_roles_and_databases_are_made_once(owned):
    said = owned.command("migrate", "--until", "verified")
    assert roles_of(owned.target) == roles_of(owned.source)
    assert said.count("migrate: role many_app is made") == 1 and "role many_plain is made at the target, without a password" in said
    assert owned.counts() == [300, 300, 300]
    hashed = owned.source.execute("select rolpassword from pg_authid where rolname = 'many_app'")[0][0]
    written = said + str(owned.target.execute("select * from pgcdc.migration"))
    assert hashed.startswith("SCRAM-SHA-256$") and hashed not in written and hashed not in owned.target.log_text()
    assert {row[0] for row in owned.target.execute("select object from pgcdc.migration where step = 'globals' and pipeline = 'move' and state = 'done'")} \
        == {f"role {role}" for role in MANY_ROLES} | {f"database {name}" for name in NAMES}
    owned.target.execute("alter role many_app connection limit 3")
    assert "is made at the target" not in owned.command("migrate", "--until", "verified")
    assert owned.target.execute("select rolconnlimit from pg_roles where rolname = 'many_app'") == [(3,)]
    owned.command("drop")
    assert owned.target.execute("select 1 from pg_class where relname = 'migration'") == []


POINTS = ["globals-roles-made", "globals-roles-noted", "globals-roles-committed", "globals-database-begun", "globals-database-made", "globals-database-set"]


def test_killed_among_globals_it_goes_on(owned):
    """The kill ends the process of the first database; the next run makes what is missing, and nothing twice."""
    for point in POINTS:
        killed = owned.engine.command("migrate", "--until", "caught-up", environment={"PGCDC_FAULT": point})
        assert killed.returncode == 1 and "was ended by signal 9" in killed.stderr, (point, killed.stderr)
        made = owned.target.execute("select 1 from pg_roles where rolname ilike 'many%'")
        assert len(made) == (0 if point in POINTS[:2] else 4)
    owned.command("migrate", "--until", "caught-up")
    assert roles_of(owned.target) == roles_of(owned.source)


def test_what_the_target_role_may_not_make_an_administrator_makes(owned):
    """Its statements are printed, without a password, and are all that is needed."""
    owned.target.execute("create role many_mover login createrole; grant create on database postgres to many_mover")
    owned.engine.configuration["sinks"][0]["dsn"] = owned.target.dsn(user="many_mover")
    for begins in ("create role many_app with login", 'create database "Shop" template template0 encoding \'UTF8\''):
        said = owned.command("schema apply", "--database", NAMES[0], code=2)
        assert "run the statements that are printed above there as an administrator" in said and "SCRAM" not in said
        statements = re.findall(r"statement for the target: (.*);\n", said)
        assert any(statement.startswith(begins) for statement in statements), statements
        for statement in statements:
            owned.target.execute(statement)
    owned.target.execute("grant many_owner, many_plain to many_mover")
    owned.command("schema apply", "--database", NAMES[0])
    made, source = roles_of(owned.target, "many_mover"), roles_of(owned.source)
    assert made["settings"] == source["settings"]
    assert [row for row in made["members"] if "many_mover" not in row] == source["members"]
    assert made["databases"][0] == source["databases"][0]
