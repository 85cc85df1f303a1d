# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify` of rows that a mapping makes: no type, version, encoding or TRUNCATE gives a false difference."""

import json
import signal
import subprocess

import pytest

from support.repeated import Repeated
from support.wait import wait_until

EQUAL, UNDECIDED, DIFFERENT = 0, 1, 4

TYPES = """
create schema "Odd ""s.";
create type "Odd ""s.".mood as enum ('sad', 'it''s "ok"');
create domain "Odd ""s.".positive as int check (value > 0);
create type "Odd ""s.".pair as (a int, b text);
create table "Odd ""s."."T x" ("i d" int primary key, b bool, i2 int2, i8 int8, n numeric, f4 float4, f8 float8, t text, vc varchar(9),
  bp char(7), q "char", nm name, by bytea, ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval, u uuid, j json, jb jsonb,
  mo money, ip inet, ci cidr, bt bit(3), vb varbit, pt point, bx box, r int4range, ai int[], ta text[], tsv tsvector, l pg_lsn,
  m "Odd ""s.".mood, ma "Odd ""s.".mood[], p "Odd ""s.".positive, c "Odd ""s.".pair, g int generated always as (i2 * 2) stored);
insert into "Odd ""s."."T x" select g, g % 2 = 0, g, g, case g when 1 then 'NaN' else g / 7.0 end, g * 0.1, g * 0.1, E' a\\tb\\n\\\\' || g, 'v', 'c', 'q',
  'n', '\\x00ff', 'infinity', '0044-03-15 12:00+00 BC', '9999-12-31', '24:00', '12:00+05:30', '1 mon -1 day', gen_random_uuid(), '{"a" : 1.0, "a":2}',
  '{"b":1.50}', '$1,234.56', '1.2.3.4/8', '10.0.0.0/8', '101', '1', '(0.1,-0)', '(1,1),(0,0)', '[1,5)', '[0:1]={1,2}', array['a', null, 'null'],
  'fat:1A', '16/B374D848', 'sad', array['it''s "ok"']::"Odd ""s.".mood[], 5, row(1, null)::"Odd ""s.".pair from generate_series(1, 300) g;
insert into "Odd ""s."."T x" ("i d") values (1000);
create table nocolumns (); insert into nocolumns default values; insert into nocolumns default values;
"""


def verify(pipeline):
    result = pipeline.engine.command("verify", "--json", timeout_s=300)
    assert result.stdout, result.stderr
    return result.returncode, {table["table"]: table for table in json.loads(result.stdout)["sinks"][0]["tables"]}


@pytest.mark.parametrize("versions", [(14, 18), (18, 14)], ids=str)
def test_every_type_beside_a_step(new_pipeline, shared_clusters, versions):
    """All values of the row go through the mapping and are read again by the target's types; a generated column is not in a mapped table."""
    pipeline = new_pipeline(shared_clusters("source", versions[0]), shared_clusters("target", versions[1]))
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute(TYPES)
    pipeline.publish()
    pipeline.engine.configuration["mapping"] = [
        {"match": '"Odd ""s."."T x"', "to": '"Odd ""s.".mapped', "columns": {"t": ["trim"], "i d": {"as": "the id"}}},
        {"match": "public.*", "columns": {"c": {"const": "x"}}}]
    pipeline.engine.catch_up()
    code, tables = verify(pipeline)
    assert code == EQUAL and {table["source_rows"] for table in tables.values()} == {301, 2}, tables
    pipeline.target.execute('delete from "Odd ""s.".mapped where "the id" = 5; update "Odd ""s.".mapped set n = 3 where "the id" = 9')
    code, tables = verify(pipeline)
    assert code == DIFFERENT and (tables["T x"]["missing"], tables["T x"]["extra"], tables["T x"]["different"]) == (1, 0, 1)
    assert tables["T x"]["columns"] == ["n"]


