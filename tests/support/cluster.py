# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster in a folder of its own, which a test may stop, kill, freeze, copy and restore."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from support.server import DEFAULT_VERSION, as_server_user, free_port, server_programs, server_user
from support.wait import wait_until

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_wal_senders": 30,
    "max_replication_slots": 60,
    "max_connections": 120,
    "max_prepared_transactions": 10,
    "shared_buffers": "64MB",
    "fsync": "off",
    "autovacuum": "off",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
}


class Cluster:
    def __init__(self, name, version=DEFAULT_VERSION, settings=None):
        self.name = name
        self.version = version
        self.programs = server_programs(version)
        self.port = free_port()
        self.settings = {**SETTINGS, **(settings or {})}
        self.folder = Path(tempfile.mkdtemp(prefix=f"pgcdc-{name}-"))
        self.data = self.folder / "data"
        self.log_path = self.folder / "log"
        self.postmaster = None
        self.is_shared = False
        self._databases = 0
        self._log_start = 0
        os.chown(self.folder, server_user().pw_uid, server_user().pw_gid)

    def __enter__(self):
        self.init()
        self.start()
        return self

    def __exit__(self, *_):
        self.remove()

    # Life and death

    def init(self):
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                  "--no-sync")
        self.configure(self.settings)

    def init_standby(self, primary, settings=None):
        """Instead of init: the files of the primary, which is stopped for it and started again, and streams from then on."""
        primary.stop()
        primary.backup_to(self.data)
        primary.start()
        subprocess.run(as_server_user(["touch", self.data / "standby.signal"]), check=True)
        self.configure({"primary_conninfo": primary.dsn(), "hot_standby_feedback": "on", **(settings or {})})

    def configure(self, settings):
        """Appends to postgresql.conf, where the last word counts; start or reload makes it so."""
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in settings.items())

    def start(self, wait=True):
        assert self.postmaster is None, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.postmaster = subprocess.Popen(
                as_server_user([self.programs / "postgres", "-D", self.data, "-p", str(self.port),
                                "-k", self.folder]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        if wait:
            wait_until(self._answers, lambda: f"{self.name} to start; {self.log_path}:\n{self.log_tail()}")

    def stop(self, mode="fast", deadline_s=60):
        """mode as pg_ctl has it: smart, fast or immediate."""
        if self.postmaster is None:
            return
        self.signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self.postmaster.wait(deadline_s)
        self._forget_postmaster()

    def kill(self):
        """kill -9 of the postmaster; its children notice and leave."""
        self.signal(signal.SIGKILL)
        self.postmaster.wait(60)
        self._forget_postmaster()

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def signal(self, number):
        self.postmaster.send_signal(number)

    def reload(self):
        self.execute("select pg_reload_conf()")

    def remove(self):
        if self.postmaster is not None:
            self.signal(signal.SIGCONT)
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        """Every process of this cluster: a server process lives in its data folder."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "cwd") == str(self.data):
                        yield int(entry.name)
                except OSError:
                    continue

    def kill_backend(self, pid):
        """kill -9 of one backend takes the whole server through crash recovery; returns when it is over."""
        recoveries = self.log_text().count("all server processes terminated; reinitializing")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.log_text().count("all server processes terminated; reinitializing") > recoveries,
                   f"{self.name} to notice that a backend was killed")
        wait_until(self._answers, f"{self.name} to recover")

    def _forget_postmaster(self):
        self.postmaster = None
        wait_until(lambda: not list(self.processes()), f"the processes of {self.name} to end")

    def _answers(self):
        if self.postmaster.poll() is not None:
            raise AssertionError(f"{self.name} did not start:\n{self.log_tail()}")
        try:
            self.execute("select 1")
            return True
        except psycopg2.OperationalError:
            return False

    # Backup

    def backup_to(self, folder):
        """A copy of the stopped cluster's files."""
        assert self.postmaster is None, "stop the cluster before copying its files"
        subprocess.run(["cp", "-a", self.data, folder], check=True)

    def restore_from(self, folder):
        assert self.postmaster is None, "stop the cluster before replacing its files"
        shutil.rmtree(self.data)
        subprocess.run(["cp", "-a", folder, self.data], check=True)

    # SQL

    def dsn(self, dbname="postgres", user="postgres"):
        return f"host=127.0.0.1 port={self.port} user={user} dbname={dbname}"

    def connect(self, dbname="postgres", user="postgres", autocommit=True, **arguments):
        """The test's own sessions keep no time limit that a test gives to a database."""
        arguments.setdefault("options", "-c statement_timeout=0 -c lock_timeout=0")
        connection = psycopg2.connect(self.dsn(dbname, user), connect_timeout=10, **arguments)
        connection.autocommit = autocommit
        return connection

    def execute(self, sql, params=None, dbname="postgres", user="postgres"):
        """Rows of the last statement, or []."""
        connection = self.connect(dbname, user)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def create_database(self, prefix):
        self._databases += 1
        database = Database(self, f"{prefix}_{self._databases}")
        self.execute(f'create database "{database.name}"')
        return database

    # Files

    def mark_log(self):
        """From here on log_text begins."""
        self._log_start = self.log_path.stat().st_size

    def log_text(self):
        if not self.log_path.exists():
            return ""
        with open(self.log_path, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def _run(self, program, *arguments):
        result = subprocess.run(as_server_user([self.programs / program, *arguments]), capture_output=True, text=True,
                                cwd=self.folder, check=False)
        assert result.returncode == 0, f"{program} of {self.name}: {result.stdout}{result.stderr}"


class Database:
    """One database of a cluster."""

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name

    def dsn(self, user="postgres"):
        return self.cluster.dsn(self.name, user)

    def connect(self, **arguments):
        return self.cluster.connect(self.name, **arguments)

    def execute(self, sql, params=None, user="postgres"):
        return self.cluster.execute(sql, params, self.name, user)

    def value(self, sql, params=None):
        return self.execute(sql, params)[0][0]

    def drop(self):
        """With the slots and sessions that hold it."""
        self.cluster.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
            (self.name,))
        wait_until(lambda: not self.cluster.execute(
            "select 1 from pg_replication_slots where database = %s and active", (self.name,)),
            f"the slots of {self.name} to be free")
        self.cluster.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s", (self.name,))
        self.cluster.execute(f'drop database if exists "{self.name}" with (force)')
