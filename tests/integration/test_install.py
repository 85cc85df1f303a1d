# SPDX-License-Identifier: Apache-2.0
"""What `meson install` puts where, the completions in their shells, and the version."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from support import shells

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(program):
    def call(*arguments, **options):
        return subprocess.run([program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False,
                              **options)
    return call


@pytest.fixture(scope="module")
def installed(program, tmp_path_factory):
    """The folder with what `meson install` installs of the build that is tested."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run(["meson", "install", "-C", program.parents[1], "--no-rebuild", "--quiet", "--destdir", folder], check=True,
                   capture_output=True, timeout=60)
    return folder / "usr/local"


INSTALLED = [
    "bin/pgcdc", "share/man/man1/pgcdc.1", "share/man/man5/pgcdc.yaml.5",
    "share/bash-completion/completions/pgcdc.bash", "share/zsh/site-functions/_pgcdc", "share/fish/vendor_completions.d/pgcdc.fish",
    "lib/systemd/system/pgcdc@.service",
    "share/pgcdc/change.proto", "share/pgcdc/archive.proto", "share/pgcdc/alerts.yml", "share/pgcdc/grafana.json",
]


def test_the_program_and_what_belongs_to_it_are_installed(installed):
    assert [path for path in INSTALLED if not (installed / path).is_file()] == []
    assert "ExecStart=/usr/local/bin/pgcdc" in (installed / "lib/systemd/system/pgcdc@.service").read_text()


def test_nothing_else_is_installed(installed):
    assert {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()} - set(INSTALLED) == set()


# ---- the completions ----

COMPLETIONS = [
    ("pgcdc ru", {"run"}),
    ("pgcdc run --t", {"--timeout", "--take-over"}),
    ("pgcdc run -c f --until ", {"caught-up"}),
    ("pgcdc migrate -c f --until c", {"caught-up", "copied"}),
    ("pgcdc check --sql t", {"target"}),
    ("pgcdc help conf", {"config"}),
    ("pgcdc tab", {"table"}),
    ("pgcdc table a", {"add"}),
    ("pgcdc table copy -", {"-c", "--where", "--database", "--log", "--verbose", "--help"}),
    ("pgcdc run --log j", {"json"}),
    ("pgcdc completion f", {"fish"}),
]


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_a_shell_completes(run, shell):
    if not shells.is_there(shell):
        pytest.skip(f"{shell} is not here (tests/support/install package)")
    completion = run("completion", shell).stdout
    assert shells.offered(shell, completion, [line for line, _ in COMPLETIONS]) == dict(COMPLETIONS)


def test_a_shell_without_completion_is_named(run):
    result = run("completion", "tcsh")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "pgcdc completion: unknown shell tcsh; see: pgcdc help completion\n"


def test_the_installed_completions_are_those_of_the_program(run, installed):
    for shell, path in zip(shells.SHELLS, (path for path in INSTALLED if "omplet" in path or "site-functions" in path)):
        assert (installed / path).read_text(encoding="utf-8") == run("completion", shell).stdout


# ---- the version ----


def project_version():
    return re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text(encoding="utf-8"))[1]


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_names_the_program_its_build_and_its_libraries(run, arguments):
    result = run(*arguments)
    assert result.returncode == 0
    assert re.match(rf"pgcdc {re.escape(project_version())}, commit ([0-9a-f]{{12}}(-dirty)?|unknown)\nbuilt as ", result.stdout)
    assert re.search(r"^libpq \d+\.\d+$", result.stdout, re.M)


def test_version_for_programs(run):
    version = json.loads(run("version", "--json").stdout)
    assert version["version"] == project_version()
    assert set(version) == {"version", "commit", "build_type", "compiler", "options", "libraries"}
    for name, module in {"libpq": "libpq", "librdkafka": "rdkafka", "libzstd": "libzstd", "zlib": "zlib", "pcre2": "libpcre2-8",
                         "openssl": "libcrypto", "yajl": "yajl", "libyaml": "yaml-0.1", "protobuf-c": "libprotobuf-c"}.items():
        library = version["libraries"][name]
        assert library["built"] == subprocess.run(["pkg-config", "--modversion", module], capture_output=True, text=True, check=True).stdout.strip()
        assert library["running"].split(".")[0] == library["built"].split(".")[0]
    assert version["options"]["http"] == (version["libraries"]["libmicrohttpd"] is not None)
