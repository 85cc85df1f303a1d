# SPDX-License-Identifier: Apache-2.0
"""The databases of one server, of any names, and one file that moves them."""

import psycopg2

from support.engine import Engine
from support.server import newest_pg_dump
from support.wait import wait_until

NAMES = ["Shop", "crm data", "o\"brien's"]
PIPELINES = ["move_shop", "move_crm_data", "move_o_brien_s"]
TABLE = "create table t (id int primary key, v text); insert into t select g, 'v' || g from generate_series(1, 300) g"


class Named:
    """A database of any name."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def execute(self, sql, params=None):
        connection = psycopg2.connect(host="127.0.0.1", port=self.cluster.port, user="postgres", dbname=self.name)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, params=None):
        return self.execute(sql, params)[0][0]

    def quoted(self):
        return '"' + self.name.replace('"', '""') + '"'

    def make(self):
        self.cluster.execute(f"create database {self.quoted()}")

    def drop(self):
        wait_until(lambda: not self.cluster.execute("select 1 from pg_replication_slots where database = %s and active", (self.name,)), "its slots to be free")
        self.cluster.execute("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", (self.name,))
        self.cluster.execute(f"drop database {self.quoted()} with (force)")


class Move:
    """The databases of a source, and one file that moves them."""

    def __init__(self, program, folder, source, target):
        self.source, self.target = source, target
        self.engine = Engine(program, folder, {
            "name": "move",
            "source": {"dsn": source.dsn()},
            "state": str(folder / "state"),
            "schema": {"pg_dump": str(newest_pg_dump())},
            "migrate": {"databases": list(NAMES)},
            "sinks": [{"name": "new", "type": "postgres", "dsn": target.dsn()}],
        })

    def at_source(self, name):
        return Named(self.source, name)

    def at_target(self, name):
        return Named(self.target, name)

    def drop_all(self):
        for cluster in (self.source, self.target):
            for name, in cluster.execute("select datname from pg_database where not datistemplate and datname <> 'postgres'"):
                Named(cluster, name).drop()

    def command(self, name, *arguments, code=0, **more):
        result = self.engine.command(name, *arguments, **more)
        assert result.returncode == code, result.stdout + result.stderr
        return result.stdout + result.stderr

    def counts(self):
        return [self.at_target(name).value("select count(*) from t") for name in NAMES]
