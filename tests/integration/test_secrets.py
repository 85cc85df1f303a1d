# SPDX-License-Identifier: Apache-2.0
"""No value of a row and no part of a secret is in anything that the program writes: log, output, state."""

import shutil
import subprocess

import pytest

MARK = "4111111111111111"  # planted as a value; the servers quote it in their messages
TRIGGER = """create function refuse() returns trigger language plpgsql as $$begin {body} end$$;
    create trigger refuse before insert or update on t for each row execute function refuse();
    alter table t enable always trigger refuse"""

# What the target's table is made to be, and what is inserted at the source: id, and the columns v text, n bigint.
CASES = {
    "out of range for integer": ("alter table t alter n type int", f"'x', {MARK}"),
    "out of range for real": ("alter table t alter v type real using null", f"'{MARK}e400', 1"),
    "no number": ("alter table t alter v type int using null", f"'a{MARK}', 1"),
    "a type in the value": ("alter table t alter v type int using null", f"'type a:\"{MARK}', 1"),
    "no date": ("alter table t alter v type date using null", f"'{MARK}', 1"),
    "no label": ("create type mood as enum ('a'); alter table t alter v type mood using null", f"'{MARK}', 1"),
    "no json": ("alter table t alter v type jsonb using null", f"'{{{MARK}', 1"),
    "too long": ("alter table t alter v type varchar(3)", f"'{MARK}', 1"),
    "a check": ("alter table t add check (n < 10)", f"'x', {MARK}"),
    "a unique index": ("alter table t add unique (v); insert into t values (0, '" + MARK + "', 1)", f"'{MARK}', 1"),
    "a domain": ("create domain d as bigint check (value < 10); alter table t alter n type d", f"'x', {MARK}"),
    "a trigger raises": (TRIGGER.format(body="raise exception 'bad %', new.v;"), f"'{MARK}', 1"),
    "a trigger raises a unique violation": (
        TRIGGER.format(body="raise exception using errcode = '23505', message = new.v, table = new.v, column = new.v;"),
        f"'{MARK}', 1"),
    "a trigger runs what is no SQL": (TRIGGER.format(body="execute 'select ' || new.v || ' from';"), f"'a b {MARK}', 1"),
    "a trigger casts": (TRIGGER.format(body="perform new.v::int; return new;"), f"'x{MARK}', 1"),
}


def everything_written(pipeline):
    """The log, what status and check print, and all files of the state directory."""
    for name in ("status", "check"):
        pipeline.engine.command(name)
        pipeline.engine.command(name, "--json")
    files = [file.read_bytes().decode(errors="replace") for file in pipeline.state.rglob("*") if file.is_file()]
    return pipeline.engine.log_path.read_text(errors="replace") + "".join(files)


@pytest.mark.parametrize("rows", [1, 64], ids=["row", "set"])
@pytest.mark.parametrize("case", CASES)
def test_a_value_is_not_written(pipeline, case, rows):
    spoil, values = CASES[case]
    pipeline.source.execute("create table t (id int primary key, v text, n bigint)")
    pipeline.engine.catch_up()
    pipeline.target.execute(spoil)
    pipeline.source.execute(f"insert into t select g, {values} from generate_series(1, {rows}) g")
    result = pipeline.engine.command("run", "--verbose", "--until", "caught-up")
    assert result.returncode in (1, 2) and " debug " in result.stderr, result.stderr
    assert "SQLSTATE" in result.stderr or "type" in result.stderr, result.stderr
    assert MARK not in everything_written(pipeline)


@pytest.mark.parametrize("case", ["no number", "out of range for integer", "a trigger raises"])
def test_a_value_is_not_written_by_the_copy(pipeline, case):
    spoil, values = CASES[case]
    ddl = "create table t (id int primary key, v text, n bigint)"
    pipeline.execute_both(ddl)
    pipeline.target.execute(spoil)
    pipeline.source.execute(f"insert into t select 1, {values}")
    result = pipeline.engine.command("run", "--verbose", "--until", "caught-up")
    assert result.returncode in (1, 2) and " debug " in result.stderr, result.stderr
    assert MARK not in everything_written(pipeline)


