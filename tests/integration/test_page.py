# SPDX-License-Identifier: Apache-2.0
"""The page of a running pipeline, in a real browser: what it shows, that it lives, that it asks no one else, and that hostile names stay text."""

import json
import os
import signal
import socket
import time

import pytest

from support.browser import DESKTOP, PHONE, Browser
from support.pipeline import Pipeline
from support.scrape import Served
from support.wait import wait_until

SINK = "warehouse"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>&amp;"
PICTURES = os.environ.get("PGCDC_PICTURES")  # a folder: the pages are kept there, to be looked at


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def served(pipeline):
    return Served(pipeline.engine)


@pytest.fixture
def own(program, tmp_path, own_cluster, request):
    """A pipeline whose target is this test's alone."""
    pipeline = Pipeline(program, tmp_path, own_cluster("source").create_database("source"), own_cluster("target").create_database("target"))
    request.node.pipelines = [pipeline]
    yield pipeline
    pipeline.close()


def address(served):
    return f"http://127.0.0.1:{served.port}/"


def picture(browser, name, size=DESKTOP, is_dark=False):
    """Each look also fits the window, or the page could not be read there."""
    browser.look(size, is_dark)
    wait_until(lambda: browser.overflow() <= 0, lambda: f"{name}: {browser.overflow()} pixels too wide", 5)
    if PICTURES:
        time.sleep(1.2)  # the charts are drawn once a second
        browser.picture(f"{PICTURES}/{name}.png")
        browser.look(size, is_dark)


def assert_quiet(browser, served):
    assert browser.complaints() == []
    asked = browser.requests()
    assert asked and [url for url in asked if not url.startswith((address(served), "data:"))] == [], asked


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def test_it_shows_the_pipeline_and_lives(pipeline, served, browser):
    pipeline.execute_both(f"create table t (id int primary key, v text); create table {quoted(HOSTILE)} (id text primary key)")
    pipeline.start()
    browser.open(address(served))
    browser.wait_text("#connection", "Live")
    browser.wait_text("h1", pipeline.name)
    browser.wait_text("#warnings", "Nothing. Changes flow to every sink.")
    browser.wait_text("#process", "pgcdc ", "up for")
    for start in (1, 1001):
        pipeline.source.execute(f"insert into t select g, 'secret-value' from generate_series({start}, {start + 999}) g; update t set v = 'other' where id <= 3;"
                                f" insert into {quoted(HOSTILE)} values ('secret-key-{start}')")
        browser.wait_text("#tables", "public.t", f"{start + 999:,}")
    pipeline.wait_applied()
    browser.wait_text("#sinks", SINK, "Lag\nnone", "Waiting WAL\nnone")
    assert {"Source", "Received", "Written", "Visible", "Durable", "Stored", "Confirmed"} <= set(browser.text("#stages").split("\n"))
    assert f"public.{HOSTILE}" in browser.text("#tables")
    assert browser.run("return document.querySelectorAll('img, main b').length") == 0
    assert browser.driver.title == "shop – pgcdc"
    assert "secret" not in browser.run("return document.documentElement.outerHTML") + served.get("/status.json")[1]
    browser.wait_text("#lag-chart", "now", "a minute ago")
    assert_quiet(browser, served)
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        picture(browser, f"{name}-light", size)
        picture(browser, f"{name}-dark", size, is_dark=True)


def test_it_says_when_the_connection_is_lost_and_comes_back(pipeline, served, browser):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.start()
    browser.open(address(served))
    browser.wait_text("#connection", "Live")
    pipeline.engine.stop()
    browser.wait_text("#connection", "The connection is lost. Trying again")
    pipeline.start()
    browser.wait_text("#connection", "Live")
    pipeline.source.execute("insert into t select generate_series(1, 1234)")
    browser.wait_text("#tables", "1,234")


def test_a_stalled_sink_is_the_first_thing_it_says(own, browser):
    served = Served(own.engine)
    own.execute_both("create table t (id int primary key, v text)")
    own.start()
    browser.open(address(served))
    browser.wait_text("#warnings", "Nothing.")
    pids = list(own.target.cluster.processes())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        own.source.execute("insert into t select g, repeat('x', 100) from generate_series(1, 2000) g")
        browser.wait_text("#warnings li:first-child", "Changes do not arrive", f"sink {SINK}: it has taken nothing for")
        browser.wait_text("#state", "Not ready")
        browser.wait_text("#stages", "to go")
        order = browser.run("return [...document.querySelectorAll('main > section')].map(section => section.getAttribute('aria-labelledby'))")
        assert order[0] == "warnings-title"
        picture(browser, "stalled")
        picture(browser, "stalled-phone-dark", PHONE, is_dark=True)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    browser.wait_text("#warnings", "Nothing.")
    browser.wait_text("#state", "Ready, streaming")
    own.assert_follows()


