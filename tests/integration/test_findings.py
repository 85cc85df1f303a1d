# SPDX-License-Identifier: Apache-2.0
"""cdc/check/findings.md has every code that `pgcdc check` can find, once, and no other."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "cdc" / "check" / "findings.md"

# Which argument of a call is the code; a call that passes on its caller's has no literal there.
CODE_ARGUMENT = {"findings_add": 2, "findings_add_error": 2, "sink_check_add": 2, "kafka_check_report": 2, "report_right": 1}
KINDS = {"source", "target", "step", "none"}


def arguments_of(text, start):
    """The arguments of the call whose bracket was opened before `start`."""
    depth, begin, place, inside = 1, start, start, False
    arguments = []
    while depth > 0:
        letter = text[place]
        if inside:
            place += letter == "\\"
            inside = letter != '"'
        elif letter == '"':
            inside = True
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 1:
            arguments.append(text[begin:place])
            begin = place + 1
        place += 1
    return [*arguments, text[begin:place - 1]]


def codes_in(text):
    for name, argument in CODE_ARGUMENT.items():
        for call in re.finditer(rf"\b{name}\(", text):
            arguments = arguments_of(text, call.end())
            if len(arguments) > argument:
                yield from re.findall(r'"([^"]*)"', arguments[argument])
    yield from re.findall(r'\{"([a-z_]+)", SEVERITY_', text)  # a table of queries


def codes_of_source():
    codes = set()
    for folder in ("cdc", "sinks"):
        for file in (ROOT / folder).rglob("*.c"):
            codes.update(codes_in(file.read_text(encoding="utf-8")))
    return codes


def rows_of_page():
    return [[cell.strip() for cell in line.strip("|").split("|")]
            for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]


def test_every_code_is_on_the_page_and_every_one_of_the_page_exists():
    codes, listed = codes_of_source(), [row[0].strip("`") for row in rows_of_page()]
    assert len(codes) > 60, "the search finds them"
    assert sorted(codes) == sorted(listed)
    assert [code for code in codes if not re.fullmatch("[a-z_]+", code)] == []


def test_every_row_of_the_page_is_whole():
    for row in rows_of_page():
        assert len(row) == 4 and all(row), row
        assert set(row[3].split(", ")) <= KINDS, row


def test_readme_and_help_lead_to_the_page(program):
    assert "cdc/check/findings.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    shown = subprocess.run([program, "help", "check"], capture_output=True, text=True, check=True)
    assert "cdc/check/findings.md" in shown.stdout
