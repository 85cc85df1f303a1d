# SPDX-License-Identifier: Apache-2.0
"""`pgcdc ddl install`: event triggers of the source tell the columns of tables, so a pipeline that is behind is certain of them."""

import hashlib
import hmac
import json
import random
import signal
import struct

import pytest

from support.server import VERSIONS

TABLE = "create table t (id int primary key, v int, w text); insert into t select g, g, 'w' || g from generate_series(1, 20) g"
# Of which the catalog alone does not tell whether a column was renamed, or dropped and added
UNCLEAR = "alter table t drop column w; alter table t add column w text default 'n'; insert into t values (100, 1, 'x')"
# What `ddl install` makes at a source
MADE = """select (select count(*) from pg_event_trigger), (select count(*) from pg_namespace where nspname = 'pgcdc'), (select count(*) from pg_proc where proname = 'ddl_event'),
    (select count(*) from pg_class where relname like 'ddl%%'), (select string_agg(nspname || coalesce(nspacl::text, ''), ' ' order by nspname) from pg_namespace where nspname !~ '^pg_')"""


def ddl(pipeline, *words):
    result = pipeline.engine.command(f"ddl {words[0]}", *words[1:])
    assert result.returncode == 0, result.stderr
    return result.stdout


def begin(pipeline, sql=TABLE):
    """The sink knows the columns of a table from its first row on; what a start alone knows depends on other transactions."""
    pipeline.sink_configuration["drop_column"] = "apply"
    pipeline.source.execute(sql)
    pipeline.engine.catch_up()
    if pipeline.source.value("select to_regclass('public.t') is not null"):
        pipeline.source.execute("insert into t (id) values (50)")
        pipeline.engine.catch_up()
    ddl(pipeline, "install")


def sign(pipeline, xid, text):
    """As the triggers sign, with the key that a superuser can read."""
    secret = pipeline.source.value("""select md5(k.key || ' ' || string_agg(t.oid || ':' || t.xmin || ':' || t.evtenabled::text, ' ' order by t.oid))
        from pgcdc.ddl_key k cross join pg_event_trigger t group by k.key""")
    return f"{hmac.new(secret.encode(), f'{xid} {text}'.encode(), hashlib.sha256).hexdigest()} {text}"


def written(pipeline):
    """The triggers' messages that are in the slot's WAL."""
    for (data,) in pipeline.source.execute("""select data from pg_logical_slot_peek_binary_changes(%s, null, null, 'proto_version', '1', 'publication_names', %s, 'messages', 'true')
            where get_byte(data, 0) = ascii('M')""", (pipeline.slot_name(), pipeline.name)):
        _, prefix, rest = bytes(data)[10:].partition(b"pgcdc.ddl\0")
        size, = struct.unpack(">I", rest[:4])
        if prefix and size:
            yield rest[4:4 + size].decode()


def emit(pipeline, xid_content, row):
    """In one transaction a message, whose content may need the transaction's number, and a row."""
    with pipeline.source.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("select pg_current_xact_id()::xid::text")
        content = xid_content(cursor.fetchone()[0])
        cursor.execute("select pg_logical_emit_message(true, 'pgcdc.ddl', %s), pg_logical_emit_message(true, 'pgcdc.ddl', '')", (content,))
        cursor.execute(row)


def assert_unclear(pipeline):
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 1 and "cannot be known" in result.stderr, result.stderr


@pytest.fixture
def numbers(pipeline):
    begin(pipeline, "create table t (id int primary key, v int, w int); insert into t select g, g, -g from generate_series(1, 20) g")
    return pipeline


@pytest.fixture
def told(pipeline):
    begin(pipeline)
    return pipeline


