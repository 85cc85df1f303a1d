# SPDX-License-Identifier: Apache-2.0
"""What goes to standard error: one JSON object a line with --log json or `log: json`, with a level and an event that never change."""

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
KEYS = ["ts", "level", "event", "pipeline", "sink", "table", "lsn", "sqlstate", "msg", "fix"]
PASSWORD = "open-sesame-4711"


def events():
    """word: level, of the table in the program."""
    text = (ROOT / "cdc/base/log_event.c").read_text(encoding="utf-8")
    return {word: level.lower() for word, level in re.findall(r'\[LOG_\w+\] = \{"(\w+)", LOG_LEVEL_(\w+)\}', text)}


def parse(text):
    """Each line as an object; a line that is none fails the test."""
    lines = [json.loads(line) for line in text.splitlines()]
    known = events()
    for line in lines:
        assert [key for key in KEYS if key in line] == list(line), line
        assert {"ts", "level", "event", "msg"} <= set(line), line
        assert known[line["event"]] == line["level"], line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
        datetime.fromisoformat(line["ts"].replace("Z", "+00:00"))
    return lines


def log_of(engine):
    return parse(engine.log_path.read_text(encoding="utf-8"))


def words(lines):
    return [line["event"] for line in lines]


# ---- the table of events, the calls and the page ----


def test_every_call_names_an_event_of_the_table_and_each_event_has_a_call():
    known, used = events(), set()
    for path in sorted((ROOT / "cdc").rglob("*.c")):
        if path.parent.name != "base":
            used |= {word.lower() for word in re.findall(r"\bLOG_([A-Z_]+)\b", path.read_text(encoding="utf-8"))}
    by_kind = set(re.findall(r"return LOG_(\w+);", (ROOT / "cdc/base/log_event.c").read_text(encoding="utf-8")))
    missing = set(known) - used - {word.lower() for word in by_kind}
    assert not missing, f"no call logs them: {missing}"


def test_only_the_log_and_a_terminals_progress_write_to_standard_error():
    allowed = {"cdc/migrate/follow_line.c", "cdc/copy/progress.c", "cdc/base/log.c", "cdc/main.c",  # which only makes sure that it is open
               "cdc/migrate/cutover/cutover_hook.c"}  # the hook's output
    found = {str(path.relative_to(ROOT)) for folder in ("cdc", "decoder", "proto", "sinks") for path in (ROOT / folder).rglob("*.c")
             if re.search(r"\b(stderr|STDERR_FILENO|perror)\b", path.read_text(encoding="utf-8"))}
    assert found == allowed


def test_the_page_has_every_event_with_its_level():
    page = (ROOT / "cdc/manual/logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (error|warning|info|debug) \| .+ \|$", page, re.M)
    assert len(rows) == len(dict(rows)), "a word is there twice"
    assert dict(rows) == events()


# ---- before a configuration is read ----


