# SPDX-License-Identifier: Apache-2.0
"""`bench/run`: what it lists it can run, and a run that is wrong fails."""

import json
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import contents, peers as all_peers, profile  # noqa: E402
from harness.cluster import ClusterError  # noqa: E402


def bench(*arguments):
    return subprocess.run([BENCH / "run", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=600, check=False)


def test_every_workload_is_listed_with_what_it_imitates():
    result = bench("--list")
    assert result.returncode == 0, result.stderr
    for path in (BENCH / "workloads").glob("*.sql"):
        assert f"  {path.stem} " in result.stdout


def test_an_unknown_workload_is_refused_before_anything_starts():
    result = bench("no_such_thing")
    assert result.returncode == 1
    assert "no workload no_such_thing" in result.stderr


def test_a_small_run_measures_every_peer(program, tmp_path):
    figures = tmp_path / "figures.json"
    result = bench("--quick", "--engine", program, "--json", figures, "insert_one_row")
    assert result.returncode == 0, result.stdout + result.stderr
    xml.etree.ElementTree.parse(figures.with_suffix(".html"))
    result = json.loads(figures.read_text())
    assert (result["format"], result["version"]) == ("pgcdc-bench", 1)
    assert result["head"]["versions"]["PostgreSQL"]
    peers = result["results"]["insert_one_row"]
    assert set(peers) == set(result["head"]["peers"]) == {"recvlogical", "recvlogical_text", "pgcdc_null", "native", "native_tuned",
                                                          "pgcdc", "pgcdc_kafka", "pgcdc_archive", "pgcdc_replay"}
    assert "--quick" in result["head"]["absent"]["debezium"], "who is left out is named with the reason"
    for name, runs in peers.items():
        assert runs[0]["kind"] == "drain"
        assert runs[0]["seconds"] > 0
        if name == "pgcdc_replay":
            continue  # it reads no slot
        assert runs[0]["walsender_cpu_s"] > 0
        assert (runs[0]["changes"], runs[0]["transactions"]) == (20001, 20001)  # the marker is one of them
        assert runs[0]["wal_bytes"] > 1_000_000
        assert runs[0]["wire_bytes"] > 1_000_000
    assert peers["pgcdc"][0]["apply_cpu_s"] > 0
    assert peers["pgcdc"][0]["client_peak_bytes"] > 1_000_000
    assert peers["pgcdc_kafka"][0]["broker_cpu_s"] > 0
    assert 10_000 < peers["pgcdc_archive"][0]["archive_bytes"] < peers["pgcdc_archive"][0]["entry_bytes"]


def test_rules_are_measured_beside_the_same_without(program, tmp_path):
    figures = tmp_path / "figures.json"
    result = bench("--rows", "4000", "--peer", "pgcdc,pgcdc_mapped,pgcdc_kafka,pgcdc_kafka_mapped", "--engine", program, "--json", figures, "mapped")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "With rules of a mapping: seconds" in result.stdout
    peers = json.loads(figures.read_text())["results"]["mapped"]
    assert set(peers) == {"pgcdc", "pgcdc_mapped", "pgcdc_kafka", "pgcdc_kafka_mapped"} and all(runs[0]["seconds"] > 0 for runs in peers.values())


def test_keeping_versions_is_measured_beside_keeping_rows(program, tmp_path):
    figures = tmp_path / "figures.json"
    result = bench("--rows", "4000", "--peer", "pgcdc,pgcdc_history", "--engine", program, "--json", figures, "history")
    assert result.returncode == 0, result.stdout + result.stderr
    peers = json.loads(figures.read_text())["results"]["history"]
    assert set(peers) == {"pgcdc", "pgcdc_history"} and all(runs[0]["seconds"] > 0 for runs in peers.values())


def test_a_small_copy_measures_every_peer_that_copies(program, tmp_path):
    figures = tmp_path / "figures.json"
    rows = "pgcdc_live", "pgcdc_simple", "pgcdc_killed", "pgcopydb_clone", "pgcopydb_split", "native_copy"
    whole = "pgcdc_migrate", "pgcopydb_clone", "pgcopydb_split", "pg_dump_restore"
    result = bench("--quick", "--size", "3", "--engine", program, "--json", figures, "copy_fifty_tables", "clone_fifty_tables")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "times pgcdc's" in result.stdout
    assert "copy_fifty_tables: seconds to copy" in figures.with_suffix(".html").read_text()
    result = json.loads(figures.read_text())
    absent = [peer for peer in {*rows, *whole} if peer in result["head"]["absent"]]
    assert not [peer for peer in absent if not peer.startswith("pgcopydb")], result["head"]["absent"]
    assert set(result["head"]["peers"]) == {*rows, *whole} - set(absent)
    for name, peers, count in (("copy_fifty_tables", rows, 21245), ("clone_fifty_tables", whole, 14747)):
        found = result["results"][name]
        assert set(found) == set(peers) - set(absent)
        for peer, (run,) in found.items():
            assert (run["kind"], run["rows"]) == ("copy", count), peer
            assert run["seconds"] > 0 and run["bytes"] > 1_000_000, peer


def names(**choice):
    return [peer.name for peer in all_peers.Choice(**choice).chosen()]


def test_who_takes_part_follows_from_sinks_and_names():
    assert names() == [peer.name for peer in all_peers.ALL]
    assert names(sinks=("kafka",)) == ["recvlogical_text", "pgcdc_kafka", "debezium", "debezium_tuned", "pgcdc_kafka_mapped"]
    assert names(sinks=("null", "kafka"), quick=True) == ["recvlogical", "recvlogical_text", "pgcdc_null", "pgcdc_kafka", "pgcdc_kafka_mapped"]
    assert names(names=("debezium",), quick=True) == ["debezium"], "who is named runs"
    assert names(measures=("copy",), sinks=("postgres",), quick=True) == [
        "pgcdc_live", "pgcdc_simple", "pgcdc_killed", "pgcdc_migrate", "pgcopydb_clone", "pgcopydb_split", "pg_dump_restore", "native_copy"]
    for choice in {"sinks": ("nowhere",)}, {"names": ("nobody",)}, {"sinks": ("null",), "names": ("debezium",)}:
        with pytest.raises(ClusterError):
            all_peers.Choice(**choice)


def test_contents_tell_a_lost_a_repeated_and_a_changed_row(shared_clusters):
    source, target = (shared_clusters(role).create_database("contents") for role in ("source", "target"))
    for database in (source, target):
        database.execute("create table t (id int, v text); insert into t values (1, 'a'), (2, 'b'), (2, 'b')")

    def found():
        return contents.differences(fingerprint(source), fingerprint(target))

    assert not found()
    for sql in ("delete from t where id = 1", "insert into t values (1, 'a'), (1, 'a')",
                "update t set v = 'c' where id = 1", "delete from t where id = 1; insert into t values (3, 'a')"):
        target.execute("truncate t; insert into t values (1, 'a'), (2, 'b'), (2, 'b'); " + sql)
        assert found(), sql
    for database in (source, target):
        database.drop()


def fingerprint(database):
    return contents.fingerprint(database.cluster, database.name)


PERF_REPORT = """
#
# Overhead       Samples  Shared Object      Symbol                       IPC   [IPC Coverage]
    52.00%           520  pgcdc              [.] decoder_decode           -      -
    24.00%           240  [kernel.kallsyms]  [k] tcp_sendmsg              -      -
    20.00%           200  libpq.so.5.15      [.] 0x00000000000206e0       -      -
     4.00%            40  libpq.so.5.15      [.] 0x00000000000206c1
"""


def test_a_profile_has_shares_of_the_process_and_names_what_it_can():
    lines = list(profile.table("engine", profile.parse(PERF_REPORT)))
    assert lines[0] == "-- engine: 1.00 s of processor time"
    assert [line.split()[0] for line in lines[1:]] == ["52.0%", "24.0%", "24.0%"]
    assert lines[1].split()[1:] == ["pgcdc", "decoder_decode"]
    assert [line for line in lines if "(no name)" in line and "libpq" in line]


@pytest.mark.long
def test_a_profile_is_left_beside_the_figures_or_why_there_is_none(program, tmp_path):
    result = bench("--quick", "--profile", "--peer", "pgcdc", "--engine", program, "--json", tmp_path / "r.json", "insert_one_row")
    assert result.returncode == 0, result.stdout + result.stderr
    said = (tmp_path / "r.profile.txt").read_text()
    assert "There is no profile" in said or ("-- engine: " in said and "-- walsender: " in said)
