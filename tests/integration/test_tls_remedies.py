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
    assert "let host in the dsn be a name that the server's certificate contains" in connection(pipeline, by_name)
    key = tmp_path / "client.key"
    own = f"{full}{there} sslcert={tmp_path}/client.crt sslkey={key}"
    assert connection(pipeline, own) is None, "libpq does without a certificate of ours when the server does"
    shutil.copy(certificates.folder / "server.crt", tmp_path / "client.crt")
    assert "put the key of sslcert's certificate where sslkey in the dsn says" in connection(pipeline, own)
    shutil.copy(certificates.folder / "server.key", key)
    key.chmod(0o644)
    assert "mode 0600" in connection(pipeline, own)
    key.chmod(0o600)
    assert connection(pipeline, own) is None
    pipeline.engine.catch_up()


def test_a_server_that_wants_a_client_certificate(tls, tmp_path):
    """It was "correct the dsn" for all of them."""
    pipeline, certificates = tls
    cluster = pipeline.source.cluster
    shutil.copy(certificates.authority, cluster.data / "ca.crt")
    shutil.chown(cluster.data / "ca.crt", cluster.data.owner(), cluster.data.group())
    cluster.configure({"ssl_ca_file": "ca.crt"})
    pipeline.source.execute("create role certified login superuser replication")
    hba = cluster.data / "pg_hba.conf"
    hba.write_text("hostssl all certified all cert\nhostssl replication certified all cert\n" + hba.read_text(encoding="utf-8"),
                   encoding="utf-8")
    cluster.reload()
    plain = f"{pipeline.source.dsn('certified')} sslmode=verify-full sslrootcert={certificates.authority}"
    certificate, key = certificates.make_client("certified")
    certificate.chmod(0o600)  # a certificate is no key, and then nothing is wrong with its mode
    other, other_key = certificates.make_client("other")
    old, old_key = certificates.make_client("old", days=0)
    locked, locked_key = certificates.make_client("locked", passphrase="secret")
    strange, strange_key = Certificates(tmp_path / "strange").make_client("certified")
    for dsn, part in (
            (f"{plain} sslcert= sslkey=", "let sslcert in the dsn name a client certificate that is signed by the CA"),
            (f"{plain} sslcert={tmp_path}/none sslkey={key}", "let sslcert in the dsn name a client certificate that is signed by the CA"),
            (f"{plain} sslcert={other} sslkey={other_key}", "let user in the dsn be the name (CN) in the certificate that sslcert names"),
            (f"{plain} sslcert={strange} sslkey={strange_key}", "that is signed by the CA in the server's ssl_ca_file"),
            (f"{plain} sslcert={old} sslkey={old_key}", "renew the client certificate that sslcert in the dsn names"),
            (f"{plain} sslcert={certificate} sslkey={other_key}", "let sslkey in the dsn name the key of the certificate that sslcert names"),
            (f"{plain} sslcert={certificate} sslkey={tmp_path}/none", "put the key of sslcert's certificate where sslkey in the dsn says"),
            (f"{plain} sslcert={certificate} sslkey={certificate}", "let sslkey in the dsn name the certificate's own key"),
            (f"{plain} sslcert={key} sslkey={key}", "correct sslcert in the dsn"),
            (f"{plain} sslcert={locked} sslkey={locked_key}", "sslpassword its passphrase")):
        fix = connection(pipeline, dsn)
        assert fix is not None and part in fix, (dsn, fix)
    assert connection(pipeline, f"{plain} sslcert={certificate} sslkey={key}") is None
    pipeline.engine.catch_up()


def test_a_server_without_tls(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    plain = pipeline.source.dsn()
    assert "switch TLS on at the server (ssl = on), or correct sslmode in the dsn" in connection(pipeline, f"{plain} sslmode=require")
    assert connection(pipeline, f"{plain} sslmode=prefer") is None
    pipeline.engine.catch_up()
