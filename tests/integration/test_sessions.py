# SPDX-License-Identifier: Apache-2.0
"""Sessions work whatever others do to servers: settings of a DBA, locks, hosts that do not exist."""

import os
import pty
import signal
import socket
import subprocess
import time

import psycopg2
import pytest

from support.wait import wait_until
from support.wire_proxy import WireProxy

T = "create table t (id int primary key, v text, m money, d timestamptz, f float8, b bytea, i interval);" \
    "create table other (id int primary key, v text)"
ROW = "1234.5::float8::numeric::money, '2020-05-04 03:02:01+00', 0.1::float8, '\\x01', '1 day 2 h'"

# Each would break something that is not pinned.
SETTINGS = {
    "statement_timeout": "'30ms'", "lock_timeout": "'1ms'", "idle_in_transaction_session_timeout": "'30ms'", "idle_session_timeout": "'30ms'",
    "default_transaction_read_only": "on", "default_transaction_isolation": "serializable", "default_transaction_deferrable": "on",
    "client_min_messages": "error", "exit_on_error": "on", "datestyle": "'SQL, DMY'", "intervalstyle": "iso_8601", "timezone": "'Asia/Tokyo'",
    "bytea_output": "escape", "extra_float_digits": "-10", "lc_monetary": "'C.UTF-8'", "xmloption": "document", "xmlbinary": "hex",
    "search_path": "nowhere", "quote_all_identifiers": "on", "standard_conforming_strings": "off", "backslash_quote": "on",
    "array_nulls": "off", "transform_null_equals": "on", "row_security": "on", "default_tablespace": "''",
    "gin_fuzzy_search_limit": "1", "plan_cache_mode": "force_generic_plan", "enable_indexscan": "off", "enable_nestloop": "off",
    "enable_hashjoin": "off", "join_collapse_limit": "1", "synchronous_commit": "off", "session_replication_role": "replica",
    "check_function_bodies": "off", "escape_string_warning": "on", "default_toast_compression": "pglz", "enable_partition_pruning": "off", "constraint_exclusion": "on",
}


@pytest.mark.parametrize("version", ["14", "18"])
def test_no_default_of_a_database_or_a_role_hurts(new_pipeline, shared_clusters, version):
    """All at once, on database and role, at both sides, over copy, stream, check, status, verify and drop."""
    pipeline = new_pipeline(shared_clusters("source", version), shared_clusters("target", version))
    role = f"pinned{version}"
    settings = {**SETTINGS, **({"transaction_timeout": "'100ms'", "restrict_nonsystem_relation_kind": "'view, foreign-table'"} if version == "18" else {})}
    pipeline.source.execute(T + f"; insert into t select g, 'x', {ROW} from generate_series(1, 5000) g")
    for side, configuration in ((pipeline.source, pipeline.source_configuration), (pipeline.target, pipeline.sink_configuration)):
        side.execute(f"create role {role} superuser login")
        for name, value in settings.items():
            side.execute(f"alter role {role} set {name} = {value}")
            side.execute(f"alter role {role} in database {side.name} set {name} = {value}")
        configuration["dsn"] = side.dsn(user=role)
    try:
        assert pipeline.engine.command("check").returncode == 0
        pipeline.engine.catch_up()
        pipeline.source.execute(f"insert into t select g, 'y', {ROW} from generate_series(5001, 50000) g; update t set v = 'z' where id < 100")
        pipeline.engine.catch_up()
        for command in ("status", "verify", "drop"):
            result = pipeline.engine.command(command)
            assert result.returncode == 0, result.stdout + result.stderr
        pipeline.assert_equal("public.t")
    finally:
        for side in (pipeline.source, pipeline.target):
            side.execute(f"reassign owned by {role} to postgres; drop owned by {role}; drop role {role}")


def test_pages_that_are_read_as_empty_are_refused(new_pipeline, shared_clusters):
    """zero_damaged_pages turns lost rows into rows that never were; a plain role cannot switch it off."""
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    pipeline.source.execute(T + "; create role zeroes login replication; alter role zeroes set zero_damaged_pages = on")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(user="zeroes")
    try:
        result = pipeline.engine.command("run", "--until", "caught-up")
        assert result.returncode == 2, result.stderr
        assert "alter role zeroes reset zero_damaged_pages" in result.stderr
    finally:
        pipeline.source.execute("drop role zeroes")


def locked(database, statement):
    connection = database.connect(autocommit=False, application_name="in_the_way")
    connection.cursor().execute(statement)
    return connection


