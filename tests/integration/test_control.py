# SPDX-License-Identifier: Apache-2.0
"""`pause`, `resume`, `reload` and `log-level` on a pipeline that runs, and the socket that takes them."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from support.scrape import Served
from support.wait import wait_until

SINK = "warehouse"
PAUSE = '{"pause": true}'


def socket_path(pipeline, name=None):
    return pipeline.state / f"{name or pipeline.name}.sock"


def connect(pipeline):
    """Short, whatever the directory's path is."""
    folder = os.open(pipeline.state, os.O_PATH)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    def connected():
        try:
            connection.connect(f"/proc/self/fd/{folder}/{pipeline.name}.sock")
        except BlockingIOError:  # others wait to be accepted
            return False
        return True
    wait_until(connected, "a place in the queue of the socket", deadline_s=30)
    os.close(folder)
    return connection


def ask_line(pipeline, line):
    with connect(pipeline) as connection:
        connection.sendall(line.encode() + b"\n")
        return json.loads(connection.makefile().readline())


def ask(pipeline, **request):
    return ask_line(pipeline, json.dumps(request))


def command(pipeline, name, *arguments, code=0):
    result = pipeline.engine.command(name, *arguments)
    assert result.returncode == code, result
    return result.stdout + result.stderr


def start(pipeline, rows=100):
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.source.execute(f"insert into t select g, 'x' from generate_series(1, {rows}) g")
    pipeline.start()
    pipeline.wait_applied()


def count(pipeline):
    return pipeline.target.value("select count(*) from t")


# Pause and resume


def test_pause_holds_under_load_and_resume_loses_nothing(pipeline):
    start(pipeline)
    for i in range(20):
        pipeline.source.execute(f"insert into t select g, 'y' from generate_series({1000 + i * 100}, {1099 + i * 100}) g")
    said = command(pipeline, "pause")
    assert f"sink {SINK}: paused at " in said
    held = pipeline.position()
    for i in range(20, 60):
        pipeline.source.execute(f"insert into t select g, 'z' from generate_series({1000 + i * 100}, {1099 + i * 100}) g")
    before = count(pipeline)
    assert (before - 100) % 100 == 0, "a transaction was split"
    assert "already" not in command(pipeline, "pause"), "a second pause is no error"
    assert (count(pipeline), pipeline.position()) == (before, held)
    assert pipeline.slot_is_active()
    status = pipeline.engine.json("status")
    assert status["sinks"][0]["paused"]["by"].startswith("root")
    assert f"paused      sink {SINK}" in command(pipeline, "status")
    command(pipeline, "resume")
    command(pipeline, "resume")
    pipeline.assert_follows("public.t")
    assert pipeline.engine.json("status")["sinks"][0]["paused"] is None
    pipeline.engine.stop()


def test_pause_holds_behind_full_batches(pipeline):
    """More than the engine's batches hold, so that the source's connection has to be kept alive without reading."""
    start(pipeline)
    command(pipeline, "pause")
    before = count(pipeline)
    pipeline.source.execute("insert into t select 1000 + g, repeat('x', 4000) from generate_series(1, 10000) g")
    time.sleep(1)
    assert count(pipeline) == before
    pid = pipeline.slot()["active_pid"]
    command(pipeline, "resume")
    pipeline.assert_follows("public.t")
    assert pipeline.slot()["active_pid"] == pid
    pipeline.engine.stop()


def test_a_pause_survives_a_kill(pipeline):
    start(pipeline)
    command(pipeline, "pause")
    pipeline.source.execute("insert into t values (5000, 'while paused')")
    pipeline.engine.kill()
    assert socket_path(pipeline).exists(), "the kill leaves the socket"
    pipeline.wait_slot_free()
    pipeline.engine.start()
    pipeline.engine.wait_log(f"sink {SINK} is paused, for ")
    pipeline.wait_streaming()
    assert ask(pipeline, state=True)["paused"][0]["sink"] == SINK
    wait_until(lambda: ask(pipeline, state=True)["paused"][0]["held"], "the sink to hold")
    assert count(pipeline) == 100
    command(pipeline, "resume")
    pipeline.assert_follows("public.t")
    pipeline.engine.stop()


