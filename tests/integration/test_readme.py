# SPDX-License-Identifier: Apache-2.0
"""README.md is three screens, and "A pipeline of your own" leads to an equal target when it is followed to the letter."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from support.engine import SANITIZERS, slowness
from support.wait import wait_until

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 120
PASSWORD = "x' y"  # with what SQL and a dsn must quote
TABLES = """
create table customers (id int primary key, name text);
create table orders (id int primary key, customer int references customers, at timestamptz not null default now());
insert into customers select g, 'customer ' || g from generate_series(1, 500) g;
insert into orders (id, customer) select g, g from generate_series(1, 500) g;
"""


def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


class Section:
    """What "A pipeline of your own" tells to run."""

    def __init__(self):
        text = readme().partition("## A pipeline of your own\n")[2].partition("\n## ")[0]
        self.at_source, self.at_target = re.findall(r"^```sql\n(.*?)^```", text, re.M | re.S)
        self.file, = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
        self.name, = re.findall(r"^`(\w+\.yaml)`", text, re.M)
        self.commands = {name: command for command, name in re.findall(r"^    (pgcdc (\w+).*)$", text, re.M)}

    def file_for(self, folder, *clusters):
        """The file with the test's servers and folder in the place of the reader's."""
        text = self.file
        for cluster, host in zip(clusters, re.findall(r"host=(\S+)", text), strict=True):
            text = text.replace(f"host={host} ", f"host=127.0.0.1 port={cluster.port} ")
        for path in ("/etc/pgcdc", "/var/lib/pgcdc"):
            assert path in text
            text = text.replace(path, str(folder))
        return text


def with_password(sql):
    assert sql.count("'…'") == 1
    quoted = PASSWORD.replace("'", "''")
    return sql.replace("'…'", f"'{quoted}'")


def asks_for_passwords(cluster):
    """Of every role but the superuser of the test."""
    hba = cluster.data / "pg_hba.conf"
    hba.write_text("host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8")
    cluster.reload()


class Reader:
    """Who follows the page, in a folder with the file, and with the program in the path."""

    def __init__(self, program, folder, section, clusters):
        self.folder, self.section = folder, section
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "PGCDC_"))}
        self.environment = {**clean, **SANITIZERS, "PATH": f"{program.parent}:{os.environ['PATH']}"}
        for path in re.findall(r"password_file: (\S+)", section.file):
            self.write(Path(path).name, PASSWORD)
        self.write(section.name, section.file_for(folder, *clusters))

    def write(self, name, text):
        (self.folder / name).write_text(text + "\n", encoding="utf-8")
        (self.folder / name).chmod(0o600)

    def runs(self, name):
        result = subprocess.run(self.section.commands[name], shell=True, cwd=self.folder, env=self.environment, text=True,
                                capture_output=True, timeout=120, check=False)
        return result.returncode, result.stdout + result.stderr

    def begins(self, name):
        with open(self.folder / "log", "wb") as log:
            return subprocess.Popen(f"exec setpriv --pdeathsig KILL {self.section.commands[name]}", shell=True, cwd=self.folder,
                                    env=self.environment, stdout=subprocess.DEVNULL, stderr=log)

    def log(self):
        return (self.folder / "log").read_text(encoding="utf-8")


@pytest.fixture
def servers(own_cluster):
    source, target = own_cluster("readme-source"), own_cluster("readme-target")
    source.execute("create database shop")
    target.execute("create database warehouse")
    for cluster in (source, target):
        asks_for_passwords(cluster)
    return source, target


def test_a_pipeline_of_your_own(program, servers, tmp_path):
    source, target = servers
    section = Section()
    assert list(section.commands) == ["check", "run", "status", "verify"]
    source.execute(TABLES, dbname="shop")
    source.execute(with_password(section.at_source), dbname="shop")
    target.execute(with_password(section.at_target), dbname="warehouse")
    reader = Reader(program, tmp_path, section, servers)

    code, said = reader.runs("check")
    assert code == 0 and "shop: ready" in said, said
    engine = reader.begins("run")
    try:
        wait_until(lambda: "consistent as of" in reader.log(), lambda: f"the copy:\n{reader.log()}")
        code, said = reader.runs("status")
        assert code == 0 and "warehouse" in said, said
        source.execute("insert into customers values (1000, 'tea'); update orders set customer = 1000 where id < 100; delete from orders where id > 400",
                       dbname="shop")
        wait_until(lambda: target.execute("select count(*) from orders where customer = 1000", dbname="warehouse") == [(99,)],
                   lambda: f"the changes:\n{reader.log()}")
        code, said = reader.runs("verify")
        assert code == 0 and re.search(r"public\.customers +501 +501 +equal", said) and re.search(r"public\.orders +400 +400 +equal", said), said
        engine.terminate()
        assert engine.wait(10 * slowness(program)) == 0, reader.log()
    finally:
        engine.kill()
        engine.wait()


def test_it_is_three_screens():
    assert readme().count("\n") <= LINES_MAX


def test_the_demo_knows_every_option_that_the_page_names():
    told = set(re.findall(r"`(--\w+)`", readme().partition("## Two commands\n")[2].partition("\n## ")[0]))
    known = set(re.findall(r"^ +(--\w+)\)", (ROOT / "cdc" / "demo").read_text(encoding="utf-8"), re.M))
    assert told == known