@pytest.mark.parametrize("version", [version if version in (14, 18) else pytest.param(version, marks=pytest.mark.long) for version in VERSIONS])
def test_what_is_behind_is_certain(new_pipeline, shared_clusters, version):
    """And remove leaves the source as it was."""
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    pipeline.source.execute(TABLE)
    before = pipeline.source.execute(MADE)
    begin(pipeline, "select 1")
    ddl(pipeline, "install")
    assert ddl(pipeline, "status").startswith("installed:")
    pipeline.source.execute(UNCLEAR)
    pipeline.engine.catch_up()
    pipeline.assert_equal()
    pipeline.source.execute("alter table t rename column v to x; alter table t rename column w to v; alter table t rename column x to w; insert into t values (101, 2, 'y')")
    pipeline.engine.catch_up()
    pipeline.assert_equal()
    for _ in range(2):
        ddl(pipeline, "remove")
    assert pipeline.source.execute(MADE) == before
    pipeline.source.execute("insert into t values (102, 3, 'y'); alter table t add column c int default 4; insert into t values (103, 3, 'y', 4)")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


def test_without_them_it_stops(told):
    """So the other tests prove something."""
    ddl(told, "remove")
    told.source.execute(UNCLEAR)
    assert_unclear(told)


def test_a_constant_and_a_type_that_are_gone_by_now(told):
    for sql in ("alter table t add column d numeric(6,2) default 1.25; insert into t values (100, 1, 'x', 1234.56)",
                "alter table t alter column d type numeric(9,0); insert into t values (101, 1, 'x', 7)"):
        told.source.execute(sql)
    result = told.engine.command("run", "--until", "caught-up")
    assert 'add column "d" numeric(6,2) default \'1.25\'' not in result.stderr and told.target.execute("select d::text from t where id in (1, 100) order by id") == [("1.25",), ("1234.56",)]
    told.target.execute("alter table t alter column d type numeric(9,0)")
    told.engine.catch_up()
    assert told.target.value("select d::text from t where id = 101") == "7"


def test_a_constant_of_a_session_with_other_settings(told):
    told.source.execute("""set datestyle = 'SQL, DMY'; set timezone = 'Asia/Tokyo'; set bytea_output = 'escape'; set intervalstyle = 'iso_8601'; set search_path = nowhere, public;
        alter table t add column a timestamptz default '2024-02-03 04:05:06', add column b bytea default '\\x00ff', add column c interval default '1 day 2 hours', add column d float8 default 0.1;
        insert into t (id) values (100); alter table t drop column v; reset all""")
    told.engine.catch_up()
    told.source.execute("insert into t (id) values (101)")
    told.engine.catch_up()
    told.assert_equal()


PLACES = {
    "in one transaction": "begin; alter table t drop column w; alter table t add column w text default 'n'; update t set w = 'm' where id < 5; "
                          "alter table t rename column w to u; insert into t values (101, 9, 'y'); commit",
    "in a function": """create function change_t() returns void language plpgsql as $$ begin alter table t drop column w; alter table t add column w text default 'n';
        insert into t values (100, 1, 'x'); end $$; select change_t()""",
    "under a savepoint": "begin; savepoint s; alter table t drop column w; alter table t add column w text default 'n'; insert into t values (100, 1, 'x'); release s; insert into t values (101, 2, 'x'); commit",
    "after a savepoint that is gone": "begin; savepoint s; alter table t drop column w; alter table t add column w text default 'm'; insert into t values (100, 1, 'x'); rollback to s; "
                                      "alter table t drop column w; alter table t add column w text default 'n'; insert into t values (101, 5, 'y'); commit",
    "as a replica": "set session_replication_role = replica; alter table t drop column w; alter table t add column w text default 'n'; set session_replication_role = origin; insert into t values (100, 1, 'x')",
    "by the fall of a type": "alter table t add column s short default 'a'; insert into t values (100, 1, 'x', 'b'); drop domain short cascade; "
                             "alter table t add column s text default 'c'; insert into t values (101, 1, 'x', 'd')",
    "a large transaction": "begin; alter table t drop column w; alter table t add column w text default 'n'; "
                           "insert into t select g, g, repeat('x', 100) from generate_series(5000, 8000) g; commit",
}


@pytest.mark.parametrize("sql", PLACES.values(), ids=PLACES.keys())
def test_each_place(told, sql):
    told.execute_both("create domain short as text")
    told.source_configuration["decoding_work_mem"] = "64kB"
    told.source.execute(sql)
    told.engine.catch_up()
    told.assert_equal()


