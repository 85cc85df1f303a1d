# SPDX-License-Identifier: Apache-2.0
"""An archive holds what the source committed, and replays it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.archive import Replay, archive, write_into
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]

SCHEMA = """
    create table item (id int primary key, v text, doc text);
    alter table item alter column doc set storage external;
    create table log (at timestamptz default now(), what text);
    alter table log replica identity full;
"""
LOAD = """
    insert into item select i, 'v' || i, repeat(md5(i::text), 100) from generate_series(100, 400) i;
    update item set v = v || '!' where id % 3 = 0;
    update item set id = id + 10000 where id % 50 = 0;
    delete from item where id % 7 = 0;
    insert into log (what) select 'entry ' || i from generate_series(1, 50) i;
    update log set what = null where what like '%7';
    begin; insert into item values (99999, 'not here', null); rollback;
"""
MORE = """
    truncate log;
    insert into log (what) values ('after the truncate'), ('''quoted'' "twice" \\ and more');
    update item set doc = null where id % 11 = 0;
    alter table item add column later numeric(10, 2);
    insert into item values (500000, 'new', 'short', 12.50);
    update item set later = id where id < 150;
"""


@pytest.fixture
def archived(pipeline, tmp_path):
    pipeline.execute_both(SCHEMA)
    pipeline.source.execute("insert into item select i, 'v' || i, repeat(md5(i::text), 100) from generate_series(1, 99) i")
    pipeline.source.execute("insert into log (what) select 'before ' || i from generate_series(1, 20) i")
    pipeline.publish()
    write_into(pipeline, tmp_path / "archive")
    return pipeline


def equal(pipeline):
    for table in ("item", "log"):
        sql = f"select to_jsonb(t) - 'none' as row from {table} t order by 1"
        assert pipeline.source.execute(sql) == pipeline.target.execute(sql), table


def test_what_was_archived_is_replayed(archived, tmp_path):
    """The rows of the copy, every kind of change, a table that was altered; in steps, from the position that the target has."""
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        archived.engine.catch_up()
        replay.catch_up()
        equal(archived)
        archived.source.execute(LOAD)
        archived.engine.catch_up()
        replay.catch_up()
        equal(archived)
        archived.source.execute(MORE)
        archived.target.execute("alter table item add column later numeric(10, 2)")
        archived.engine.catch_up()
        replay.catch_up()
        equal(archived)
        result = replay.engine.json("run", "--until", "caught-up")
        assert result["changes"] == 0 and result["rows_copied"] == 0, result


def test_a_replay_follows_the_writer(archived, tmp_path):
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        archived.engine.start()
        replay.engine.start()  # perhaps before there is a segment: it retries
        archived.source.execute(LOAD)
        replay.wait_applied()
        equal(archived)
        archived.engine.kill()
        archived.source.execute("update item set v = 'while the writer was away'")
        archived.engine.start()
        replay.wait_applied()
        equal(archived)


def test_a_sink_goes_from_its_slot_to_the_archive_and_back(new_pipeline, shared_clusters, tmp_path):
    """Positions are the source's in both."""
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    pipeline.execute_both(SCHEMA)
    pipeline.publish()
    archive = Replay(pipeline, tmp_path / "archive", tmp_path / "writer", "keeper")
    archive.engine.configuration["source"] = {"dsn": pipeline.source.dsn(), "publication": "shop"}
    archive.engine.configuration["sinks"] = [{"name": "log", "type": "archive", "path": str(tmp_path / "archive")}]
    archive.catch_up()
    pipeline.engine.catch_up()
    pipeline.source.execute(LOAD)
    archive.catch_up()
    with Replay(pipeline, tmp_path / "archive", tmp_path / "replay", "shop") as replay:
        replay.catch_up()
        equal(pipeline)
    pipeline.source.execute("update item set v = 'by the slot'; insert into log (what) values ('by the slot')")
    pipeline.engine.catch_up()
    equal(pipeline)
    with Replay(pipeline, tmp_path / "archive", tmp_path / "replay", "shop") as replay:
        replay.engine.start()
        replay.engine.wait_log("the archive has changes only up to")  # the slot has brought the sink further
        pipeline.source.execute("insert into item values (-1, 'by the archive')")
        archive.catch_up()
        replay.wait_applied()
        equal(pipeline)


@pytest.mark.parametrize("mode", ["simple", "live"])
def test_another_program_reads_it(archived, tmp_path, mode):
    """A reader in Python, made from the description of the format, finds the same rows."""
    archived.engine.configuration["copy"] = {"mode": mode}
    archived.engine.catch_up()
    archived.source.execute(LOAD)
    archived.engine.catch_up()
    subprocess.run(["protoc", f"--python_out={tmp_path}", f"--proto_path={ROOT / 'proto'}", "archive.proto"], check=True)
    result = subprocess.run([sys.executable, ROOT / "sinks/archive/read_archive.py", tmp_path / "archive"], check=True,
                            capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"})
    rows = {}
    for change in map(json.loads, result.stdout.splitlines()):
        if change["table"] != "item":
            continue
        after, before = change.get("after"), change.get("before")
        old = rows.pop((before or after)["id"], None) if change["operation"] != "insert" else None
        if after:
            rows[after["id"]] = {key: old[key] if value == "unchanged" else value for key, value in after.items()}
    expected = {str(row[0]): {"id": str(row[0]), "v": row[1], "doc": row[2]} for row in archived.source.execute("select id, v, doc from item")}
    assert rows == expected


@pytest.mark.parametrize("name, verdict", [
    ("version1", "whole up to 0/1D5E478: 8 transactions, 17 changes, 6 rows copied\n"),
    ("chunks", "whole up to 0/198E9A8: 3 transactions, 1 change, 63 rows copied\n"),  # a copy in chunks, interrupted once
])
def test_an_archive_of_version_1_is_read(pipeline, name, verdict):
    """Files of an earlier build: what a segment holds must never be read otherwise."""
    golden = ROOT / "tests/golden/archive"
    result = subprocess.run([pipeline.engine.program, "tail", golden / name], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == (golden / f"{name}.jsonl").read_text().splitlines()
    result = subprocess.run([pipeline.engine.program, "archive", "verify", golden / name], capture_output=True, text=True, check=True)
    assert result.stdout == verdict


# ---- what is refused ----

def test_a_damaged_archive_is_named(archived, tmp_path):
    archived.source.execute(LOAD)
    archived.engine.catch_up()
    archived.source.execute("insert into item values (-5)")
    archived.engine.catch_up()
    archived.source.execute("insert into item values (-6)")
    archived.engine.catch_up()
    (segment,) = (tmp_path / "archive").glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[400] ^= 4
    segment.write_bytes(data)
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        result = replay.engine.command("run", "--until", "caught-up")
        assert result.returncode == 3 and str(segment) in result.stderr and "damaged at byte" in result.stderr, result.stderr
    assert archived.target.value("select count(*) from item") == 0


def test_keys_that_an_archive_does_not_have(archived, tmp_path):
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        source = replay.engine.configuration["source"]
        for key, value in (("dsn", "dbname=x"), ("tables", ["public.t"]), ("publication", "p")):
            replay.engine.configuration["source"] = {**source, key: value}
            result = replay.engine.command("run", "--until", "caught-up")
            assert result.returncode == 2 and f"source.{key}: an archive is read" in result.stderr, result.stderr
        replay.engine.configuration["source"] = {"slot": "s"}
        result = replay.engine.command("run", "--until", "caught-up")
        assert result.returncode == 2 and "source.dsn: this key is required and missing" in result.stderr, result.stderr


@pytest.mark.parametrize("key, value", [("level", "0"), ("level", "20"), ("level", "x"), ("segment_bytes", "1"), ("segment_bytes", "1kB"), ("segment_age", "long")])
def test_values_that_cannot_be(archived, key, value):
    archived.engine.configuration["sinks"][0][key] = value
    result = archived.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and f"sinks[0].{key}: expected" in result.stderr, result.stderr


def test_commands_that_need_a_source_say_so(archived, tmp_path):
    archived.engine.catch_up()
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        for command, *arguments in (("check",), ("verify",), ("table list",), ("table add", "public.item")):
            result = replay.engine.command(command, *arguments)
            assert result.returncode not in (0, -11), command
            assert "archive" in result.stderr, f"{command}: {result.stderr}"
        replay.catch_up()
        status = replay.engine.json("status")
        assert status["state"] == "stopped" and status["source"]["archive"] == str(tmp_path / "archive") and status["slot"] is None, status
        assert status["sinks"][0]["lag_bytes"] == 0, status
        archived.source.execute("insert into item values (-7)")
        archived.engine.catch_up()
        behind = replay.engine.command("status")
        assert behind.returncode == 0 and "archive     " in behind.stdout and " B " in behind.stdout.splitlines()[-1], behind.stdout
        result = replay.engine.command("drop")
        assert result.returncode == 0 and "it stays, and no longer waits for this pipeline" in result.stdout, result.stdout + result.stderr
        assert list((tmp_path / "archive").glob("*.segment"))


def test_a_table_that_the_target_lacks_stops_the_replay(archived, tmp_path):
    archived.target.execute("drop table item")
    archived.engine.catch_up()
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        result = replay.engine.command("run", "--until", "caught-up")
        assert result.returncode == 1 and "item" in result.stderr, (result.returncode, result.stderr)


# ---- looking into it ----

def tail(archived, path, *arguments):
    result = subprocess.run([archived.engine.program, "tail", path, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_row_is_found_by_table_key_transaction_and_place(archived, tmp_path):
    archived.engine.catch_up()
    archived.source.execute("insert into item values (700, 'first', null)")
    time.sleep(1.1)
    middle = archived.source.value("select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    lsn = archived.source.value("select pg_current_wal_lsn()::text")
    time.sleep(0.1)
    archived.source.execute("update item set v = 'second' where id = 700; insert into log (what) values ('at the same time')")
    archived.source.execute("delete from item where id = 700")
    archived.engine.catch_up()
    path = tmp_path / "archive"
    everything = tail(archived, path)
    assert [change["op"] for change in everything[:119]] == ["read"] * 119
    assert [change["op"] for change in everything[119:]] == ["insert", "update", "insert", "delete"]
    assert [change["op"] for change in tail(archived, path, "--table", "public.item", "--key", "id=700")] == ["insert", "update", "delete"]
    assert [change["op"] for change in tail(archived, path, "--key", "v=second")] == ["update"]
    for place in (middle, lsn):
        assert tail(archived, path, "--from", place) == everything[120:], place
        assert tail(archived, path, "--until", place) == everything[:120], place
    one = everything[121]["commit_lsn"]
    assert tail(archived, path, "--transaction", one) == everything[120:122]


def test_a_point_in_time(archived, tmp_path):
    """An empty database has the rows as of that commit; the next run goes on from there."""
    archived.engine.catch_up()
    archived.source.execute(LOAD)
    time.sleep(1.1)
    then = archived.source.execute("select to_char(clock_timestamp() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")[0][0]
    rows = archived.source.execute("select to_jsonb(t) from item t order by 1")
    time.sleep(0.1)
    archived.source.execute("delete from item; insert into log (what) values ('a mistake')")
    archived.engine.catch_up()
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        result = replay.engine.command("run", "--until", then)
        assert result.returncode == 0, result.stderr
        assert archived.target.execute("select to_jsonb(t) from item t order by 1") == rows
        replay.catch_up()
        equal(archived)
        early = replay.engine.command("run", "--until", "2001-01-01T00:00:00Z")
        assert early.returncode == 2 and "begins after that time" in early.stderr, early.stderr
    refused = archived.engine.command("run", "--until", then)
    assert refused.returncode == 2 and "needs a pipeline that reads an archive" in refused.stderr, refused.stderr


def test_a_replay_may_begin_later(archived, tmp_path):
    """For a target that has the rows by other means, as of a position."""
    archived.engine.catch_up()
    archived.source.execute(LOAD)
    archived.engine.catch_up()
    with Replay(archived, tmp_path / "archive", tmp_path / "first") as first:
        first.catch_up()
    lsn = archived.target.value("select end_lsn from pgcdc.position where pipeline = 'replay'")
    archived.source.execute("delete from item where id % 2 = 0; insert into log (what) values ('later')")
    archived.engine.catch_up()
    with Replay(archived, tmp_path / "archive", tmp_path / "second", "second") as second:
        assert second.engine.command("run", "--from", lsn, "--until", "caught-up").returncode == 0
        equal(archived)
        again = second.engine.command("run", "--from", lsn, "--until", "caught-up")
        assert again.returncode == 2 and "--from is for sinks without a position" in again.stderr, again.stderr
        second.catch_up()
    refused = archived.engine.command("run", "--from", lsn)
    assert refused.returncode == 2 and "--from needs a pipeline that reads an archive" in refused.stderr, refused.stderr


def test_list_and_verify(archived, tmp_path):
    archived.engine.configuration["sinks"][0]["segment_bytes"] = "64kB"
    archived.engine.catch_up()
    for number in range(4):
        archived.source.execute(f"insert into log (what) select md5(g::text) from generate_series({number} * 5000, {number} * 5000 + 4999) g")
        archived.engine.catch_up()

    def survey(command):
        result = subprocess.run([archived.engine.program, "archive", command, "--json", tmp_path / "archive"], capture_output=True, text=True, check=False)
        return result.returncode, [json.loads(line) for line in result.stdout.splitlines()]
    code, segments = survey("list")
    assert code == 0 and len(segments) > 3
    assert [segment["state"] for segment in segments[:-1]] == ["closed"] * (len(segments) - 1)
    assert [segment["first_lsn"] for segment in segments[1:]] == [segment["end_lsn"] for segment in segments[:-1]]
    code, segments = survey("verify")
    assert code == 0
    assert sum(segment["changes"] for segment in segments) == 20000 and sum(segment["rows_read"] for segment in segments) == 119
    middle = segments[2]["first_lsn"]
    result = subprocess.run([archived.engine.program, "archive", "export", tmp_path / "archive", tmp_path / "part", "--from", middle, "--until",
                             segments[2]["end_lsn"]], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and f"from {middle} to {segments[2]['end_lsn']}" in result.stdout, result.stdout + result.stderr
    assert [path.name for path in (tmp_path / "part").iterdir()] == [Path(segments[2]["file"]).name]
    assert tail(archived, tmp_path / "part")
    again = subprocess.run([archived.engine.program, "archive", "export", tmp_path / "archive", tmp_path / "part"], capture_output=True, text=True, check=False)
    assert again.returncode == 2 and "it has segments already" in again.stderr
    second = sorted((tmp_path / "archive").glob("*.segment"))[1]
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    code, segments = survey("verify")
    assert code == 4 and [segment["state"] for segment in segments].count("damaged") == 1
    assert segments[1]["state"] == "damaged" and "damaged at byte" in segments[1]["damage"]


# ---- retention ----

def fill(archived, number):
    """More than a segment of 64 kB."""
    archived.source.execute(f"insert into log (what) select md5(random()::text) from generate_series({number} * 5000, {number} * 5000 + 4999) g")
    archived.engine.catch_up()


def numbers(path):
    return [int(segment.name.split("-")[0]) for segment in sorted(path.glob("*.segment"))]


def test_old_segments_go_unless_somebody_needs_them(archived, tmp_path):
    path = tmp_path / "archive"
    archived.engine.configuration["sinks"][0] |= {"segment_bytes": "64kB", "keep_segments": "2"}
    archived.engine.catch_up()
    with Replay(archived, path, tmp_path / "replay") as replay:
        replay.catch_up()
        follower = path / "replay.follower"
        position = follower.read_text()
        for number in range(4):
            fill(archived, number)
        assert len(numbers(path)) >= 4, "a reader needs them"
        tail(archived, path)
        replay.engine.command("tail")
        assert follower.read_text() == position and not (path / "tail.follower").exists(), "only the pipeline's own position counts"
        listed = subprocess.run([archived.engine.program, "archive", "list", path], capture_output=True, text=True, check=True).stdout
        assert "read by replay, which needs everything after" in listed, listed
        replay.catch_up()
        equal(archived)
        fill(archived, 4)
        assert len(numbers(path)) <= 3 and numbers(path)[0] >= 3
        replay.catch_up()
        equal(archived)
        assert replay.engine.command("drop").returncode == 0
        assert not follower.exists()
        refused = replay.engine.command("run", "--until", "caught-up")
        assert refused.returncode == 3 and "the rows and changes before it are gone" in refused.stderr, refused.stderr
        replay.engine.configuration["source"]["snapshot"] = "never"
        archived.target.execute("truncate log")
        replay.catch_up()
        assert 5000 <= archived.target.value("select count(*) from log") < archived.source.value("select count(*) from log")


def test_an_archive_without_copied_rows_says_so(archived, tmp_path):
    """It does not look like that of an empty database: a replay needs a target that has the rows."""
    archived.engine.configuration["source"]["snapshot"] = "never"
    archived.engine.catch_up()
    archived.source.execute(LOAD)
    archived.engine.catch_up()
    assert "without copied rows" in archive(archived, "list", tmp_path / "archive")
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        refused = replay.engine.command("run", "--until", "caught-up")
        assert refused.returncode == 3 and "copied no rows (source.snapshot: never)" in refused.stderr, refused.stderr
        assert archived.target.value("select count(*) from log") == 0
        archived.target.execute("insert into item select i, 'v' || i, repeat(md5(i::text), 100) from generate_series(1, 99) i")
        replay.engine.configuration["source"]["snapshot"] = "never"
        replay.catch_up()
        assert archived.target.value("select count(*) from item") == archived.source.value("select count(*) from item")


def test_an_archive_of_an_empty_database_is_whole(pipeline, tmp_path):
    pipeline.execute_both(SCHEMA)
    pipeline.publish()
    write_into(pipeline, tmp_path / "archive")
    pipeline.engine.catch_up()
    assert "without copied rows" not in archive(pipeline, "list", tmp_path / "archive")
    pipeline.source.execute(LOAD)
    pipeline.engine.catch_up()
    with Replay(pipeline, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.catch_up()
        equal(pipeline)


# ---- what it is for ----

def test_check_looks_at_the_directory(archived, tmp_path):
    """Can it be written, and is the archive in it this pipeline's?"""
    def codes():
        return {finding["code"] for finding in json.loads(archived.engine.command("check", "--json").stdout)["findings"]}
    assert not {code for code in codes() if code.startswith("archive")}
    archived.engine.catch_up()
    assert not {code for code in codes() if code.startswith("archive")}
    archived.engine.configuration["sinks"][0]["name"] = "other"
    assert "archive_owner" in codes()
    write_into(archived, tmp_path / "missing" / "archive")
    assert "archive_directory" in codes()
    (tmp_path / "missing").write_text("a file")
    assert "archive_directory" in codes()


def test_a_follower_that_could_not_be_written_is_written_later(archived, tmp_path):
    """Once, while it cannot, and by itself when it can."""
    archived.engine.catch_up()
    obstacle = tmp_path / "archive" / "replay.follower.new"
    obstacle.mkdir()
    with Replay(archived, tmp_path / "archive", tmp_path / "replay") as replay:
        replay.engine.start()
        replay.engine.wait_log("is not told what this pipeline still needs")
        replay.wait_applied()
        obstacle.rmdir()
        archived.source.execute("insert into item values (-2, 'later')")
        archived.engine.catch_up()
        wait_until(lambda: (tmp_path / "archive" / "replay.follower").exists(), replay.engine.log_tail, 60)
        assert replay.engine.log_text().count("is not told") == 1


def test_a_warehouse_that_is_away_costs_the_source_nothing(archived, tmp_path):
    """The slot goes on with the archive; the warehouse catches up from it."""
    path = tmp_path / "archive"
    with Replay(archived, path, tmp_path / "replay") as replay:
        archived.engine.start()
        wait_until(lambda: list(path.glob("*.segment")), "the archive")
        replay.catch_up()
        before = archived.source_lsn()
        for number in range(5):
            archived.source.execute(f"insert into log (what) select repeat(md5(random()::text), 20) from generate_series({number} * 1000, {number} * 1000 + 999) g")
        archived.source.execute("checkpoint")
        lsn = archived.source_lsn()
        wait_until(lambda: archived.source.value("select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = 'shop'", (lsn,)),
                   lambda: f"the slot to go on\n{archived.engine.log_tail()}", 120)
        assert archived.source.value("select %s::pg_lsn - %s::pg_lsn", (lsn, before)) > 3_000_000
        assert archived.target.value("select count(*) from log") == 20, "the warehouse is away"
        replay.catch_up()
        equal(archived)


def test_a_search_for_one_transaction_ends_behind_it(archived, tmp_path):
    """Without what is before; and the search is over with the next transaction, also with --follow."""
    archived.engine.catch_up()
    for number in range(5):
        archived.source.execute(f"insert into item values ({800000 + number}, 'one')")
    archived.engine.catch_up()
    commits = [line["commit_lsn"] for line in tail(archived, tmp_path / "archive") if line["op"] == "insert" and int(line["key"]["id"]) >= 800000]
    assert len(commits) == 5
    for number, lsn in enumerate(commits[:-1]):
        found = tail(archived, tmp_path / "archive", "--transaction", lsn, "--follow")
        assert [line["key"]["id"] for line in found] == [800000 + number]
