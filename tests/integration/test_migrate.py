# SPDX-License-Identifier: Apache-2.0
"""`pgcdc migrate`: from the plan to the proof, from wherever it is."""

import hashlib
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from integration.test_schema import clusters_fixture, shop_fixture  # pylint: disable=unused-import
from support.load import ROWS, SCHEMA, Load
from support.server import newest_pg_dump
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
T = "create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 1000) g"


@pytest.fixture
def pipeline(new_pipeline, shared_clusters):
    """Schemas are moved too, by pg_dump."""
    if newest_pg_dump() is None:
        pytest.skip("pg_dump of 18 is not here (tests/support/install servers)")
    made = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    made.engine.configuration["schema"] = {"pg_dump": str(newest_pg_dump())}
    return made


def migrate(pipeline, *arguments, code=0):
    """Standard error, and what it printed."""
    result = pipeline.engine.command("migrate", *arguments)
    assert result.returncode == code, result.stderr + result.stdout
    return result.stderr + result.stdout


def report(pipeline, code):
    """The report, and the hash beside it, which is that of its bytes."""
    result = pipeline.engine.command("report", "--json")
    assert result.returncode == code, result.stdout + result.stderr
    body, said = re.fullmatch(r'{"report":(.*),"sha256":"([0-9a-f]{64})"}\n', result.stdout).groups()
    assert hashlib.sha256(body.encode()).hexdigest() == said
    return json.loads(body)


def steps(pipeline, where="object = ''"):
    return dict(pipeline.target.execute(f"select step || coalesce(nullif(' ' || object, ' '), ''), state from pgcdc.migration where {where}"))


def done(*names):
    return dict.fromkeys(names, "done")


def test_each_end_is_reached_and_the_next_command_goes_on(pipeline):
    pipeline.source.execute(T)
    migrate(pipeline, "--until", "copied")
    assert pipeline.target.value("select count(*) from t") == 1000
    assert steps(pipeline) == done("plan", "schema", "copy")
    pipeline.source.execute("insert into t values (0, 'late')")
    migrate(pipeline, "--until", "caught-up")
    assert pipeline.target.value("select v from t where id = 0") == "late"
    assert steps(pipeline) == done("plan", "schema", "copy", "indexes", "sequences", "follow")
    said = migrate(pipeline, "--until", "verified")
    assert "migrate: copy was done before" in said and "equal at LSN" in said
    assert steps(pipeline, "true")["verify"] == steps(pipeline, "true")['verify "public"."t"'] == "done"
    pipeline.assert_equal()


# What a plan of the shop says is against it: tables without a key, and one that is unlogged.
SHOP_FIXED = """
    alter table scratch set logged;
    do $$ declare name regclass; begin
      for name in select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and n.nspname !~ '^pg_|^information'
        and not exists (select from pg_index i where i.indrelid = c.oid and (i.indisprimary or i.indisreplident)) loop
        execute format('alter table %s replica identity full', name);
      end loop; end $$
"""
SHOP_ACCEPTED = ["no_key:*", "not_valid:*"]