@pytest.mark.parametrize("dsn", [
    "postgresql://replicator:src-Geh@eim@{host}:{port}/x",
    "postgresql://replicator:geh/eim@{host}:{port}/x",
    "postgresql://replicator:123/eim@{host}:{port}/x",
    "postgresql://replicator:geh%eim@{host}:{port}/x",
    "postgresql://replicator:geh@/eim@{host}:{port}/x",
    "host={host} port={port} password=geh eim",
    "host={host} port={port} password='geh\\'eim",
    "host={host} port=geheim",
])
def test_a_part_of_a_password_in_the_wrong_place_is_not_written(pipeline, dsn):
    """An unescaped @ or slash ends the password, and its rest was printed as the name of a host."""
    address = {"host": "127.0.0.1", "port": pipeline.source.cluster.port}
    pipeline.source_configuration["dsn"] = dsn.format(**address)
    for name in ("check", "run", "status"):
        result = pipeline.engine.command(name, "--verbose", timeout_s=60)
        assert result.returncode != 0, result.stderr
        assert "dsn" in result.stdout + result.stderr
    written = everything_written(pipeline)
    assert not any(part in written for part in ("eim", "geh", "Geh", "123/"))


@pytest.mark.parametrize("dsn,word,keyword", [
    ("hots=127.0.0.1 dbname=x", "hots", "host"), ("host=127.0.0.1 dbnam=x", "dbnam", "dbname"),
    ("host=127.0.0.1 password='a b' sslmod = require", "sslmod", "sslmode"),
    ("postgresql://u:geheim@127.0.0.1/x?sslrootcrt=x", "sslrootcrt", "sslrootcert"),
])
def test_a_misspelt_keyword_is_named(pipeline, dsn, word, keyword):
    pipeline.source_configuration["dsn"] = dsn
    finding = found(pipeline)["connection"]
    assert finding["what"] == f"the source's dsn has the unknown keyword {word}"
    assert finding["fix"] == f"write {keyword} in the dsn for {word}"
    result = pipeline.engine.command("run", "--until", "caught-up")
    assert result.returncode == 2 and finding["fix"] in result.stderr, result.stderr
    assert "geheim" not in everything_written(pipeline)


@pytest.mark.parametrize("dsn", ["host=127.0.0.1 password=geh eim=x", "host=127.0.0.1 password=geh hots", "password=geh abc_def=1",
                                 "host=127.0.0.1 password=geh 'hots=x"])
def test_a_word_that_may_be_of_a_password_is_not_named(pipeline, dsn):
    pipeline.source_configuration["dsn"] = dsn
    assert found(pipeline)["connection"]["what"] == "the source's dsn is not a valid connection string"
    assert not any(part in everything_written(pipeline) for part in ("eim", "hots", "abc_def"))


@pytest.mark.parametrize("query", ["$x$planted$x$", "E'\\'' || 'planted'", "'a' /* planted */"])
def test_a_query_that_is_in_the_way_is_shown_up_to_its_first_literal(pipeline, query):
    pipeline.source.execute("create table t (id int primary key, v text)")
    connection = pipeline.source.connect()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"begin; insert into t (id, v) values (1, {query})")
        pipeline.engine.start("--verbose")
        pipeline.engine.wait_log("query: begin; insert into t (id, v) values (")
        pipeline.engine.stop()
    finally:
        connection.close()
    assert "planted" not in everything_written(pipeline)


# Files and connections

def found(pipeline):
    report = pipeline.engine.json("check")
    return {finding["code"]: finding for finding in report["findings"]}


def test_check_warns_of_a_password_file_that_others_can_read(pipeline, tmp_path):
    pipeline.source.execute("create table t (id int primary key)")
    path = tmp_path / "password"
    path.write_text("secret\n", encoding="utf-8")
    path.chmod(0o644)
    pipeline.sink_configuration["password_file"] = str(path)
    subprocess.run(found(pipeline)["password_file_mode"]["fix"], shell=True, check=True)
    assert "password_file_mode" not in found(pipeline)


