# SPDX-License-Identifier: Apache-2.0
"""A TLS connection that cannot be made: check says what to do, and done to the letter it is made."""

import shutil

import pytest

from support.certificates import Certificates


@pytest.fixture
def tls(own_cluster, new_pipeline, shared_clusters, tmp_path):
    """A pipeline whose source speaks TLS, and the files of its authority."""
    cluster = own_cluster("tls")
    certificates = Certificates(tmp_path / "ours")
    shutil.copy(certificates.folder / "server.crt", cluster.data / "server.crt")
    shutil.copy(certificates.folder / "server.key", cluster.data / "server.key")
    for name in ("server.crt", "server.key"):
        shutil.chown(cluster.data / name, cluster.data.owner(), cluster.data.group())
        (cluster.data / name).chmod(0o600)
    cluster.configure({"ssl": "on"})
    cluster.reload()
    pipeline = new_pipeline(cluster, shared_clusters("target"))
    pipeline.source.execute("create table t (id int primary key)")
    return pipeline, certificates


def connection(pipeline, dsn):
    """What check says of the source's connection; None: it is made."""
    pipeline.source_configuration["dsn"] = dsn
    findings = pipeline.engine.json("check")["findings"]
    return next((finding["fix"] for finding in findings if finding["code"] == "connection"), None)


def test_what_check_says_of_certificates_is_right(tls, tmp_path):
    pipeline, certificates = tls
    plain = pipeline.source.dsn()
    full = f"{plain} sslmode=verify-full sslrootcert="
    there = tmp_path / "root.crt"
    assert "put the CA's certificate where sslrootcert in the dsn says" in connection(pipeline, f"{full}{there}")
    other = Certificates(tmp_path / "other")
    shutil.copy(other.authority, there)
    assert "let sslrootcert in the dsn name the CA that signed" in connection(pipeline, f"{full}{there}")
    shutil.copy(certificates.authority, there)
    assert connection(pipeline, f"{full}{there}") is None
    by_name = f"{full}{there}".replace("host=127.0.0.1", "host=localhost hostaddr=127.0.0.1")
    assert "let host in the dsn be a name that the server's certificate has" in connection(pipeline, by_name)
    key = tmp_path / "client.key"
    own = f"{full}{there} sslcert={tmp_path}/client.crt sslkey={key}"
    assert connection(pipeline, own) is None, "libpq does without a certificate of ours when the server does"
    shutil.copy(certificates.folder / "server.crt", tmp_path / "client.crt")
    assert "correct sslkey in the dsn, or put the file there with mode 0600" in connection(pipeline, own)
    shutil.copy(certificates.folder / "server.key", key)
    key.chmod(0o644)
    assert "mode 0600" in connection(pipeline, own)
    key.chmod(0o600)
    assert connection(pipeline, own) is None
    pipeline.engine.catch_up()
