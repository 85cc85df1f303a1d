# SPDX-License-Identifier: Apache-2.0
"""
Hostile values of every type, through the initial copy and through the stream, under hostile settings.

Each type has a table of one key and one column. Where all of them mean the same everywhere values travel in binary; one
type that does not makes the whole publication travel as text.
"""

import pytest

VALUES = {
    "smallint": ["-32768", "32767", "0"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "numeric": ["NaN", "0", "-0", "0.00000000000000006924", "2129020", "1e-1000", "9" * 1000 + ".5", "-1e5000",
                "1.10", "1.1", "70.0"],
    "numeric(30,10)": ["NaN", "1.1", "-12345678901234567890.0123456789"],
    "real": ["NaN", "infinity", "-infinity", "-0", "1e-45", "3.4028235e38", "0.1"],
    "double precision": ["NaN", "infinity", "-0", "5e-324", "1.7976931348623157e308", "0.30000000000000004"],
    "money": ["-92233720368547758.08", "12.34"],
    "boolean": ["t", "f"],
    "date": ["infinity", "-infinity", "4713-01-01 BC", "5874897-12-31", "1991-02-10 BC", "2000-02-29"],
    "time": ["00:00", "24:00:00", "23:59:59.999999"],
    "timetz": ["24:00:00+15:59", "00:00-15:59", "12:00:00.000001+00"],
    "timestamp": ["infinity", "-infinity", "4713-01-01 00:00 BC", "294276-12-31 23:59:59.999999", "1991-02-10 BC"],
    "timestamptz": ["infinity", "-infinity", "4713-01-02 00:00+00 BC", "294276-12-31 12:00+00",
                    "2024-03-31 02:30:00.123456+01"],
    "timestamptz(0)": ["2024-03-31 02:30:00.9+01"],
    "interval": ["1 year -2 mons 3 days -04:05:06.789", "-178000000 years", "00:00:00.000001", "0", "25 hours",
                 "1 mon -30 days"],
    "text": ["", " ", "NULL", "\\N", "\\", "\\.", "'", '"', "a\nb\r\n\tc", "\u0001\u007f", "\U0001f600 \u00e9 e\u0301",
             "{}", ":null", "x" * 100000],
    "varchar(3)": ["abc", "   ", ""],
    "char(5)": ["a", "", "ab   "],
    '"char"': ["a", "", "\\377"],
    "name": ["n", "N" * 63],
    "bytea": ["", "\\x", "\\x00", "\\x5c5c27", "\\xff00ac80", "\\x" + "ab" * 5000],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "json": ['{"a": 1, "a": 2}', ' [1,  2]', "null", '"scalar"', '{"u": "\\u0000"}', "1e400"],
    "jsonb": ['{"a": 1}', "null", '"scalar"', "[]", "1.10", '"unchanged"'],
    "xml": ["<a>&lt;</a>", "text"],
    "tsvector": ["'a':1A,2 'b b':3", ""],
    "tsquery": ["'a' & !'b':*", "'a' <-> 'b'"],
    "bit(5)": ["10101"],
    "bit varying": ["", "1", "0" * 70],
    "inet": ["::1", "10.0.0.1/8", "0.0.0.0/0", "2001:db8::/32"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "point": ["(1e-300,-0)", "(NaN,infinity)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "box": ["(1,1),(0,0)"],
    "path": ["[(0,0),(1,1)]", "((0,0),(1,1))"],
    "polygon": ["((0,0),(1,1),(2,0))"],
    "circle": ["<(0,0),1>"],
    "int[]": ["{}", "{NULL}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={1,2}"],
    "text[]": ["{}", '{""}', '{NULL,"NULL","null"}', '{"a,b","c\\"d","e\\\\f","{g}"}', '{{a,b},{c,d}}'],
    "uuid[]": ["{00000000-0000-0000-0000-000000000000,NULL}"],
    "jsonb[]": ['{"{\\"a\\": 1}",NULL}'],
    "numeric[]": ["{NaN,1.10,-1e100}"],
    "timestamptz[]": ["{infinity,NULL}"],
    "bytea[]": ['{"\\\\x00ff",""}'],
    "int4range": ["empty", "[1,5)", "(,)", "[3,)"],
    "numrange": ["[1.1,NaN]", "(,2.20)"],
    "tstzrange": ["[-infinity,infinity]", "empty"],
    "int8multirange": ["{}", "{[1,2),[5,9)}"],
    "oid": ["0", "4294967295"],
    "regclass": ["pg_class"],
    "pg_lsn": ["FFFFFFFF/FFFFFFFF", "0/0"],
    "txid_snapshot": ["10:20:10,14,15"],
}

INFINITE_NUMERIC = ["Infinity", "-Infinity"]  # since 14

USER_TYPES = """
create type mood as enum ('sad', 'it''s ok', 'Very "Happy"');
create domain positive as int check (value > 0);
create domain short_text as varchar(10) not null;
create type pair as (a int, "B b" text);
create type nested as (p pair, m mood, more pair[]);
"""
RANGE_TYPES = """
create type floatrange as range (subtype = float8);
create extension hstore;
create domain tags as hstore;
"""

USER_VALUES = {
    "mood": ["sad", "it's ok", 'Very "Happy"'],
    "mood[]": ["{}", '{sad,NULL,"Very \\"Happy\\""}'],
    "positive": ["1", "2147483647"],
    "positive[]": ["{1,NULL}"],
    "pair": ['(1,"x ""y"" \\\\")', "(,)", '(,"")'],
    "pair[]": ['{"(1,a)",NULL}'],
    "nested": ['("(1,a)",sad,"{""(2,b)""}")', "(,,)"],
    "floatrange": ["[-infinity,NaN]", "empty"],
    "hstore": ['"a"=>NULL, "b"=>"=>"', ""],
    "tags": ['"k"=>"v"'],
    "hstore[]": ['{"\\"a\\"=>\\"1\\"",NULL}'],
}

HOSTILE_SETTINGS = {
    "bytea_output": "escape", "datestyle": "'German, DMY'", "intervalstyle": "'sql_standard'",
    "extra_float_digits": "-5", "timezone": "'Asia/Kathmandu'", "xmloption": "document",
    "search_path": "pg_catalog", "standard_conforming_strings": "off", "statement_timeout": "'60s'",
    "default_transaction_isolation": "'serializable'", "client_encoding": "'LATIN1'",
}


def table_of(type_name):
    return "t_" + "".join(letter if letter.isalnum() else "_" for letter in type_name)


def create_tables(database, types):
    for type_name in types:
        database.execute(f"create table {table_of(type_name)} (id int primary key, v {type_name})")


def insert_values(database, values, first_id):
    """Under settings of its own, so that every literal is read unchanged."""
    connection = database.connect(client_encoding="UTF8", options="-c standard_conforming_strings=on")
    with connection.cursor() as cursor:
        cursor.execute("set datestyle = 'ISO, YMD'; set xmloption = content; "
                       "set search_path = public; set timezone = 'UTC';"
                       "set intervalstyle = 'postgres'")
        for type_name, texts in values.items():
            for number, text in enumerate([*texts, None]):
                cursor.execute(f"insert into {table_of(type_name)} values (%s, %s::text::{type_name})",
                               (first_id + number, text))
    connection.close()


def move_values(database, types):
    """Every row changes: first values are written over others, then keys move, then half of it goes."""
    for type_name in types:
        table = f"public.{table_of(type_name)}"
        database.execute(f"update {table} t set v = (select v from {table} o where o.id = t.id - 1) where id between 101 and 199;"
                         f"update {table} set id = id + 1000 where id % 3 = 0;"
                         f"delete from {table} where id % 2 = 0")


def make_hostile(database):
    for name, value in HOSTILE_SETTINGS.items():
        database.execute(f'alter database "{database.name}" set {name} to {value}')


def run_values(pipeline, values):
    create_tables(pipeline.source, values)
    insert_values(pipeline.source, values, 1)
    make_hostile(pipeline.source)
    make_hostile(pipeline.target)
    pipeline.start()
    pipeline.assert_equal()
    insert_values(pipeline.source, values, 101)
    pipeline.assert_follows()
    move_values(pipeline.source, values)
    pipeline.assert_follows()


# What decoder/builtin_type.h sends as text, and with it its whole table.
NOT_PORTABLE = ("xml", "regclass", "interval", "tsquery")
PORTABLE = {name: texts for name, texts in VALUES.items() if name not in NOT_PORTABLE}


@pytest.mark.parametrize("version", [14, 15, 18])
def test_built_in_types_arrive_exactly_in_binary(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    run_values(pipeline, PORTABLE)
    assert "values in binary" in pipeline.engine.log_text()


@pytest.mark.parametrize("version", [14, 15, 18])
def test_built_in_types_arrive_exactly_in_text(new_pipeline, shared_clusters, version):
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    run_values(pipeline, VALUES)
    assert "values in text" in pipeline.engine.log_text()


def test_infinite_numerics_arrive(pipeline):
    run_values(pipeline, {"numeric": INFINITE_NUMERIC, "numeric[]": ["{Infinity,-Infinity}"]})


def test_user_defined_types_arrive_exactly(pipeline):
    """Their OIDs differ between the two clusters, as they always do."""
    pipeline.target.execute("create type shift1 as enum (); create type shift2 as enum ();" + USER_TYPES + RANGE_TYPES)
    pipeline.source.execute(USER_TYPES + RANGE_TYPES)
    run_values(pipeline, {**USER_VALUES, **VALUES})


def test_missing_enums_domains_and_composites_are_created(pipeline):
    pipeline.source.execute(USER_TYPES)
    known = {name: texts for name, texts in USER_VALUES.items() if name.strip("[]") in ("mood", "positive", "pair", "nested")}
    run_values(pipeline, known)


def test_a_type_that_cannot_be_created_is_named(pipeline):
    pipeline.source.execute("create extension hstore; create table t (id int primary key, odd hstore)")
    pipeline.engine.start()
    code = pipeline.engine.wait_exit()
    assert code in (1, 2), pipeline.engine.log_text()
    assert "odd" in pipeline.engine.log_text() and "hstore" in pipeline.engine.log_text()


def test_domains_of_the_information_schema_keep_their_types(new_pipeline, shared_clusters):
    """Their OIDs are below those of users, and differ between versions; a vector has elements and is no array."""
    pipeline = new_pipeline(shared_clusters("source", 15), shared_clusters("target", 18))
    pipeline.execute_both("""create table t (id int primary key, i int2vector, o oidvector, n information_schema.cardinal_number,
        at information_schema.time_stamp, yes information_schema.yes_or_no, name information_schema.sql_identifier)""")
    pipeline.start()
    pipeline.source.execute("insert into t values (1, '1 2', '3 4', 5, '2024-03-31 02:30:00.91', 'YES', 'n'); insert into t values (2)")
    pipeline.assert_follows()


def test_user_types_work_as_keys(pipeline):
    pipeline.source.execute(USER_TYPES + """
        create table k (m mood, p positive, u uuid, n numeric, v text, primary key (m, p, u, n));
        insert into k select (enum_range(null::mood))[1 + g % 3], g, md5(g::text)::uuid, g / 3.0, 'x' from generate_series(1, 300) g""")
    pipeline.start()
    pipeline.source.execute("update k set v = 'y' where p % 2 = 0; update k set m = 'sad' where p < 50; delete from k where p > 250")
    pipeline.assert_follows()


TEXT_ONLY = """create domain d_acl as aclitem; create domain d_acl2 as d_acl;
    create table t (id int primary key, one aclitem, two d_acl2, many aclitem[], v text)"""


@pytest.mark.parametrize("rows", [1, 40, 200], ids=["alone", "by_sets", "by_copy"])
@pytest.mark.parametrize("streams", ["text", "binary"])
def test_nulls_of_types_without_a_binary_form_arrive(pipeline, rows, streams):
    """
    aclitem and isbn can be read from text only. A NULL was sent to the target as a binary parameter, for which the server
    looks the missing function up; a pipeline whose stream began in binary came to the same in a COPY.
    """
    pipeline.source.execute("create publication shop for all tables; create table first (id int primary key)")
    if streams == "text":
        pipeline.execute_both(TEXT_ONLY)
    pipeline.start()
    assert f"values in {streams}" in pipeline.engine.log_text()
    if streams == "binary":
        pipeline.execute_both(TEXT_ONLY)
    pipeline.source.execute(f"insert into t select g, null, null, null, 'all null' from generate_series(1, {rows}) g")
    pipeline.source.execute("insert into t values (1000, '=r/postgres', '=r/postgres', '{=r/postgres,NULL}', 'none'); insert into t values (1001)")
    pipeline.source.execute(f"update t set v = 'u', one = case when id % 2 = 0 then '=r/postgres'::aclitem end, two = one where id <= {rows}")
    pipeline.source.execute("update t set many = null, one = null where id = 1000; delete from t where id = 1")
    pipeline.assert_follows()


def test_only_nulls_of_such_a_type_go_along_with_binary_values(pipeline):
    pipeline.source.execute("create publication shop for all tables; create table first (id int primary key)")
    pipeline.start()
    pipeline.execute_both("create table t (id int primary key, one aclitem, v text)")
    pipeline.source.execute("insert into t select g, null, 'copied' from generate_series(1, 200) g")
    pipeline.source.execute("update t set v = 'by a set'; insert into t values (1000, null, 'alone')")
    pipeline.source.execute("update t set one = '=r/postgres' where id > 100; update t set one = null where id > 190")
    pipeline.assert_follows()
    assert pipeline.engine.log_text().count("streaming slot") == 1, "values in text were asked for in vain"


def with_encoding(database, encoding):
    database.cluster.execute(f'drop database "{database.name}"')
    database.cluster.execute(f"create database \"{database.name}\" encoding '{encoding}' locale 'C' template template0")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "UTF8"])
def test_bytes_that_are_no_characters(new_pipeline, shared_clusters, encoding):
    """A database of encoding SQL_ASCII says nothing of its bytes: to another such they go unchanged, elsewhere it stops, with words."""
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    with_encoding(pipeline.source, "SQL_ASCII")
    with_encoding(pipeline.target, encoding)
    connection = pipeline.source.connect(client_encoding="SQL_ASCII")
    with connection.cursor() as cursor:
        cursor.execute("create table t (id int primary key, v text); create table n (v text, j json); alter table n replica identity full")
        cursor.execute("insert into t values (1, 'plain')")
        if encoding == "SQL_ASCII":
            cursor.execute("insert into t values (2, E'\\351t\\351'); insert into n values (E'\\377', '{}'), (E'\\376', null)")
        pipeline.start()
        cursor.execute("insert into t select g, E'\\200\\xff' || g from generate_series(10, 200) g; insert into t values (3, E'\\351t\\351')")
        cursor.execute("update t set v = v || E'\\240' where id > 150; update n set j = '[]'; delete from n where v = E'\\377'")
    connection.close()
    if encoding == "SQL_ASCII":
        pipeline.wait_applied()
        rows = "select md5(string_agg(t::text, ',' order by id)) || (select md5(string_agg(n::text, ',')) from n) from t"
        assert pipeline.target.value(rows) == pipeline.source.value(rows)
        pipeline.engine.stop()
        done = pipeline.engine.command("verify")
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert pipeline.engine.wait_exit() == 1
        for words in ('insert into "public"."t"', "commits at", "22021", "UTF8", "SQL_ASCII, which gets a new copy"):
            assert words in pipeline.engine.log_text()


@pytest.mark.parametrize("transaction, named", [("insert into t values (2, {0})", 'table "public"."t"'),
                                                ("insert into t values (2, 'x'); insert into t values (3, {0})", 'table "public"."t"'),
                                                ("insert into u values (2, 'x'); insert into t values (2, {0})", 'table "public"."t"'),
                                                ("insert into u values (2, 'x'); insert into t values (2, 'x'), (3, {0})", 'one of the tables "public"."u", "public"."t"')])
def test_the_table_of_a_row_that_the_server_cannot_send_is_named(pipeline, transaction, named):
    """Its error names none, and the table's definition came earlier in the session; the transaction is sent once more."""
    with_encoding(pipeline.source, "SQL_ASCII")
    pipeline.engine.configuration["sinks"] = [{"name": "out", "type": "stdout"}]
    pipeline.source_configuration["snapshot"] = "never"
    connection = pipeline.source.connect(client_encoding="SQL_ASCII")
    with connection.cursor() as cursor:
        cursor.execute("create table t (id int primary key, v text); create table u (id int primary key, v text)")
        pipeline.engine.start()
        pipeline.wait_while_running(pipeline.is_streaming, "the stream to begin")
        cursor.execute("insert into t values (1, 'x'); insert into u values (1, 'x')")
        cursor.execute("begin; " + transaction.format("E'\\377'") + "; commit")
    connection.close()
    assert pipeline.engine.wait_exit() == 1
    assert named in pipeline.engine.log_text(), pipeline.engine.log_text()


def test_a_character_that_the_target_lacks_is_told_with_both_encodings(new_pipeline, shared_clusters):
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    with_encoding(pipeline.target, "LATIN1")
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, U&'caf\\00E9')")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (2, U&'private \\20AC 5')")
    log = pipeline.assert_refused('insert into "public"."t" (key "id")', "commits at", "22P05", "between UTF8 and the database's encoding LATIN1",
                                  "point the sink at a database of encoding UTF8", code=1)
    assert "0xe2" not in log and "private" not in log
    # What it said, to the letter: drop, another database, start again.
    drop = pipeline.engine.command("drop")
    assert drop.returncode == 0, drop.stdout + drop.stderr
    with_encoding(pipeline.target, "UTF8")
    pipeline.engine.catch_up()
    pipeline.assert_equal()