def test_tables_that_change_with_others(pipeline):
    """Partitions, children, and tables of a type, published by themselves."""
    pipeline.source.execute("""create table p (id int, v int, w text, primary key (id)) partition by range (id); create table p1 partition of p for values from (0) to (1000);
        create table parent (id int primary key, v int, w text); create table child (primary key (id)) inherits (parent); create type pair as (id int, v int, w text); create table typed of pair (primary key (id));
        insert into p select g, g, 'x' from generate_series(1, 9) g; insert into child select * from p; insert into typed select * from p;
        """)
    begin(pipeline, "select 1")
    for statement in ("alter table p drop column w", "alter table p add column w text default 'n'", "alter table parent drop column w", "alter table parent add column w text default 'n'",
                      "alter type pair drop attribute w cascade", "alter type pair add attribute w text cascade"):
        pipeline.source.execute(statement)
    for table in ("p", "child", "typed"):
        pipeline.source.execute(f"insert into {table} values (100, 1, 'x')")
    pipeline.engine.catch_up()
    for table in ("p", "child", "typed"):  # the parent's rows are its child's
        pipeline.assert_equal(f"public.{table}")


def columns_of_t(pipeline, *more):
    """As if all of them had stayed."""
    oid = pipeline.source.value("select 't'::regclass::oid")
    columns = [{"number": number, "dropped": False, "name": name, "type": type_oid, "modifier": -1, "type_sql": type_sql, "missing": None}
               for number, (name, type_oid, type_sql) in enumerate([("id", 23, "integer"), ("v", 23, "integer"), ("w", 25, "text"), *more], 1)]
    return json.dumps({"version": 2, "oid": oid, "columns": columns})


@pytest.mark.parametrize("content", ["lost", "{", "[" * 100000, "0" * 64, "0" * 64 + " {", "0" * 64 + ' {"version": 2}', "0" * 64 + ' {"version": 9, "oid": 1, "columns": []}', "unsigned"])
def test_what_others_write_is_not_trusted(told, content):
    """Columns that were dropped and added look as if they had stayed."""
    if content == "unsigned":
        content = "0" * 64 + " " + columns_of_t(told)
    told.source.execute("alter table t drop column w; alter table t add column w text default 'n'")
    told.source.execute("select pg_logical_emit_message(true, 'pgcdc.ddl', %s), pg_logical_emit_message(false, 'pgcdc.ddl', %s), pg_logical_emit_message(true, 'other', %s)", (content,) * 3)
    told.source.execute("insert into t values (100, 1, 'x')")
    assert_unclear(told)


def test_a_copied_signature_is_not_trusted(told):
    """Who reads the WAL sees it: of no use for another text, nor for the same text in another transaction."""
    told.source.execute("alter table t add column z int; alter table t drop column z")
    signed = list(written(told))
    assert len(signed) >= 2
    for content in (signed[-1], signed[-1][:65] + columns_of_t(told)):
        told.source.execute("alter table t drop column w; alter table t add column w text default 'n'")
        emit(told, lambda _, content=content: content, "insert into t values (100, 1, 'x')")
        assert_unclear(told)
        break_off = told.engine.command("drop")
        assert break_off.returncode == 0
        told.target.execute("truncate t")
        told.source.execute("delete from t where id = 100")
        told.engine.catch_up()
        told.source.execute("insert into t (id) values (51) on conflict (id) do update set v = 0")
        told.engine.catch_up()


def test_a_signed_message_is_trusted_and_its_type_is_no_more_than_a_type(told):
    """Who has the key can sign; the text must not become SQL at the target."""
    told.source.execute("alter table t add column z int default 3")
    text = columns_of_t(told, ("z", 23, "integer, add column owned integer"))
    emit(told, lambda xid: sign(told, xid, text), "insert into t values (100, 1, 'x', 4)")
    told.engine.catch_up()
    told.assert_equal()
    assert told.target.value("select string_agg(attname, ' ' order by attnum) from pg_attribute where attrelid = 't'::regclass and attnum > 0") == "id v w z"


def test_triggers_of_another_version_are_not_used(told):
    """Until they are installed again, which is one transaction."""
    told.source.execute("""do $$ begin execute replace(pg_get_functiondef('pgcdc.ddl_event'::regproc), 'message format 2', 'message format 1'); end $$""")
    assert ddl(told, "status").startswith("not complete, of another version")
    found = next(finding for finding in told.engine.json("check")["findings"] if finding["code"] == "ddl_triggers")
    assert found["severity"] == "warning" and "ddl install" in found["fix"]
    ddl(told, "install")
    assert ddl(told, "status").startswith("installed:")