def test_a_locked_table_stops_neither_a_start_nor_status_nor_check(pipeline):
    pipeline.source.execute(T)
    pipeline.engine.catch_up()
    holder = locked(pipeline.source, "lock table other in access exclusive mode")
    try:
        pipeline.source.execute("insert into t (id) values (1)")
        pipeline.engine.catch_up(timeout_s=30)
        assert pipeline.engine.command("status", timeout_s=20).returncode == 0
        checked = pipeline.engine.command("check", timeout_s=30)
        assert "table public.other is locked by pid" in checked.stdout + checked.stderr
        assert "in_the_way" in checked.stdout + checked.stderr
    finally:
        holder.close()
    pipeline.assert_equal("public.t")


def test_a_copy_that_a_lock_holds_up_says_by_whom(pipeline):
    pipeline.source.execute(T + "; insert into other values (1, 'x')")
    holder = locked(pipeline.source, "lock table other in access exclusive mode; select 'secret' as x")
    pipeline.engine.start()
    pipeline.engine.wait_log("table public.other")
    assert "in_the_way" in pipeline.engine.log_text()
    assert "secret" not in pipeline.engine.log_text()
    holder.close()
    pipeline.wait_streaming()
    pipeline.assert_follows("public.other")


def test_a_row_that_is_locked_in_the_target_names_its_holder(pipeline):
    pipeline.source.execute(T + "; insert into other values (1, 'x')")
    pipeline.start()
    holder = locked(pipeline.target, "select * from other where v <> 'secret' for update")
    pipeline.source.execute("update other set v = 'y'")
    pipeline.engine.wait_log("held by pid")
    assert "in_the_way" in pipeline.engine.log_text()
    assert "secret" not in pipeline.engine.log_text()
    holder.close()
    pipeline.assert_follows("public.other")


@pytest.mark.long
def test_a_long_wait_for_a_lock_is_not_a_dead_peer(pipeline):
    """The server does not read while it waits, and TCP_USER_TIMEOUT of 30 s ended the session that had more to send, again and again."""
    pipeline.source.execute(T)
    pipeline.start()
    applies = "select array_agg(pid order by pid) from pg_stat_activity where datname = current_database() and application_name like 'pgcdc%'"
    change = "begin; update t set v = {0} where id = 1; insert into other values ({0}, repeat('x', {1})); commit"
    pipeline.source.execute("insert into t (id) values (1)")
    for number in (1, 2, 3):
        pipeline.source.execute(change.format(number, 10))
        pipeline.wait_applied()
    holder = locked(pipeline.target, "select from t where id = 1 for update")
    pids = pipeline.target.value(applies)
    pipeline.source.execute(change.format(4, 40000000))
    try:
        pipeline.engine.wait_log("held by pid")
        wait_until(lambda: pipeline.target.value("select clock_timestamp() - query_start > '36 s' from pg_stat_activity"
                                                 " where application_name = 'in_the_way'"), "36 s")
        assert pipeline.target.value(applies) == pids, pipeline.engine.log_text()
    finally:
        holder.close()
    pipeline.assert_follows("public.other")
    assert "retrying within" not in pipeline.engine.log_text()


def test_a_stream_that_is_not_read_for_a_while_is_not_ended(pipeline):
    """tcp_user_timeout of the source's role ended the walsender whenever the target waited for a lock for longer."""
    pipeline.source.execute(T + f"; alter database {pipeline.source.name} set tcp_user_timeout = '2s'")
    pipeline.start()
    holder = locked(pipeline.target, "lock table other in access exclusive mode")
    pid = pipeline.slot()["active_pid"]
    pipeline.source.execute("insert into other select g, repeat('x', 1000) from generate_series(1, 60000) g")
    try:
        pipeline.engine.wait_log("held by pid")
        wait_until(lambda: pipeline.target.value("select clock_timestamp() - query_start > '8 s' from pg_stat_activity"
                                                 " where application_name = 'in_the_way'"), "8 s")
        assert pipeline.slot()["active_pid"] == pid, pipeline.engine.log_text()
    finally:
        holder.close()
    pipeline.assert_follows("public.other")


