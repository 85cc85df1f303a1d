# SPDX-License-Identifier: Apache-2.0
"""Faults on the wire never give a wrong position, and never pass without a message."""

import struct
import threading
import time

import pytest

from support.wait import wait_until
from support.wire_proxy import ClientGarbler, Garbler, WireProxy, flip

T = "create table t (id int primary key, v text)"


def lsn_of(database, sql="select pg_current_wal_insert_lsn()"):
    return int(database.value(f"select ({sql}) - '0/0'::pg_lsn"))


class OneBit:
    """Turns one bit of the first matching message, at a place after the header of CopyData."""

    def __init__(self, begins, byte, bit):
        self.begins, self.byte, self.bit, self.done = begins, byte, bit, 0

    def __call__(self, _, message):
        body = message[5:]
        if message[:1] != b"d" or self.done or not (body[:1] == self.begins[:1] and body[25:26] == self.begins[1:] or body[:1] == self.begins):
            return message
        self.done += 1
        return flip(message, 5 + self.byte, self.bit)


# Where a position is: message, its byte that holds bits 16 to 23 and the one that holds bits 40 to 47.
PLACES = {"keepalive": (b"k", 1), "begin": (b"wB", 26), "commit_at": (b"wC", 27), "commit_end": (b"wC", 35), "header_of_begin": (b"wB", 1),
          "header_of_commit": (b"wC", 1), "second_in_header": (b"wC", 9)}


@pytest.mark.parametrize("place", PLACES)
def test_one_wrong_bit_in_a_position_is_never_stored(pipeline, place):
    """Ahead of the server by a little and by much: refused, or of no effect; then everything arrives."""
    begins, at = PLACES[place]
    pipeline.source.execute(T + "; insert into t values (0, 'x')")
    pipeline.engine.catch_up()
    direct = pipeline.source_configuration["dsn"]
    for number, (byte, bit) in enumerate(((at + 2, 0), (at + 5, 4), (at + 6, 3)), 1):
        taken = OneBit(begins, byte, bit)
        with WireProxy(pipeline.source.cluster.port, taken) as proxy:
            pipeline.source_configuration["dsn"] = proxy.dsn(pipeline.source)
            pipeline.source.execute(f"insert into t values ({number}, 'x')")
            result = pipeline.engine.command("run", "--until", "caught-up", "--timeout", "60s", timeout_s=90)
            assert taken.done == 1
            assert result.returncode == 0 or (result.returncode == 1 and " error " in result.stderr), result.stderr
        end = lsn_of(pipeline.source)
        stored = lsn_of(pipeline.target, "select max(end_lsn) from pgcdc.position")
        confirmed = lsn_of(pipeline.source, f"select confirmed_flush_lsn from pg_replication_slots where slot_name = '{pipeline.slot_name()}'")
        assert confirmed <= stored <= end, result.stderr
        pipeline.source_configuration["dsn"] = direct
        pipeline.engine.catch_up()
        pipeline.assert_equal("public.t")


def test_a_damaged_message_is_asked_for_again(pipeline):
    """One wrong bit ended the engine for good. More than three of them in all, but with progress between them."""
    pipeline.source.execute(T)
    taken = OneBit(b"wB", 3, 0)
    taken.done = 1
    with WireProxy(pipeline.source.cluster.port, taken) as proxy:
        pipeline.source_configuration["dsn"] = proxy.dsn(pipeline.source)
        pipeline.start()
        pipeline.wait_applied()
        for number in range(5):
            taken.done = 0
            pipeline.source.execute("insert into t values (%s, 'x')", (number,))
            pipeline.assert_follows("public.t")
            assert taken.done == 1
        assert "says that it is at" in pipeline.engine.log_text()
        pipeline.engine.stop()


def test_messages_that_are_damaged_each_time_end_the_run_with_the_reason(pipeline):
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    direct = pipeline.source_configuration["dsn"]
    taken = Each(OneBit(b"wB", 3, 0))
    pipeline.source.execute("insert into t values (1, 'x')")
    with WireProxy(pipeline.source.cluster.port, taken) as proxy:
        pipeline.source_configuration["dsn"] = proxy.dsn(pipeline.source)
        pipeline.engine.start()
        assert pipeline.engine.wait_exit() == 1
    assert taken.count == 3
    assert "says that it is at" in pipeline.engine.log_text() and "3 attempts in a row" in pipeline.engine.log_text()
    pipeline.source_configuration["dsn"] = direct
    assert "3 attempts in a row" in pipeline.engine.command("status").stdout
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")


class OtherPosition:
    """Gives the first row in which the target names the position another one, some transactions later."""

    def __init__(self, position):
        self.position, self.done = position.encode(), 0
        high, low = position.split("/")
        self.later = f"{high}/{int(low, 16) + 0x1000:X}".encode()

    def __call__(self, _, message):
        if self.done or message[:1] != b"D" or self.position not in message:
            return message
        self.done += 1
        return message.replace(self.position, self.later, 1)


