# SPDX-License-Identifier: Apache-2.0
"""cutover and rollback: no committed write is missing on the side that wins, and what fails goes back."""

import json
import os
import signal
import subprocess
import time

import psycopg2
import pytest

from support import oracle
from support.engine import Engine
from support.moving import ROWS, SCHEMA, Address, Writers
from support.wait import wait_until

STATES = ["ready", "fenced", "drained", "sequences", "verified", "reverse_ready", "sealed", "flipped"]


def prepare(pipeline, folder, **cutover):
    pipeline.source.execute(SCHEMA + ROWS)
    pipeline.target.execute(SCHEMA)
    pipeline.publish()
    address = Address(folder, pipeline)
    pipeline.engine.configuration["cutover"] = {"on_flip": address.hook, **cutover}
    return address


@pytest.fixture
def moving(new_pipeline, shared_clusters, tmp_path):
    """From 15 to 18, with `address`: where applications go."""
    pipeline = new_pipeline(shared_clusters("source", 15), shared_clusters("target", 18))
    pipeline.address = prepare(pipeline, tmp_path)
    pipeline.reverse = Engine(pipeline.engine.program, pipeline.engine.folder, pipeline.engine.configuration)
    pipeline.reverse.log_path = tmp_path / "reverse.log"
    yield pipeline
    pipeline.reverse.close()
    pipeline.engine.close()
    pipeline.reverse.assert_sane()
    for database in (pipeline.source, pipeline.target):
        wait_until(lambda: not database.execute("select 1 from pg_replication_slots where database = %s and active", (database.name,)),  # pylint: disable=cell-var-from-loop
                   "the slots to be free")


def move(pipeline, command, *arguments, code=0, **options):
    result = pipeline.engine.command(command, "--json", *arguments, **options)
    assert result.returncode == code, f"{command}: exit code {result.returncode}\n{result.stderr}\n{result.stdout}"
    return json.loads(result.stdout), result.stderr


def is_writable(database):
    database.execute("update basket set total = total where id = 1")
    return True


def leftovers(pipeline):
    """Of a cutover that went back."""
    slots = [row[0] for database in (pipeline.source, pipeline.target)
             for row in database.execute("select slot_name from pg_replication_slots where database = %s", (database.name,))]
    settings = [database.execute("select setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = %s", (database.name,))
                for database in (pipeline.source, pipeline.target)]
    steps = pipeline.target.execute("select step from pgcdc.migration where step in ('cutover', 'rollback')") \
        if pipeline.target.value("select to_regclass('pgcdc.migration') is not null") else []
    return slots, [found for found in settings if found], steps


def assert_went_back(pipeline):
    assert leftovers(pipeline) == (["shop"], [], [])
    assert is_writable(pipeline.source)
    assert pipeline.source.execute("select 1 from pg_publication where pubname = 'shop_reverse'") == []


def start_reverse(pipeline):
    pipeline.reverse.start("--reverse")
    pipeline.reverse.wait_log("streaming slot shop_reverse")


# Both ways

@pytest.mark.threads
def test_no_committed_write_is_missing_there_and_back_under_writers(moving):
    moving.start()
    with Writers(moving.address) as writers:
        wait_until(lambda: writers.count() > 200, "writes at the source")
        there, _ = move(moving, "cutover")
        assert [state["state"] for state in there["states"] if state["reached"]] == STATES and there["flipped"]
        assert 0 < there["outage_ms"] < 60000
        moving.engine.wait_exit()
        at_flip = writers.count()
        wait_until(lambda: writers.count() > at_flip + 200, "writes at the target")
        assert writers.missing(moving.target) == set()

        start_reverse(moving)
        wait_until(lambda: writers.missing(moving.source) == set(), "the writes to come back")
        back, _ = move(moving, "rollback")
        assert back["flipped"] and moving.reverse.wait_exit() == 0
        at_flip = writers.count()
        wait_until(lambda: writers.count() > at_flip + 200, "writes at the source again")
    assert writers.missing(moving.source) == set()
    moving.start()
    moving.wait_applied()
    oracle.assert_equal(moving.source, moving.target, ["public.visit", "public.basket"])
    assert moving.source.value("select sum(total) from basket") >= writers.count()
    moving.engine.stop()


