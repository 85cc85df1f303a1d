# SPDX-License-Identifier: Apache-2.0
"""The environment of a result: the commit, the machine, and all versions."""
import os
import pathlib
import platform
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALL = ROOT / "tests" / "support" / "install"


def commit():
    """The commit that is measured, and whether files differ from it."""
    said = _output("git", "-C", ROOT, "describe", "--always", "--exclude=*", "--dirty=+")
    return (said.rstrip("+") or "unknown"), said.endswith("+")


def machine():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": _line_of("/proc/cpuinfo", r"model name\s*: (.*)"), "cores": os.cpu_count(),
            "memory_gib": round(memory / 2**30), "kernel": platform.release().split("-")[0],
            "system": _line_of("/etc/os-release", r'PRETTY_NAME="?([^"]*)'),
            "load_average": round(os.getloadavg()[0], 1)}


def versions(postgres, peers):
    """The versions of the servers and of the libraries that the peers use."""
    found = {"PostgreSQL": postgres, "libpq": _package("libpq5")}
    if any(peer.needs_kafka for peer in peers):
        found |= {"Apache Kafka": _line_of(INSTALL, r"kafka_version=(\S+)"), "librdkafka": _package("librdkafka1"),
                  "Java": _package("openjdk-17-jre-headless")}
    return {name: version for name, version in found.items() if version}


def _package(name):
    return _output("dpkg-query", "-W", "-f", "${Version}", name)


def _output(*command):
    try:
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _line_of(path, pattern):
    """The match in the first line that matches, "" when there is none."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search("^" + pattern, text, re.M)
    return found.group(1).strip() if found else ""
