# SPDX-License-Identifier: Apache-2.0
"""Programs that tests/support/install keeps in its cache."""

import subprocess
from pathlib import Path

import pytest


def cached_program(group, program):
    """The program's path; without it the test is skipped, with the reason."""
    cache = subprocess.run([Path(__file__).parent / "cache"], capture_output=True, text=True, check=True).stdout.strip()
    path = Path(cache) / group / "bin" / program
    if not path.exists():
        pytest.skip(f"{program} is not there; `tests/support/install {group}` installs it")
    return str(path)