def test_without_an_engine_it_applies_the_rest_itself(moving):
    moving.engine.catch_up()
    for number in (1, 2):
        moving.source.execute("insert into visit (writer, number) values (90, %s)", (number,))
        move(moving, "cutover", timeout_s=60)
        moving.target.execute("insert into visit (writer, number) values (91, %s)", (number,))
        _, log = move(moving, "rollback", timeout_s=60)
        assert "this process applies its changes" in log
    assert moving.source.value("select count(*) from visit where writer > 89") == 4
    oracle.assert_equal(moving.source, moving.target, ["public.visit", "public.basket"])


def test_sequences_are_ahead_on_both_sides(moving):
    moving.engine.catch_up()
    move(moving, "cutover")
    assert moving.target.value("insert into visit (writer, number) values (1, 1) returning id") == 1101
    move(moving, "rollback")
    assert moving.source.value("insert into visit (writer, number) values (1, 2) returning id") == 2102


def test_a_direction_runs_only_when_it_is_its_turn(moving):
    moving.engine.catch_up()
    refused = moving.engine.command("run", "--reverse")
    assert refused.returncode == 3 and "`pgcdc cutover` makes a way back" in refused.stderr
    move(moving, "cutover")
    refused = moving.engine.command("run")
    assert refused.returncode == 3 and "`pgcdc run --reverse` brings them back" in refused.stderr
    assert moving.engine.command("migrate", "--until", "copied").returncode == 3
    again = moving.engine.command("cutover")
    assert again.returncode == 3 and "the applications are at the target already" in again.stderr
    moving.target.execute("delete from visit where number < 50")
    assert moving.engine.command("run", "--reverse", "--until", "caught-up").returncode == 0
    assert moving.engine.command("verify", "--reverse").returncode == 0
    status = json.loads(moving.engine.command("status", "--reverse", "--json").stdout)
    assert status["pipeline"] == "shop_reverse" and status["state"] == "stopped"
    assert moving.source.value("select count(*) from visit") == 51


def test_closing_leaves_nothing_but_the_journal(moving):
    moving.engine.catch_up()
    refused = moving.engine.command("cutover", "--close")
    assert refused.returncode == 3 and "there is no finished cutover to close" in refused.stderr
    move(moving, "cutover")
    for _ in range(2):
        assert moving.engine.command("cutover", "--close").returncode == 0
    assert leftovers(moving)[0] == []
    assert moving.source.value("select to_regclass('pgcdc.position')") is None
    assert moving.target.execute("select 1 from pg_publication") == []
    assert moving.target.value("select count(*) from pgcdc.position") == 0 and list(moving.state.glob("*reverse.checkpoint")) == []
    assert moving.target.value("select detail like '%\"outage_ms\": %' from pgcdc.migration where step = 'outage'")
    for command in ("run", "rollback", "cutover"):
        assert moving.engine.command(command).returncode == 3


# What goes back

def test_a_failing_hook_goes_back_and_the_engine_goes_on(moving):
    moving.start()
    moving.engine.configuration["cutover"]["on_flip"] = "echo no pooler there; exit 7"
    report, log = move(moving, "cutover", code=2)
    assert "no pooler there" in log and "cutover.on_flip ended with exit code 7" in log and "gone back" in log
    assert not report["flipped"] and moving.engine.is_running()
    assert_went_back(moving)
    moving.source.execute("insert into visit (writer, number) values (1, 1)")
    moving.assert_follows()
    moving.engine.configuration["cutover"]["on_flip"] = "true"
    move(moving, "cutover")


