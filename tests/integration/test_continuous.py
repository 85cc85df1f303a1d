# SPDX-License-Identifier: Apache-2.0
"""Continuous verification: beside the stream, never in its way, and it says what it has proven."""

import json
import os
import signal

import pytest

from support.load import ROWS, SCHEMA, TARGET_SCHEMA, Load
from support.pipeline import SINK
from support.wait import wait_until

OFTEN = {"PGCDC_INTERVAL_MS": "300"}
SESSIONS = "select pid from pg_stat_activity where datname = current_database() and application_name = 'pgcdc:shop verify'"
SECRET = "kept-secret"


def verified(pipeline):
    found = json.loads(pipeline.engine.command("status", "--json").stdout)["sinks"][0]["verified"]
    return {table["table"]: table for table in found or []}


def prepare(pipeline):
    pipeline.source.execute(SCHEMA + ROWS + f"create table quiet (id int primary key, v text); insert into quiet select g, '{SECRET}' || g from generate_series(1, 3000) g")
    pipeline.target.execute(TARGET_SCHEMA)
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "chunk_bytes": "64kB"}
    pipeline.engine.configuration["verify"] = {"continuous": "100MB/s"}


def state_of(pipeline, table, state):
    found = verified(pipeline)
    return found if found and found.get(table, {}).get("state") == state else None


def all_are_equal(pipeline):
    found = verified(pipeline)
    return found if found and all(table["state"] == "equal" for table in found.values()) else None


@pytest.mark.threads
def test_under_load_every_table_is_proven_and_a_damage_is_found(pipeline):
    """Also while a table is copied: the rows that its chunks have yet to bring are no difference."""
    pipeline.source.execute("create table late (id int primary key, v text); insert into late select g, repeat('x', 300) from generate_series(1, 300) g")
    pipeline.target.execute("create table late (id int primary key, v text);"
                            "create function slowly() returns bool language plpgsql as 'begin perform pg_sleep(0.01); return true; end';"
                            "alter table late add constraint slow check (slowly() and v is not null)")
    prepare(pipeline)
    pipeline.start(environment=OFTEN)
    with Load(pipeline.source, threads=2, pause_s=0.005):
        found = pipeline.wait_while_running(lambda: all_are_equal(pipeline), "every table to be proven equal")
        assert found["quiet"]["range_count"] > 1 and found["quiet"]["ranges_equal"] == found["quiet"]["range_count"]
        assert 0 <= found["quiet"]["proven_seconds_ago"] < 60 and found["quiet"]["proven_lsn"]
        assert "public.quiet: proven equal" in pipeline.engine.command("status").stdout
        assert "differs from the source" not in pipeline.engine.log_text(), pipeline.engine.log_tail()

        pipeline.target.execute("delete from quiet where id = 2; update quiet set v = 'forged' where id = 5")
        pipeline.engine.wait_log("1 missing, 0 extra, 1 different, in range 1 of ")
        assert "table public.quiet differs from the source at " in pipeline.engine.log_text()
        found = wait_until(lambda: state_of(pipeline, "quiet", "different"), "status to show it")["quiet"]
        assert (found["missing"], found["extra"], found["different"], found["ranges_different"]) == (1, 0, 1, 1)
        assert found["proven_seconds_ago"] is not None, "when it last was"
        text = pipeline.engine.command("status").stdout
        assert "verified    public.quiet: DIFFERS, 1 missing, 0 extra, 1 different; proven equal " in text, text
        assert "`pgcdc verify --repair --table public.quiet` copies what differs again" in text and "forged" not in text + pipeline.engine.log_text()
        assert pipeline.engine.command("verify", "--repair", "--table", "public.quiet").returncode == 0
        pipeline.engine.wait_log("table public.quiet is equal again where it differed")
        pipeline.wait_while_running(lambda: all_are_equal(pipeline), "every table to be proven equal again")
        log = pipeline.engine.log_text()
        assert log.count("differs from the source") == log.count("table public.quiet differs from the source") == 1, log
        assert SECRET not in log
    pipeline.wait_applied()
    pipeline.engine.stop()
    pipeline.assert_equal()


def test_what_is_proven_survives_a_kill(pipeline):
    prepare(pipeline)
    pipeline.start(environment=OFTEN)
    before = pipeline.wait_while_running(lambda: all_are_equal(pipeline), "every table to be proven equal")
    pipeline.engine.kill()
    assert verified(pipeline)["quiet"]["proven_lsn"] >= before["quiet"]["proven_lsn"], "without an engine too"
    pipeline.engine.start(environment={**OFTEN, "PGCDC_FAULT": "verified-written:2"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    assert verified(pipeline)["quiet"]["state"] == "equal"
    pipeline.target.execute("insert into quiet values (-1, 'extra')")
    pipeline.start(environment=OFTEN)
    pipeline.engine.wait_log("0 missing, 1 extra, 0 different, in range 1 of ")
    pipeline.engine.stop()
    assert pipeline.engine.command("drop").returncode == 0
    assert not list(pipeline.state.glob("*.verified*"))


def test_a_session_that_stalls_holds_up_neither_the_stream_nor_a_stop(pipeline):
    prepare(pipeline)
    pipeline.start(environment=OFTEN)
    pipeline.wait_while_running(lambda: verified(pipeline), "the first comparison")
    pid = wait_until(lambda: pipeline.target.execute(SESSIONS), "a session at the target")[0][0]
    os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(3):
            pipeline.source.execute(f"insert into quiet values ({-10 - number}, 'more')")
            pipeline.wait_applied()
        pipeline.engine.stop()
    finally:
        os.kill(pid, signal.SIGCONT)
    pipeline.assert_equal()


def test_it_is_off_unless_the_file_asks_for_it(pipeline):
    prepare(pipeline)
    del pipeline.engine.configuration["verify"]
    pipeline.start(environment=OFTEN)
    pipeline.wait_applied()
    assert not pipeline.target.execute(SESSIONS) and verified(pipeline) == {}
    assert not (pipeline.state / f"shop.{SINK}.verified").exists()
    pipeline.engine.stop()
    for rate in ("fast", "0", "-1", "20kB"):
        pipeline.engine.configuration["verify"] = {"continuous": rate}
        result = pipeline.engine.command("check")
        assert result.returncode == 2 and "verify.continuous: expected a number of megabytes a second: 20MB/s" in result.stderr, result.stderr