@pytest.mark.parametrize("command", [["run", "--until", "caught-up"], ["status"]], ids=["run", "status"])
def test_a_position_that_is_damaged_on_the_way_from_the_target_is_not_believed(pipeline, command):
    """A row without a checksum: the run went on from a later position, and the changes before it were lost without a message."""
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    for number in range(100):
        pipeline.source.execute("insert into t values (%s, 'x')", (number,))
    taken = OtherPosition(pipeline.position())
    direct = pipeline.sink_configuration["dsn"]
    with WireProxy(pipeline.target.cluster.port, taken) as proxy:
        pipeline.sink_configuration["dsn"] = proxy.dsn(pipeline.target)
        result = pipeline.engine.command(*command, timeout_s=90)
    assert taken.done == 1 and "damaged in transit" in result.stdout + result.stderr, result.stdout + result.stderr
    assert result.returncode == 0 or command == ["status"]
    pipeline.sink_configuration["dsn"] = direct
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")


class Each:
    """Whatever the other does once, each time."""

    def __init__(self, once):
        self.once, self.count = once, 0

    def __call__(self, number, message):
        self.once.done = 0
        message = self.once(number, message)
        self.count += self.once.done
        return message


class LongLength:
    """The first message of the stream after it is armed claims to be 16 MiB long, and swallows what follows."""

    def __init__(self):
        self.armed, self.done = False, 0

    def __call__(self, _, message):
        if not self.armed or self.done or message[:2] != b"d\x00" or message[5:6] not in b"wk":
            return message
        self.done += 1
        return message[:1] + struct.pack(">I", (1 << 24) + len(message) - 1) + message[5:]


def test_a_length_that_never_fills_is_given_up_like_a_silent_server(pipeline):
    """It hid every keepalive: the engine waited until the bytes came, without a message."""
    pipeline.source.execute(T)
    taken = LongLength()
    with WireProxy(pipeline.source.cluster.port, taken) as proxy:
        pipeline.source_configuration["dsn"] = proxy.dsn(pipeline.source)
        pipeline.start()
        pipeline.wait_applied()
        taken.armed = True
        pipeline.source.execute("insert into t values (1, 'x')")
        began = time.monotonic()
        pipeline.engine.wait_log("made no progress", deadline_s=60)
        assert taken.done == 1 and time.monotonic() - began > 10
        pipeline.assert_follows("public.t")


class LongRow:
    """The first row of an answer after it is armed claims to be longer by 16 MiB, and swallows the end of the answer."""

    def __init__(self):
        self.armed, self.done = False, 0

    def __call__(self, _, message):
        if not self.armed or self.done or message[:1] != b"D":
            return message
        self.done += 1
        return message[:1] + struct.pack(">I", (1 << 24) + len(message) - 1) + message[5:]


@pytest.mark.parametrize("side", ["source", pytest.param("target", marks=pytest.mark.long)])
def test_an_answer_whose_length_never_fills_is_given_up(pipeline, side):
    """The server had answered and waited for the next query, and so did we, forever and without a message."""
    pipeline.source.execute(T + "; insert into t values (0, 'x')")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t values (1, 'x')")
    database, configuration = side_of(pipeline, side)
    taken = LongRow()
    with WireProxy(database.cluster.port, taken) as proxy:
        configuration["dsn"] = proxy.dsn(database)
        taken.armed = True
        result = pipeline.engine.command("run", "--until", "caught-up", timeout_s=90)
    assert taken.done == 1 and result.returncode == 0
    assert "the answer has been incomplete" in result.stderr and "no answer for 5 s" in result.stderr, result.stderr
    pipeline.assert_equal("public.t")


RUN = ["run", "--until", "caught-up", "--timeout", "20s"]


class OtherShape:
    """Gives the Nth answer with rows another shape: no row, NULL in each field, or its first column alone."""

    def __init__(self, number, shape):
        self.left, self.shape, self.active, self.lock = number, shape, None, threading.Lock()

    def __call__(self, connection, message):
        with self.lock:
            if message[:1] == b"T":
                self.left -= 1
                self.active = connection if self.left == 0 else None
            is_changed = self.active == connection and message[:1] in b"TD"
        return self.change(message) if is_changed else message

    def change(self, message):
        is_row, count = message[:1] == b"D", struct.unpack_from(">H", message, 5)[0]
        if count == 0:
            return message
        if self.shape == "no row":
            return b"" if is_row else message
        if self.shape == "nulls":
            return b"D" + struct.pack(">IH", 6 + 4 * count, count) + b"\xff" * (4 * count) if is_row else message
        body = message[7:7 + 4 + max(0, struct.unpack_from(">i", message, 7)[0])] if is_row else message[7:message.index(b"\0", 7) + 19]
        return message[:1] + struct.pack(">IH", 6 + len(body), 1) + body


