# SPDX-License-Identifier: Apache-2.0
"""What `meson install` puts where, the completions in their shells, the examples, and the version."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support import shells

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "cdc/packaging"
EXAMPLES = sorted((PACKAGING / "examples").glob("*.yaml"))


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
    "share/doc/pgcdc/LICENSE", "share/doc/pgcdc/CHANGELOG.md", "share/doc/pgcdc/README.md", "share/doc/pgcdc/cdc/check/findings.md",
]


def test_the_program_and_what_belongs_to_it_are_installed(installed):
    assert [path for path in INSTALLED if not (installed / path).is_file()] == []
    assert "ExecStart=/usr/local/bin/pgcdc" in (installed / "lib/systemd/system/pgcdc@.service").read_text()


def examples():
    """examples/shop.yaml"""
    paths = subprocess.run(["git", "ls-files", "examples"], cwd=PACKAGING, capture_output=True, text=True, check=True).stdout.split()
    return [path for path in paths if not path.endswith(".md")]


def test_nothing_else_is_installed(installed):
    expected = {*INSTALLED, *(f"share/doc/pgcdc/{path}" for path in examples())}
    files = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    others = {path for path in files - expected if not re.match(r"share/doc/pgcdc/(cdc|sinks)/.*\.md$", path)}
    assert others == set()


def test_the_pages_for_users_are_installed_and_lead_to_each_other(installed):
    docs = installed / "share/doc/pgcdc"
    pages = [page.relative_to(ROOT) for page in (ROOT / "cdc/manual").glob("*.md")]
    assert [page for page in pages if not (docs / page).is_file()] == []
    followed = re.findall(r"\]\((cdc/manual/[\w-]+\.md)\)", (docs / "README.md").read_text(encoding="utf-8"))
    assert followed and [link for link in followed if not (docs / link).is_file()] == []


def test_every_example_is_installed(installed):
    assert len(EXAMPLES) > 3
    assert [path for path in examples() if not (installed / "share/doc/pgcdc" / path).is_file()] == []


# ---- the examples ----


def near(example, folder):
    """The example with every server at a port of this machine that no one listens on, and its secrets in the folder."""
    (folder / "secret").write_bytes(b"0123456789abcdef0123456789abcdef")
    (folder / "secret").chmod(0o600)
    text = re.sub(r"host=[\w.]+", "host=127.0.0.1 port=1", example.read_text(encoding="utf-8"))
    text = re.sub(r"[\w.]+\.example:\d+", "127.0.0.1:1", text)
    text = re.sub(r"(key_file|password_file): [^}\s]*(?:\}/[\w.]+)?", rf"\1: {folder}/secret", text)
    return text.replace("/var/lib/pgcdc", str(folder)).replace(" sslmode=verify-full", "")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_pgcdc_reads_every_example(run, example, tmp_path):
    """Each key and value is as `check` wants it, and all that it finds is that the servers are not there."""
    file = tmp_path / example.name
    file.write_text(near(example, tmp_path))
    (tmp_path / "shop").mkdir()
    result = run("check", "-c", file, "--json", env={"STATE_DIRECTORY": str(tmp_path), "PATH": "/usr/bin"})
    assert result.stderr == ""
    problems = {finding["code"] for finding in json.loads(result.stdout)["findings"] if finding["severity"] == "problem"}
    assert problems == {"connection"}, result.stdout


def test_a_wrong_example_is_found(run, tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(near(EXAMPLES[0], tmp_path) + "colour: green\n")
    result = run("check", "-c", file, "--json")
    assert result.returncode == 2 and "colour: unknown key" in result.stderr


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


def git(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@localhost", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def small_tree(tmp_path):
    """A repository with nothing but what makes a version."""
    tree = tmp_path / "tree"
    (tree / "cdc").mkdir(parents=True)
    for name in ("meson.build", ".gitattributes"):
        shutil.copy(ROOT / name, tree / name)
    shutil.copytree(PACKAGING, tree / "cdc/packaging")
    (tree / "cdc/packaging/COMMIT").write_text("$Format:%H %ct %(describe:match=v*)$\n")
    (tree / "cdc/packaging/CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A page.\n")
    git(tree, "init", "-q")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "first")
    return tree


def revision(tree, *arguments):
    return subprocess.run([tree / "cdc/packaging/revision", *arguments], capture_output=True, text=True, check=False)


def package_version(tree):
    made = subprocess.run([tree / "cdc/packaging/debian_changelog", revision(tree, "--all").stdout.strip()], capture_output=True, text=True, check=False)
    return re.match(r"pgcdc \((.*?)\) ", made.stdout)[1] if made.returncode == 0 else made.stderr.strip()


def test_a_clone_and_an_archive_of_it_know_their_commit(small_tree, tmp_path):
    of_git = revision(small_tree, "--all").stdout
    assert re.fullmatch(r"[0-9a-f]{40} \d+ \n", of_git)
    archive = tmp_path / "archive"
    archive.mkdir()
    packed = subprocess.run(["git", "archive", "HEAD"], cwd=small_tree, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", archive], input=packed, check=True)
    assert revision(archive, "--all").stdout == of_git
    (small_tree / "more").write_text("")
    assert revision(small_tree).stdout == of_git[:12] + "-dirty\n"


def test_a_copy_without_git_says_that_its_commit_is_unknown(small_tree):
    shutil.rmtree(small_tree / ".git")
    assert revision(small_tree).returncode == 1
    built = subprocess.run([small_tree / "cdc/packaging/build_deb", small_tree / "out"], capture_output=True, text=True, check=False)
    assert built.returncode == 1 and "no commit is known of this tree" in built.stderr


def test_a_tag_makes_the_version_of_a_package(small_tree):
    version = project_version()
    before = package_version(small_tree)
    assert re.fullmatch(rf"{re.escape(version)}~git\d{{8}}\.\d{{6}}\.[0-9a-f]{{8}}", before)
    git(small_tree, "tag", "-am", "", f"v{version}")
    assert f"CHANGELOG.md has no section [{version}]" in package_version(small_tree)
    git(small_tree, "tag", "-d", f"v{version}")
    changelog = small_tree / "cdc/packaging/CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("[Unreleased]", f"[{version}] - 2026-12-24"))
    git(small_tree, "commit", "-qam", "release")
    git(small_tree, "tag", "-am", "", f"v{version}")
    assert package_version(small_tree) == version
    (small_tree / "more").write_text("")
    git(small_tree, "add", ".")
    git(small_tree, "commit", "-qm", "more")
    after = package_version(small_tree)
    assert after.startswith(f"{version}+git")
    if shutil.which("dpkg"):
        for older, newer in ((before, version), (version, after)):
            subprocess.run(["dpkg", "--compare-versions", older, "lt", newer], check=True)


def test_the_changelog_has_the_version_of_a_release():
    headings = re.findall(r"^## \[(.*?)\]", (PACKAGING / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert headings and (headings[0] == "Unreleased" or headings[0] == project_version())
