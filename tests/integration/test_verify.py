# SPDX-License-Identifier: Apache-2.0
"""`pgcdc verify`: it reports equal tables as equal, and finds every difference, under traffic as well."""

import json
import re
import signal
import subprocess
import threading
import time

import pytest

from support.barrier import Control
from support.load import ROWS, SCHEMA, TARGET_SCHEMA, Load
from support.pipeline import SINK
from support.repeated import Repeated
from support.wait import wait_until

EQUAL, UNDECIDED, DIFFERENT = 0, 1, 4

EVERY_TYPE = """
create schema "Odd ""s.";
create type "Odd ""s.".mood as enum ('sad', 'it''s "ok"');
create domain "Odd ""s.".positive as int check (value > 0);
create type "Odd ""s.".pair as (a int, b text);
create table "Odd ""s."."T x" ("i d" int primary key, b bool, i2 int2, i8 int8, n numeric, f4 float4, f8 float8, t text, vc varchar(9),
  bp char(7), q "char", nm name, by bytea, ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval, u uuid, j json, jb jsonb,
  x xml, mo money, ip inet, ci cidr, bt bit(3), vb varbit, pt point, bx box, r int4range, ai int[], ta text[], tsv tsvector, l pg_lsn,
  m "Odd ""s.".mood, ma "Odd ""s.".mood[], p "Odd ""s.".positive, c "Odd ""s.".pair, g int generated always as (i2 * 2) stored);
insert into "Odd ""s."."T x" select g, g % 2 = 0, g, g, case g when 1 then 'NaN' else g / 7.0 end, g * 0.1, g * 0.1, E'a\\tb\\n\\\\' || g, 'v', 'c', 'q',
  'n', '\\x00ff', 'infinity', '0044-03-15 12:00+00 BC', '9999-12-31', '24:00', '12:00+05:30', '1 mon -1 day', gen_random_uuid(), '{"a" : 1.0, "a":2}',
  '{"b":1.50}', '<a/>', '$1,234.56', '1.2.3.4/8', '10.0.0.0/8', '101', '1', '(0.1,-0)', '(1,1),(0,0)', '[1,5)', '[0:1]={1,2}', array['a', null, 'null'],
  'fat:1A', '16/B374D848', 'sad', array['it''s "ok"']::"Odd ""s.".mood[], 5, row(1, null)::"Odd ""s.".pair from generate_series(1, 300) g;
insert into "Odd ""s."."T x" ("i d") values (1000);
create table empty (id int primary key);
create table nocolumns (); insert into nocolumns default values; insert into nocolumns default values;
create table keyless (v text); insert into keyless select 'same' from generate_series(1, 5); insert into keyless values (null), ('');
"""


def verify(pipeline, *arguments):
    """Exit code and the first sink's part of the JSON."""
    result = pipeline.engine.command("verify", "--json", *arguments)
    assert result.stdout, result.stderr
    return result.returncode, json.loads(result.stdout)["sinks"][0]


def table_of(sink, name):
    return next(table for table in sink["tables"] if table["table"] == name)


def counts_of(sink, name):
    table = table_of(sink, name)
    return table["missing"], table["extra"], table["different"]


def assert_verified(pipeline, code):
    ended, sink = verify(pipeline)
    assert ended == code, sink
    return sink


def test_every_type_and_shape_is_equal(pipeline):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute(EVERY_TYPE)
    pipeline.publish()
    pipeline.engine.catch_up()
    sink = assert_verified(pipeline, EQUAL)
    assert {table["result"] for table in sink["tables"]} == {"equal"}
    assert table_of(sink, "T x")["source_rows"] == 301
    assert all(table["source_hash"] == table["target_hash"] for table in sink["tables"])
    assert table_of(sink, "T x")["source_hash"] != table_of(sink, "empty")["source_hash"] == "0" * 16
    result = pipeline.engine.command("verify")
    assert result.returncode == EQUAL and "equal at LSN " in result.stdout


@pytest.mark.parametrize("column", ["b", "i2", "i8", "n", "f4", "f8", "t", "vc", "bp", "by", "tz", "iv", "j", "jb", "mo", "pt", "ai", "ta", "m", "c"])
def test_one_value_of_any_type_is_a_difference(pipeline, column):
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute(EVERY_TYPE)
    pipeline.publish()
    pipeline.engine.catch_up()
    pipeline.target.execute(f'update "Odd ""s."."T x" set "{column}" = null where "i d" = 7')
    sink = assert_verified(pipeline, DIFFERENT)
    assert counts_of(sink, "T x") == (0, 0, 1)
    assert table_of(sink, "T x")["source_hash"] != table_of(sink, "T x")["target_hash"]
    assert [table["table"] for table in sink["tables"] if table["result"] != "equal"] == ["T x"]