@pytest.mark.parametrize("sql", ["alter event trigger pgcdc_ddl_command disable; alter event trigger pgcdc_ddl_drop disable; %s; alter event trigger pgcdc_ddl_command enable always; "
                                 "alter event trigger pgcdc_ddl_drop enable always", "alter event trigger pgcdc_ddl_command enable replica; %s"])
def test_triggers_that_were_off_are_not_trusted(told, sql):
    told.source.execute("alter table t add column z int; insert into t values (99, 1, 'x', 1); alter table t drop column z")
    changes, row = UNCLEAR.rsplit(";", 1)
    told.source.execute(sql % changes)
    told.source.execute(row)
    assert_unclear(told)


@pytest.mark.parametrize("seed", [0, 1] + [pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 30)])
def test_a_random_program_is_followed_or_stops(numbers, seed):
    """Never is a value in the wrong column, and a stop is one about what was before the first message of a session. Some lives end at a fault point."""
    chance = random.Random(seed)
    model, names, last = ["v", "w"], 2, 200
    for _ in range(8):
        for _ in range(chance.choice([1, 2, 4])):
            what = chance.choice(["add", "drop", "rename", "again", "row", "row"])
            if what == "add":
                names += 1
                numbers.source.execute(f"alter table t add column c{names} int default {chance.randint(1000, 2000)}")
                model.append(f"c{names}")
            elif what == "drop" and len(model) > 1:
                numbers.source.execute(f"alter table t drop column {model.pop(chance.randrange(len(model)))}")
            elif what == "again" and len(model) > 1:
                name = model.pop(chance.randrange(len(model)))
                numbers.source.execute(f"alter table t drop column {name}; alter table t add column {name} int default {chance.randint(1, 9)}")
                model.append(name)
            elif what == "rename":
                names, place = names + 1, chance.randrange(len(model))
                numbers.source.execute(f"alter table t rename column {model[place]} to c{names}")
                model[place] = f"c{names}"
            elif what == "row":
                last += 1
                numbers.source.execute(f"insert into t (id) values ({last}); update t set {chance.choice(model)} = 5 where id % 3 = 0")
        last += 1
        numbers.source.execute(f"insert into t (id) values ({last})")
        if chance.random() < 0.7:
            point = chance.choice([None, "columns-before-alter", "columns-altered", "postgres-after-write", "postgres-before-commit"])
            if point is not None:
                numbers.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point})
            follow_or_copy(numbers)
    follow_or_copy(numbers)


def follow_or_copy(pipeline):
    result = pipeline.engine.command("run", "--until", "caught-up")
    if result.returncode != 0:
        assert result.returncode == 1 and "pgcdc table copy public.t" in result.stderr, result.stderr
        pipeline.target.execute("drop table t")
        assert pipeline.engine.command("table copy", "public.t").returncode == 0
        pipeline.start()
        pipeline.wait_applied()
        pipeline.engine.stop()
        pipeline.engine.catch_up()
    pipeline.assert_equal()


@pytest.mark.parametrize("point", ["columns-before-alter", "columns-altered", "postgres-before-commit", "postgres-after-commit"])
def test_a_kill_changes_nothing(told, point):
    told.source.execute(UNCLEAR)
    assert told.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": point}).returncode == -signal.SIGKILL
    told.engine.catch_up()
    told.assert_equal()


def test_while_it_runs(told):
    told.start()
    for number in range(5):
        told.source.execute(f"alter table t drop column w; alter table t add column w int default {number}")
        told.source.execute(f"insert into t (id, w) values ({100 + number}, 5)")
    told.assert_follows()
    assert "cannot be read" not in told.engine.log_text()


def mode(pipeline):
    return [(finding["severity"], finding["what"]) for finding in pipeline.engine.json("check")["findings"] if finding["code"] == "ddl_triggers"]


