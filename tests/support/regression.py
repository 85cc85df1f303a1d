# SPDX-License-Identifier: Apache-2.0
"""The database that PostgreSQL's own regression tests leave behind: every kind of object, and the oddest of each."""

import subprocess

from support.cluster import Database
from support.server import as_server_user, cache_folder, server_programs

VERSION = 15
NAME = "regression"


def regression_files():
    """The tests' SQL, its data and C functions, or None: `tests/support/install regression` brings them."""
    folder = cache_folder() / "regression" / str(VERSION)
    return folder if folder.exists() else None


def regression_database(cluster):
    """Makes it in a cluster of that version. Tests may fail, since only what they leave behind counts."""
    files = regression_files()
    output = cluster.folder / "regression"
    subprocess.run(as_server_user(["mkdir", output]), check=True)
    runner = server_programs(VERSION).parent / "lib/pgxs/src/test/regress/pg_regress"
    result = subprocess.run(as_server_user([
        runner, "--host=127.0.0.1", f"--port={cluster.port}", "--user=postgres", f"--bindir={cluster.programs}", f"--dbname={NAME}",
        f"--inputdir={files}", f"--outputdir={output}", f"--dlpath={files}", f"--schedule={files / 'parallel_schedule'}"]),
        capture_output=True, text=True, cwd=output, check=False)
    database = Database(cluster, NAME)
    count = database.value("select count(*) from pg_tables where schemaname !~ '^pg_|^information_schema$'")
    assert count > 500, f"{count} tables; {result.stdout}{result.stderr}"
    return database
