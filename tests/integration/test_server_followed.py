# SPDX-License-Identifier: Apache-2.0
"""
What `check` finds of the servers themselves, the slot and what a slot waits for: brought about, followed to the letter, and then it is
ready, catches up and is equal.
"""

import json

import pytest

from test_findings_followed import assert_goes_on, codes_of, follow_sql, make_role, report_of

from support.engine import Engine
from support.wait import wait_until
from support.wire_proxy import WireProxy

SOON = {"PGCDC_INTERVAL_MS": "300"}


def finding_of(pipeline, code, **arguments):
    """The one finding of this code, or None."""
    report = json.loads(pipeline.engine.command("check", "--json", **arguments).stdout)
    return next((finding for finding in report["findings"] if finding["code"] == code), None)


def test_settings_of_a_server_that_was_made_for_no_replication(own_cluster, new_pipeline, shared_clusters):
    """Each round shows what the one before hid; a server that may not even let us in is last."""
    cluster = own_cluster("settings", "18", {"wal_level": "replica", "max_replication_slots": "1", "max_wal_senders": "0",
                                             "wal_sender_timeout": "500ms", "max_slot_wal_keep_size": "64MB",
                                             "idle_replication_slot_timeout": "5min"})
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key); insert into t values (1);"
                            " select pg_create_physical_replication_slot('other')")
    found = set()
    for _ in range(3):
        report = report_of(pipeline)
        found |= codes_of(report)
        if not codes_of(report, "problem", "warning"):
            break
        follow_sql(pipeline, "source")
        cluster.restart()
    assert found >= {"wal_level", "max_replication_slots", "replication_connection", "wal_sender_timeout",
                     "max_slot_wal_keep_size", "idle_replication_slot_timeout"}, found
    assert_goes_on(pipeline)


def test_a_slot_that_another_engine_reads(pipeline, program, tmp_path):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    other = Engine(program, tmp_path / "other", {**pipeline.engine.configuration, "state": str(tmp_path / "elsewhere")})
    pipeline.engine.write_configuration()
    other.start()
    try:
        wait_until(pipeline.is_streaming, "the other engine to stream")
        finding = finding_of(pipeline, "slot_active")
        assert "stop the other engine" in finding["fix"]
        other.stop()
    finally:
        other.kill()
    pipeline.wait_slot_free()
    assert finding_of(pipeline, "slot_active") is None
    assert_goes_on(pipeline)


def test_a_transaction_that_the_slot_would_wait_for(pipeline):
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    writer = pipeline.source.connect(autocommit=False)
    try:
        writer.cursor().execute("insert into t values (2)")
        finding = wait_until(lambda: finding_of(pipeline, "long_transaction", environment=SOON), "the transaction to be old")
        assert f"pid {writer.get_backend_pid()}, " in finding["what"]
        pipeline.source.execute(finding["fix"].removeprefix("wait for it, or: "))
        wait_until(lambda: finding_of(pipeline, "long_transaction", environment=SOON) is None, "it to be gone")
    finally:
        writer.close()
    assert_goes_on(pipeline)


@pytest.mark.parametrize("way", ["commit", "rollback"])
def test_a_prepared_transaction_of_another_database(pipeline, way):
    """Its fix was SQL for psql in the source's database, where it does not exist; and a prepared transaction must not be committed unasked."""
    cluster = pipeline.source.cluster
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    owner = cluster.connect()
    owner.cursor().execute("begin; create table prepared (id int); prepare transaction 'it''s'")
    owner.close()
    try:
        finding = finding_of(pipeline, "prepared_transaction")
        follow_sql(pipeline, "source")
        assert finding_of(pipeline, "prepared_transaction") == finding, "psql runs nothing of it"
        where, statements = finding["fix"].removeprefix("in database ").split(": ", 1)
        commit, rollback = statements.split(", or: ")
        cluster.execute(commit if way == "commit" else rollback, dbname=where)
        assert finding_of(pipeline, "prepared_transaction") is None
        assert_goes_on(pipeline)
    finally:
        for left, in cluster.execute("select quote_literal(gid) from pg_prepared_xacts"):
            cluster.execute(f"rollback prepared {left}")
        cluster.execute("drop table if exists prepared")


# What a superuser does so that a role is let in again, and what check prints for it.
CLOSED = {
    "connect": ("revoke connect on database {database} from public", 'grant connect on database "{database}" to "{role}";'),
    "limit of the role": ("alter role {role} connection limit 0", 'alter role "{role}" connection limit -1'),
    "limit of the database": ("alter database {database} connection limit 0", 'alter database "{database}" connection limit -1'),
    "nologin": ("alter role {role} nologin", 'alter role "{role}" login'),
}