# What came with a version, where both sides have it.
SHOP_SINCE = {
    15: """create table since_15 (id int primary key, v int, unique nulls not distinct (v)); create view seen_15 with (security_invoker) as select id from since_15;
        create table parted_15 (id int not null, day date not null, seen int references since_15 on delete set null (seen), primary key (id, day)) partition by range (day);
        create table parted_15_a partition of parted_15 for values from ('2025-01-01') to ('2026-01-01'); insert into parted_15 values (1, '2025-05-05');
        insert into since_15 values (1, null), (2, 7)""",
    16: """create table since_16 (id int primary key, body text storage external default 'x', made timestamptz default current_timestamp);
        create view json_16 as select json_object('id': id, 'body': body absent on null) as row, body is json as is_json from since_16;
        create function add_16(a int, b int default 2) returns int return a + b; insert into since_16 values (1), (2)""",
    17: """create table since_17 (id int generated always as identity, k int, primary key (id, k)) partition by list (k);
        create table since_17_1 partition of since_17 for values in (1); create table since_17_2 partition of since_17 default;
        insert into since_17 (k) select g % 3 from generate_series(1, 9) g; create collation builtin_17 (provider = builtin, locale = 'C.UTF-8');
        create table words_17 (word text collate builtin_17 primary key); insert into words_17 values ('a'), ('B');
        create view table_17 as select t.id from json_table('[{"id": 1}]', '$[*]' columns (id int path '$.id')) t""",
    18: """create table since_18 (id int primary key, v int, twice int generated always as (v * 2) virtual, thrice int generated always as (v * 3) stored,
          constraint v_there not null v, constraint positive check (v > 0) not enforced);
        create table room (id int4range, during daterange, primary key (id, during without overlaps));
        create table guest (id int primary key, room int4range, during daterange, foreign key (room, period during) references room (id, period during));
        create table later (id int primary key, v int); insert into later values (1, null); alter table later add constraint later_v not null v not valid;
        create table one_18 (id int primary key); create table many_18 (one int references one_18 not enforced, id int primary key);
        insert into since_18 values (1, 5), (2, -5); insert into room values ('[1,2)', '[2025-01-01,2025-02-01)'); insert into guest values (1, '[1,2)', '[2025-01-02,2025-01-03)');
        insert into many_18 values (7, 1)""",
}
LONG = [pytest.param(*pair, marks=pytest.mark.long) for pair in ((14, 18), (15, 17), (16, 18), (18, 15), (17, 16))]


@pytest.mark.parametrize("source,target", [(15, 18), (18, 18), *LONG])
def test_a_shop_of_every_object_class_moves_to_another_version(shop, source, target):
    pipeline = shop(source, target)
    for version, sql in SHOP_SINCE.items():
        if version <= min(source, target):
            pipeline.source.execute(sql)
    said = migrate(pipeline, "--until", "verified", code=2)
    assert "have no usable replica identity" in said and "no row is copied" in said
    assert pipeline.target.execute("select from pg_class where relname = 'item'") == [] and pipeline.slot() is None
    pipeline.source.execute(SHOP_FIXED)
    accepted = SHOP_ACCEPTED + ["target_older"] * (target < source)
    pipeline.engine.configuration["accept"] = accepted
    said = migrate(pipeline, "--until", "verified")
    assert "stays open in the report" not in said
    found = report(pipeline, 0)
    assert found["closes"] and found["open"] == [] and found["not_accepted"] == []
    assert [server["version"].split(".")[0] for server in found["servers"]] == [str(source), str(target)]
    assert {finding["code"] for finding in found["accepted"]} == {entry.split(":")[0] for entry in accepted}
    assert found["schema"]["missing"] == 0 and found["schema"]["objects"] > 50 and found["sequences"]
    tables = {table["table"]: table for table in found["tables"]}
    sale = tables['"public"."sale"']
    assert sale["source_rows"] == sale["target_rows"] == 400
    assert sale["source_hash"] == sale["target_hash"] != "0" * 16
    result = pipeline.engine.command("schema compare")
    assert result.returncode == 0 and result.stdout.endswith(" objects: 0 missing, 0 different, 0 extra\n")
    pipeline.assert_equal()


@pytest.fixture
def moved(pipeline):
    """Moved and proven; its report closes."""
    pipeline.source.execute(T + "; create sequence numbers owned by t.id; create index t_v on t (v); create index t_id on t (id, v)")
    migrate(pipeline, "--until", "verified")
    assert report(pipeline, 0)["open"] == []
    return pipeline


