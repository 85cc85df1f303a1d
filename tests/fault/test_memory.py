# SPDX-License-Identifier: Apache-2.0
"""No memory: whichever allocation fails, the program ends with a clear message or retries, and never corrupts anything."""

import re

import pytest

FAILED = "an allocation failed"
COUNT_MAX = 100000
COMMANDS = {"check": ("check",), "status": ("status", "--json"), "verify": ("verify", "--keys", "5"), "copy": ("run", "--until", "caught-up"), "stream": ("run", "--until", "caught-up")}


def numbers(is_long):
    """Each one, or a few that lie closer together in the beginning."""
    number = 1
    while number < COUNT_MAX:
        yield number
        number = number + 1 if is_long else number * 3 // 2 + 1


def change(pipeline, seed):
    """Small transactions and sets."""
    pipeline.source.execute(f"insert into account select g, 0, 'x' from generate_series({seed}000000, {seed}000200) g")
    pipeline.source.execute(f"update account set pad = 'y' where id between {seed}000000 and {seed}000150")
    pipeline.source.execute(f"delete from account where id between {seed}000100 and {seed}000110")


def without_lsn(said):
    """An idle server's WAL grows too."""
    return re.sub(r"\b[0-9A-F]+/[0-9A-F]+\b", "LSN", said)


def run_with(pipeline, name, number, healthy):
    """True: it reached that allocation. healthy: the output of each command with enough memory."""
    shim = pipeline.engine.program.parent.parent / "tests" / "libfailing_allocation.so"
    assert shim.exists(), "it is built with the tests"
    result = pipeline.engine.command(*COMMANDS[name], environment={"LD_PRELOAD": str(shim), "PGCDC_FAIL_ALLOCATION": str(number)}, timeout_s=60)
    said = result.stdout + result.stderr
    assert 0 <= result.returncode <= 3, f"allocation {number}: exit code {result.returncode}\n{said}"
    if result.returncode != 0 and name != "status":
        assert "memory" in said.replace(FAILED, ""), f"allocation {number}: no clear word\n{said}"
    if name in healthy and result.returncode == 0:
        assert without_lsn(result.stdout) == without_lsn(healthy[name]), f"allocation {number}: good, and not all was looked at\n{said}"
    return FAILED in result.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_an_allocation_that_fails(loaded, finish, request, name):
    if "san" in str(loaded.engine.program):
        pytest.skip("sanitizers have allocators of their own")
    if name != "copy":
        loaded.engine.catch_up()
    seed, healthy = 0, {one: loaded.engine.command(*COMMANDS[one]).stdout for one in ("check", "verify") if one == name}
    for number in numbers(request.config.getoption("--long")):
        if name == "stream":
            seed += 1
            change(loaded, seed)
        if not run_with(loaded, name, number, healthy):
            break
        if name == "copy" and loaded.position():
            loaded.engine.command("drop")
            loaded.target.execute("truncate journal, account, document, seat, part")
    assert number > 100, "there are more allocations than that"
    finish(loaded)
