# SPDX-License-Identifier: Apache-2.0
"""Root folders to install a package in, without a change to this machine.

`machine()` is this machine with a layer over it that takes every write; `base_systems(release, count)` are new Debians with nothing
but the base. Both need root. What they mount is in a mount namespace of each command, and ends with it.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

MOUNT = "mount -t proc proc {root}/proc && mount --bind /dev {root}/dev && mount -t tmpfs tmpfs {root}/tmp && "


def why_not():
    """The reason why there are no boxes here, or None."""
    if os.geteuid() != 0:
        return "only root can mount and change the root folder"
    if shutil.which("apt-get") is None:
        return "no apt-get is here"
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this machine allows no mount namespace"


class Box:
    def __init__(self, mount, root):
        self.mount = mount
        self.root = root

    def run(self, script, files=(), timeout=600):
        """Runs a script of bash in the box, where the files are in /tmp; returns its output, and fails with it."""
        copies = "".join(f"cp {shlex.quote(str(file))} {self.root}/tmp/ && " for file in files)
        command = f"{self.mount}{MOUNT.format(root=self.root)}{copies}exec chroot {self.root} /bin/bash -ec {shlex.quote(script)}"
        result = subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-ec", command], capture_output=True, text=True,
                                stdin=subprocess.DEVNULL, timeout=timeout, check=False, cwd="/",
                                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"})
        assert result.returncode == 0, f"{script}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return result.stdout


@contextlib.contextmanager
def machine():
    """The layer lives in memory, and is new for each run()."""
    with tempfile.TemporaryDirectory() as folder:
        layer = f"{folder}/layer"
        os.mkdir(layer)
        mount = (f"mount -t tmpfs tmpfs {layer} && mkdir {layer}/upper {layer}/work {layer}/root && "
                 f"mount -t overlay overlay -o lowerdir=/,upperdir={layer}/upper,workdir={layer}/work {layer}/root && ")
        yield Box(mount, f"{layer}/root")


@contextlib.contextmanager
def base_systems(release, count):
    """So many new ones, unpacked from one archive; they keep what is written to them."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "base.tar"
        subprocess.run(["mmdebstrap", "--variant=minbase", release, archive], check=True, capture_output=True, timeout=600, cwd="/")
        roots = []
        for number in range(count):
            roots.append(Path(folder) / f"root{number}")
            roots[-1].mkdir()
            subprocess.run(["tar", "-x", "-C", roots[-1], "-f", archive], check=True, timeout=120)
        archive.unlink()
        yield [Box("", str(root)) for root in roots]
