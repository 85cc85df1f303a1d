# SPDX-License-Identifier: Apache-2.0
"""The sink `stdout`: rows and changes as lines of JSON, at least once."""

import json
import signal
import subprocess

import pytest


@pytest.fixture
def printing(pipeline):
    pipeline.source.execute("create table item (id int primary key, v text); insert into item values (1, 'copied')")
    pipeline.engine.configuration["sinks"] = [{"name": "lines", "type": "stdout"}]
    return pipeline


def lines_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def identities(lines):
    return [(line["commit_lsn"], line["index"]) for line in lines]


def test_rows_and_changes_are_lines(printing):
    copied = lines_of(printing.engine.catch_up())
    assert [(line["op"], line["after"]) for line in copied] == [("read", {"id": 1, "v": "copied"})]
    printing.source.execute("insert into item select g, 'new' from generate_series(2, 1000) g")
    printing.source.execute("begin; insert into item values (0, 'rolled back'); rollback")
    printing.source.execute("delete from item where id = 1")
    changed = lines_of(printing.engine.catch_up())
    assert [line["op"] for line in changed] == ["insert"] * 999 + ["delete"]
    assert [line["index"] for line in changed] == [*range(999), 0]
    assert not lines_of(printing.engine.catch_up())


def test_after_a_kill_lines_come_again_and_none_is_missing(printing):
    """Printed, but not yet in the checkpoint: the disk is this sink's position."""
    printing.engine.catch_up()
    for number in range(2, 6):
        printing.source.execute(f"insert into item values ({number}, 'new')")
    killed = printing.engine.command("run", "--until", "caught-up", environment={"PGCDC_FAULT": "runner-after-flush"})
    assert killed.returncode == -signal.SIGKILL and lines_of(killed)
    again = lines_of(printing.engine.catch_up())
    assert [line["key"]["id"] for line in again] == [2, 3, 4, 5]
    assert set(identities(lines_of(killed))) <= set(identities(again))


def test_lines_and_the_numbers_of_the_run_share_the_output(printing):
    result = printing.engine.catch_up("--json")
    row, numbers = lines_of(result)
    assert row["op"] == "read" and numbers["rows_copied"] == 1


def test_a_reader_that_leaves_ends_the_run(printing):
    printing.engine.catch_up()
    printing.source.execute("insert into item select g, repeat('x', 1000) from generate_series(2, 1000) g")
    with subprocess.Popen([printing.engine.program, "run", "-c", printing.engine.config_path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["op"] == "insert"
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(60) == 1
    assert "sink lines: standard output: Broken pipe" in error
    assert len(lines_of(printing.engine.catch_up())) == 999


def test_a_closed_output_is_refused_and_no_file_takes_its_place(printing):
    command = f"exec {printing.engine.program} run -c {printing.engine.config_path} --until caught-up >&-"
    printing.engine.write_configuration()
    result = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert result.returncode == 2 and "standard output is closed" in result.stderr
    assert all(b'"op"' not in path.read_bytes() for path in printing.state.iterdir())


def test_two_of_them_are_refused(printing):
    printing.engine.configuration["sinks"].append({"name": "more", "type": "stdout"})
    result = printing.engine.command("run")
    assert result.returncode == 2 and "sinks[0] is of type stdout, and only one may be" in result.stderr
