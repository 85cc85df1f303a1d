# SPDX-License-Identifier: Apache-2.0
"""Roles, and the databases themselves, are made once for all databases of a file; and one report is over all of them."""

import hashlib
import json
import re

import pytest

from integration.test_databases import clusters_fixture, move_fixture  # pylint: disable=unused-import
from support.databases import NAMES, PIPELINES, Named
from support.wait import wait_until

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


def log_everything(clusters, statements, duration):
    for cluster in clusters:
        cluster.configure({"log_statement": statements, "log_min_duration_statement": duration})
        cluster.reload()
        wait_until(lambda c=cluster: c.execute("show log_statement") == [(statements,)], "the setting")


def test_roles_and_databases_are_made_once(owned):
    log_everything((owned.source, owned.target), "all", 0)
    said = owned.command("migrate", "--until", "verified")
    log_everything((owned.source, owned.target), "none", -1)
    assert roles_of(owned.target) == roles_of(owned.source)
    assert said.count("migrate: role many_app is made at the target, with its password") == 1 and "role many_plain is made at the target\n" in said
    assert owned.counts() == [300, 300, 300]
    hashed = owned.source.execute("select rolpassword from pg_authid where rolname = 'many_app'")[0][0]
    written = said + str(owned.target.execute("select * from pgcdc.migration"))
    assert hashed.startswith("SCRAM-SHA-256$") and hashed not in written
    assert "create database" in owned.target.log_text() and hashed not in owned.target.log_text() + owned.source.log_text()
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


def test_a_plan_says_what_is_made_and_where_files_will_be(owned):
    """Databases and roles that migrate makes are no warnings; a tablespace is one until the target has it, or it is accepted."""
    for cluster in (owned.source, owned.target):
        cluster.configure({"allow_in_place_tablespaces": "on"})
        cluster.reload()
    wait_until(lambda: owned.target.execute("show allow_in_place_tablespaces") == [("on",)], "the setting")
    owned.source.execute("create tablespace \"many Disk\" location ''")
    owned.at_source(NAMES[1]).execute('create table far (id int primary key) tablespace "many Disk"; create index on far (id) tablespace "many Disk"')

    def found(*codes):
        result = owned.engine.json("plan", "--database", NAMES[1])
        return [(finding["code"], finding["severity"]) for finding in result["findings"] if finding["code"] in codes]
    try:
        assert found("target_database", "connection") == [("target_database", "note")]
        owned.engine.configuration["migrate"]["create"] = "no"
        assert found("target_database") == [("target_database", "problem")]
        Named(owned.target, NAMES[1]).make()
        assert found("role_missing", "tablespace_missing") == [("tablespace_missing", "warning")]
        owned.target.execute("create tablespace \"many Disk\" location ''")
        assert found("tablespace", "tablespace_missing") == [("tablespace", "note")]
        owned.command("migrate", "--until", "caught-up", "--database", NAMES[1])
        owned.engine.configuration["migrate"]["roles"] = "check"
        assert found("role_missing") == []
    finally:
        owned.at_source(NAMES[1]).execute("drop table far")
        for cluster in (owned.source, owned.target):
            cluster.execute("drop tablespace if exists \"many Disk\"")


def test_one_report_closes_when_all_close(owned):
    def report(code):
        result = owned.engine.command("report", "--json", "--html", str(owned.engine.folder / "report.html"))
        assert result.returncode == code, result.stdout + result.stderr
        body, said = re.fullmatch(r'{"report":(.*),"sha256":"([0-9a-f]{64})"}\n', result.stdout).groups()
        assert hashlib.sha256(body.encode()).hexdigest() == said
        assert said in (owned.engine.folder / "report.html").read_text(encoding="utf-8")
        return json.loads(body)

    owned.command("migrate", "--until", "verified")
    found = report(0)
    assert found["pipeline"] == "move" and found["closes"] and [part["pipeline"] for part in found["databases"]] == PIPELINES
    assert all(part["closes"] and part["tables"][0]["target_rows"] == 300 for part in found["databases"])
    assert [role["role"] for role in found["databases"][0]["roles"] if role["lacks_password"]] == ["many_plain"]
    said = owned.command("report")
    assert "databases: 3 of 3 close" in said and "role many_plain was made and has no password yet" in said
    owned.at_target(NAMES[1]).execute("alter table t add column more int")
    found = report(4)
    assert not found["closes"] and [part["closes"] for part in found["databases"]] == [True, False, True]
    Named(owned.target, NAMES[2]).drop()
    found = report(4)
    assert [part["closes"] for part in found["databases"]] == [True, False, False] and "does not exist" in found["databases"][2]["open"][0]
    assert "has no password" not in owned.command("report", "--database", NAMES[0]).replace("many_plain was made and has no password yet", "")