@pytest.mark.parametrize("point", ["pause-written", "pause-stored", "runner-paused"])
def test_killed_while_it_pauses(pipeline, point):
    """The pause is there or it is not, as the file says, and nothing is lost."""
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.start(environment={"PGCDC_FAULT": point})
    pipeline.source.execute("insert into t select g, 'x' from generate_series(1, 100) g")
    pipeline.engine.command("pause")
    pipeline.engine.wait_exit()
    is_stored = f"{SINK} paused" in read(pipeline.state / "shop.pause")
    assert is_stored == (point != "pause-written")
    pipeline.wait_slot_free()
    pipeline.source.execute("insert into t values (5000, 'after the kill')")
    pipeline.start()
    assert (len(ask(pipeline, state=True)["paused"]) == 1) == is_stored
    command(pipeline, "resume")
    pipeline.assert_follows("public.t")
    pipeline.engine.stop()


def test_one_sink_of_two(pipeline, second_target):
    second_target.execute("create table t (id int primary key, v text)")
    pipeline.engine.configuration["sinks"].append({"name": "second", "type": "postgres", "dsn": second_target.dsn()})
    start(pipeline)
    assert "sink second: paused at" in command(pipeline, "pause", "--sink", "second")
    pipeline.source.execute("insert into t values (5000, 'x')")
    wait_until(lambda: count(pipeline) == 101, "the sink that is not paused")
    assert second_target.value("select count(*) from t") == 100
    command(pipeline, "resume", "--sink", "second")
    pipeline.assert_follows("public.t")
    wait_until(lambda: second_target.value("select count(*) from t") == 101, "the sink that was paused")
    pipeline.engine.stop()


@pytest.mark.long
def test_two_pipelines_of_one_state_directory(new_pipeline, shared_clusters):
    first, second = (new_pipeline(shared_clusters("source"), shared_clusters("target"), name=name) for name in ("control_a", "control_b"))
    second.state = first.state
    second.engine.configuration["state"] = str(first.state)
    start(first)
    start(second)
    command(first, "pause")
    second.source.execute("insert into t values (5000, 'x')")
    second.assert_follows("public.t")
    assert "paused" not in command(second, "status").replace("copy", "")
    command(first, "resume")
    first.engine.stop()
    second.engine.stop()


@pytest.fixture
def second_target(shared_clusters):
    database = shared_clusters("target").create_database("dst")
    yield database
    database.drop()


def read(path):
    return path.read_text() if path.exists() else ""


def test_pause_without_an_engine_is_for_the_next_start(pipeline):
    start(pipeline)
    pipeline.engine.stop()
    pipeline.source.execute("insert into t values (5000, 'x')")
    assert "no engine runs" in command(pipeline, "pause")
    refused = command(pipeline, "run", "--until", "caught-up", code=2)
    assert "paused" in refused and "pgcdc resume" in refused
    pipeline.start()
    wait_until(lambda: ask(pipeline, state=True)["paused"][0]["held"], "the sink to hold")
    assert count(pipeline) == 100
    pipeline.engine.stop()
    command(pipeline, "resume")
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t")


def test_a_run_with_an_end_cannot_be_paused(pipeline):
    start(pipeline)
    pipeline.engine.stop()
    lsn = pipeline.source.value("select (pg_current_wal_insert_lsn() + 100000000)::text")
    pipeline.engine.start("--until", lsn)
    pipeline.wait_streaming()
    assert "--until" in command(pipeline, "pause", code=3)
    pipeline.engine.kill()


def test_a_new_pipeline_that_is_paused_does_not_copy(pipeline):
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.source.execute("insert into t values (1, 'x')")
    command(pipeline, "pause")
    pipeline.engine.start()
    pipeline.engine.wait_log("the copy begins after")
    assert pipeline.slot() is None
    command(pipeline, "resume")
    pipeline.wait_streaming()
    pipeline.assert_follows("public.t")
    pipeline.engine.stop()