def test_a_hook_that_does_not_end_is_killed_with_its_children(moving, tmp_path):
    moving.engine.catch_up()
    moving.engine.configuration["cutover"].update({"on_flip": f"sleep 600 & echo $! > {tmp_path}/child; wait", "outage_max": "3s"})
    _, log = move(moving, "cutover", code=2)
    assert "did not end in time" in log
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not is_alive(child), "the hook's child to end")
    assert_went_back(moving)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_going_back_does_not_lose_what_was_written_to_the_target(moving):
    """The hook fails after an application is there already."""
    moving.engine.catch_up()
    write = f"/usr/bin/python3 -c 'import psycopg2; c = psycopg2.connect(\"{moving.target.dsn()}\"); c.cursor().execute(\"delete from basket where id = 7\"); c.commit()'"
    moving.engine.configuration["cutover"]["on_flip"] = f"{write}; exit 1"
    _, log = move(moving, "cutover", code=2)
    assert "going back now would lose these changes" in log and "run `pgcdc cutover` again, which goes on" in log
    refused = moving.engine.command("cutover", "--abort")
    assert refused.returncode == 3 and "would lose these changes" in refused.stderr
    assert moving.engine.command("run").returncode == 3
    moving.engine.configuration["cutover"]["on_flip"] = "true"
    report, _ = move(moving, "cutover")
    assert [state["state"] for state in report["states"] if state["reached"]] == ["flipped"]
    move(moving, "rollback")
    assert moving.source.execute("select 1 from basket where id = 7") == []


def test_a_lock_that_cannot_be_had_is_named_and_nobody_waits_behind_it(moving):
    moving.engine.catch_up()
    moving.engine.configuration["cutover"]["outage_max"] = "3s"
    with moving.source.connect(autocommit=False, application_name="report") as holder:
        holder.cursor().execute("update basket set total = 1 where id = 1")
        longest = 0
        moving.engine.write_configuration()
        process = moving.engine.spawn("cutover")
        while process.poll() is None:
            began = time.monotonic()
            moving.source.execute("update basket set total = total + 1 where id = 2")
            longest = max(longest, time.monotonic() - began)
        assert process.returncode == 1
        assert longest < 3, f"a writer waited {longest:.1f} s"
        _, log = move(moving, "cutover", code=1)
        assert "table public.basket cannot be locked" in log and "report" in log and "end the transactions that hold it" in log
        holder.rollback()
    holder.close()
    assert_went_back(moving)
    move(moving, "cutover")


def test_a_difference_behind_the_fence_goes_back(moving):
    moving.engine.catch_up()
    moving.target.execute("update basket set total = 99 where id = 3")
    _, log = move(moving, "cutover", code=4)
    assert "table public.basket is not proven equal" in log and "`pgcdc verify` shows what differs" in log
    assert_went_back(moving)
    moving.engine.configuration["cutover"]["verify"] = "none"
    move(moving, "cutover")


def test_a_dry_run_changes_nothing(moving):
    moving.start()
    moving.wait_applied()
    before = leftovers(moving)
    report, _ = move(moving, "cutover", "--dry-run")
    assert [state["state"] for state in report["states"] if state["reached"]] == ["ready", "sequences", "verified"]
    assert all(state["text"] for state in report["states"])
    assert leftovers(moving) == before == (["shop"], [], [])
    assert moving.target.value("select last_value from visit_id_seq") == 1
    assert moving.target.value("select to_regclass('pgcdc.migration')") is None
    text = moving.engine.command("cutover", "--dry-run").stdout
    assert "would lock the tables against writes" in text and "would run cutover.on_flip" in text


def test_abort_undoes_what_a_killed_one_left(moving):
    moving.engine.catch_up()
    assert moving.engine.command("cutover", environment={"PGCDC_FAULT": "cutover-before-hook"}).returncode == -9
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        is_writable(moving.source)
    refused = moving.engine.command("run")
    assert refused.returncode == 3 and "or `pgcdc cutover --abort`" in refused.stderr
    assert moving.engine.command("cutover", "--abort").stdout == "cutover: undone\n"
    assert_went_back(moving)
    assert moving.engine.command("cutover", "--abort").stdout == "cutover: there is nothing to undo\n"
    moving.source.execute("insert into visit (writer, number) values (1, 1)")
    moving.engine.catch_up()
    moving.assert_equal()


