# SPDX-License-Identifier: Apache-2.0
"""The requirements of a benchmark: Debian packages, and the release engine in build/."""
import os
import pathlib
import subprocess

from .cluster import ClusterError

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALL = ROOT / "tests" / "support" / "install"
DEBEZIUM = ROOT / "tests" / "support" / "debezium"


def install(groups):
    """Installs the packages that every benchmark needs, and the groups of tests/support/install."""
    run_command([INSTALL, "program", "bench", *groups])
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        raise ClusterError("the Debian package python3-psycopg2 is missing (run it as root or with sudo)") from None


def build_engine():
    """Builds the release engine, without fault points and tests."""
    return _build("cdc/pgcdc")


def build_lag():
    """The program that makes and watches the load of a lag measurement."""
    return _build("bench/lag")


def _build(program):
    folder = ROOT / "build"
    if not (folder / "build.ninja").exists():
        run_command(["meson", "setup", folder, ROOT, "--buildtype=release"])
    run_command(["ninja", "-C", folder, program])
    return folder / program


def run_command(command):
    command = list(map(str, command))
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, check=False, env=dict(os.environ, LC_ALL="C.UTF-8"))
    except FileNotFoundError as missing:
        raise ClusterError(f"{missing.filename} is not installed") from None
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}")