def test_a_copy_is_a_grid_while_it_runs_and_after(pipeline, served, browser):
    pipeline.execute_both("create table big (id int primary key, v text); create table small (id int primary key, v text)")
    pipeline.source.execute("insert into big select g, repeat('x', 500) from generate_series(1, 6000) g; insert into small select g, 'y' from generate_series(1, 500) g")
    pipeline.publish()
    pipeline.engine.configuration["copy"] = {"mode": "live", "workers": "2", "chunk_bytes": "64kB"}
    holder = pipeline.target.connect(autocommit=False)
    try:
        holder.cursor().execute("lock table big in exclusive mode")
        pipeline.engine.start()
        served.wait_answers()
        browser.open(address(served))
        browser.wait_text("#copy", "Running,", "public.big", "running", "waiting", "public.small")
        cells = "return document.querySelectorAll(arguments[0]).length"
        assert browser.run(cells, ".copy-table .cell.running") >= 1 and browser.run(cells, ".copy-table .cell.waiting") >= 10
        picture(browser, "copying")
        picture(browser, "copying-phone", PHONE)
    finally:
        holder.rollback()
        holder.close()
    browser.wait_text("#copy", "Complete: 6,500 rows", "6,000 rows", "500 rows", absent=("Running",))
    assert browser.run(cells, ".copy-table .cell.running, .copy-table .cell.waiting") == 0
    assert browser.run(cells, ".copy-table .cell.done") >= 30
    picture(browser, "copied")
    assert_quiet(browser, served)


def test_proofs_and_dead_letters_are_shown_without_their_keys(pipeline, served, browser):
    pipeline.engine.configuration["verify"] = {"continuous": "50MB/s"}
    pipeline.sink_configuration["on_error"] = "dead_letter"
    pipeline.execute_both("create table good (id int primary key); create table bad (id text primary key, n int)")
    pipeline.target.execute("alter table bad add check (n < 10)")
    pipeline.source.execute("insert into good select generate_series(1, 10)")
    pipeline.start()
    pipeline.source.execute("insert into bad values ('secret-key', 4711)")
    wait_until((pipeline.state / f"{pipeline.name}.{SINK}.verified").exists, "a proof")
    pipeline.wait_applied()
    pipeline.engine.stop()
    pipeline.start()  # it looks at proofs and dead letters at once, and then every 15 seconds
    browser.open(address(served))
    browser.wait_text("#trouble", f"{SINK}: 1 change did not fit", "pgcdc dead list")
    browser.wait_text("#warnings", "Changes flow, but", "1 change did not fit and 0 wait behind")
    browser.wait_text("#tables", "public.good", "✔")
    picture(browser, "dead")
    assert "secret-key" not in browser.run("return document.documentElement.outerHTML") + served.get("/status.json")[1]


# /status.json and /events


def event_stream(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(b"GET /events HTTP/1.0\r\n\r\n")
    return connection


def test_the_page_forbids_everything_else(pipeline, served):
    pipeline.engine.start()
    served.wait_answers()
    head = event_stream_head(served.port, b"GET / HTTP/1.0\r\n\r\n")
    assert "default-src 'none'" in head and "connect-src 'self'" in head and "unsafe" not in head and "Set-Cookie" not in head
    assert "default-src 'none'" in event_stream_head(served.port, b"GET /status.json HTTP/1.0\r\n\r\n")


def event_stream_head(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.split(b"\r\n\r\n")[0].decode()


def test_events_come_each_second_and_a_watcher_too_many_is_refused(pipeline, served):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.start()
    with event_stream(served.port) as first:
        reader, started = first.makefile("rb"), time.monotonic()
        lines = []
        while len(lines) < 4:
            line = reader.readline()
            if line.startswith(b"data: "):
                lines.append(json.loads(line[6:]))
        assert 2 < time.monotonic() - started < 30
        assert [line["now_us"] for line in lines] == sorted({line["now_us"] for line in lines})
        assert lines[0]["pipeline"] == pipeline.name and lines[0]["sinks"][0]["name"] == SINK
        others = [event_stream(served.port) for _ in range(7)]
        for other in others:
            assert other.recv(12).endswith(b"200")
        status, text = served.get("/events")
        assert status == 503 and "/status.json" in text
        whole = json.loads(served.get("/status.json")[1])
        assert len(whole["history"][0]["lag_ms"]) >= len(lines)
        others.pop().close()
        wait_until(lambda: is_watched(served.port), "a place for another watcher")
        for other in others:
            other.close()
    pipeline.engine.stop()


def is_watched(port):
    with event_stream(port) as connection:
        return connection.recv(12).endswith(b"200")


@pytest.mark.long
def test_a_watcher_that_reads_nothing_is_dropped_and_holds_up_nothing(pipeline, served):
    """Its window is small, so the server's socket is soon full."""
    pipeline.execute_both(";".join(f"create table a_rather_long_name_for_a_table_of_this_test_{i} (id int primary key)" for i in range(250)))
    pipeline.start()
    pipeline.source.execute(";".join(f"insert into a_rather_long_name_for_a_table_of_this_test_{i} values (1)" for i in range(250)))
    lazy = []
    for _ in range(8):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.connect(("127.0.0.1", served.port))
        connection.sendall(b"GET /events HTTP/1.0\r\n\r\n")
        lazy.append(connection)
    wait_until(lambda: served.get("/events")[0] == 503, "all places to be taken", 10)
    pipeline.assert_follows()
    wait_until(lambda: is_watched(served.port), "the lazy watchers to be dropped", 120)
    for connection in lazy:
        connection.close()
    pipeline.engine.stop()