def side_of(pipeline, side):
    return {"source": (pipeline.source, pipeline.source_configuration), "target": (pipeline.target, pipeline.sink_configuration)}[side]


def with_each_answer_changed(pipeline, side, command, step=1):
    """Runs the command as often as it takes until no answer is left to change. Returns how many ended with an error about the shape."""
    database, configuration = side_of(pipeline, side)
    direct = configuration["dsn"]
    refused = 0
    for shape in SHAPES:
        number = 1
        while True:
            taken = OtherShape(number, shape)
            with WireProxy(database.cluster.port, taken) as proxy:
                configuration["dsn"] = proxy.dsn(database)
                result = pipeline.engine.command(*command, timeout_s=90)
            said = f"{shape} {number} {side} {command}: {result.returncode}\n{result.stdout}{result.stderr}"
            assert 0 <= result.returncode < 99 and "out of range" not in result.stderr, said
            refused += " answered " in result.stdout + result.stderr
            if taken.left > 0:
                break
            number += step
    configuration["dsn"] = direct
    return refused


SHAPES = ("fewer columns", "nulls", "no row")
COMMANDS = {"run": RUN, "check": ["check"], "status": ["status"], "verify": ["verify"]}


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_answer_of_another_shape_is_an_error_and_no_empty_value(pipeline, command, side, request):
    """libpq's complaint about the missing column went to the screen, and its empty text was used as if the server had sent it, or ended check."""
    pipeline.source.execute(T + "; create type mood as enum ('a', 'b'); create domain d as int check (value > 0);"
                            "create table u (id d primary key, m mood, n numeric(5, 2));"
                            "create table p (id int primary key, v text) partition by range (id); create table p1 partition of p for values from (0) to (9);"
                            "insert into t values (0, 'x'); insert into u values (1, 'a', 1.5); insert into p values (1, 'x')")
    pipeline.engine.catch_up()
    step = 1 if request.config.getoption("--long") or command == "status" else 3
    assert with_each_answer_changed(pipeline, side, COMMANDS[command], step) >= 2
    wait_until(lambda: not pipeline.slot_is_active(), "the slot to be free")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")


@pytest.mark.parametrize("side", ["source", "target"])
def test_an_answer_of_another_shape_stops_a_first_start_and_a_drop(pipeline, side, request):
    pipeline.source.execute(T + "; insert into t values (0, 'x')")
    step = 1 if request.config.getoption("--long") else 5
    assert with_each_answer_changed(pipeline, side, RUN, step) >= 2
    wait_until(lambda: not pipeline.slot_is_active(), "the slot to be free")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")
    assert with_each_answer_changed(pipeline, side, ["drop"], min(step, 2)) >= 1


def message_of(letter, body):
    return letter + struct.pack(">I", 4 + len(body)) + body