def other_address():
    """An address of this machine that is not its loopback."""
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    for address in addresses:
        if "." in address and not address.startswith("127."):
            return address
    return pytest.skip("this machine has no address besides its loopback")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def test_check_notes_a_connection_that_is_not_encrypted_or_not_verified(pipeline, own_cluster, new_pipeline, tmp_path):
    """As cdc/pq/tls.md says: authority, certificate, ssl = on, sslmode=verify-full."""
    address = other_address()
    openssl(tmp_path, "req", "-new", "-x509", "-nodes", "-days", "30", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
    openssl(tmp_path, "req", "-new", "-nodes", "-subj", "/CN=db.example.com", "-keyout", "server.key", "-out", "server.csr")
    openssl(tmp_path, "x509", "-req", "-in", "server.csr", "-days", "30", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "server.crt")
    cluster = own_cluster("tls", settings={"listen_addresses": f"127.0.0.1, {address}"})
    with open(cluster.data / "pg_hba.conf", "a", encoding="utf-8") as hba:
        hba.write(f"host all all {address}/32 trust\n")
    for name in ("server.key", "server.crt"):
        shutil.copy(tmp_path / name, cluster.data / name)
        shutil.chown(cluster.data / name, cluster.data.stat().st_uid, cluster.data.stat().st_gid)
        (cluster.data / name).chmod(0o600)
    tls = new_pipeline(cluster, pipeline.target.cluster)
    tls.source.execute("create table t (id int primary key)")
    local = tls.source.dsn()
    assert not {"not_encrypted", "not_verified"} & found(tls).keys(), "over the loopback"
    cluster.reload()
    remote = local.replace("host=127.0.0.1", f"host=db.example.com hostaddr={address}")
    assert remote != local
    tls.source_configuration["dsn"] = remote
    assert "not_encrypted" in found(tls)
    cluster.configure({"ssl": "on"})
    cluster.restart()
    assert "not_verified" in found(tls)
    tls.source_configuration["dsn"] = f"{remote} sslmode=verify-full sslrootcert={tmp_path}/ca.crt"
    assert not {"not_encrypted", "not_verified"} & found(tls).keys()
    tls.source_configuration["dsn"] = f"{remote} sslmode=verify-full sslrootcert={tmp_path}/server.crt"
    assert "certificate verify failed" in found(tls)["connection"]["what"]


# Kafka's

@pytest.fixture
def to_kafka(pipeline):
    pipeline.source.execute("create table t (id int primary key)")
    pipeline.engine.configuration["sinks"] = [{"name": "events", "type": "kafka", "brokers": "127.0.0.1:1", "properties": {}}]
    return pipeline


def test_a_secret_of_kafkas_is_one_for_check_and_in_no_text(to_kafka):
    to_kafka.sink_configuration["properties"] = {"sasl.password": MARK, "ssl.key.password": MARK, "sasl.username": "u"}
    to_kafka.engine.write_configuration()
    to_kafka.engine.config_path.chmod(0o644)
    result = to_kafka.engine.command("check")
    assert "another secret" in result.stdout and f"chmod o-rwx {to_kafka.engine.config_path}" in result.stdout, result.stdout
    assert MARK not in result.stdout + result.stderr


@pytest.mark.parametrize("key", ["ssl.key.location", "ssl.keystore.location"])
def test_a_key_of_kafkas_that_others_can_read_is_refused(to_kafka, tmp_path, key):
    file = tmp_path / "client.key"
    file.write_text(MARK)
    file.chmod(0o644)
    to_kafka.sink_configuration["properties"] = {"security.protocol": "ssl", key: str(file)}
    result = to_kafka.engine.command("run", "--retry-for", "1s")
    refusal = f"properties.{key}: every user of this machine may read {file}; chmod o-rwx {file}"
    assert result.returncode == 2 and refusal in result.stderr, result.stderr
    assert f"chmod o-rwx {file}" in to_kafka.engine.command("check").stdout
