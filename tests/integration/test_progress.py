# SPDX-License-Identifier: Apache-2.0
"""What people see of a copy in chunks: while it goes on, once it was interrupted, and when it starts again."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios

import pytest

LIVE = {"mode": "live", "workers": "1", "chunk_bytes": "8kB"}
# Rows with a secret, which no output may contain; slow rows at the target.
SECRET = "kept-secret"


def status(pipeline):
    result = pipeline.engine.command("status", "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert SECRET not in result.stdout
    return json.loads(result.stdout)


def table(copy, name):
    return next(found for found in copy["tables"] if found["table"] == name)


@pytest.fixture
def slow(pipeline):
    """A large table whose rows take their time, and a small one whose turn comes after it."""
    columns = "(id int primary key, v text)"
    pipeline.source.execute(f"create table large {columns}; create table small {columns};"
                            f"insert into large select g, '{SECRET}' || repeat('x', 100) from generate_series(1, 400) g;"
                            f"insert into small select g, '{SECRET}' from generate_series(1, 10) g; analyze")
    pipeline.target.execute(f"create table large {columns}; create table small {columns};"
                            "create function slowly() returns bool language plpgsql as 'begin perform pg_sleep(0.01); return true; end';"
                            "alter table large add constraint slow check (slowly() and v is not null)")
    pipeline.engine.configuration["copy"] = LIVE
    return pipeline


@pytest.mark.threads
def test_a_copy_in_chunks_shows_each_table(slow):
    slow.engine.start(environment={"PGCDC_INTERVAL_MS": "500"})

    def shown():
        copy = status(slow)["copy"]
        return copy if copy and copy["chunks_done"] and copy["seconds_left"] is not None and table(copy, "large")["bytes_per_s"] else None
    copy = slow.wait_while_running(shown, "a copy with a rate")
    large, small = table(copy, "large"), table(copy, "small")
    assert copy["state"] == "running" and copy["table_count"] == 2 and copy["tables_done"] == 0
    assert 0 < copy["chunks_done"] < copy["chunk_count"] == large["chunk_count"] + small["chunk_count"]
    assert large["sink"] == "warehouse" and large["schema"] == "public"
    assert 0 < large["chunks_done"] < large["chunk_count"] and 0 < large["rows"] <= 400
    assert 0 < large["bytes_done"] < large["bytes_estimate"] and large["seconds_left"] > 0
    assert small["chunks_done"] == 0 and small["chunk_count"] > 0 and small["rows"] == 0 and small["bytes_per_s"] is None
    text = slow.engine.command("status").stdout
    assert re.search(r"^copy        \d+ of \d+ chunks, 0 of 2 tables, \d+ rows, \S+ \S+ of \S+ \S+ \(\d+ %\), .*/s, .* left$", text, re.M), text
    assert re.search(r"^            public.large: \d+ of \d+ chunks, \d+ rows, .*/s, .* left$", text, re.M), text
    assert "            not begun yet: 1 table\n" in text, text
    slow.wait_while_running(
        lambda: re.search(r"copy: \d+ of \d+ chunks, 0 of 2 tables, .* \(\d+ %\), .*; public.large \d+ of \d+", slow.engine.log_text()), "a line")
    slow.engine.stop()
    match = re.search(r"sink warehouse: the copy stops with (\d+) of (\d+) chunks copied; the next start goes on from there", slow.engine.log_text())
    assert match, slow.engine.log_tail()
    done, count = int(match[1]), int(match[2])

    copy = status(slow)["copy"]
    assert (copy["state"], copy["chunks_done"], copy["chunk_count"]) == ("interrupted", done, count)
    assert copy["bytes_per_s"] is None and copy["seconds_left"] is None
    copied = slow.target.value("select sum(rows) from pgcdc.chunk where state = 'copied'")
    assert table(copy, "large")["rows"] == copied == slow.target.value("select count(*) from large"), "rows in flight were rolled back"
    text = slow.engine.command("status").stdout
    assert re.search(rf"^copy        interrupted: {done} of {count} chunks, .*; `pgcdc run` goes on from there$", text, re.M), text

    slow.target.execute("alter table large drop constraint slow")
    log = slow.engine.catch_up().stderr
    assert f"sink warehouse: the copy continues: {done} of {count} chunks copied, 1 at a time" in log, log
    assert SECRET not in log + slow.engine.log_text()
    assert status(slow)["copy"] is None
    slow.assert_equal()


def test_chunks_by_pages_of_an_interrupted_copy_do_not_count(pipeline):
    """They are of a snapshot that is gone, so the next start copies all of them again."""
    pipeline.source.execute("create table bare (n int, pad text); alter table bare replica identity full;"
                            "insert into bare select g, repeat('x', 100) from generate_series(1, 1000) g")
    pipeline.engine.configuration["copy"] = LIVE
    pipeline.engine.start(environment={"PGCDC_FAULT": "chunk-committed:3"})
    assert pipeline.engine.wait_exit() == -signal.SIGKILL
    assert pipeline.target.value("select count(*) from pgcdc.chunk where state = 'copied'") == 3
    copy = status(pipeline)["copy"]
    assert copy["state"] == "interrupted" and copy["chunks_done"] == 0 and copy["chunk_count"] > 3 and copy["rows"] == 0


def test_a_table_that_is_copied_again_is_counted_from_its_first_chunk(slow):
    """Its rows are replaced: no chunk of it is done, although the sink has rows. Chunks that --where leaves out count as none."""
    slow.target.execute("alter table large drop constraint slow")
    slow.engine.catch_up()
    assert slow.engine.command("table copy", "--where", "id < 200", "public.large").returncode == 0
    planned = slow.target.value("select count(*) from pgcdc.chunk where state <> 'copied'")
    assert 1 < planned < slow.target.value("select count(*) from pgcdc.chunk")
    copy = status(slow)["copy"]
    assert (copy["state"], copy["chunks_done"], copy["chunk_count"]) == ("interrupted", 0, planned)
    assert f"copying, 0 of {planned} chunks done" in slow.engine.command("table list").stdout
    log = slow.engine.catch_up().stderr
    assert f"copying 1 table in {planned} chunks" in log, log


def test_a_terminal_shows_a_bar_and_the_tables_in_work(slow):
    slow.engine.write_configuration()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen([slow.engine.program, "run", "-c", slow.engine.config_path, "--until", "caught-up"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65536):
            drawn += part
    except OSError:
        pass
    os.close(ours)
    assert process.wait(60) == 0, drawn
    assert SECRET.encode() not in drawn
    frames = re.findall(rb"\r\x1b\[J(\[[^\r\n]*)\r?\n(  public\.large  [^\r\n\x1b]*)\x1b\[1A\r", drawn)
    assert frames, drawn
    bar, line = frames[-1]
    assert re.match(rb"\[=* *\] \d+ %  \d+ of \d+ chunks  ", bar), bar
    assert re.match(rb"  public\.large  \d+ of \d+ chunks  \d+ rows  ", line), line
    assert all(len(part) < 60 for frame in frames for part in frame), "a line that wraps would be two"
    assert re.search(rb"\x1b\[J20\d\d-\S+ info .*the copy is complete", drawn), "a log line wipes what is drawn"