@pytest.mark.parametrize("closed", CLOSED)
def test_a_role_that_the_server_does_not_let_in(pipeline, closed):
    """The fixes had the words ROLE and DATABASE in them, which psql took for names."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1)")
    role, dsn = make_role(pipeline.source, "replication")
    pipeline.source.execute(f"grant select on t to {role}; create publication shop for table t")
    pipeline.source_configuration["dsn"] = dsn
    names = {"role": role, "database": pipeline.source.name}
    close, opened = (sql.format(**names) for sql in CLOSED[closed])
    pipeline.source.cluster.execute(close)
    fix = finding_of(pipeline, "connection")["fix"]
    assert opened in fix, fix
    assert opened in pipeline.engine.command("run", "--until", "caught-up", "--retry-for", "1s").stderr.splitlines()[-1]
    pipeline.source.cluster.execute(opened)
    assert_goes_on(pipeline)


def test_each_stop_has_its_own_fix(pipeline):
    """Two rights were missing, and the first error printed the other right's grant."""
    pipeline.source.execute("create table t (id int primary key); insert into t values (1); create publication shop for table t")
    role, pipeline.source_configuration["dsn"] = make_role(pipeline.source)
    *others, last = pipeline.engine.command("run", "--until", "caught-up").stderr.splitlines()
    assert "replication role to start" in last and f'alter role "{role}" with replication;' in last, last
    assert any(f'grant select on table "public"."t" to "{role}";' in line for line in others), others
    follow_sql(pipeline, "source")
    assert_goes_on(pipeline)


# ---- the target's server, and versions ----

def fill(pipeline):
    pipeline.source.execute("create table t (id int primary key, v text); insert into t values (1, 'a')")


@pytest.mark.parametrize("way", ["close some", "raise it"])
def test_a_target_without_room_for_connections(own_cluster, new_pipeline, shared_clusters, way):
    """What is reserved for some roles is no room: a server of 16 and later kept more of it than was counted."""
    cluster = own_cluster("crowded", "18", {"max_connections": "20", "reserved_connections": "10", "superuser_reserved_connections": "3"})
    pipeline = new_pipeline(shared_clusters("source"), cluster)
    fill(pipeline)
    assert finding_of(pipeline, "connections") is None
    others = [pipeline.target.connect() for _ in range(7)]
    try:
        fix = finding_of(pipeline, "connections")["fix"]
        assert fix == "close some connections, or raise max_connections and restart the server"
        if way == "close some":
            for other in others[:3]:
                other.close()
            wait_until(lambda: finding_of(pipeline, "connections") is None, "the sessions to be gone")
        else:
            pipeline.target.execute("alter system set max_connections = 40")
            cluster.restart()
            assert finding_of(pipeline, "connections") is None
        assert_goes_on(pipeline)
    finally:
        for other in others:
            other.close()


def test_a_target_that_is_a_standby(own_cluster, own_standby, new_pipeline, shared_clusters):
    """The dsn gets both servers and what the fix says, and so finds the one that can be written."""
    primary = own_cluster("primary")
    pipeline = new_pipeline(shared_clusters("source"), primary)
    standby = own_standby(primary)
    fill(pipeline)
    to_primary = pipeline.sink_configuration["dsn"]
    pipeline.sink_configuration["dsn"] = standby.dsn(pipeline.target.name)
    finding = finding_of(pipeline, "read_only")
    assert "this server is a standby" in finding["what"]
    [option] = finding["fix"].removeprefix("let the sink's dsn point to a server that can be written (").split(")")[:1]
    result = pipeline.engine.command("run", "--until", "caught-up", "--retry-for", "1s")
    assert result.returncode == 2 and option in result.stderr, result.stderr
    pipeline.sink_configuration["dsn"] = to_primary.replace(f"port={primary.port}", f"port={standby.port},{primary.port}").replace(
        "host=127.0.0.1", "host=127.0.0.1,127.0.0.1") + " " + option
    assert finding_of(pipeline, "read_only") is None
    assert_goes_on(pipeline)


class Version:
    """The server as one of another major version: in what it announces and in what it answers."""

    def __init__(self, real, shown):
        self.real, self.shown = real.encode(), shown.encode()

    def __call__(self, _, message):
        if message[:1] == b"S" and message[5:].startswith(b"server_version\0") or message[:1] == b"D":
            return message.replace(self.real, self.shown)
        return message


# The version, the side, how severe it is, and what is done.
VERSIONS = {
    "an old source": ("13", "source", "problem", "upgrade the source"),
    "a new source": ("19", "source", "warning", "use a release that is tested with it, if there is one"),
    "an old target": ("13", "target", "warning", "upgrade the target"),
    "a new target": ("19", "target", "warning", "use a release that is tested with it, if there is one"),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_a_version_that_is_not_tested(new_pipeline, shared_clusters, case):
    """A problem is refused before anything is created; a warning stops nothing. The upgraded server is the one behind the proxy."""
    pipeline = new_pipeline(shared_clusters("source", 18), shared_clusters("target", 18))
    major, side, severity, fix = VERSIONS[case]
    database = pipeline.source if side == "source" else pipeline.target
    configuration = pipeline.source_configuration if side == "source" else pipeline.sink_configuration
    fill(pipeline)
    direct, real = configuration["dsn"], database.value("show server_version").split(" ")[0]
    with WireProxy(database.cluster.port, Version(real, major + real[2:])) as proxy:
        configuration["dsn"] = proxy.dsn(database)
        finding = finding_of(pipeline, "version")
        assert (finding["severity"], finding["fix"]) == (severity, fix)
        assert f"PostgreSQL {major}." in finding["what"]
        result = pipeline.engine.command("run", "--until", "caught-up")
        if severity == "problem":
            assert result.returncode == 2 and "pgcdc reads from 14 and later; upgrade the source" in result.stderr, result.stderr
            assert pipeline.slot() is None
        else:
            assert result.returncode == 0, result.stderr
    configuration["dsn"] = direct
    assert finding_of(pipeline, "version") is None
    assert_goes_on(pipeline)