# What is done to the target, or to the source, and what the report then says is open.
OPEN = {
    "a sequence that is behind": ("source", "select setval('numbers', 100000)", '1 sequence behind: "public"."numbers"'),
    "an index that is missing": ("target", "drop index t_id", "INDEX public.t_id: missing at the target"),
    "an index of another definition": ("target", "drop index t_v; create index t_v on t (v desc)", "INDEX public.t_v: defined otherwise at the target"),
    "a step that is not done": ("target", "update pgcdc.migration set state = 'started' where step = 'copy'", "step copy: it is started"),
    "a step that is gone": ("target", "delete from pgcdc.migration where step = 'indexes'", "step indexes: it was not begun"),
    "a cutover that is not over": ("target", "insert into pgcdc.migration values ('shop', 'cutover', 'flipped', 'started', '{}', now())", "step cutover flipped: it is started"),
    "a change that was lost": ("target", """insert into pgcdc.migration values ('shop', 'ledger', '"public"."t"', 'done',
                               '{"in": 3, "applied": 2, "in_copy": 0, "present": 0, "skipped": 0}', now(), now())""",
                               'table "public"."t": 3 changes came in, and not all went somewhere'),
    "a comparison that was begun again": ("target", "update pgcdc.migration set state = 'started', ended_at = null where step = 'verify' and object = ''",
                                          "the comparison of both sides is not complete: pgcdc migrate --until verified"),
}


def test_a_report_does_not_close_with_anything_that_is_open(moved):
    """One after the other: each adds its line."""
    for count, (case, (side, sql, said)) in enumerate(OPEN.items(), 1):
        getattr(moved, side).execute(sql)
        found = report(moved, 4)
        assert not found["closes"] and said in found["open"] and len(found["open"]) == count, case
    assert said in moved.engine.command("report").stdout


def test_a_table_that_was_added_since_is_open_until_it_is_compared(moved):
    moved.execute_both("create table extra (id int primary key)")
    moved.source.execute("insert into extra values (1)")
    assert moved.engine.command("table add", "public.extra").returncode == 0
    assert report(moved, 4)["open"] == ['table "public"."extra": it is published and was not compared']
    migrate(moved, "--until", "verified")
    assert [table["target_rows"] for table in report(moved, 0)["tables"]] == [1, 1000]


def test_a_row_that_differs_is_found_and_the_report_says_so_until_it_is_repaired(moved):
    moved.target.execute("update t set v = 'else' where id = 7; delete from t where id = 8")
    assert "both sides are not proven equal" in migrate(moved, "--until", "verified", code=4)
    assert report(moved, 4)["open"] == ['table "public"."t": different; 1000 rows at the source, 999 rows at the target']
    table = report(moved, 4)["tables"][0]
    assert table["source_hash"] != table["target_hash"] and not table["equal"]
    moved.engine.command("verify", "--repair")
    migrate(moved, "--until", "verified")
    assert report(moved, 0)["tables"][0]["equal"]


def test_a_warning_stays_open_until_it_is_accepted(pipeline):
    pipeline.source.execute(T + "; create table log (line text); alter table log replica identity full; insert into log values ('x')")
    said = migrate(pipeline, "--until", "verified")
    assert "it stays open in the report" in said
    found = report(pipeline, 4)
    assert [finding["code"] for finding in found["not_accepted"]] == ["no_key"]
    assert len(found["open"]) == 1 and found["open"][0].startswith('warning of the plan, not accepted: no_key:"public"."log": ')
    pipeline.engine.configuration["accept"] = ["no_key:public.log"]
    assert [finding["code"] for finding in report(pipeline, 0)["accepted"]] == ["no_key"]


def test_it_moves_a_source_that_is_in_use(pipeline):
    """Every change is applied, or in a chunk of the copy already, and the comparison is exact."""
    pipeline.source.execute(SCHEMA + ROWS + "alter table journal replica identity full")
    pipeline.engine.configuration["copy"] = {"mode": "live"}
    pipeline.engine.configuration["accept"] = ["no_key:*"]
    with Load(pipeline.source):
        migrate(pipeline, "--until", "verified")
        found = report(pipeline, 0)
    counted = [table["changes"] for table in found["tables"] if table["changes"]]
    assert sum(changes["in"] for changes in counted) > 100 and all(changes["closes"] for changes in counted)
    assert all(table["source_hash"] == table["target_hash"] for table in found["tables"])