def stop_behind_the_fence(moving):
    """A cutover that is stopped (SIGSTOP) with its locks."""
    moving.engine.write_configuration()
    environment = {**os.environ, "PGCDC_FAULT": "cutover-verified-done:stop"}
    process = subprocess.Popen([moving.engine.program, "cutover", "-c", moving.engine.config_path], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_until(lambda: moving.target.value("select to_regclass('pgcdc.migration') is not null") and
               moving.target.execute("select 1 from pgcdc.migration where object = 'verified' and state = 'done'"), "the fence")
    return process


@pytest.mark.parametrize("sql, text", [
    ("select pg_terminate_backend(pid) from pg_locks where mode = 'ExclusiveLock' and relation = 'visit'::regclass; insert into visit (writer, number) values (5, 5)",
     "the session with the locks was lost, so changes may have been committed"),
    ("create table late (id int primary key); insert into late values (1)", "tables were created, dropped or published behind the fence"),
], ids=["locks", "tables"])
def test_what_gets_past_the_fence_is_found_before_the_flip(moving, sql, text):
    moving.engine.catch_up()
    process = stop_behind_the_fence(moving)
    try:
        for statement in sql.split("; "):
            moving.source.execute(statement)
        process.send_signal(signal.SIGCONT)
        output = process.communicate(timeout=60)[0]
    finally:
        process.kill()
    assert process.returncode == 1 and text in output and "gone back" in output, output
    assert_went_back(moving)


# Fences

def test_a_read_only_fence_ends_sessions(moving):
    moving.engine.catch_up()
    moving.engine.configuration["cutover"]["fence"] = "read_only"
    session = moving.source.connect(application_name="till")
    move(moving, "cutover")
    with pytest.raises(psycopg2.OperationalError):
        session.cursor().execute("select 1")
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        is_writable(moving.source)
    assert is_writable(moving.target)
    move(moving, "rollback")
    assert is_writable(moving.source)
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
        is_writable(moving.target)


def test_an_external_fence_is_the_operators(moving):
    moving.engine.catch_up()
    moving.engine.configuration["cutover"]["fence"] = "external"
    _, log = move(moving, "cutover", code=2)
    assert "then add --fenced" in log
    move(moving, "cutover", "--fenced")
    assert leftovers(moving)[1] == []


# Before the fence

REFUSALS = [
    ("source", "select lo_create(0)", "the source has large objects, which are not moved: 1", "large_objects"),
    ("source", "create unlogged table scratch (id int)", "the source has unlogged tables, whose rows are not moved: public.scratch", "unlogged_tables"),
    ("source", "create sequence numbers", 'sequences cannot be set at the target, because they are missing: "public"."numbers"', "sequences"),
    ("target", "alter table basket drop constraint basket_pkey", 'the target has tables without a replica identity, whose changes could not come back: "public"."basket"', None),
]


@pytest.mark.parametrize("side, sql, text, accepted", REFUSALS, ids=[case[1] for case in REFUSALS])
def test_what_would_stay_behind_is_refused_unless_accepted(moving, side, sql, text, accepted):
    moving.engine.catch_up()
    getattr(moving, side).execute(sql)
    _, log = move(moving, "cutover", code=3)
    assert text in log
    assert_went_back(moving)
    if accepted:
        assert f"accept_left_behind: [{accepted}]" in log
        moving.engine.configuration["cutover"]["accept_left_behind"] = [accepted]
        move(moving, "cutover")


def test_a_role_that_could_write_behind_the_fence_is_refused(moving):
    """Its own setting is stronger than that of the database."""
    moving.engine.catch_up()
    setting = f"alter role postgres in database {moving.source.name} {{}} default_transaction_read_only"
    moving.source.execute(setting.format("set") + " = off")
    _, log = move(moving, "cutover", code=3)
    assert "the source: these roles have default_transaction_read_only set to off, so they could write behind the fence: postgres" in log
    moving.source.execute(setting.format("reset"))
    assert_went_back(moving)
    move(moving, "cutover")


def test_a_copy_that_is_not_complete_is_refused(moving):
    report, log = move(moving, "cutover", code=3)
    assert "pipeline shop has not begun" in log and not report["flipped"]


def test_a_second_one_is_refused_while_the_first_works(moving):
    moving.engine.catch_up()
    moving.engine.configuration["cutover"]["on_flip"] = "sleep 2"
    moving.engine.write_configuration()
    first = moving.engine.spawn("cutover")
    wait_until(lambda: moving.target.value("select to_regclass('pgcdc.migration') is not null") and
               moving.target.execute("select 1 from pgcdc.migration where object = 'flipped'"), "the hook to run")
    second = moving.engine.command("cutover")
    assert second.returncode == 6 and "another process works on the migration of pipeline shop" in second.stderr
    assert first.wait(60) == 0
