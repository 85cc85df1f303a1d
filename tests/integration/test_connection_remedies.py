# SPDX-License-Identifier: Apache-2.0
"""A server that says no: check says what to do about it, whatever language the server speaks."""

import struct
import subprocess

import pytest

from support.wait import wait_until
from support.wire_proxy import WireProxy

# Who connects to which database, in which kind of connection, and what is to be done about the answer.
REFUSALS = [
    ("nobody", "postgres", "connection", "create the role"),
    ("nologin", "postgres", "connection", "let it log in"),
    ("wrong", "postgres", "connection", "correct the password"),
    ("rejected", "postgres", "connection", "pg_hba.conf"),
    ("peer", "postgres", "connection", "another proof"),
    ("plain", "missing", "connection", "create the database"),
    ("plain", "closed", "connection", "grant connect on database"),
    ("plain", "crowded", "connection", 'alter database "crowded" connection limit'),
    ("limited", "postgres", "connection", 'alter role "limited" connection limit'),
    ("plain", "postgres", "replication_connection", "with replication;"),
]
NO_SENDER = ("sender", "postgres", "replication_connection", "max_wal_senders")
HBA = """host all wrong all scram-sha-256
host all rejected all reject
host all peer all ident
host all all all trust
local all all trust
"""
ROLES = ("create role nologin; create role wrong login password 'right'; create role rejected login; create role peer login; create role plain login;"
         "create role limited login connection limit 0; create role sender login replication")


class Translator:
    """Puts words in another language in the place of what the server says of its refusals."""

    def __init__(self):
        self.done = 0

    def __call__(self, _, message):
        if message[:1] != b"E":
            return message
        self.done += 1
        fields = [field for field in message[5:].split(b"\0") if field]
        taken = [b"MN\xc3\xb6, das geht hier so nicht" if field[:1] == b"M" else b"STODESFALL" if field[:1] == b"S" else field for field in fields]
        body = b"\0".join(taken) + b"\0\0"
        return b"E" + struct.pack(">I", 4 + len(body)) + body


def fix_of(pipeline, dsn, code):
    pipeline.source_configuration["dsn"] = dsn
    findings = pipeline.engine.json("check")["findings"]
    return next((finding["fix"] for finding in findings if finding["code"] == code), None)


def has_german():
    return "de_DE.utf8" in subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout


@pytest.fixture
def refusing(own_cluster, new_pipeline, shared_clusters):
    def make(version, settings=None):
        cluster = own_cluster("refusing", version, settings)
        cluster.execute(ROLES)
        for name, more in (("closed", ""), ("crowded", " connection limit 0")):
            cluster.execute(f"create database {name}{more}")
        cluster.execute("revoke connect on database closed from public")
        (cluster.data / "pg_hba.conf").write_text(HBA)
        cluster.reload()
        pipeline = new_pipeline(cluster, shared_clusters("target"))
        dsn = f"host=127.0.0.1 port={cluster.port} user=rejected dbname=postgres"
        wait_until(lambda: fix_of(pipeline, dsn, "connection"), "pg_hba.conf to be read")
        return pipeline
    return make


def assert_fix(pipeline, port, user, dbname, code, expected):
    password = "password=false" if user == "wrong" else ""
    fix = fix_of(pipeline, f"host=127.0.0.1 port={port} user={user} dbname={dbname} {password} sslmode=disable gssencmode=disable", code)
    assert fix is not None and expected in fix, f"{user} {dbname}: {fix}"


def assert_all(pipeline, ports):
    for port in ports:
        for refusal in REFUSALS:
            assert_fix(pipeline, port, *refusal)
    pipeline.source.cluster.configure({"max_wal_senders": 0})
    pipeline.source.cluster.restart()
    for port in ports:
        assert_fix(pipeline, port, *NO_SENDER)


@pytest.mark.parametrize("version", ["14", "18"])
def test_each_refusal_has_its_remedy_in_every_language(refusing, version):
    """They were known by English words: a German server's password was answered with "correct the dsn"."""
    pipeline = refusing(version)
    translator = Translator()
    with WireProxy(pipeline.source.cluster.port, translator) as proxy:
        assert_all(pipeline, [pipeline.source.cluster.port, proxy.port])
    assert translator.done > len(REFUSALS)


@pytest.mark.skipif(not has_german(), reason="no locale de_DE.utf8 on this machine")
def test_each_refusal_of_a_german_server_has_its_remedy(refusing):
    pipeline = refusing("15", {"lc_messages": "de_DE.UTF-8"})
    assert_all(pipeline, [pipeline.source.cluster.port])
