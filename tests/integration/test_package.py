# SPDX-License-Identifier: Apache-2.0
"""The Debian package: built by its one command, judged by lintian, installed, used and removed; and the steps of the Dockerfile.

It is built once, from a copy of the tree, which takes minutes: so these are tests of the heavier tier.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support import boxes, shells

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "cdc/packaging"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder with the package. Nothing in the tree has changed when it is there."""
    if shutil.which("dpkg-buildpackage") is None:
        pytest.skip("dpkg-buildpackage is not here (tests/support/install package)")
    folder = tmp_path_factory.mktemp("package")
    before = state_of_tree()
    built = subprocess.run([PACKAGING / "build_deb", folder], capture_output=True, text=True, timeout=1200, check=False)
    assert built.returncode == 0, built.stderr
    assert state_of_tree() == before
    assert built.stdout.split() == [str(deb(folder))]
    return folder


def deb(folder):
    return next(folder.glob("pgcdc_*.deb"))


def state_of_tree():
    """Files that are not in a commit, and those that git ignores but for caches of Python."""
    status = subprocess.run(["git", "status", "--porcelain", "--ignored"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [line for line in status.splitlines() if "__pycache__" not in line]


def needs_boxes():
    reason = boxes.why_not()
    if reason:
        pytest.skip(reason)


def test_lintian_is_silent(package):
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not here (tests/support/install package)")
    checked = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", next(package.glob("*.changes"))], capture_output=True,
                             text=True, timeout=300, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_no_file_is_missing_from_what_meson_installs(package):
    """The package has the unit where Debian has units, and nothing of a build."""
    listed = subprocess.run(["dpkg-deb", "--contents", deb(package)], capture_output=True, text=True, check=True).stdout
    paths = {line.split()[5].removeprefix(".") for line in listed.splitlines() if line.startswith("-")}
    assert paths >= {"/usr/bin/pgcdc", "/usr/share/man/man1/pgcdc.1.gz", "/usr/share/man/man5/pgcdc.yaml.5.gz", "/lib/systemd/system/pgcdc@.service",
                     "/usr/share/bash-completion/completions/pgcdc.bash", "/usr/share/zsh/site-functions/_pgcdc",
                     "/usr/share/fish/vendor_completions.d/pgcdc.fish", "/usr/share/pgcdc/change.proto", "/usr/share/doc/pgcdc/examples/shop.yaml"}
    assert not [path for path in paths if re.search(r"\.(a|o|scd|in)$", path)]


FILES = "find /etc /usr /lib /var/lib /bin -xdev -not -path '/var/lib/dpkg/*' -not -path '/var/lib/apt/*' | sort"
# man(1) looks in each user's folder; mandb writes its index below /var/cache.
USED = """
pgcdc version --json
ls -d /etc/pgcdc
for page in "1 pgcdc" "5 pgcdc.yaml"; do man --warnings $page >/tmp/page 2>/tmp/warnings; grep -q NAME /tmp/page; test ! -s /tmp/warnings; done
systemd-analyze verify /lib/systemd/system/pgcdc@.service
. /usr/share/bash-completion/completions/pgcdc.bash
COMP_WORDS=(pgcdc ru); COMP_CWORD=1; _pgcdc; test "${COMPREPLY[*]}" = run
"""


def test_it_is_installed_used_and_removed_without_a_trace(package):
    """In this machine with a layer over it, which has the libraries that it depends on."""
    needs_boxes()
    used = USED if shutil.which("systemd-analyze") else re.sub(r"systemd-analyze.*\n", "", USED)
    with boxes.machine() as box:
        printed = box.run(f"""
            dpkg --purge pgcdc >/dev/null 2>&1
            {FILES} >/tmp/before
            dpkg --install /tmp/{deb(package).name} >/tmp/dpkg
            {FILES} >/tmp/installed
            ! cmp -s /tmp/before /tmp/installed
            {used}
            dpkg --purge pgcdc >/tmp/purged
            {FILES} >/tmp/after
            diff /tmp/before /tmp/after
            ! dpkg-query -W pgcdc 2>/dev/null
        """, files=[deb(package)])
    assert '"build_type":"plain"' in printed and '"fault_points":false' in printed
    commit = re.search(r'"commit":"([0-9a-f]+)', printed)[1]
    assert subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.startswith(commit)


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_the_shell_finds_the_completion_where_the_package_has_it(package, tmp_path, shell):
    if not shells.is_there(shell):
        pytest.skip(f"{shell} is not here (tests/support/install tests)")
    subprocess.run(["dpkg-deb", "--extract", deb(package), tmp_path], check=True)
    file = {"bash": "bash-completion/completions/pgcdc.bash", "zsh": "zsh/site-functions/_pgcdc", "fish": "fish/vendor_completions.d/pgcdc.fish"}[shell]
    completion = (tmp_path / "usr/share" / file).read_text(encoding="utf-8")
    assert shells.offered(shell, completion, ["pgcdc table co"]) == {"pgcdc table co": {"copy"}}


def dockerfile_stages():
    """(image, [RUN lines]) of each stage."""
    text = re.sub(r"\\\n *", "", (PACKAGING / "Dockerfile").read_text(encoding="utf-8"))
    stages = re.split(r"^FROM ", text, flags=re.M)[1:]
    return [(stage.split()[0], re.findall(r"^RUN (.*)$", stage, re.M)) for stage in stages]


def test_the_steps_of_the_dockerfile_build_and_install_in_a_base_system(tmp_path):
    """What a stage copies is copied here by hand: an archive of the tree as git makes it, and the package of the first stage."""
    needs_boxes()
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is not here (tests/support/install package)")
    (build_image, build_steps), (image, steps) = dockerfile_stages()
    assert build_image == image == "debian:bookworm-slim"
    with boxes.base_systems("bookworm", 2) as (build_box, box):
        source = Path(build_box.root) / "src"
        source.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
        for step in build_steps:
            build_box.run(step, timeout=1200)
        built = next((Path(build_box.root) / "out").glob("pgcdc_*.deb"))
        box.run("; ".join(steps), files=[built])
        assert box.run("pgcdc version").startswith("pgcdc ")
        assert "running" in box.run("pgcdc version --json") and box.run("getent passwd pgcdc")