def test_null_is_not_an_empty_text(pipeline):
    pipeline.source.execute("create table t (id int primary key, a text, b text); insert into t values (1, null, ''), (2, '', null)")
    pipeline.engine.catch_up()
    pipeline.target.execute("update t set a = b, b = a")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (0, 0, 2)


def test_values_that_changed_places_are_found(pipeline):
    """A sum that does not depend on the order of rows must depend on which values are in one row."""
    pipeline.source.execute("create table t (a int, b int); alter table t replica identity full; insert into t select g, -g from generate_series(1, 100) g")
    pipeline.engine.catch_up()
    pipeline.target.execute("update t set b = case a when 1 then -2 else -1 end where a <= 2")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (2, 2, 0)


def test_differences_are_counted_exactly(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 50000) g;"
                            "create table keyless (v text); insert into keyless select 'same' from generate_series(1, 5)")
    pipeline.publish()
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id % 5000 = 0; update t set v = v || '!' where id % 10000 = 1; insert into t values (-1, ''), (-2, '');"
                            "insert into keyless values ('same'), ('same')")
    sink = assert_verified(pipeline, DIFFERENT)
    assert counts_of(sink, "t") == (10, 2, 5)
    assert table_of(sink, "t")["exact"]
    assert counts_of(sink, "keyless") == (0, 2, 0)


def test_a_table_that_differs_all_over(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 120000) g;"
                            "create table gone (id int primary key); insert into gone select generate_series(1, 120000)")
    pipeline.engine.catch_up()
    pipeline.target.execute("update t set v = 1; truncate gone")
    sink = assert_verified(pipeline, DIFFERENT)
    assert not table_of(sink, "t")["exact"] and table_of(sink, "t")["different"] > 1000
    assert counts_of(sink, "gone") == (120000, 0, 0) and table_of(sink, "gone")["exact"]


def test_what_the_target_lacks_is_named(pipeline):
    pipeline.source.execute("create table t (id int primary key, a text, b text); create table u (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.target.execute("alter table t drop column b; drop table u")
    sink = assert_verified(pipeline, DIFFERENT)
    assert table_of(sink, "t")["lacks"] == "column b"
    assert table_of(sink, "u")["lacks"] == "the table"


def test_more_columns_on_the_target_do_not_matter(pipeline):
    pipeline.source.execute("create table t (id int primary key, a text); insert into t values (1, 'a')")
    pipeline.target.execute("create table t (loaded timestamptz default now(), a text, id int primary key)")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)


def test_other_types_that_hold_the_same_values(pipeline):
    """A value that replication puts into a column of another type is what that type makes of it."""
    pipeline.source.execute("""create type mood as enum ('sad'); create table t (id int primary key, j json, c char(4), n numeric, v varchar(5), m mood, ts timestamp);
        insert into t values (1, '{"b":  1, "a":2, "a":3}', 'x', 1.50, 'v', 'sad', '2024-01-01 00:00'), (2, null, null, null, null, null, null)""")
    pipeline.target.execute("create table t (id bigint primary key, j jsonb, c char(8), n float8, v text, m text, ts timestamptz)")
    pipeline.sink_configuration["narrowing"] = "allow"
    pipeline.engine.catch_up()
    assert table_of(assert_verified(pipeline, EQUAL), "t")["result"] == "narrowed"
    pipeline.target.execute("update t set j = '{}' where id = 1")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (0, 0, 1)


def test_row_filter_and_column_list(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int, secret text); insert into t select g, g, 's' from generate_series(1, 100) g;"
                            "create schema apart; create table apart.child () inherits (t); insert into apart.child values (1000, 1000, 'not published');"
                            "create publication shop for table only t (id, v) where (v > 50)")
    pipeline.engine.catch_up()
    assert pipeline.target.value("select count(*) from t") == 50
    sink = assert_verified(pipeline, EQUAL)
    assert table_of(sink, "t")["source_rows"] == 50
    pipeline.target.execute("delete from t where id = 60")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (1, 0, 0)


@pytest.mark.parametrize("via_root", ["true", "false"])
def test_partitions_and_children(pipeline, via_root):
    pipeline.source.execute(f"""create table p (id int, r int, primary key (id, r)) partition by list (r);
        create table p1 partition of p for values in (1); create table p2 (r int not null, id int not null); alter table p attach partition p2 for values in (2);
        insert into p select g, 1 + g % 2 from generate_series(1, 100) g;
        create table parent (id int primary key); create table child (x int) inherits (parent); insert into parent values (1); insert into child values (2, 2);
        create publication shop for all tables with (publish_via_partition_root = {via_root})""")
    pipeline.engine.catch_up()
    sink = assert_verified(pipeline, EQUAL)
    rows = {table["table"]: table["source_rows"] for table in sink["tables"]}
    parts = {"p": 100} if via_root == "true" else {"p1": 50, "p2": 50}
    assert rows == {"parent": 1, "child": 1, **parts}


