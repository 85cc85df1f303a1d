# SPDX-License-Identifier: Apache-2.0
"""A client of a running engine's control socket, and a pair of snapshots that a barrier makes equal."""

import os
import socket

from support.pipeline import SINK
from support.wait import wait_until

PAGE_BYTES, HEADER_BYTES_MAX = 8192, 40


class Refused(Exception):
    """The engine's "error …"."""


def connect(pipeline):
    """None: no engine listens. A killed one leaves its socket."""
    folder = os.open(pipeline.state, os.O_PATH | os.O_DIRECTORY)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(60)
    try:
        made.connect(f"/proc/self/fd/{folder}/{pipeline.name}.control")
        return made
    except (ConnectionRefusedError, FileNotFoundError):
        made.close()
        return None
    finally:
        os.close(folder)


class Control:
    """Lines to the socket in the state directory, and its answers."""

    def __init__(self, pipeline):
        self.socket = wait_until(lambda: connect(pipeline), "the engine to listen, which can be a moment after the stream begins")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, request):
        self.socket.sendall(request.encode() + b"\n")

    def answer(self):
        line = b""
        while not line.endswith(b"\n"):
            got = self.socket.recv(65536)
            assert got, "the engine closed the socket"
            line += got
        word, _, rest = line.decode().strip().partition(" ")
        if word != "ok":
            raise Refused(rest)
        return rest.split()

    def ask(self, request):
        self.send(request)
        return self.answer()


def without_header(lsn):
    high, low = (int(part, 16) for part in lsn.split("/"))
    on_page = low % PAGE_BYTES
    return f"{high:X}/{low - on_page if on_page <= HEADER_BYTES_MAX else low:X}"


class Sides:
    """A session on each side, each in a transaction of its own between take and end."""

    def __init__(self, pipeline):
        self.source = pipeline.source.connect(autocommit=False)
        self.target = pipeline.target.connect(autocommit=False)
        for connection in (self.source, self.target):
            connection.set_session(isolation_level="REPEATABLE READ", readonly=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.close()
        self.target.close()

    def take(self, control):
        """Both snapshots. The numbers of transactions that speak against their equality: unseen, unknown, late."""
        control.ask(f"hold {SINK}")
        lsn, snapshot = query(self.source, "select pg_current_wal_insert_lsn()::text, pg_current_snapshot()::text")[0]
        _, unseen, unknown = control.ask(f"advance {without_header(lsn)} {snapshot}")
        query(self.target, "select 1 from pgcdc.position limit 1")
        late, = control.ask("release")
        return int(unseen), int(unknown), int(late)

    def end(self):
        self.source.rollback()
        self.target.rollback()


def query(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()