def test_changes_are_counted_over_all_runs(moved):
    for i in (1, 2):
        moved.source.execute(f"update t set v = v || 'x' where id <= {i}; delete from t where id = 1000 - {i}")
        migrate(moved, "--until", "verified")
    counts = report(moved, 0)["tables"][0]["changes"]
    assert counts == {"in": 5, "applied": 5, "in_copy": 0, "present": 0, "skipped": 0, "closes": True}


def test_rows_that_rules_of_another_sink_leave_out_are_listed_over_all_runs(pipeline, tmp_path):
    """The sink that the database moves to has no rules; those beside it may have some."""
    pipeline.source.execute(T)
    pipeline.engine.configuration["sinks"].append({"name": "feed", "type": "null"})
    pipeline.engine.configuration["mapping"] = [{"match": "public.*", "where": "id > 10", "sinks": ["feed"]}]
    found = []
    for i in (1, 2):
        migrate(pipeline, "--until", "caught-up")
        found.append([(each["changes"], each["copied_rows"]) for each in report(pipeline, 4)["left_out"]])
        pipeline.source.execute(f"update t set v = v || 'x' where id in ({i}, 7, 77)")
    migrate(pipeline, "--until", "verified")
    (counts,) = report(pipeline, 0)["left_out"]
    assert counts == {"sink": "feed", "rule": "public.*", "table": "public.t", "changes": 4, "copied_rows": 10} and found == [[(0, 10)], [(2, 10)]]
    page = tmp_path / "report.html"
    said = pipeline.engine.command("report", "--html", str(page)).stdout
    assert "left out of sink feed by rule public.*, of public.t: 4 changes, and 10 rows of copies\n" in said
    assert "<td>feed<td>public.*<td>public.t" in page.read_text(encoding="utf-8")


def test_skipped_dead_letters_are_listed_with_their_reason(moved, tmp_path):
    moved.sink_configuration["on_error"] = "dead_letter"
    moved.target.execute("alter table t add constraint few check (id < 1001)")
    moved.source.execute("insert into t values (1001, 'secret'), (1002, 'secret')")
    migrate(moved, "--until", "caught-up")
    assert report(moved, 4)["skipped_letters"] == []
    first = json.loads(moved.engine.command("dead list", "--json").stdout.splitlines()[0])
    skipped = moved.engine.command("dead skip", str(first["id"]), "--reason", "sold <b>twice</b>")
    assert skipped.returncode == 0, skipped.stderr
    (found,) = report(moved, 4)["skipped_letters"]
    expected = {"sink": "warehouse", "table": '"public"."t"', "id": first["id"], "commit_lsn": first["commit_lsn"], "index": first["index"], "reason": "sold <b>twice</b>"}
    assert found.items() >= expected.items() and "@" in found["by"] and found["at"].endswith("Z")
    page = tmp_path / "report.html"
    said = moved.engine.command("report", "--html", str(page)).stdout
    assert f'dead letter {first["id"]} of sink warehouse was skipped: "public"."t", LSN {first["commit_lsn"]}, by ' in said and ": sold <b>twice</b>\n" in said
    assert "sold &lt;b&gt;twice&lt;/b&gt;" in page.read_text(encoding="utf-8") and "secret" not in said


def test_a_page_shows_the_same_and_escapes_what_is_not_ours(pipeline, tmp_path):
    pipeline.source.execute('create table "<b>&" (id int primary key); insert into "<b>&" values (1)')
    migrate(pipeline, "--until", "verified")
    page = tmp_path / "report.html"
    result = pipeline.engine.command("report", "--html", str(page))
    assert result.returncode == 0 and "everything closes" in result.stdout
    text = page.read_text(encoding="utf-8")
    assert "Everything closes" in text and "&lt;b&gt;&amp;" in text and "<b>&" not in text and "http" not in text.replace("http-equiv", "")