DEEP_KEYS = """create extension ltree; create extension citext;
    create domain way as ltree check (nlevel(value) > 0); create domain way2 as way; create domain way3 as way2;
    create domain ci as citext; create domain ci2 as ci;
    create domain amount as numeric(12,3); create domain amount2 as amount check (value >= 0);
    create table n1 (k way3 primary key, v text); create table n2 (k ci2, n amount2, v text, primary key (k, n))"""


def test_domains_over_domains_work_as_keys_and_by_their_index(pipeline):
    pipeline.execute_both(DEEP_KEYS)
    pipeline.source.execute("""insert into n1 select ('top.a' || g)::ltree, 'old' from generate_series(1, 2000) g;
        insert into n2 select 'Key' || g, g + 0.125, 'old' from generate_series(1, 2000) g""")
    pipeline.start()
    pipeline.target.execute("analyze n1; analyze n2")
    pipeline.source.execute("update n1 set v = 'one' where k = 'top.a7'; update n2 set v = 'one' where k = 'KEY7'")
    pipeline.source.execute("update n1 set v = 'many' where k::text like '%7'; delete from n1 where k::text like '%5'")
    pipeline.source.execute("update n1 set k = 'moved.a8' where k = 'top.a8'; update n2 set n = n + 1 where n < 100")
    pipeline.source.execute("update n2 set v = 'many' where n > 100; delete from n2 where k like '%9'")
    pipeline.wait_applied()
    pipeline.engine.stop()
    scans = pipeline.target.execute("select seq_scan from pg_stat_user_tables where relname in ('n1', 'n2')")
    assert all(count < 10 for count, in scans), f"keys were looked for by scans of the whole table: {scans}"
    plan = pipeline.target.execute("set enable_seqscan = off; explain update n1 set v = 'x' where k operator(public.=) 'top.a9'::public.way3")
    assert "Index" in str(plan), plan
    pipeline.assert_equal()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_other_server_encodings(new_pipeline, shared_clusters, encoding):
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    name = pipeline.source.name
    pipeline.source.cluster.execute(f'drop database "{name}"')
    pipeline.source.cluster.execute(f"create database \"{name}\" encoding '{encoding}' locale 'C' template template0")
    text = {"LATIN1": "\u00e9\u00fc\u00df", "SQL_ASCII": "plain", "EUC_JP": "\u65e5\u672c\u8a9e"}[encoding]
    connection = pipeline.source.connect(client_encoding="UTF8")
    with connection.cursor() as cursor:
        cursor.execute("create table t (id int primary key, v text)")
        cursor.execute("insert into t values (1, %s)", (text,))
        pipeline.start()
        cursor.execute("insert into t values (2, %s)", (text * 100,))
    connection.close()
    pipeline.wait_applied()
    assert pipeline.target.execute("select id, v from t order by id") == [(1, text), (2, text * 100)]


@pytest.mark.long
@pytest.mark.parametrize("types", ["a bytea, b bytea", "a text, b aclitem, c bytea"], ids=["message", "value"])
def test_a_row_larger_than_a_message_is_told_with_what_is_known(pipeline, types):
    """PostgreSQL cannot send it to anybody; it said "out of memory", and neither where nor what to do."""
    pipeline.source.execute(f"create table big (id int primary key, {types}); create table small (id int primary key)")
    for column in ("a", "b", "c")[:types.count(",") + 1]:
        if f"{column} bytea" in types:
            pipeline.source.execute(f"alter table big alter {column} set storage external")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into small values (1)")
    last = types[types.rindex(",") + 2]
    value = "convert_to(repeat('x', 560000000), 'UTF8')"
    pipeline.source.execute(f"insert into big (id, {last}) select 1, {value}")
    if "aclitem" not in types:
        pipeline.source.execute("insert into big select 2, b, b from big")
    pipeline.assert_refused('table "public"."big"', "the transaction that commits at", "the change at", "larger than 1 gb", "list of columns", code=1)
    assert pipeline.target.execute("select count(*) from small") == [(1,)]