def test_a_pause_file_that_is_not_whole_stops_the_start(pipeline):
    start(pipeline)
    command(pipeline, "pause")
    pipeline.engine.stop()
    path = pipeline.state / "shop.pause"
    path.write_text(path.read_text()[:-4])
    log = pipeline.assert_refused("shop.pause", code=2)
    assert "remove it" in log
    path.unlink()
    pipeline.start()
    pipeline.engine.stop()


def first_event(served):
    """What the page shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{served.port}/events", timeout=30) as events:
        return json.loads(next(line for line in events if line.startswith(b"data: "))[6:])


def test_health_and_metrics_say_paused(pipeline):
    served = Served(pipeline.engine)
    start(pipeline)
    wait_until(lambda: served.get("/readyz")[0] == 200, "ready")
    command(pipeline, "pause")
    status, words = served.get("/readyz")
    assert status == 503 and f"sink {SINK}: paused for " in words and "by root" in words
    assert served.get("/livez")[0] == 200
    assert [warning["level"] for warning in first_event(served)["warnings"] if "paused for " in warning["text"]] == ["stop"]
    served.wait_value("pgcdc_paused", lambda value: value == 1, sink=SINK)
    command(pipeline, "resume")
    wait_until(lambda: served.get("/readyz")[0] == 200, "ready again")
    served.wait_value("pgcdc_paused", lambda value: value == 0, sink=SINK)
    pipeline.engine.stop()


# Reload and the log's level


def test_reload_gives_a_sink_its_new_options(pipeline):
    """on_missing: stop would end the pipeline at this update."""
    start(pipeline)
    pipeline.target.execute("delete from t where id = 7")
    pipeline.sink_configuration["on_missing"] = "insert"
    assert "sinks[0].on_missing (from not set to insert)" in command(pipeline, "reload")
    pipeline.engine.wait_log("opened again")
    pipeline.source.execute("update t set v = 'again' where id = 7")
    pipeline.assert_follows("public.t")
    assert "nothing has changed" in command(pipeline, "reload")
    pipeline.engine.stop()


def test_reload_refuses_as_a_whole(pipeline):
    start(pipeline)
    pipeline.source_configuration["slot"] = "another"
    pipeline.sink_configuration["dsn"] += " password=geheim"
    pipeline.sink_configuration["visible"] = "durable"
    said = command(pipeline, "reload", code=3)
    assert "source.slot (from not set to another)" in said and "sinks[0].dsn (from a value that is not shown" in said
    assert "restart" in said and "geheim" not in said and "visible" not in said
    pipeline.source_configuration["publications"] = ["a" * 59, "\u00e4" * 30]
    said = command(pipeline, "reload", code=3)
    assert "to " + "a" * 59 + ", \u00e4" in said and "\\xc3" not in said, "a value is cut within a letter"
    del pipeline.source_configuration["publications"]
    pipeline.sink_configuration["visible"] = "nonsense"
    assert "visible" in command(pipeline, "reload", code=2)
    pipeline.source.execute("insert into t values (5000, 'x')")
    pipeline.assert_follows("public.t")
    assert "opened again" not in pipeline.engine.log_text()
    assert "geheim" not in pipeline.engine.log_text()
    pipeline.engine.stop()


def test_sighup_reloads_and_logs_the_result(pipeline):
    start(pipeline)
    pipeline.sink_configuration["visible"] = "durable"
    pipeline.engine.write_configuration()
    pipeline.engine.process.send_signal(signal.SIGHUP)
    pipeline.engine.wait_log("SIGHUP asked to read the configuration again: changed: sinks[0].visible")
    pipeline.engine.wait_log("opened again")
    pipeline.wait_streaming()
    pipeline.source.execute("insert into t values (5000, 'x')")
    pipeline.assert_follows("public.t")
    pipeline.engine.config_path.write_text("name: [")
    pipeline.engine.process.send_signal(signal.SIGHUP)
    pipeline.engine.wait_log("warn  shop: SIGHUP asked to read the configuration again:")
    assert pipeline.engine.is_running()
    pipeline.engine.stop()


def test_the_log_level_changes(pipeline):
    start(pipeline)
    assert "debug" in command(pipeline, "log-level", "debug")
    pipeline.source.execute("insert into t values (5000, 'x')")
    pipeline.wait_applied()
    pipeline.engine.wait_log(" debug shop: ")
    command(pipeline, "log-level", "error")
    assert "expected" in command(pipeline, "log-level", "loud", code=2)
    pipeline.engine.stop()


def test_commands_without_an_engine_say_so(pipeline):
    assert "no engine runs" in command(pipeline, "reload", code=1)
    assert "no engine runs" in command(pipeline, "log-level", "debug", code=1)
    assert "no sink has the name" in command(pipeline, "pause", "--sink", "other", code=2)


# Messages in the WAL


def emit(pipeline, text, transactional=True):
    return f"select pg_logical_emit_message({str(transactional).lower()}, 'pgcdc', '{text}')"


@pytest.fixture
def signalled(pipeline):
    pipeline.engine.configuration["signals"] = True
    start(pipeline)
    return pipeline


def wait_held(pipeline):
    return wait_until(lambda: (ask(pipeline, state=True)["paused"] or [{"held": False}])[0]["held"], "the sink to hold")


def test_a_message_pauses_right_after_its_transaction(signalled):
    pause = emit(signalled, '{"pause": true}')
    writes = [f"begin; insert into t values ({1000 + i}, 'x'); {pause if i == 50 else 'select 1'}; insert into t values ({2000 + i}, 'y'); commit"
              for i in range(100)]
    signalled.engine.freeze()  # all of it comes in one batch or two
    for sql in writes:
        signalled.source.execute(sql)
    signalled.engine.thaw()
    wait_held(signalled)
    assert count(signalled) == 100 + 2 * 51
    assert "the message at " in ask(signalled, state=True)["paused"][0]["by"]
    command(signalled, "resume")
    signalled.assert_follows("public.t")
    assert ask(signalled, state=True)["paused"] == []
    signalled.engine.stop()


@pytest.mark.parametrize("point", [pytest.param("pause-written", marks=pytest.mark.long), "pause-stored", pytest.param("runner-paused", marks=pytest.mark.long)])
def test_a_message_is_obeyed_once_whatever_is_killed(pipeline, point):
    pipeline.engine.configuration["signals"] = True
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.start(environment={"PGCDC_FAULT": point})
    pipeline.source.execute(f"begin; insert into t values (1, 'x'); {emit(pipeline, PAUSE)}; insert into t values (2, 'y'); commit")
    pipeline.source.execute("insert into t values (3, 'after')")
    pipeline.engine.wait_exit()
    pipeline.wait_slot_free()
    pipeline.engine.start()
    pipeline.wait_streaming()
    wait_held(pipeline)
    assert count(pipeline) == 2
    command(pipeline, "resume")
    pipeline.engine.kill()
    pipeline.wait_slot_free()
    pipeline.start()
    pipeline.assert_follows("public.t")
    assert ask(pipeline, state=True)["paused"] == []
    pipeline.engine.stop()


def test_other_messages(signalled):
    """One that is malformed is logged with its place, and the stream goes on."""
    signalled.source.execute(emit(signalled, "garbage"))
    signalled.source.execute(emit(signalled, '{"pause": true}', transactional=False))
    signalled.source.execute(emit(signalled, '{"pause": "no_such"}'))
    signalled.source.execute("begin; " + emit(signalled, '{"pause": true}') + "; rollback")
    signalled.source.execute("select pg_logical_emit_message(true, 'other', '{\"pause\": true}')")
    for _ in range(40):
        signalled.source.execute(emit(signalled, '{"log_level": "debug"}'))
    signalled.sink_configuration["visible"] = "durable"
    signalled.engine.write_configuration()
    signalled.source.execute(emit(signalled, '{"reload": true}'))
    signalled.engine.wait_log("a message in the WAL asked to read the configuration again: changed: sinks[0].visible")
    signalled.source.execute("insert into t values (5000, 'x')")
    signalled.assert_follows("public.t")
    log = signalled.engine.log_text()
    assert log.count("with prefix pgcdc is ignored: the request is wrong: it is not JSON") == 1
    assert log.count("with prefix pgcdc is ignored: it is not transactional") == 1
    assert log.count("with prefix pgcdc is ignored: the pipeline has no sink of the name") == 1
    assert " debug shop: " in log and ask(signalled, state=True)["paused"] == []
    signalled.engine.stop()


def test_messages_do_nothing_unless_asked_for(pipeline):
    start(pipeline)
    pipeline.source.execute(emit(pipeline, '{"pause": true}'))
    pipeline.source.execute("insert into t values (5000, 'x')")
    pipeline.assert_follows("public.t")
    assert ask(pipeline, state=True)["paused"] == []
    pipeline.engine.stop()


# The socket


def test_only_root_and_the_engines_user_may_ask(pipeline):
    start(pipeline)
    path = socket_path(pipeline)
    assert path.stat().st_mode & 0o777 == 0o600
    folders = [path, *path.parents][:-1]
    modes = {folder: folder.stat().st_mode for folder in folders}
    script = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
              " print(s.makefile().readline())")
    command_line = ["setpriv", "--reuid", "nobody", "--clear-groups", "/usr/bin/python3", "-c", script]
    folder = os.open(pipeline.state, os.O_PATH)
    try:
        refused = subprocess.run([*command_line, str(path)], capture_output=True, text=True, check=False)
        assert "PermissionError" in refused.stderr
        for folder_path, mode in modes.items():
            os.chmod(folder_path, (mode & 0o7777) | (0o666 if folder_path == path else 0o111))
        answer = subprocess.run([*command_line, str(path)], capture_output=True, text=True, check=True)
        assert json.loads(answer.stdout)["error"] == "only root and the engine's own user may ask"
    finally:
        os.close(folder)
        for folder_path, mode in modes.items():
            if folder_path.exists():
                os.chmod(folder_path, mode & 0o7777)
    assert ask(pipeline, state=True)["paused"] == []
    pipeline.engine.stop()


MALFORMED = ["", "garbage", "[]", "{}", '{"pause": 1}', '{"pause": true, "resume": true}', '{"log_level": "x"}', '{"drop": true}', '{"pause": "no_such"}',
             '{"pause": "' + "x" * 100 + '"}', "[" * 2000]


def test_a_malformed_request_changes_nothing(pipeline):
    start(pipeline)
    for line in MALFORMED:
        answer = ask_line(pipeline, line)
        assert answer["ok"] is False and answer["error"], line
    assert ask(pipeline, state=True)["paused"] == []


def test_hostile_clients_block_nobody(pipeline):
    start(pipeline)
    half = connect(pipeline)
    half.sendall(b'{"pause": ')
    crowd = []
    for _ in range(300):
        try:
            crowd.append(connect(pipeline))
        except OSError:
            break
    huge = connect(pipeline)
    try:
        for _ in range(200):
            huge.sendall(b"x" * 65536)
    except OSError:
        pass
    deaf = connect(pipeline)
    try:
        deaf.setblocking(False)
        for _ in range(20000):
            deaf.send(b'{"state": true}\n')
    except OSError:
        pass
    assert ask(pipeline, state=True)["ok"] is True
    pipeline.source.execute("insert into t values (5000, 'x')")
    pipeline.assert_follows("public.t")
    command(pipeline, "pause")
    command(pipeline, "resume")
    for connection in [half, huge, deaf, *crowd]:
        connection.close()
    pipeline.engine.stop()
    assert not socket_path(pipeline).exists()


def test_a_second_engine_leaves_the_socket_of_the_first(pipeline):
    start(pipeline)
    refused = pipeline.engine.command("run")
    assert refused.returncode == 6 and "already run by pid" in refused.stderr
    command(pipeline, "pause")
    command(pipeline, "resume")
    pipeline.engine.stop()


def test_a_long_path_works_and_drop_forgets_a_pause(pipeline):
    """A socket's own path has 107 bytes at most."""
    long = pipeline.state / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    pipeline.engine.configuration["state"] = str(long)
    pipeline.state = long
    start(pipeline)
    command(pipeline, "pause")
    pipeline.engine.stop()
    command(pipeline, "drop")
    assert not [path.name for path in long.iterdir()]