class BlackHole:
    """A port that takes connections and never says a word."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()


def two_hosts(database, hole, more):
    return f"host=127.0.0.1,127.0.0.1 port={hole.port},{database.cluster.port} user=postgres dbname={database.name} {more}"


def test_each_host_of_a_dsn_has_its_own_time(pipeline):
    """One time for all hosts was spent on the first one, which swallowed everything, at each attempt again."""
    pipeline.source.execute(T + "; insert into t (id) values (1)")
    with BlackHole() as hole:
        pipeline.source_configuration["dsn"] = two_hosts(pipeline.source, hole, "connect_timeout=2 target_session_attrs=read-write")
        pipeline.sink_configuration["dsn"] = two_hosts(pipeline.target, hole, "connect_timeout=2 target_session_attrs=prefer-standby")
        pipeline.engine.catch_up(timeout_s=120)
    pipeline.assert_equal("public.t")


@pytest.mark.parametrize("command, side", [(command, "source") for command in ("run", "check", "status", "verify", "tail", "drop")] +
                         [(command, "sink") for command in ("run", "check", "status", "verify", "drop")])
def test_every_command_ends_soon_when_it_waits_for_a_silent_server(pipeline, command, side):
    pipeline.source.execute(T)
    with BlackHole() as hole:
        silent = f"host=127.0.0.1 port={hole.port} user=postgres dbname=x connect_timeout=0"
        configuration = pipeline.source_configuration if side == "source" else pipeline.sink_configuration
        configuration["dsn"] = silent
        engine = pipeline.engine
        engine.write_configuration()
        process = engine.spawn(command)
        hole.socket.settimeout(60)
        held, _ = hole.socket.accept()
        process.terminate()
        began = time.monotonic()
        process.wait(30)
        assert time.monotonic() - began < 5
        held.close()


@pytest.mark.parametrize("is_deaf", [False, True], ids=["answers", "black_hole"])
@pytest.mark.parametrize("command", ["run", "tail"])
def test_a_slot_that_waits_is_cancelled(pipeline, command, is_deaf):
    """The request goes over a connection of its own, which may find nobody: the end waits for it a short time only."""
    pipeline.source.execute(T + "; insert into other values (1, 'a'); create publication shop for table t, other")
    writer = pipeline.source.connect(autocommit=False)
    waiting = "select pid from pg_stat_activity where backend_type = 'walsender' and datname = current_database()"
    with WireProxy(pipeline.source.cluster.port) as proxy:
        direct, pipeline.source_configuration["dsn"] = pipeline.source_configuration["dsn"], proxy.dsn(pipeline.source)
        pipeline.engine.write_configuration()
        writer.cursor().execute("insert into other values (2, 'b')")
        process = pipeline.engine.spawn(command)
        wait_until(lambda: pipeline.source.execute(waiting + " and query like 'CREATE_REPLICATION_SLOT%%' and wait_event_type = 'Lock'"), "the slot to wait")
        proxy.is_deaf, count = is_deaf, proxy.count
        process.terminate()
        began = time.monotonic()
        process.wait(30)
        assert time.monotonic() - began < (5 if is_deaf else 2)
        assert proxy.count == count + 1, "the request to cancel"
        if not is_deaf:
            wait_until(lambda: not pipeline.source.execute(waiting), "the creation to be given up")
            assert pipeline.slot() is None
    writer.commit()
    writer.close()
    wait_until(lambda: not pipeline.source.execute(waiting), "the walsender to end")
    pipeline.source_configuration["dsn"] = direct
    pipeline.engine.catch_up()
    pipeline.assert_equal("public.t", "public.other")


@pytest.mark.parametrize("command", ["run", "check", "drop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_every_command_ends_soon_when_it_waits_for_a_silent_broker(pipeline, command, number):
    """Asking a cluster what it has could not be interrupted for 5 s."""
    pipeline.source.execute(T)
    with BlackHole() as hole:
        pipeline.engine.configuration["sinks"] = [{"name": "stream", "type": "kafka", "brokers": f"127.0.0.1:{hole.port}"}]
        pipeline.engine.write_configuration()
        process = pipeline.engine.spawn(command)
        hole.socket.settimeout(60)
        held, _ = hole.socket.accept()
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        began = time.monotonic()
        process.wait(30)
        assert time.monotonic() - began < 3
        held.close()


def test_check_gives_a_broker_that_cannot_be_reached_up_soon(pipeline):
    pipeline.source.execute(T)
    with BlackHole() as hole:
        pipeline.engine.configuration["sinks"] = [{"name": "stream", "type": "kafka", "brokers": f"127.0.0.1:{hole.port}"}]
        began = time.monotonic()
        report = pipeline.engine.json("check")
        assert time.monotonic() - began < 15
    finding = next(finding for finding in report["findings"] if finding["where"] == "sink stream")
    assert finding["code"] == "connection" and "start the cluster, or correct brokers" in finding["fix"]


def test_a_lost_publication_is_refused_in_every_language(own_cluster, shared_clusters, new_pipeline):
    """18 skips it with a warning, which a role may have silenced and a server says in German; the program knew the English words."""
    cluster = own_cluster("german", "18")
    try:
        cluster.execute("alter system set lc_messages = 'de_DE.UTF-8'")
    except psycopg2.Error:
        pytest.skip("no locale de_DE.UTF-8 on this machine")
    cluster.reload()
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute(T + "; alter role postgres set client_min_messages = error")
    pipeline.engine.catch_up()
    pipeline.source_configuration["snapshot"] = "never"  # else the row is found to be older than its publication
    pipeline.source.execute("drop publication shop; insert into t (id) values (1); create publication shop for table t, other")
    result = pipeline.engine.command("run", "--until", "caught-up", timeout_s=60)
    assert result.returncode == 3, result.stderr
    assert "publication" in result.stderr
    assert pipeline.target.value("select count(*) from t") == 0


def test_every_session_has_the_pipelines_name(new_pipeline, shared_clusters):
    """With five pipelines a DBA sees whose walsender it is; the longest name is not cut."""
    name = "p" * 50
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"), name=name)
    pipeline.source_configuration["dsn"] += " application_name=other"
    pipeline.source.execute(T)
    pipeline.start()
    names = "select distinct application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    walsender = "select application_name from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid where slot_name = %s"
    assert pipeline.source.execute(walsender, (name,)) == [(f"pgcdc:{name}",)]
    for side in (pipeline.source, pipeline.target):
        assert [row for row in side.execute(names) if row[0]] == [(f"pgcdc:{name}",)]


def test_no_name_of_a_table_moves_the_cursor(pipeline):
    """Any role that may create a table chooses its name; no part of it may control a terminal or begin a log line."""
    name = 'a\x1b[2J\x07\n2026 error: forged\x9b'
    quoted = '"' + name + '"'
    pipeline.source.execute(f"create table {quoted} (v text); create publication shop for table {quoted}")
    pipeline.source_configuration["publication"] = "shop"
    outputs = [pipeline.engine.command("check"), pipeline.engine.command("check", "--sql", "source"), pipeline.engine.command("run", "--until", "caught-up"),
               pipeline.engine.command("status"), pipeline.engine.command("verify"), pipeline.engine.command("drop")]
    for result in outputs:
        text = result.stdout + result.stderr
        assert not any(ord(letter) < 32 and letter != "\n" or letter == "\x9b" for letter in text), repr(text)
        assert "\n2026 error" not in text, text
    assert any("\\x1b[2J\\x07" in result.stdout + result.stderr for result in outputs)
    assert 'U&"a\\001b[2J' in outputs[0].stdout + outputs[1].stdout, outputs[0].stdout


def test_no_name_of_a_table_moves_the_cursor_of_the_progress_bar(pipeline):
    pipeline.source.execute('create table "a\x1b[2J\x07" (id int primary key, v text);'
                            'insert into "a\x1b[2J\x07" select g, repeat(\'x\', 200) from generate_series(1, 300000) g')
    pipeline.engine.write_configuration()
    ours, theirs = pty.openpty()
    process = subprocess.Popen([pipeline.engine.program, "run", "-c", pipeline.engine.config_path, "--until", "caught-up"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65536):
            drawn += part
    except OSError:
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"\\x1b[2J\\x07" in drawn and b"\x1b[2J" not in drawn and b"\x07" not in drawn, drawn


def test_a_role_with_a_single_connection_is_enough_at_the_source(new_pipeline, shared_clusters):
    """Besides that of the stream: a start that continues asks all its questions on one session."""
    pipeline = new_pipeline(shared_clusters("source"), shared_clusters("target"))
    pipeline.source.execute(T + "; insert into other values (1, 'a'); create role single login replication superuser")
    pipeline.source_configuration["dsn"] = pipeline.source.dsn(user="single")
    pipeline.engine.catch_up()
    try:
        pipeline.source.execute("alter role single nosuperuser connection limit 1; alter table t owner to single;"
                                " alter table other owner to single; insert into other values (2, 'b')")
        pipeline.engine.catch_up()
        pipeline.assert_equal()
    finally:
        pipeline.source.execute("alter role single superuser connection limit -1")
