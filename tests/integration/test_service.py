# SPDX-License-Identifier: Apache-2.0
"""A pipeline as a service: what systemd is told over a real datagram socket, and the template unit, looked at by systemd-analyze."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "cdc/packaging/systemd/pgcdc@.service.in"


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path[0] == "@" else path)
        self.socket.setblocking(False)
        self.path = path
        self.messages = []  # (seconds, text)

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.path, **more}

    def texts(self):
        while True:
            try:
                self.messages.append((time.monotonic(), self.socket.recv(65536).decode("utf-8")))
            except BlockingIOError:
                return [text for _, text in self.messages]

    def count(self, text):
        return self.texts().count(text)

    def wait(self, text, deadline_s=60):
        wait_until(lambda: self.count(text) > 0, lambda: f"{text}, got {self.texts()}", deadline_s)

    def wait_status(self, pattern, deadline_s=60):
        wait_until(lambda: any(re.search(pattern, text) for text in self.texts() if text.startswith("STATUS=")),
                   lambda: f"a status like {pattern}, got {self.texts()}", deadline_s)

    def feeds_after(self, since, wanted):
        """Has the watchdog been fed so often after that time?"""
        self.texts()
        return sum(text == "WATCHDOG=1" and when > since for when, text in self.messages) >= wanted


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    end = Manager(str(tmp_path / "notify") if request.param == "path" else f"@pgcdc-{os.getpid()}-{tmp_path.name}")
    yield end
    end.socket.close()


@pytest.fixture
def told(pipeline, tmp_path):
    pipeline.execute_both("create table t (id int primary key)")
    end = Manager(str(tmp_path / "notify"))
    yield pipeline, end
    end.socket.close()


def test_ready_status_and_stopping_in_their_order(pipeline, manager):
    pipeline.execute_both("create table t (id int primary key)")
    pipeline.start(environment=manager.environment())
    pipeline.source.execute("insert into t values (1)")
    pipeline.wait_applied()
    manager.wait("READY=1")
    manager.wait_status(r"^STATUS=streaming: every sink has [0-9A-F]+/[0-9A-F]+, ")
    pipeline.engine.process.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    pipeline.engine.process.wait(30)
    texts = manager.texts()
    assert texts.count("READY=1") == texts.count("STOPPING=1") == 1
    assert texts.index("READY=1") < texts.index("STOPPING=1")
    assert "WATCHDOG=1" not in texts, "no WATCHDOG_USEC, no watchdog"
    assert all("\n" not in text for text in texts)


def test_not_ready_before_every_sink_is_open(told):
    pipeline, manager = told
    pipeline.engine.catch_up()
    pipeline.target.cluster.stop()
    try:
        pipeline.engine.start(environment=manager.environment())
        manager.wait_status(r"^STATUS=retrying, for .* in \d+ attempts?: ")
        assert manager.count("READY=1") == 0
    finally:
        pipeline.target.cluster.start()
    manager.wait("READY=1")


def test_a_refusal_is_never_ready_and_says_that_it_stops(told):
    pipeline, manager = told
    pipeline.engine.catch_up()
    pipeline.source.execute(f"select pg_drop_replication_slot('{pipeline.name}')")
    result = pipeline.engine.command("run", environment=manager.environment())
    assert result.returncode == 3
    assert "READY=1" not in manager.texts() and manager.texts()[-1] == "STOPPING=1"


def test_a_frozen_target_does_not_stop_the_watchdogs_food(told):
    pipeline, manager = told
    pipeline.start(environment=manager.environment(WATCHDOG_USEC="600000", PGCDC_INTERVAL_MS="1000"))
    wait_until(lambda: manager.feeds_after(0, 3), "food for the watchdog")
    blocker = pipeline.target.connect()
    with blocker.cursor() as cursor:
        cursor.execute("begin; lock table t")
        pipeline.source.execute("insert into t values (1)")
        since = time.monotonic()
        wait_until(lambda: time.monotonic() > since + 3 and manager.feeds_after(since + 2, 3), "food while the target is locked", 30)
    blocker.close()


@pytest.mark.parametrize("point", ["checkpoint-before-confirm"])
def test_a_supervisor_that_hangs_stops_it(told, point):
    pipeline, manager = told
    pipeline.engine.catch_up()
    pipeline.engine.start(environment=manager.environment(WATCHDOG_USEC="600000", PGCDC_INTERVAL_MS="1000", PGCDC_FAULT=f"{point}:hang"))
    manager.wait("READY=1")
    wait_until(lambda: manager.feeds_after(0, 2), "food for the watchdog")
    pipeline.source.execute("insert into t values (1)")

    def is_starving():
        manager.texts()
        fed = max(when for when, text in manager.messages if text == "WATCHDOG=1")
        return time.monotonic() - fed > 3
    wait_until(is_starving, "the watchdog's food to end", 60)
    assert pipeline.engine.is_running(), "systemd ends it, not we"
    pipeline.engine.process.kill()
    pipeline.engine.process.wait()


def test_a_watchdog_of_another_process_is_not_ours(told):
    pipeline, manager = told
    pipeline.start(environment=manager.environment(WATCHDOG_USEC="300000", WATCHDOG_PID="1"))
    manager.wait("READY=1")
    manager.wait_status("streaming")
    assert manager.count("WATCHDOG=1") == 0


@pytest.mark.parametrize("path", ["/does/not/exist", "relative", "@", "/" + "x" * 200])
def test_a_socket_that_is_none_is_a_warning(told, path):
    pipeline, _ = told
    result = pipeline.engine.catch_up("--log", "json", environment={"NOTIFY_SOCKET": path})
    assert '"event":"service_not_told"' in result.stderr


# ---- the unit ----


@pytest.fixture
def unit(tmp_path, program):
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing: tests/support/install tests")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pgcdc").symlink_to(program)
    path = tmp_path / "pgcdc@shop.service"
    path.write_text(UNIT.read_text(encoding="utf-8").replace("@bindir@", str(tmp_path / "bin")), encoding="utf-8")
    return path


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_the_unit_is_one_that_systemd_understands(unit):
    result = analyze("verify", "--man=no", str(unit))
    assert result.returncode == 0 and result.stderr.strip() == "", result.stderr


def test_its_exposure_is_below_2(unit):
    result = analyze("security", "--offline=yes", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert level and float(level[1]) < 2, result.stdout


def test_refusals_are_not_started_again(unit):
    text = unit.read_text(encoding="utf-8")
    assert re.search(r"^RestartPreventExitStatus=2 3$", text, re.M) and re.search(r"^Type=notify$", text, re.M)
