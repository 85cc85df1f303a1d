# SPDX-License-Identifier: Apache-2.0
"""The house rules that a program can check: lines, functions, names and calls.

Each failure names file and line. What a rule is for is in the README of the folder tests.
"""

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("cdc", "decoder", "proto", "sinks")
COLUMNS_MAX = 110
FUNCTION_LINES_MAX = 60

# Unbounded, not reentrant, or a sleep that no stop can end; what to use is in cdc/base.
CALLS = ["atoi", "atol", "strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "alloca", "usleep", "sleep", "system", "popen",
         "mktemp", "tmpnam", "rand", "srand", "asctime", "ctime", "gmtime", "localtime", "signal", "setjmp", "longjmp"]


def files(*suffixes, folders=PRODUCT):
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in suffixes and file.is_file():
                yield file, str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")


def test_lines_fit_a_window():
    long = [f"{path}:{number}: {len(line)} columns"
            for _, path, text in files(".c", ".h", folders=(*PRODUCT, "tests", "bench"))
            for number, line in enumerate(text.splitlines(), 1)
            if len(line) > COLUMNS_MAX and not re.match(r" \* {5,}", line)]  # an example in a comment keeps its form
    assert not long


def functions(text):
    """(name, line, lines of the body, is static) of each function, by clang-format's layout."""
    for match in re.finditer(r"^(?!typedef|struct \w+ \{|enum|union)([^\n#/{};=]*?)(\w+)\([^;{}]*\)\s*(?:\w+\s*)?\{\n(.*?)^\}", text, re.M | re.S):
        yield match[2], text.count("\n", 0, match.start()) + 1, match[3].count("\n"), match[1].startswith("static")


def test_functions_are_short():
    long = [f"{path}:{line}: {name} has {lines} lines"
            for _, path, text in files(".c") for name, line, lines, _ in functions(text) if lines > FUNCTION_LINES_MAX]
    assert not long


def test_a_bare_name_is_one_folders():
    """A static function named by a single word means one thing in one folder, so that a stack trace is read without its files."""
    folders = defaultdict(set)
    for file, path, text in files(".c"):
        for name, _, _, is_static in functions(text):
            if is_static and "_" not in name:
                folders[name].add(str(Path(path).parent))
    assert not {name: sorted(where) for name, where in folders.items() if len(where) > 1}


def test_no_banned_call():
    calls = re.compile(r"(?<![\w.>])(" + "|".join(CALLS) + r")\(")
    assert not [f"{path}:{number}: {match[1]}" for _, path, text in files(".c", ".h")
                for number, line in enumerate(text.splitlines(), 1)
                for match in calls.finditer(line.split("/*")[0]) if '"' not in line[:match.start()]]


def test_each_table_of_a_sink_is_left_out_of_a_source():
    """A source that is itself a target has them, and a publication for all tables sends them."""
    created = {name for _, _, text in files(".c") for name in re.findall(r"create table (?:if not exists )?pgcdc\.(\w+)", text)}
    known = re.search(r'OWN_TABLES "([\w,]+)"', (ROOT / "cdc" / "source" / "own_tables.h").read_text(encoding="utf-8"))[1]
    assert created and created - set(known.split(",")) == set()