def test_check_and_status_say_the_mode(pipeline):
    pipeline.source.execute(TABLE)
    assert [severity for severity, _ in mode(pipeline)] == ["note"] and "it may not be certain" in mode(pipeline)[0][1]
    assert pipeline.engine.json("ddl status")["triggers"] == "none"
    ddl(pipeline, "install")
    assert mode(pipeline) == [("note", "the source's event triggers tell changes of columns in the stream (`pgcdc ddl install`)")]
    pipeline.source.execute("alter event trigger pgcdc_ddl_drop enable")
    assert pipeline.engine.json("ddl status")["triggers"] == "off" and [severity for severity, _ in mode(pipeline)] == ["warning"]
    ddl(pipeline, "install")
    assert pipeline.engine.json("ddl status")["triggers"] == "on"


def test_a_plain_role(pipeline):
    """It may not install them; what it prints, run by a superuser, is what it needs."""
    role = f'"plain-{pipeline.source.name}"'
    begin(pipeline)
    ddl(pipeline, "remove")
    pipeline.source.execute(f"create role {role} login replication; grant select on all tables in schema public to {role}")
    try:
        pipeline.source_configuration["dsn"] = pipeline.source.dsn(user=role.strip('"'))
        refused = pipeline.engine.command("ddl install")
        assert refused.returncode == 2 and "let it run what `pgcdc ddl install --print` prints" in refused.stderr, refused.stderr
        assert "create event trigger" in (printed := ddl(pipeline, "install", "--print"))
        pipeline.source.execute(printed)
        pipeline.source.execute(UNCLEAR)
        pipeline.engine.catch_up()
        pipeline.assert_equal()
        pipeline.source.execute(f"revoke select on pgcdc.ddl_key from {role}")
        assert pipeline.engine.json("ddl status")["triggers"] == "denied" and [severity for severity, _ in mode(pipeline)] == ["warning"]
        pipeline.source.execute("insert into t values (200, 1, 'x')")
        assert "cannot be used" in pipeline.engine.catch_up().stderr
        pipeline.source.execute(printed)
        assert pipeline.engine.json("ddl status")["triggers"] == "on"
        pipeline.source.execute(ddl(pipeline, "remove", "--print"))
        assert pipeline.source.value("select count(*) from pg_namespace where nspname = 'pgcdc'") == 0
    finally:
        pipeline.source.execute(f"drop owned by {role}; drop role {role}")


def test_the_schema_of_a_sink_stays(pipeline):
    """Where the source is itself a target."""
    pipeline.source.execute(f"{TABLE}; create schema pgcdc; create table pgcdc.position (a int)")
    ddl(pipeline, "install")
    ddl(pipeline, "remove")
    assert pipeline.source.execute("select relname from pg_class where relnamespace = 'pgcdc'::regnamespace") == [("position",)]


def test_the_key_leaves_the_source_nowhere(told):
    """Not by a publication for all tables, nor in the output."""
    key = told.source.value("select key from pgcdc.ddl_key")
    told.source.execute("alter publication shop add table pgcdc.ddl_key; update pgcdc.ddl_key set granted_to = '{a}'")
    told.source.execute(UNCLEAR)
    log = told.engine.catch_up("--verbose").stderr
    assert "its event triggers tell the columns" in log and key not in log and '"version"' not in log
    assert told.target.value("select count(*) from pg_class where relname = 'ddl_key'") == 0


def test_rows_have_the_places_that_they_have_without(pipeline):
    """A sink that appends knows a change by its number in its transaction."""
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "mode": "append"}]
    begin(pipeline, f"{TABLE}; create table other (id int primary key)")
    pipeline.source.execute("begin; select pg_logical_emit_message(true, 'x', 'y'); insert into t (id) values (100); alter table other add column a int; "
                            "insert into t (id) values (101); commit")
    pipeline.engine.catch_up()
    assert pipeline.target.execute("select id, _pgcdc_index from t where id >= 100 order by 1") == [(100, 0), (101, 1)]


def test_they_do_not_move_with_the_schema(told):
    applied = told.engine.command("schema apply")
    assert applied.returncode == 0, applied.stderr
    assert told.target.value("select count(*) from pg_event_trigger") == 0
    assert "pgcdc_ddl" not in told.engine.command("schema compare").stdout