def many(message, megabytes):
    part = message * (1 + (1 << 16) // len(message))
    for _ in range((megabytes << 20) // len(part)):
        yield part


def huge_error():
    """One of 1 GiB, in which nothing is wrong but its size."""
    head, size = b"SERROR\0VERROR\0CXX000\0M", 1 << 30
    yield b"E" + struct.pack(">I", 4 + len(head) + size + 2) + head
    yield from (b"x" * (1 << 20) for _ in range(size >> 20))
    yield b"\0\0"


FLOODS = {
    "notices": lambda: many(message_of(b"N", b"SWARNING\0VWARNING\0C01000\0Mflood\0\0"), 64),
    "large notices": lambda: many(message_of(b"N", b"SWARNING\0VWARNING\0C01000\0M" + b"x" * 1000000 + b"\0\0"), 64),
    "notifications": lambda: many(message_of(b"A", struct.pack(">I", 1) + b"flood\0x\0"), 16),
    "parameters": lambda: many(message_of(b"S", b"application_name\0flood\0"), 64),
    "error of 1 GiB": huge_error,
}


class Flooded:
    """Puts a flood in front of the Nth answer with rows, or in front of what follows so much of the stream."""

    def __init__(self, flood, number, letter=b"T"):
        self.flood, self.left, self.letter, self.lock = flood, number, letter, threading.Lock()

    def __call__(self, _, message):
        with self.lock:
            self.left -= message[:1] == self.letter
            if self.left != 0 or message[:1] != self.letter:
                return message
            self.left = -1
        return (part for parts in (FLOODS[self.flood](), (message,)) for part in parts)


def run_in_little_memory(pipeline):
    """A limit above the memory that any answer of a healthy server needs. Sanitizers need an address space without a limit."""
    wrapper = () if pipeline.engine.has_sanitizer() else ("prlimit", f"--as={900 << 20}", "--")
    pipeline.engine.start("--until", "caught-up", "--timeout", "30s", wrapper=wrapper)
    return pipeline.engine.wait_exit(90)


@pytest.mark.parametrize("where", ["source", "target", "stream"])
@pytest.mark.parametrize("flood", [pytest.param(flood, marks=() if flood in ("notices", "error of 1 GiB") else pytest.mark.long) for flood in FLOODS])
def test_a_flood_is_let_through_or_ends_the_connection_in_bounded_memory(pipeline, flood, where):
    if flood == "error of 1 GiB" and pipeline.engine.has_sanitizer():
        pytest.skip("without a limit of memory it is an error like any other")
    pipeline.source.execute(T + "; insert into t values (0, 'x')")
    pipeline.engine.catch_up()
    pipeline.source.execute("insert into t select g, 'x' from generate_series(1, 200) g")
    database, configuration = side_of(pipeline, "target" if where == "target" else "source")
    taken = Flooded(flood, 50, b"d") if where == "stream" else Flooded(flood, 4)
    with WireProxy(database.cluster.port, taken) as proxy:
        configuration["dsn"] = proxy.dsn(database)
        code = run_in_little_memory(pipeline)
    assert taken.left < 0 and code == 0, pipeline.engine.log_text()
    if flood == "error of 1 GiB":
        assert "retrying within" in pipeline.engine.log_text()
    pipeline.assert_equal("public.t")


TWO = T + "; create table log (v text); alter table log replica identity full"


def seeds(few, many):
    return [pytest.param(seed, marks=() if seed < few else pytest.mark.long) for seed in range(many)]


def garbled_run(pipeline, garblers, timeout="5s"):
    """garblers: by side, what becomes of the server's messages and of ours. The configuration is as before when it returns."""
    proxies = []
    try:
        for side, (ours, theirs) in garblers.items():
            database, configuration = side_of(pipeline, side)
            proxy = WireProxy(database.cluster.port, theirs, ours)
            proxies.append((proxy.__enter__(), configuration, configuration["dsn"]))
            configuration["dsn"] = proxy.dsn(database)
        return pipeline.engine.command("run", "--until", "caught-up", "--timeout", timeout, timeout_s=90)
    finally:
        for proxy, configuration, dsn in proxies:
            configuration["dsn"] = dsn
            proxy.__exit__()


def assert_garbled_harmlessly(pipeline, garblers, turns=3):
    """Copy and stream: no signal, no position that the source lacks, and equal once it is over, nothing twice and nothing lost."""
    done = lambda: [one.done for pair in garblers.values() for one in pair if one is not None]
    pipeline.source.execute(TWO + "; insert into t select g, 'x' from generate_series(1, 50) g; insert into log select 'x' from generate_series(1, 50)")
    for turn in range(turns):
        result = garbled_run(pipeline, garblers)
        said = f"{done()}\n{result.stderr}"
        assert 0 <= result.returncode < 99 and "out of range" not in result.stderr and "Sanitizer" not in result.stderr, said
        stored = pipeline.position()
        assert stored is None or pipeline.source.value("select %s::pg_lsn <= pg_current_wal_insert_lsn()", (stored,)), said
        if stored is not None:
            first = 1000 * (turn + 1)
            pipeline.source.execute(f"insert into t select g, 'y' from generate_series({first}, {first + 40}) g; insert into log values ('{turn}'), ('{turn}');"
                                    f"update t set v = 'z' where id % 7 = {turn}; delete from log where ctid = (select min(ctid) from log)")
    wait_until(lambda: not pipeline.slot_is_active(), "the slot to be free")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t", "public.log")
    assert any(done()), "nothing was garbled"


@pytest.mark.parametrize("seed", seeds(2, 30))
@pytest.mark.parametrize("side", ["source", "target"])
def test_bytes_that_are_garbled_on_the_way_end_in_an_error_or_nothing(pipeline, side, seed):
    """Whatever the seed does to the server's messages."""
    assert_garbled_harmlessly(pipeline, {side: (None, Garbler(seed))})


@pytest.mark.parametrize("seed", seeds(2, 30))
@pytest.mark.parametrize("side", ["source", "target"])
def test_bytes_that_are_garbled_on_the_way_to_the_server_are_harmless_too(pipeline, side, seed):
    assert_garbled_harmlessly(pipeline, {side: (ClientGarbler(seed), None)})


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_bytes_that_are_garbled_everywhere_at_once_are_harmless_too(pipeline, seed):
    assert_garbled_harmlessly(pipeline, {"source": (ClientGarbler(seed), Garbler(seed + 1)), "target": (ClientGarbler(seed + 2), Garbler(seed + 3))})