def test_the_page_of_the_manual_moves_a_database(pipeline, tmp_path):
    """Its three commands, and the one that computes the hash."""
    pipeline.source.execute(T)
    manual = (ROOT / "cdc/manual/migration.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    pgcdc (\w+) +-c shop.yaml(?: --html (\S+))?", manual, re.MULTILINE)[:3]
    assert [name for name, _ in commands] == ["plan", "migrate", "report"]
    for name, page in commands:
        end = ["--until", "verified"] if name == "migrate" else []
        result = pipeline.engine.command(name, *end, *(["--html", str(tmp_path / page)] if page else []))
        assert result.returncode == 0, result.stdout + result.stderr
    (tmp_path / "report.json").write_text(pipeline.engine.command("report", "--json").stdout, encoding="utf-8")
    hashing = re.search(r"^    (sed .*sha256sum)$", manual, re.MULTILINE).group(1)
    computed = subprocess.run(["bash", "-c", hashing], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()[0]
    assert computed == json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["sha256"]


def test_it_follows_until_it_is_stopped_and_a_second_one_is_refused(moved):
    process = moved.engine.spawn("migrate")
    wait_until(moved.is_streaming, "the migration to follow")
    assert "another process works on the migration of pipeline shop" in migrate(moved, code=6)
    moved.source.execute("insert into t values (-1, 'while it follows')")
    wait_until(lambda: moved.target.value("select count(*) from t where id = -1"), "the row to arrive")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_it_says_how_long_it_has_followed(moved, tmp_path):
    with open(tmp_path / "log", "w", encoding="utf-8") as log, \
         subprocess.Popen([moved.engine.program, "migrate", "-c", moved.engine.config_path], stderr=log,
                          env={**os.environ, "PGCDC_INTERVAL_MS": "100"}) as process:
        said = re.compile(r"migrate: following for \S+ \w+, \d+ changes? in \d+ transactions?$", re.MULTILINE)
        try:
            wait_until(lambda: said.search((tmp_path / "log").read_text(encoding="utf-8")), "the line")
        finally:
            process.send_signal(signal.SIGTERM)


def test_a_stop_before_the_end_is_told_by_the_exit_code_and_the_next_goes_on(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t select g, repeat('x', 500) from generate_series(1, 200000) g")
    pipeline.engine.write_configuration()
    process = pipeline.engine.spawn("migrate", "--until", "verified")
    wait_until(lambda: pipeline.target.value("select to_regclass('pgcdc.migration')") and "copy" in steps(pipeline), "the copy to begin")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 5
    assert "verify" not in steps(pipeline)
    migrate(pipeline, "--until", "verified")
    assert report(pipeline, 0)["tables"][0]["target_rows"] == 200000


def test_a_lost_connection_to_the_target_does_not_end_it(moved):
    """The lock goes with the connection, and is taken again."""
    process = moved.engine.spawn("migrate")
    wait_until(moved.is_streaming, "the migration to follow")
    moved.target.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgcdc migrate'")
    moved.source.execute("insert into t values (-1, 'after it')")
    wait_until(lambda: moved.target.value("select count(*) from t where id = -1"), "the row to arrive")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    migrate(moved, "--until", "verified")


def test_drop_removes_what_it_knows(moved):
    result = moved.engine.command("drop")
    assert result.returncode == 0, result.stderr
    assert moved.target.value("select to_regclass('pgcdc.migration')") is None
    assert any("was not begun" in line for line in report(moved, 4)["open"])


def test_the_report_of_a_move_has_the_outage_and_the_comparison_of_its_cutover(moved):
    moved.engine.configuration["cutover"] = {"on_flip": "true"}
    before = report(moved, 0)
    moved.engine.start()
    moved.source.execute("insert into t values (-1, 'after the comparison')")
    moved.wait_applied()
    result = moved.engine.command("cutover")
    assert result.returncode == 0, result.stdout + result.stderr
    moved.engine.close()
    found = report(moved, 0)
    assert found["outage_ms"] > 0 and found["cutover"]["outage_ms"] == found["outage_ms"]
    assert found["tables"][0]["target_rows"] == before["tables"][0]["target_rows"] + 1, "the comparison is that of the cutover"