@pytest.mark.parametrize("arguments, event", [
    (["run"], "usage"), (["nonsense"], "usage"), ([], "usage"), (["run", "--log", "yaml"], "usage"), (["help", "nonsense"], "usage"),
    (["run", "-c", "/does/not/exist"], "misconfigured"), (["skip", "-c", "/dev/null", "0/1"], "misconfigured"),
])
def test_an_error_of_the_command_line_is_an_object(program, arguments, event):
    result = subprocess.run([program, *arguments, "--log", "json"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert words(parse(result.stderr)) == [event]
    assert "pipeline" not in result.stderr.split('"msg"')[0]


def test_the_form_counts_wherever_it_is_given(program):
    result = subprocess.run([program, "run", "--log=json", "--nonsense"], capture_output=True, text=True, check=False)
    assert words(parse(result.stderr)) == ["usage"]


# ---- a run with failures ----


def test_each_line_of_a_run_with_failures_is_an_object(pipeline):
    pipeline.engine.configuration["log"] = "json"
    pipeline.execute_both('create table "t\x1b[2J" (id int primary key, name text)')
    pipeline.start()
    pipeline.source.execute("insert into \"t\x1b[2J\" values (1, 'a-private-value')")
    pipeline.wait_applied()
    pipeline.target.cluster.restart()
    wait_until(lambda: "retry" in words(log_of(pipeline.engine)) and words(log_of(pipeline.engine)).count("streaming_started") > 1,
               "a retry, and the stream after it", 60)
    pipeline.wait_applied()
    pipeline.target.execute('insert into "t\x1b[2J" values (2, null)')
    pipeline.source.execute("insert into \"t\x1b[2J\" values (2, 'a-private-value')")
    wait_until(lambda: not pipeline.engine.is_running(), "the stop at the conflict", 60)

    lines = log_of(pipeline.engine)
    assert {"streaming_started", "retry", "change_not_applied"} <= set(words(lines)), words(lines)
    assert {line["pipeline"] for line in lines} == {"shop"}
    stop = next(line for line in lines if line["event"] == "change_not_applied")
    assert stop["sqlstate"] == "23505" and stop["lsn"] and "\x1b" not in stop["msg"]
    start = next(line for line in lines if line["event"] == "streaming_started")
    assert re.fullmatch(r"[0-9A-F]+/[0-9A-F]+", start["lsn"])
    assert "a-private-value" not in pipeline.engine.log_path.read_text(encoding="utf-8")


def test_a_wrong_password_is_a_line_without_the_password(pipeline):
    pipeline.engine.configuration["log"] = "json"
    pipeline.sink_configuration["dsn"] += f" user=nobody_{PASSWORD[:4]} password={PASSWORD}"
    result = pipeline.engine.command("run", "--retry-for", "1s", "--log", "json")
    lines = parse(result.stderr)
    assert result.returncode != 0 and lines[-1]["level"] == "error", lines
    assert lines[-1]["event"] in ("misconfigured", "failed") and lines[-1].get("sqlstate", "28000").startswith("28")
    assert PASSWORD not in result.stderr


def test_a_refusal_has_its_remedy_as_a_key(pipeline):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.source.execute(f"select pg_drop_replication_slot('{pipeline.name}')")
    result = pipeline.engine.command("run", "--log", "json")
    refusal = parse(result.stderr)[-1]
    assert result.returncode == 3 and refusal["event"] == "refused"
    assert refusal["fix"] and refusal["fix"] not in refusal["msg"]


@pytest.mark.parametrize("command", ["status", "check", "verify", "why", "drop", "map"])
def test_every_command_writes_objects(pipeline, command):
    pipeline.source_configuration["dsn"] += " dbname=is_not_there"
    result = pipeline.engine.command(command, "--log", "json")
    parse(result.stderr)


# ---- the level ----


def test_a_level_hides_what_is_below_it(pipeline):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.engine.configuration["log"] = "json"
    pipeline.engine.configuration["log_level"] = "warning"
    assert {line["level"] for line in parse(pipeline.engine.catch_up().stderr)} <= {"warning", "error"}
    assert "debug" in {line["level"] for line in parse(pipeline.engine.catch_up("--verbose").stderr)}, "--verbose counts more"
    pipeline.engine.configuration["log_level"] = "debug"
    assert "debug" in {line["level"] for line in parse(pipeline.engine.catch_up().stderr)}
    text = pipeline.engine.catch_up("--log", "text").stderr
    assert re.search(r"^\S+Z debug shop: ", text, re.M), "--log counts more"


def test_a_retry_that_repeats_is_counted(pipeline):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.engine.configuration["log"] = "json"
    pipeline.engine.catch_up()
    pipeline.sink_configuration["dsn"] += " port=1"
    lines = parse(pipeline.engine.command("run", "--retry-for", "4s").stderr)
    retries = [line for line in lines if line["event"] == "retry"]
    assert len(retries) == 2, retries
    assert re.search(r"; repeated \d+ times? in \d+ s$", retries[1]["msg"]), retries
