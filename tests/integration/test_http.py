# SPDX-License-Identifier: Apache-2.0
"""`http`: metrics as Prometheus reads them, health in words, and a server that a client cannot harm."""

import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.scrape import Prometheus, Served, prometheus_program
from support.server import free_port
from support.wait import wait_until

SINK = "warehouse"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def served(pipeline):
    return Served(pipeline.engine)


def start_with_a_table(pipeline, rows=100):
    pipeline.execute_both("create table t (id int primary key, v text)")
    pipeline.source.execute(f"insert into t select g, 'x' from generate_series(1, {rows}) g")
    pipeline.start()


def raw(port, data=b""):
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(data)
    return connection


def read_all(connection):
    with connection:
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer.decode("latin-1")


# Metrics


def test_metrics_are_what_promtool_accepts(pipeline, served):
    start_with_a_table(pipeline)
    pipeline.source.execute("insert into t values (1000, 'y'); update t set v = 'z' where id = 1; delete from t where id = 2")
    pipeline.wait_applied()
    status, text = served.get("/metrics")
    assert status == 200
    checked = subprocess.run([prometheus_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", ""), checked


def test_the_manual_has_every_metric_and_no_other(pipeline, served):
    """Those of a copy are there only while one runs; the limit of the slot's WAL only when the source has one."""
    start_with_a_table(pipeline)
    page = (ROOT / "cdc/manual/monitoring.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(pgcdc_\w+)", page, re.M))
    served.wait_value("pgcdc_slot_retained_wal_bytes", lambda value: value >= 0)
    served.wait_value("pgcdc_copy_runs", lambda value: value == 0)
    found = set(re.findall(r"^# TYPE (\w+)", served.get("/metrics")[1], re.M))
    absent = {name for name in documented if name.startswith("pgcdc_copy_") and name != "pgcdc_copy_runs"} | {"pgcdc_slot_safe_wal_bytes"}
    assert found == documented - absent


def test_changes_are_counted_by_table_and_operation(pipeline, served):
    name = 'od"d\\ta\nble'
    quoted = '"' + name.replace('"', '""') + '"'
    pipeline.execute_both(f"create table {quoted} (id int primary key, v int)")
    start_with_a_table(pipeline)
    pipeline.source.execute(f"insert into {quoted} select g, 0 from generate_series(1, 7) g; update {quoted} set v = 1 where id <= 5;"
                            f" delete from {quoted} where id <= 3; truncate t")
    pipeline.wait_applied()
    counted = {"insert": 7, "update": 5, "delete": 3}
    for op, count in counted.items():
        served.wait_value("pgcdc_changes_total", lambda value, count=count: value == count, sink=SINK, table="public." + name, op=op)
    served.wait_value("pgcdc_changes_total", lambda value: value == 1, sink=SINK, table="public.t", op="truncate")
    samples = served.samples()
    ours = [value for (name, labels), value in samples.items() if name == "pgcdc_changes_total"]
    assert sum(ours) == sum(counted.values()) + 1
    activity = {sink["name"]: sink for sink in pipeline.engine.json("status")["sinks"]}[SINK]
    wait_until(lambda: pipeline.engine.json("status")["sinks"][0]["changes"] == sum(ours), lambda: f"status to say {ours}: {activity}")


def test_tables_beyond_the_cap_are_counted_together(pipeline, served):
    count, cap = 300, 256
    ddl = ";".join(f"create table many_{i} (id int primary key)" for i in range(count))
    pipeline.execute_both(ddl)
    pipeline.start()
    pipeline.source.execute(";".join(f"insert into many_{i} values (1)" for i in range(count)))
    pipeline.wait_applied()
    served.wait_value("pgcdc_changes_total", lambda value: value == count - cap, sink=SINK, table="*", op="insert")
    tables = [labels for (name, labels) in served.samples() if name == "pgcdc_changes_total"]
    assert len(tables) == cap + 1


def test_lag_is_zero_when_idle_and_grows_when_stuck(pipeline, served):
    start_with_a_table(pipeline)
    served.wait_value("pgcdc_lag_seconds", lambda value: value == 0, sink=SINK)
    assert served.value("pgcdc_lag_bytes", sink=SINK) == 0
    holder = pipeline.target.connect(autocommit=False)
    try:
        holder.cursor().execute("lock table t in access exclusive mode")
        pipeline.source.execute("insert into t values (1000, 'stuck')")
        first = served.wait_value("pgcdc_lag_seconds", lambda value: value > 1, sink=SINK)
        served.wait_value("pgcdc_lag_seconds", lambda value: value > first + 1, sink=SINK)
        assert served.value("pgcdc_lag_bytes", sink=SINK) > 0
    finally:
        holder.rollback()
        holder.close()
    served.wait_value("pgcdc_lag_seconds", lambda value: value == 0, sink=SINK)


def test_the_stages_are_in_order(pipeline, served):
    start_with_a_table(pipeline)
    pipeline.source.execute("insert into t values (1000, 'y')")
    pipeline.wait_applied()

    last = []

    def settled():
        samples = served.samples()
        stages = {dict(labels)["stage"]: value for (name, labels), value in samples.items() if name == "pgcdc_stage_lsn_bytes"}
        last[:] = [stages]
        order = [stages.get(stage, 0) for stage in ("confirmed", "checkpoint", "durable", "visible", "written")]
        return stages if order[0] > 0 and order == sorted(order) else None
    stages = wait_until(settled, lambda: f"every stage in order: {last}")
    position = pipeline.source.value("select %s::pg_lsn - '0/0'::pg_lsn", (pipeline.position(),))
    assert stages["durable"] <= position


def test_rows_left_out_and_tables_proven_equal_are_shown(pipeline, served):
    pipeline.engine.configuration["mapping"] = [{"match": "public.t", "where": "id < 1000"}]
    start_with_a_table(pipeline)
    pipeline.engine.stop()
    pipeline.engine.configuration["verify"] = {"continuous": "50MB/s"}
    pipeline.start()
    pipeline.source.execute("insert into t values (500, 'y'), (1000, 'y'), (1001, 'y')")
    served.wait_value("pgcdc_filtered_total", lambda value: value == 2, sink=SINK, rule="public.t", table="public.t")
    served.wait_value("pgcdc_verified_age_seconds", lambda value: 0 <= value < 600, sink=SINK, table="public.t")
    assert served.value("pgcdc_verified_different", sink=SINK, table="public.t") == 0


def test_a_prometheus_scrapes_it(pipeline, served, tmp_path):
    start_with_a_table(pipeline)
    with Prometheus(tmp_path, served.port) as prometheus:
        prometheus.wait_query("up{job='pgcdc'}", lambda found: [value for _, value in found] == [1])
        pipeline.source.execute("insert into t select g, 'y' from generate_series(1001, 1050) g")
        prometheus.wait_query("sum(pgcdc_changes_total{table='public.t', op='insert'})", lambda found: [value for _, value in found] == [50])
        found = prometheus.wait_query("histogram_quantile(0.99, sum by (le) (pgcdc_latency_seconds_bucket{stage='commit'}))", len)
        assert 0 < found[0][1] < 300
        assert prometheus.query("pgcdc_state == 1")[0][0]["state"] == "streaming"


def test_a_running_copy_shows_its_progress(pipeline, served):
    pipeline.execute_both("create table big (id int primary key, v text)")
    pipeline.source.execute("insert into big select g, repeat('x', 500) from generate_series(1, 2000) g")
    holder = pipeline.target.connect(autocommit=False)
    try:
        holder.cursor().execute("lock table big in access exclusive mode")
        pipeline.engine.start()
        served.wait_answers()
        served.wait_value("pgcdc_copy_runs", lambda value: value == 1)
        served.wait_value("pgcdc_copy_tables", lambda value: value == 1)
        assert "copy:" in served.wait_health("/startupz", 503, "not started", "copy: 0 of 1 table")
        served.wait_health("/readyz", 503, "copy: 0 of 1 table")
        assert served.get("/livez") == (200, "live\n")
    finally:
        holder.rollback()
        holder.close()
    served.wait_health("/startupz", 200, "started")
    served.wait_value("pgcdc_copy_runs", lambda value: value == 0)


def test_nothing_that_is_served_has_a_value_or_a_secret(pipeline, served):
    pipeline.execute_both("create table t (id text primary key, v text)")
    pipeline.sink_configuration["dsn"] += " password=topsecret"
    pipeline.start()
    pipeline.source.execute("insert into t values ('alpha-value', 'beta-value')")
    pipeline.wait_applied()
    pipeline.target.execute("delete from t")
    pipeline.source.execute("insert into t values ('gamma-value', 'x')")
    pipeline.wait_applied()
    text = "".join(served.get(path)[1] for path in ("/metrics", "/readyz", "/livez", "/startupz"))
    assert "public.t" in text
    for word in ("alpha-value", "beta-value", "gamma-value", "topsecret"):
        assert word not in text


# The server


def test_it_is_off_by_default(pipeline):
    start_with_a_table(pipeline)
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    assert f"pid={pipeline.engine.process.pid}," not in listening


def test_only_the_given_address_is_bound(pipeline, served):
    start_with_a_table(pipeline)
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    ours = [line.split()[3] for line in listening.splitlines() if f"pid={pipeline.engine.process.pid}," in line]
    assert ours == [f"127.0.0.1:{served.port}"]


def test_a_busy_port_is_refused_and_named(pipeline, served):
    with socket.socket() as other:
        other.bind(("127.0.0.1", served.port))
        other.listen()
        pipeline.engine.start()
        assert pipeline.engine.wait_exit() == 2
    assert f"http.listen: 127.0.0.1:{served.port} is in use by another process; give this pipeline another port" in pipeline.engine.log_text()


def test_a_second_engine_is_told_of_the_first_one_not_of_the_port(pipeline, served):
    start_with_a_table(pipeline)
    second = pipeline.engine.command("run")
    assert second.returncode == 6 and "http" not in second.stderr, second.stderr


def test_an_address_of_another_machine_is_refused(pipeline, served):
    pipeline.engine.configuration["http"]["listen"] = f"192.0.2.1:{served.port}"
    pipeline.engine.start()
    assert pipeline.engine.wait_exit() == 2
    assert "give an address of this machine" in pipeline.engine.log_text()


@pytest.mark.parametrize("listen", ["9187", ":9187", "localhost:9187", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:9187", "[127.0.0.1]:9187",
                                    "127.0.0.1:91 87", "[::1]", "*:9187"])
def test_what_is_no_address_is_refused(pipeline, served, listen):
    pipeline.engine.configuration["http"]["listen"] = listen
    refused = pipeline.engine.command("status")
    assert refused.returncode == 2 and "http.listen: expected a numeric address and a port" in refused.stderr, refused.stderr


def test_a_restart_gets_the_port_again_at_once(pipeline, served):
    start_with_a_table(pipeline)
    kept = raw(served.port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    assert kept.recv(4096).startswith(b"HTTP/1.1 200")
    pipeline.engine.stop()
    kept.close()
    pipeline.start()
    assert served.get("/livez")[0] == 200


def test_ipv6_can_be_served(pipeline):
    port = free_port()
    pipeline.engine.configuration["http"] = {"listen": f"[::1]:{port}"}
    start_with_a_table(pipeline)
    try:
        connection = socket.create_connection(("::1", port), timeout=30)
    except OSError:
        pytest.skip("this machine has no IPv6")
    connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
    assert " 200 " in read_all(connection)


def test_other_paths_and_methods_are_refused(pipeline, served):
    start_with_a_table(pipeline)
    assert served.get("/nothing")[0] == 404
    assert served.get("/index.html")[0] == 404
    assert served.get("/metrics/../livez")[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert served.get("/metrics", method)[0] == 405
    assert served.get("/metrics", "HEAD") == (200, "")
    answer = read_all(raw(served.port, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n" + b"x" * 5000))
    assert " 405 " in answer.splitlines()[0]


def test_huge_and_broken_requests_do_no_harm(pipeline, served):
    start_with_a_table(pipeline)
    before = served.value("pgcdc_process_resident_memory_bytes")
    requests = [b"GET /" + b"a" * 5_000_000 + b" HTTP/1.1\r\n\r\n",
                b"GET /metrics HTTP/1.1\r\n" + b"X: " + b"b" * 5_000_000 + b"\r\n\r\n",
                b"GET /metrics HTTP/1.1\r\n" + b"".join(b"H%d: v\r\n" % i for i in range(100_000)) + b"\r\n",
                b"\x00\xff\x16\x03\x01" * 10_000,
                b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"c" * 1_000_000]
    for request in requests:
        try:
            answer = read_all(raw(served.port, request))
        except OSError:
            continue  # it has closed the connection while the request was being sent
        assert "HTTP/1.1 200" not in answer
    after = served.value("pgcdc_process_resident_memory_bytes")
    assert after - before < 4_000_000
    pipeline.source.execute("insert into t values (1000, 'y')")
    pipeline.assert_follows()


def test_slow_clients_hold_up_nothing_and_are_closed(pipeline, served):
    """More connections than it takes: the rest waits or is refused, the stream goes on, and the port is usable again."""
    start_with_a_table(pipeline)
    slow = []
    for _ in range(60):
        try:
            slow.append(raw(served.port, b"GET /metr"))
        except OSError:
            pass
    assert len(slow) >= 32
    pipeline.source.execute("insert into t values (1000, 'y')")
    pipeline.assert_follows()
    wait_until(served.answers, "the silent connections to be closed", 60)
    for connection in slow:
        connection.close()
    pipeline.engine.stop()


def test_clients_that_drip_keep_no_one_out_and_are_closed(pipeline, served):
    """A byte now and then is no silence. Others are served at once, in place of the oldest that has not asked; and each ends in time."""
    start_with_a_table(pipeline)
    dripping, ended, started = [raw(served.port, b"GET /metr") for _ in range(40)], [], time.monotonic()
    while len(ended) < len(dripping):
        for connection in dripping:
            try:
                connection.sendall(b"i")
            except OSError:
                ended.append(connection)
        asked = time.monotonic()
        assert served.get("/livez") == (200, "live\n")
        assert time.monotonic() - asked < 2, "the dripping clients kept this one out"
        dripping = [connection for connection in dripping if connection not in ended]
        if not dripping:
            break
        assert time.monotonic() - started < 30, f"{len(dripping)} connections are still open"
        time.sleep(0.5)
    assert time.monotonic() - started > 5, "they were closed at once, not in time"
    for connection in ended:
        connection.close()


def test_several_clients_are_served_at_once(pipeline, served):
    start_with_a_table(pipeline)
    clients = [raw(served.port, b"GET /metrics HTTP/1.0\r\n\r\n") for _ in range(20)]
    for client in clients:
        assert "pgcdc_up 1" in read_all(client)


def test_it_stops_with_connections_open(pipeline, served):
    start_with_a_table(pipeline)
    clients = [raw(served.port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n") for _ in range(5)]
    pipeline.engine.stop()
    for client in clients:
        client.close()
