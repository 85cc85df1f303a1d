# SPDX-License-Identifier: Apache-2.0
"""--verbose says what is decided and from what, at a bounded rate, and never a row's value."""

import re

from support.wait import wait_until

LINES = {
    "connections": r"source: connected to host .*, port \d+, database \w+ as \w+, server process \d+, PostgreSQL \d+, not encrypted",
    "settings": r"source: options of each session: -c datestyle=ISO .*logical_decoding_work_mem of replication: 256MB",
    "identity": r"system identifier \d+, timeline \d+, WAL flushed to [0-9A-F]+/[0-9A-F]+, wal_sender_timeout \d+ ms",
    "publication": r"publication \w+, one of 1, which together announce 1 table",
    "relations": r'relation \d+ is "public"\."t"',
    "batches": r"batch \d+: \d+ changes?, \d+ of whole transactions, \d+ bytes",
    "groups": r"sink warehouse: committed up to [0-9A-F]+/[0-9A-F]+; \d+ groups? of \d+ transactions? and \d+ changes?",
    "checkpoints": r"checkpoint \d+ is on disk: sink warehouse at [0-9A-F]+/[0-9A-F]+",
    "confirmations": r"reported to the source: received [0-9A-F]+/[0-9A-F]+, durable in every sink [0-9A-F]+/[0-9A-F]+",
}


def test_each_kind_of_line_is_there_and_only_with_verbose(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, 'private')")
    log = pipeline.engine.catch_up("--verbose").stderr
    assert re.search(r"slot \w+: does not exist", log) and "the start: create the slot" in log
    assert " debug " not in pipeline.engine.catch_up().stderr
    pipeline.engine.start("--verbose")
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (2, 'private')")
    pipeline.wait_applied()
    wait_until(lambda: re.search(LINES["confirmations"], pipeline.engine.log_text()), "the source to be told")
    pipeline.engine.stop()
    log = pipeline.engine.log_text()
    missing = {name for name, line in LINES.items() if not re.search(" debug .*" + line, log)}
    assert not missing, log
    assert re.search(r"slot \w+: confirmed to [0-9A-F]+/[0-9A-F]+, WAL kept from", log) and "the start: continue from the sinks' positions" in log
    assert re.search(r"sink warehouse: at [0-9A-F]+/[0-9A-F]+, 0 changes into .* on disk at [0-9A-F]+/[0-9A-F]+", log)
    assert "private" not in log


def test_many_commits_are_few_lines(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.start("--verbose")
    pipeline.wait_streaming()
    connection = pipeline.source.connect()
    try:
        with connection.cursor() as cursor:
            for number in range(500):
                cursor.execute("insert into t values (%s)", (number,))
    finally:
        connection.close()
    pipeline.wait_applied()
    pipeline.engine.stop()
    times = re.findall(r"T(\d+:\d+:\d+).* debug .*(?:batch \d+:|groups of)", pipeline.engine.log_text())
    assert times and max(times.count(time) for time in times) <= 4, times


def test_a_retry_is_logged_each_time(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.catch_up()
    pipeline.sink_configuration["dsn"] += " host=127.0.0.1 port=1"
    log = pipeline.engine.command("run", "--verbose", "--retry-for", "2s").stderr
    assert len(re.findall(r" debug .*the attempt failed: .*; retrying within \d+ ms", log)) > 1, log