def without_roles(cluster):
    cluster.execute("drop schema if exists pgcdc cascade")
    for role, in cluster.execute("select quote_ident(rolname) from pg_roles where rolname ilike 'many%'"):
        cluster.execute(f"drop owned by {role}; drop role {role}")


CHAIN = """
    create role many_root createrole; create role many_deputy; create role many_last login noinherit; create role many_team;
    grant many_team to many_root with admin true; grant many_team to many_deputy with admin true, inherit false granted by many_root;
    grant many_team to many_last with set false granted by many_deputy; grant pg_maintain to many_last; grant pg_monitor to many_last;
    alter role many_last set transaction_timeout = '5s'; alter role many_last set work_mem = '5MB';
"""
GRANTS = ("select roleid::regrole::text, member::regrole::text, grantor::regrole::text, admin_option, inherit_option, set_option from pg_auth_members"
          " where member::regrole::text like 'many%' order by 1, 2, 3")


@pytest.fixture(name="chain")
def chain_fixture(move):
    """Only the first database; a chain of grants hangs on one right in it."""
    move.engine.configuration["migrate"] = {"databases": [NAMES[0]], "roles": "create"}

    def begin(source, target):
        move.engine.configuration["source"]["dsn"] = source.dsn()
        move.engine.configuration["sinks"][0]["dsn"] = target.dsn()
        source.execute(CHAIN)
        database = Named(source, NAMES[0])
        if not source.execute("select 1 from pg_database where datname = %s", (NAMES[0],)):
            database.make()
        database.execute("create table if not exists t (id int primary key); grant select on t to many_team")
        databases.append(database)
    databases = []
    yield begin
    for database in databases:
        database.execute("drop table t")
    for cluster in (*{database.cluster for database in databases}, move.source, move.target):
        for name in NAMES:
            if cluster.execute("select 1 from pg_database where datname = %s", (name,)):
                Named(cluster, name).drop()
        without_roles(cluster)


def test_each_grant_keeps_its_grantor_and_options(move, chain, shared_clusters):
    chain(shared_clusters("source", 18), move.target)
    Named(move.target, NAMES[0]).execute("drop table if exists t")
    move.command("schema apply", "--before-copy")
    assert move.target.execute(GRANTS) == shared_clusters("source", 18).execute(GRANTS)
    assert len(move.target.execute(GRANTS)) == 5


def test_what_an_older_server_cannot_say_is_left_out_and_logged(move, chain):
    chain(move.target, move.source)
    Named(move.source, NAMES[0]).execute("drop table t")
    said = move.command("schema apply", "--before-copy")
    assert "membership of many_last in many_team is left out: without SET, which this version cannot say" in said
    assert "membership of many_last in pg_maintain is left out: a role that this server does not have" in said
    assert "setting of role many_last is left out: setting transaction_timeout, which this server does not know" in said
    assert move.source.execute("select roleid::regrole::text from pg_auth_members where member::regrole::text = 'many_last'") == [("pg_monitor",)]
    assert move.source.execute("select setconfig from pg_db_role_setting where setrole = 'many_last'::regrole") == [(["work_mem=5MB"],)]


LOCALES = "select datname, datlocprovider, {}, pg_encoding_to_char(encoding), datcollate, datctype from pg_database where datname like 'many%' order by 1"


def test_a_database_gets_its_locale_and_encoding(move):
    """Also a provider that is not libc; one that an older server does not know is refused with its name."""
    move.source.execute("create database many_icu template template0 locale_provider icu icu_locale 'de-AT' encoding 'UTF8'")
    move.source.execute("create database many_latin template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'")
    move.target.execute("create database many_builtin template template0 locale_provider builtin builtin_locale 'C.UTF-8' encoding 'UTF8'")
    move.engine.configuration["migrate"] = {"databases": ["many_icu", "many_latin"], "create": "yes"}
    move.command("schema apply", "--before-copy")
    move.target.execute("alter database many_builtin rename to builtin_many")
    assert move.target.execute(LOCALES.format("datlocale")) == move.source.execute(LOCALES.format("daticulocale"))
    move.engine.configuration["migrate"] = {"databases": ["builtin_many"], "create": "yes"}
    move.engine.configuration["source"]["dsn"], move.engine.configuration["sinks"][0]["dsn"] = move.target.dsn(), move.source.dsn()
    said = move.command("schema apply", "--before-copy", code=2)
    assert "the target's version cannot have a database with the locale provider builtin" in said and "by hand" in said
    assert "is no longer in pgcdc.migration" not in said
    Named(move.source, "builtin_many").make()
    move.command("schema apply", "--before-copy")
    move.source.execute("drop schema if exists pgcdc cascade")
    move.target.execute("drop schema if exists pgcdc cascade")