def test_without_an_engine_the_target_is_taken_as_it_is(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    pipeline.source.execute("create schema apart; create table apart.other (id int); insert into apart.other select generate_series(1, 1000)")
    assert_verified(pipeline, EQUAL)
    pipeline.source.execute("insert into t values (2)")
    result = pipeline.engine.command("verify")
    assert result.returncode == DIFFERENT
    assert "1 missing" in result.stdout and "No engine reads the slot" in result.stdout


def test_idle_pipeline_is_verified_soon(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    pipeline.start()
    for _ in range(3):
        started = time.monotonic()
        sink = assert_verified(pipeline, EQUAL)
        assert sink["engine_running"] and time.monotonic() - started < 40
        pipeline.source.execute("select pg_switch_wal(); create schema if not exists apart; create table if not exists apart.noise (id int); insert into apart.noise values (1)")


def test_traffic_is_no_difference(pipeline):
    pipeline.source.execute(SCHEMA + ROWS)
    pipeline.publish()
    pipeline.target.execute(TARGET_SCHEMA)
    pipeline.start()
    with Load(pipeline.source):
        for _ in range(3):
            sink = assert_verified(pipeline, EQUAL)
            assert sink["engine_running"]
    pipeline.assert_follows()


def test_a_slow_target_is_waited_for(pipeline):
    """Rows that are still on their way look like a difference that stays."""
    pipeline.source.execute("create table t (id int primary key); create table other (id int primary key)")
    pipeline.start()
    blocker = pipeline.target.connect(autocommit=False)
    with blocker.cursor() as cursor:
        cursor.execute("lock table t in share mode")
        pipeline.source.execute("insert into t values (1)")
        results = []
        verifier = threading.Thread(target=lambda: results.append(verify(pipeline)))
        verifier.start()
        verifier.join(5)
        assert verifier.is_alive(), results
    blocker.rollback()
    blocker.close()
    verifier.join()
    assert results[0][0] == EQUAL, results


def test_a_difference_is_found_under_traffic(pipeline):
    pipeline.source.execute(SCHEMA + ROWS + "create table quiet (id int primary key, v int); insert into quiet select g, g from generate_series(1, 1000) g;")
    pipeline.publish()
    pipeline.target.execute(TARGET_SCHEMA)
    pipeline.start()
    with Load(pipeline.source):
        wait_until(lambda: pipeline.target.value("select count(*) from journal") > 2050, "some traffic to arrive")
        pipeline.target.execute("set session_replication_role = replica; delete from journal where seq = -5; insert into journal values (-6, 'epoch', 'forged');"
                                "update quiet set v = 0 where id = 17")
        sink = assert_verified(pipeline, DIFFERENT)
    assert counts_of(sink, "journal") == (1, 1, 0)
    assert counts_of(sink, "quiet") == (0, 0, 1)
    assert [table["table"] for table in sink["tables"] if table["result"] == "different"] == ["journal", "quiet"]


ROUNDS, ROUNDS_LONG = 20, 100
QUIET = """create table quiet (id int primary key, v text, w int); insert into quiet select g, 'value ' || g, g from generate_series(1, 20000) g;
create table keyless (v text); insert into keyless select 'row ' || g % 50 from generate_series(1, 200) g;"""


def start_exact(pipeline):
    pipeline.source.execute(SCHEMA + ROWS + QUIET)
    pipeline.target.execute(TARGET_SCHEMA)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "simple", "chunk_bytes": "256kB"}
    pipeline.start()
    pipeline.wait_applied()


def test_under_load_three_damages_are_found_and_nothing_else(pipeline, request):
    """Each round damages a byte, a row that goes and a row that comes; every other row of each table may change at any moment."""
    start_exact(pipeline)
    with Load(pipeline.source, threads=3, pause_s=0.002):
        for number in range(1, 1 + (ROUNDS_LONG if request.config.getoption("--long") else ROUNDS)):
            pipeline.target.execute(f"update quiet set v = overlay(v placing 'V' from 1) where id = {number}; delete from quiet where id = {number + 7000};"
                                    f"insert into quiet values ({number + 30000}, 'extra', 0)")
            code, sink = verify(pipeline, "--keys", "9")
            assert code == DIFFERENT and sink["barriers"] > 0, sink
            assert [table["table"] for table in sink["tables"] if table["result"] != "equal"] == ["quiet"]
            quiet = table_of(sink, "quiet")
            assert counts_of(sink, "quiet") == (1, 1, 1) and quiet["exact"] and quiet["columns"] == ["v"]
            assert sorted((key["row"], int(key["key"]["id"])) for key in quiet["keys"]) == [
                ("different", number), ("extra", number + 30000), ("missing", number + 7000)]
            pipeline.target.execute(f"update quiet set v = overlay(v placing 'v' from 1) where id = {number};"
                                    f"insert into quiet values ({number + 7000}, 'value {number + 7000}', {number + 7000}); delete from quiet where id > 20000")
        code, sink = verify(pipeline)
        assert code == EQUAL and sink["barriers"] > 0 and sink["rounds"] == 0, sink
        assert all(table["lsn"] for table in sink["tables"])
    result = pipeline.engine.command("verify")
    assert result.returncode == EQUAL and "equal at LSN " in result.stdout


def test_a_row_that_never_stands_still_is_equal_at_a_barrier(pipeline):
    pipeline.source.execute("create table hot (id int primary key, n bigint); insert into hot values (1, 0)")
    pipeline.start()
    stop = threading.Event()

    def heat():
        connection = pipeline.source.connect()
        with connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute("update hot set n = n + 1")
                stop.wait(0.001)
        connection.close()

    writer = threading.Thread(target=heat)
    writer.start()
    try:
        for _ in range(3):
            assert_verified(pipeline, EQUAL)
    finally:
        stop.set()
        writer.join()


def test_a_table_that_is_truncated_all_the_time_shows_no_difference(pipeline):
    """An older snapshot shows the emptied table at one side alone."""
    pipeline.source.execute("create table t (id int primary key); create table tree (id int primary key) partition by range (id);"
                            "create table leaf partition of tree for values from (0) to (1000)")
    pipeline.publish()
    pipeline.start()
    with Repeated(pipeline.source, "begin; truncate t, tree; insert into t select generate_series(1, 50); insert into tree select generate_series(1, 50); commit"):
        for _ in range(5):
            code, sink = verify(pipeline)
            assert code in (EQUAL, UNDECIDED), sink
    pipeline.wait_applied()
    assert_verified(pipeline, EQUAL)


def test_a_commit_that_waits_for_a_standby_is_no_difference(new_pipeline, own_cluster, shared_clusters):
    source = own_cluster("source")
    pipeline = new_pipeline(source, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key); create table u (id int primary key); insert into u values (1)")
    pipeline.start()
    source.configure({"synchronous_standby_names": "nobody"})
    source.reload()
    connection = pipeline.source.connect()
    hanging = threading.Thread(target=lambda: connection.cursor().execute("insert into t values (1)"))
    hanging.start()
    try:
        wait_until(lambda: pipeline.target.value("select count(*) from t") == 1, "the row to arrive")
        code, sink = verify(pipeline, "--table", "t")
        assert (code, table_of(sink, "t")["result"]) == (UNDECIDED, "moving")
        code, sink = verify(pipeline, "--table", "public.u")
        assert (code, table_of(sink, "u")["result"]) == (EQUAL, "equal")
    finally:
        source.configure({"synchronous_standby_names": ""})
        source.reload()
        hanging.join(60)
        connection.close()
    assert_verified(pipeline, EQUAL)


def test_under_load_a_repair_ends_in_equal(pipeline):
    """Only the ranges with damage are copied again; the stream goes on, and its changes of them are neither lost nor applied twice."""
    start_exact(pipeline)
    with Load(pipeline.source, threads=2, pause_s=0.005):
        pipeline.target.execute("update quiet set v = 'forged' where id = 77; delete from quiet where id between 19000 and 19010; insert into quiet values (-5, 'extra', 0);"
                                "delete from keyless where ctid < '(0,5)'; "
                                "update account set pad = 'forged' where id = 500")
        damaged = pipeline.target.execute("select * from quiet order by id")
        result = pipeline.engine.command("verify", "--repair", "--dry-run", "--table", "quiet")
        assert result.returncode == DIFFERENT and "would be copied again" in result.stderr
        result = pipeline.engine.command("verify", "--repair", "--max-rows", "3", "--table", "quiet")
        assert result.returncode == DIFFERENT and "which is more than --max-rows: nothing is copied again" in result.stderr
        assert pipeline.target.execute("select * from quiet order by id") == damaged
        result = pipeline.engine.command("verify", "--repair", timeout_s=300)
        assert result.returncode == EQUAL, result.stdout + result.stderr
        assert "11 missing" in result.stdout and result.stdout.splitlines()[-1].startswith("equal at LSN ")
        assert_verified(pipeline, EQUAL)
    pipeline.wait_applied()
    pipeline.assert_equal()


def proven(pipeline):
    """The ranges that are proven equal, as the file has them."""
    path = pipeline.state / f"shop.{SINK}.verify"
    return [line for line in path.read_text().splitlines() if line.startswith("range 1 ")] if path.exists() else []


def killed_after(pipeline, ranges):
    result = pipeline.engine.command("verify", environment={"PGCDC_FAULT": f"verify-range-compared:{ranges}", "PGCDC_INTERVAL_MS": "0"})
    assert result.returncode == -signal.SIGKILL and len(proven(pipeline)) == ranges, result.stderr


def test_an_interrupted_comparison_goes_on(pipeline):
    """What was proven is not compared again, so a damage there from later is for the next verify; the rest is compared."""
    pipeline.source.execute(QUIET.splitlines()[0])
    pipeline.engine.configuration["copy"] = {"mode": "simple", "chunk_bytes": "64kB"}
    pipeline.start()
    pipeline.wait_applied()
    killed_after(pipeline, 6)
    pipeline.target.execute("update quiet set v = 'forged' where id = 3")
    result = pipeline.engine.command("verify", "--resume")
    assert result.returncode == EQUAL, result.stdout + result.stderr
    count = int(re.search(r"sink warehouse: proven equal before the interruption: 6 of (\d+) ranges; the others are compared", result.stderr)[1])
    assert re.search(r"public.quiet +20000 +20000 +equal", result.stdout), result.stdout
    assert count > 12 and not proven(pipeline) and result.stdout.splitlines()[-1].startswith("equal at LSN ")
    ended, sink = verify(pipeline)
    assert ended == DIFFERENT and counts_of(sink, "quiet") == (0, 0, 1), "without --resume all is compared"

    pipeline.target.execute("update quiet set v = 'value 3' where id = 3")
    killed_after(pipeline, 1)
    process = subprocess.Popen([pipeline.engine.program, "verify", "-c", pipeline.engine.config_path, "--rate", "1", "--resume"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: len(proven(pipeline)) > 1, "a range to be proven")
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=60)
    match = re.search(r"sink warehouse: proven equal: (\d+) of \d+ ranges; the same command with --resume goes on from there", log)
    assert process.returncode == 1 and match and int(match[1]) == len(proven(pipeline)), log
    for side in (pipeline.source, pipeline.target):
        side.execute("alter table quiet alter v type varchar(100)")
    result = pipeline.engine.command("verify", "--resume", "--where", "true")
    assert result.returncode == EQUAL and "nothing is kept of an interrupted verify" in result.stderr, "another condition: all is compared again"
    assert not proven(pipeline)


def test_a_repair_that_was_killed_is_begun_again_and_done(pipeline):
    """Its plan is stored, and the engine was not told: the same command tells it, and waits."""
    start_exact(pipeline)
    with Load(pipeline.source, threads=1, pause_s=0.01):
        pipeline.target.execute("delete from quiet where id between 19000 and 19010")
        result = pipeline.engine.command("verify", "--repair", "--table", "quiet", environment={"PGCDC_FAULT": "repair-stored"})
        assert result.returncode == -signal.SIGKILL
        assert pipeline.target.value("select count(*) from pgcdc.chunk where state = 'dirty'") == 1
        assert pipeline.target.value("select count(*) from quiet") == 19989
        ended, sink = verify(pipeline, "--table", "quiet")
        assert ended == DIFFERENT and table_of(sink, "quiet")["result"] == "copying"
        result = pipeline.engine.command("verify", "--repair", "--table", "quiet")
        assert result.returncode == EQUAL, result.stdout + result.stderr
    pipeline.wait_applied()
    pipeline.assert_equal()


def test_other_requests_are_served_while_verify_reads(pipeline):
    """The engine serves one client at a time, and a comparison may take hours."""
    start_exact(pipeline)
    process = pipeline.engine.spawn("verify", "--rate", "1")
    began, longest = time.monotonic(), 0
    while process.poll() is None:
        before = time.monotonic()
        with Control(pipeline) as control:
            control.ask("ping")
        longest = max(longest, time.monotonic() - before)
    assert process.returncode == EQUAL
    assert longest < (time.monotonic() - began) / 2


def test_without_an_engine_its_next_start_repairs(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, 'a'), (2, 'b')")
    pipeline.engine.catch_up()
    pipeline.target.execute("delete from t where id = 1")
    result = pipeline.engine.command("verify", "--repair")
    assert result.returncode == DIFFERENT and "its next start copies the ranges" in result.stderr
    assert pipeline.target.value("select count(*) from t") == 1
    pipeline.start()
    pipeline.engine.wait_log("the copy is complete")
    assert_verified(pipeline, EQUAL)


def test_a_table_whose_copy_is_not_complete_is_left_out(pipeline):
    pipeline.source.execute("create table t (id int primary key); create table u (id int primary key); insert into t values (1)")
    pipeline.engine.catch_up()
    assert pipeline.engine.command("table copy", "public.t").returncode == 0
    pipeline.target.execute("delete from t")
    code, sink = verify(pipeline)
    assert code == DIFFERENT and sink["result"] == table_of(sink, "t")["result"] == "copying" and table_of(sink, "u")["result"] == "equal"
    result = pipeline.engine.command("verify")
    assert "not compared: its copy is not complete" in result.stdout and "INCOMPLETE at LSN" in result.stdout
    pipeline.start()
    pipeline.engine.wait_log("the copy is complete")
    assert_verified(pipeline, EQUAL)


def test_some_tables_and_some_rows(pipeline):
    start_exact(pipeline)
    pipeline.target.execute("delete from quiet where id in (5, 15000); delete from keyless where ctid = '(0,1)'")
    code, sink = verify(pipeline, "--table", "quiet", "--where", "id < 10000 -- not the others")
    assert code == DIFFERENT and counts_of(sink, "quiet") == (1, 0, 0) and table_of(sink, "quiet")["source_rows"] == 9999
    assert [table["table"] for table in sink["tables"]] == ["quiet"]
    code, sink = verify(pipeline, "--table", "quiet", "--where", "id between 6 and 10000", "--rate", "1000MB/s")
    assert code == EQUAL and table_of(sink, "quiet")["source_rows"] == 9995
    code, sink = verify(pipeline, "--table", "public.keyless", "--table", "public.part")
    assert code == DIFFERENT and counts_of(sink, "keyless") == (1, 0, 0) and table_of(sink, "part")["result"] == "equal"
    result = pipeline.engine.command("verify", "--table", "nothing")
    assert result.returncode == 2 and "no published table has this name" in result.stderr
    before = time.monotonic()
    verify(pipeline, "--table", "quiet", "--rate", "1")
    assert time.monotonic() - before > 0.8


@pytest.mark.parametrize("versions", [(14, 18), (18, 14), (16, 17)], ids=str)
def test_versions(new_pipeline, shared_clusters, versions):
    pipeline = new_pipeline(shared_clusters("source", versions[0]), shared_clusters("target", versions[1]))
    pipeline.source_configuration["tables"] = ["*.*"]
    pipeline.source.execute(EVERY_TYPE.replace("x xml", "x text"))
    pipeline.publish()
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    pipeline.target.execute('delete from "Odd ""s."."T x" where "i d" = 5')
    assert counts_of(assert_verified(pipeline, DIFFERENT), "T x") == (1, 0, 0)


def test_another_encoding(pipeline):
    """Bytes differ, texts do not; hashes are then taken of UTF-8."""
    name = pipeline.target.name
    pipeline.target.cluster.execute(f"drop database {name}")
    pipeline.target.cluster.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0")
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, 'ü' || g from generate_series(1, 1000) g")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    pipeline.target.execute("update t set v = 'u500' where id = 500")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (0, 0, 1)


def test_a_table_of_very_many_columns(pipeline):
    columns = ", ".join(f"c{n} int default {n}" for n in range(1500))
    pipeline.source.execute(f"create table t (id int primary key, {columns}); insert into t (id) select generate_series(1, 20)")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    pipeline.target.execute("update t set c1490 = 0 where id = 3")
    assert counts_of(assert_verified(pipeline, DIFFERENT), "t") == (0, 0, 1)


def test_virtual_generated_columns(new_pipeline, shared_clusters):
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    pipeline.source.execute("create table t (id int primary key, v int, w int generated always as (v * 2) virtual, s int generated always as (v * 3) stored);"
                            "insert into t select g, g from generate_series(1, 10) g")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    assert pipeline.target.value("select sum(w) from t") == 110


def test_a_column_that_was_left_out_is_not_called_equal(pipeline):
    pipeline.source.execute("create table t (id int primary key, g int generated always as (id * 2) stored); insert into t values (1)")
    pipeline.target.execute("create table t (id int primary key, g int)")
    pipeline.engine.catch_up()
    sink = assert_verified(pipeline, DIFFERENT)
    assert sink["result"] == table_of(sink, "t")["result"] == "partial"
    assert table_of(sink, "t")["left_out"].startswith("g:")
    result = pipeline.engine.command("verify")
    assert result.returncode == DIFFERENT and "PARTIAL at LSN" in result.stdout and "not compared" in result.stdout
    assert "equal" not in result.stdout.lower()
    pipeline.target.execute("insert into t values (7)")
    sink = assert_verified(pipeline, DIFFERENT)
    assert sink["result"] == "different" and counts_of(sink, "t") == (0, 1, 0)


def test_no_value_is_printed(pipeline):
    pipeline.source.execute("create table t (id text primary key, v text); insert into t values ('secretkey', 'secretvalue')")
    pipeline.engine.catch_up()
    pipeline.target.execute("update t set v = 'forgedvalue'")
    result = pipeline.engine.command("verify")
    assert result.returncode == DIFFERENT
    for word in ("secretkey", "secretvalue", "forgedvalue"):
        assert word not in result.stdout + result.stderr


def test_keys_name_the_rows_on_standard_output_alone(pipeline):
    pipeline.source.execute("create table t (id int, part text, v text, primary key (id, part)); insert into t select g, 'p', 'secret' from generate_series(1, 9) g;"
                            "create table full_row (a text); alter table full_row replica identity full; insert into full_row values ('x'), (null);"
                            "create table named (a int, u int not null unique, v text); alter table named replica identity using index named_u_key;"
                            "insert into named values (1, 77, 'secret'); create table same (id int primary key); insert into same values (123456)")
    pipeline.engine.catch_up()
    pipeline.target.execute(r"delete from t where id = 3; insert into t values (10, E'o\x1b[31mdd', 'forged'); update t set v = 'forged' where id = 5;"
                            "delete from full_row; update named set v = 'forged'")
    result = pipeline.engine.command("verify", "--keys", "5")
    assert result.returncode == DIFFERENT
    for line in ("missing    (id, part)=(3, p)", r"extra      (id, part)=(10, o\x1b[31mdd)", "different  (id, part)=(5, p)",
                 "missing    (a)=(x)", "missing    (a)=(null)", "missing    (u)=(77)", "extra      (u)=(77)"):
        assert line in result.stdout
    for word in ("secret", "forged", "123456"):
        assert word not in result.stdout + result.stderr
    assert "(id, part)" not in result.stderr
    _, sink = verify(pipeline, "--keys", "5")
    keys = table_of(sink, "t")["keys"]
    assert len(keys) == 3 and {"row": "extra", "key": {"id": "10", "part": "o\x1b[31mdd"}} in keys
    assert {"row": "missing", "key": {"a": None}} in table_of(sink, "full_row")["keys"]
    assert "keys" not in table_of(sink, "same")
    _, sink = verify(pipeline, "--keys", "1")
    assert len(table_of(sink, "t")["keys"]) == 1
    _, sink = verify(pipeline)
    assert "keys" not in table_of(sink, "t")


def test_keys_of_a_table_that_differs_all_over(pipeline):
    """Neither the rows of a table that is gone nor those of one too large were looked at one by one before."""
    pipeline.source.execute("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 120000) g;"
                            "create table gone (id int primary key); insert into gone select generate_series(1, 3000)")
    pipeline.engine.catch_up()
    pipeline.target.execute("update t set v = 1; truncate gone")
    _, sink = verify(pipeline, "--keys", "40")
    for name, kind in (("t", "different"), ("gone", "missing")):
        keys = table_of(sink, name)["keys"]
        assert len({key["key"]["id"] for key in keys}) == 40
        assert {key["row"] for key in keys} == {kind}
    assert not table_of(sink, "t")["exact"]


def test_keys_are_named_under_traffic(pipeline):
    pipeline.source.execute("create table t (id int primary key, v int); insert into t select g, 0 from generate_series(1, 100) g")
    pipeline.start()
    pipeline.wait_applied()
    pipeline.target.execute("update t set v = 9 where id = 50")
    code, sink = verify(pipeline, "--keys", "3")
    assert code == DIFFERENT and table_of(sink, "t")["keys"] == [{"row": "different", "key": {"id": "50"}}]


def test_no_sink_to_verify(pipeline):
    pipeline.engine.configuration["sinks"] = [{"name": "nothing", "type": "null"}]
    pipeline.source.execute("create table t (id int primary key)")
    result = pipeline.engine.command("verify")
    assert result.returncode == 2 and "no sink of type postgres or kafka" in result.stderr


def test_nothing_published_is_not_equal(pipeline):
    del pipeline.source_configuration["tables"]
    pipeline.source.execute("create publication shop")
    result = pipeline.engine.command("verify")
    assert result.returncode == 2 and "has no tables" in result.stderr


@pytest.mark.parametrize("entry", ["public.b", "public.gone", "sales.*", '"Odd.s"."t"'])
def test_an_entry_that_stands_for_nothing_compared_is_not_equal(pipeline, entry):
    """All published tables are equal, but the operator listed more."""
    pipeline.source_configuration["tables"] = ["public.a"]
    pipeline.source.execute("create table a (id int primary key); create table b (id int primary key)")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    pipeline.source_configuration["tables"] = ["public.a", entry]
    result = pipeline.engine.command("verify")
    assert result.returncode == 2 and entry.split(".")[-1].strip('"') in result.stderr
    assert "equal" not in result.stdout


def test_interrupted_it_is_no_success_and_leaves_no_query_behind(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t select generate_series(1, 100)")
    pipeline.engine.catch_up()
    pipeline.target.execute("create function slow() returns boolean language sql volatile as 'select pg_sleep(1) is not null';"
                            "alter table t rename to stored; create view t as select id from stored where slow()")
    pipeline.engine.write_configuration()
    process = subprocess.Popen([pipeline.engine.program, "verify", "-c", pipeline.engine.config_path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    busy = "select 1 from pg_stat_activity where datname = current_database() and application_name = 'pgcdc:shop verify' and state = 'active'"
    wait_until(lambda: pipeline.target.execute(busy), "the query to run")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 1
    wait_until(lambda: not pipeline.target.execute(busy), "the query to end", 30)


NARROWER = [("numeric", "numeric(10,2)"), ("numeric(10,4)", "numeric(10,2)"), ("timestamp", "timestamp(0)"), ("timestamp", "date"), ("time", "time(0)"),
            ("interval", "interval hour to minute"), ("float8", "real"), ("numeric", "float8"), ("text", "varchar(9)"), ("text", "char(9)"), ("json", "jsonb"),
            ("numeric[]", "numeric(10,2)[]")]


def test_a_narrower_type_is_refused_before_the_copy_and_in_the_stream(pipeline):
    """The server rounds without a word, so the value of the row would be another one."""
    columns = ", ".join(f"c{n} {source}" for n, (source, _) in enumerate(NARROWER))
    pipeline.source.execute(f"create table same (id int primary key); create table t (id int primary key, {columns}); insert into t values (1)")
    pipeline.target.execute("create table t (id int primary key, " + ", ".join(f"c{n} {target}" for n, (_, target) in enumerate(NARROWER)) + ")")
    report = json.loads(pipeline.engine.command("check", "--json").stdout)
    assert sum(finding["code"] == "target_column_type" and finding["severity"] == "problem" for finding in report["findings"]) == len(NARROWER)
    pipeline.assert_refused('"c0"', "numeric(10,2)", "narrowing: allow", code=2)
    for n, (source, target) in enumerate(NARROWER):
        pipeline.target.execute(f"alter table t alter column c{n} type {source} using c{n}::{source}")
    pipeline.engine.catch_up()
    assert_verified(pipeline, EQUAL)
    pipeline.target.execute("alter table t alter column c0 type numeric(10,2)")
    pipeline.source.execute("insert into t (id, c0) values (2, 2.71828)")
    pipeline.assert_refused('"c0"', "numeric(10,2)", "narrowing: allow", code=1)
    assert pipeline.target.value("select count(*) from t") == 1
    pipeline.sink_configuration["narrowing"] = "allow"
    pipeline.engine.catch_up()
    table = table_of(assert_verified(pipeline, EQUAL), "t")
    assert (table["result"], table["narrowed"]) == ("narrowed", 1)
    pipeline.target.execute("update t set c0 = 3 where id = 2")
    table = table_of(assert_verified(pipeline, DIFFERENT), "t")
    assert (table["result"], table["narrowed"], table["different"]) == ("different", 1, 1)
    pipeline.target.execute("update t set c0 = 2.72 where id = 2")
    del pipeline.sink_configuration["narrowing"]
    assert_verified(pipeline, DIFFERENT)


def test_a_wider_type_is_taken(pipeline):
    pipeline.source.execute("""create type mood as enum ('sad'); create domain cents as numeric(10,2);
        create table t (id int primary key, a text, b varchar(10), c varchar(10), d int2, e mood, f numeric(10,2), g cents, h timestamp(0), i date, j float4,
          k int[], l char(4), m uuid, n cents[], o cents, p int);
        insert into t values (1, 'a ', 'b', 'c', 4, 'sad', 1.5, 2.5, '2024-01-01 10:00', '2024-01-01', 0.1, '{1}', 'l', null, '{1.25}', 3.25, 7)""")
    pipeline.target.execute("""create domain cents as numeric(10,2);
        create table t (id int8 primary key, a varchar, b varchar(20), c text, d int8, e text, f numeric, g cents, h timestamptz, i timestamp, j float8,
          k int8[], l text, m varchar(36), n cents[], o numeric(10,2), p numeric(12,2))""")
    pipeline.start()
    pipeline.source.execute("insert into t select 2, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p from t")
    pipeline.wait_applied()
    assert pipeline.target.value("select count(*) from t") == 2
    assert table_of(assert_verified(pipeline, EQUAL), "t")["result"] == "equal"


def test_a_number_that_is_written_otherwise_is_not_narrowed(pipeline):
    """1.50 is 1.5 in a float8: its text was counted as another value."""
    pipeline.source.execute("""create table t (id int primary key, v numeric, a numeric[], f float8, s timestamp);
        insert into t values (1, 1.50, '{2.00,NULL,NaN}', 0.5, '2020-01-01 00:00:00.5'), (2, 'NaN', null, 'Infinity', null),
            (3, 100, '{}', 1e30, null), (4, null, null, '-0', null),
            (5, 1.00000000000000000001, '{1}', 0, null), (6, 1, '{0.00000000000000000001,1.00000000000000000001}', 0, null),
            (7, 1, '{1}', 0.123456789, null), (8, 1, '{1}', 0, '2020-01-01 00:00:00.000001')""")
    pipeline.target.execute("create table t (id int primary key, v float8, a float8[], f float4, s timestamp(3))")
    pipeline.sink_configuration["narrowing"] = "allow"
    pipeline.engine.catch_up()
    table = table_of(assert_verified(pipeline, EQUAL), "t")
    assert (table["result"], table["narrowed"]) == ("narrowed", 4)