def test_another_encoding_of_the_target(pipeline):
    name = pipeline.target.name
    pipeline.target.cluster.execute(f"drop database {name}")
    pipeline.target.cluster.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'ü ' || g from generate_series(1, 1000) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"v": ["upper"], "id": {"as": "nr"}}}]
    pipeline.engine.catch_up()
    assert verify(pipeline)[0] == EQUAL
    pipeline.target.execute("update t set v = 'U 500' where nr = 500")
    code, tables = verify(pipeline)
    assert code == DIFFERENT and tables["t"]["different"] == 1


def test_mapped_tables_that_are_truncated_all_the_time(pipeline):
    """The rows are staged while the target's snapshot holds a lock for which a TRUNCATE waits: the stage must need none."""
    pipeline.source.execute("create table t (id int primary key, v text); create table tree (id int primary key, v text) partition by range (id);"
                            "create table leaf partition of tree for values from (0) to (1000)")
    pipeline.publish()
    pipeline.engine.configuration["mapping"] = [{"match": r"/public\.(.*)/", "to": "public.m_$1", "columns": {"v": ["upper"]}}]
    pipeline.start()
    with Repeated(pipeline.source, "begin; truncate t, tree; insert into t select generate_series(1, 50), 'a'; insert into tree select generate_series(1, 50), 'b'; commit"):
        for _ in range(5):
            code, tables = verify(pipeline)
            assert code in (EQUAL, UNDECIDED), tables
    pipeline.wait_applied()
    assert verify(pipeline)[0] == EQUAL


def test_interrupted_while_rows_are_staged_nothing_is_left(pipeline):
    pipeline.source.execute("create table t (id text primary key, v text); insert into t select 'k' || g, repeat('x', 100) from generate_series(1, 200000) g")
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "columns": {"id": {"steps": ["upper"], "accept_loss": True}}}]
    pipeline.engine.catch_up()
    process = subprocess.Popen([pipeline.engine.program, "verify", "-c", pipeline.engine.config_path, "--rate", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    sessions = "select 1 from pg_stat_activity where datname = current_database() and application_name = 'pgcdc:shop verify'"
    wait_until(lambda: pipeline.target.execute(sessions + " and query like 'copy pg_temp%' and state = 'active'"), "rows to be staged")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 1
    wait_until(lambda: not pipeline.target.execute(sessions), "the sessions to end", 30)


def test_what_a_mode_keeps_is_not_compared(pipeline):
    """Marked rows and former versions are the target's own; the rows that are there are the source's."""
    for name in ("marked", "versions"):
        pipeline.source.execute(f"create table {name} (id int primary key, v text, w text); insert into {name} select g, ' a ', 'w' from generate_series(1, 300) g")
    pipeline.target.execute("create schema kept")
    pipeline.engine.configuration["mapping"] = [
        {"match": "public.marked", "to": "kept.marked", "mode": "soft_delete", "columns": {"id": {"as": "nr"}}},
        {"match": "public.versions", "to": "kept.versions", "mode": "history", "columns": {"v": ["trim"], "source": {"const": "a"}}}]
    pipeline.start()
    for name in ("marked", "versions"):
        pipeline.source.execute(f"update {name} set v = 'b' where id < 50; delete from {name} where id < 20; insert into {name} values (7, 'again', null);"
                                f"update {name} set id = 1000 where id = 30")
    pipeline.wait_applied()
    code, tables = verify(pipeline)
    assert code == EQUAL and {table["target_rows"] for table in tables.values()} == {282}, tables
    assert "_pgcdc_deleted" in tables["marked"]["about_changes"] and "_pgcdc_valid_from" in tables["versions"]["about_changes"]
    assert pipeline.target.value("select count(*) from kept.versions") > 300
    pipeline.target.execute("update kept.marked set v = 'forged' where nr = 100; update kept.versions set _pgcdc_current = false where id = 100;"
                            "update kept.marked set v = 'forged' where nr = 1")
    code, tables = verify(pipeline)
    assert code == DIFFERENT and [(tables[name]["missing"], tables[name]["different"]) for name in ("marked", "versions")] == [(0, 1), (1, 0)]
    result = pipeline.engine.command("verify", "--repair")
    assert result.returncode != EQUAL and "mode" in result.stderr, result.stdout + result.stderr
