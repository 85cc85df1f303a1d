# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL cluster in a temporary folder, reached over TCP on a free port."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess

UNPRIVILEGED_USER = "postgres"  # PostgreSQL refuses to run as root
START_TIMEOUT_S = 60


class ClusterError(Exception):
    """Something that the person at the terminal has to read."""


def find_binaries(wanted=None):
    """The folder with initdb, pg_ctl and pg_recvlogical: the newest installed one unless it is given."""
    if wanted:
        folders = [pathlib.Path(wanted)]
    else:
        folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
        on_path = shutil.which("initdb")
        folders += [pathlib.Path(on_path).parent] if on_path else []
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "pg_recvlogical", "pgbench", "psql")):
            return folder
    raise ClusterError("no PostgreSQL server programs found (initdb, pg_ctl, pg_recvlogical, pgbench); "
                       "name their folder with --pg-bin")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def as_server_user(command):
    """The command as the user that may run PostgreSQL: ourselves, or postgres when we are root."""
    if os.geteuid() != 0:
        return command
    return ["runuser", "-u", UNPRIVILEGED_USER, "--", *command]


def server_user():
    return UNPRIVILEGED_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


class Cluster:
    """One server. Its superuser is `postgres`, trusted on 127.0.0.1; it lives as long as the run."""

    def __init__(self, name, folder, binaries, settings):
        self.name = name
        self.binaries = binaries
        self.port = free_port()
        self.folder = pathlib.Path(folder) / name
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.settings = dict(settings, port=self.port, listen_addresses="127.0.0.1",
                             unix_socket_directories="")
        self.postmaster_pid = None

    def start(self):
        self._tool("initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                   "--no-sync")
        lines = "".join(f"{key} = '{value}'\n" for key, value in self.settings.items())
        with open(self.folder / "postgresql.auto.conf", "a", encoding="utf-8") as conf:
            conf.write(lines)
        self._tool("pg_ctl", "start", "-w", "-t", START_TIMEOUT_S, "-s", "-D", self.folder, "-l", self.log)
        self.postmaster_pid = int((self.folder / "postmaster.pid").read_text().split()[0])

    def stop(self):
        if self.postmaster_pid is None:
            return
        subprocess.run(self._command("pg_ctl", "stop", "-s", "-m", "immediate", "-D", self.folder), check=False)
        self.postmaster_pid = None

    def dsn(self, database):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def connect(self, database="postgres"):
        """An autocommit psycopg2 connection."""
        import psycopg2  # installed by build.install()
        connection = psycopg2.connect(self.dsn(database) + " application_name=bench")
        connection.autocommit = True
        return connection

    def query(self, sql, parameters=None, database="postgres"):
        """All rows of one statement, [] when it returns none."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, parameters=None, database="postgres"):
        rows = self.query(sql, parameters, database)
        return rows[0][0] if rows else None

    def version(self):
        """150020"""
        return int(self.value("show server_version_num"))

    def script(self, text, database, **variables):
        """Runs a psql script; psql's variables are given by name."""
        command = [str(self.binaries / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database)]
        for key, value in variables.items():
            command += ["-v", f"{key}={value}"]
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"psql on the {self.name} said: {done.stderr.strip()}")

    def set(self, **settings):
        for key, value in settings.items():
            self.query(f"alter system set {key} = '{value}'")
        self.query("select pg_reload_conf()")

    def _command(self, program, *arguments):
        return as_server_user([str(self.binaries / program), *map(str, arguments)])

    def _tool(self, program, *arguments):
        done = subprocess.run(self._command(program, *arguments), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd="/")
        if done.returncode != 0:
            log = self.log.read_text()[-2000:] if self.log.exists() else ""
            raise ClusterError(f"{program} for the {self.name} failed: {done.stdout.strip()}\n{log}")
