# SPDX-License-Identifier: Apache-2.0
"""
Names, values and servers' messages that would control a terminal: whatever pgcdc prints, for people or as JSON, shows them escaped. A reader
of the JSON gets them as they are.
"""

import json
import struct
import unicodedata

import pytest

from support.tail import Tail
from support.wire_proxy import WireProxy

# Clears the screen, rings, returns to overwrite the line, deletes; the same of C1 in UTF-8; turns the direction; then a forged line.
HOSTILE = "\x1b[2J\x07\rb\x7f\x9b2J\x85\u202e\n2026 error: forged"
NAME, COLUMN, KEY = f'"n{HOSTILE}"', f'"c{HOSTILE}"', f'"k{HOSTILE}"'
COMMANDS = [("check",), ("check", "--json"), ("check", "--sql", "source"), ("check", "--sql", "target"), ("run", "--until", "caught-up"),
            ("run", "--until", "caught-up", "--json"), ("status",), ("status", "--json"), ("why",), ("why", "--json"), ("verify", "--keys", "9"),
            ("verify", "--keys", "9", "--json")]


def raw(text):
    """What a terminal would obey: the control characters but line feeds, and those that turn the direction."""
    return [letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") and letter != "\n"]


def assert_shown(result, what):
    text = result.stdout + result.stderr
    assert raw(text) == [], f"{what}: {text!r}"
    assert "\n2026 error: forged" not in text, f"{what}: {text!r}"


@pytest.fixture
def hostile(pipeline):
    """Stopped at a row whose key, table, column and constraint all have it."""
    pipeline.source.execute(f"create table {NAME} ({KEY} text primary key, {COLUMN} text)")
    pipeline.source_configuration["tables"] = ["public.*"]
    pipeline.engine.catch_up()
    pipeline.target.execute(f"create unique index \"i{HOSTILE}\" on {NAME} (lower({COLUMN})); insert into {NAME} values (%s, 'x')", ("t" + HOSTILE,))
    pipeline.source.execute(f"insert into {NAME} values (%s, 'X')", ("s" + HOSTILE,))
    return pipeline


def test_no_command_prints_them_raw(hostile):
    found = {}
    for command in COMMANDS:
        result = found[command] = hostile.engine.command(*command)
        assert_shown(result, command)
        if "--json" in command and result.stdout:
            assert [json.loads(line) for line in result.stdout.splitlines()], result.stdout
    why = json.loads(found["why", "--json"].stdout)
    assert why["key"] == {f"k{HOSTILE}": f"s{HOSTILE}"}
    assert why["clashes"] == [{"constraint": f"i{HOSTILE}", "key": {f"k{HOSTILE}": f"t{HOSTILE}"}}]
    assert "s\\x1b[2J\\x07\\x0db\\x7f\\u009b2J\\u0085\\u202e\\n2026 error" in found["why",].stdout
    lsn = why["lsn"]
    for command in (("skip", lsn), ("run", "--until", "caught-up"), ("drop",)):
        assert_shown(hostile.engine.command(*command), command)


def test_tail_prints_them_escaped(hostile):
    """Also a message's prefix and content, and json that is embedded as it is."""
    hostile.source.execute("create table j (id int primary key, j json, b jsonb); alter publication shop add table j")
    with Tail(hostile) as tail:
        hostile.source.execute(f"insert into {NAME} values (%s, %s)", ("q" + HOSTILE, "v" + HOSTILE))
        hostile.source.execute("select pg_logical_emit_message(true, %s, %s)", ("p" + HOSTILE, "m" + HOSTILE))
        embedded = json.dumps({"k" + HOSTILE: "\x7f\x9b\u202e"}, ensure_ascii=False)
        hostile.source.execute("insert into j values (1, %s, %s)", (embedded, embedded))
        row, message, document = tail.wait_lines(3)
        text, log = tail.path.read_text(encoding="utf-8"), tail.log_path.read_text(encoding="utf-8")
    assert raw(text) == [] and raw(log) == [], text + log
    assert text.count("\n") == 3
    assert row["after"] == {f"k{HOSTILE}": f"q{HOSTILE}", f"c{HOSTILE}": f"v{HOSTILE}"} and row["table"] == f"n{HOSTILE}"
    assert (message["prefix"], message["content"]) == (f"p{HOSTILE}", f"m{HOSTILE}")
    assert document["after"]["j"] == document["after"]["b"] == {f"k{HOSTILE}": "\x7f\x9b\u202e"}


class Talker:
    """Puts the sequence into every error, notice and setting that the server tells of."""

    def __init__(self):
        self.done = 0

    def __call__(self, _, message):
        if message[:1] in (b"E", b"N"):
            fields = [field for field in message[5:].split(b"\0") if field]
            taken = [field + HOSTILE.encode() if field[:1] in b"MDHWstcdnFR" else field for field in fields]
            return self.made(message[:1], b"\0".join(taken) + b"\0\0")
        if message[:1] == b"S" and not message[5:].startswith((b"client_encoding", b"server_version", b"standard_conforming", b"integer_date")):
            return self.made(b"S", message[5:-1] + HOSTILE.encode() + b"\0")
        return message

    def made(self, kind, body):
        self.done += 1
        return kind + struct.pack(">I", 4 + len(body)) + body


@pytest.mark.parametrize("side", ["source", "target"])
def test_no_servers_message_is_printed_raw(pipeline, side):
    """It is refused at each step: the connection, a query, a row, and what is kept of it for status."""
    pipeline.source.execute("create table t (id int primary key, v text)")
    pipeline.engine.catch_up()
    pipeline.target.execute("insert into t values (1, 'x')")
    pipeline.source.execute("insert into t values (1, 'x')")
    database = pipeline.source if side == "source" else pipeline.target
    configuration = pipeline.source_configuration if side == "source" else pipeline.sink_configuration
    if side == "source":
        pipeline.source.execute("alter role postgres set client_min_messages = notice")
    taken = Talker()
    with WireProxy(database.cluster.port, taken) as proxy:
        for dsn in (proxy.dsn(database), proxy.dsn(database).replace(f"dbname={database.name}", "dbname=missing")):
            configuration["dsn"] = dsn
            for command in (*COMMANDS, ("drop",)):
                assert_shown(pipeline.engine.command(*command, *(["--retry-for", "1s"] if command[0] == "run" else [])), command)
    assert taken.done > 5
