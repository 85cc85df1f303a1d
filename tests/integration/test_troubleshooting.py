# SPDX-License-Identifier: Apache-2.0
"""cdc/manual/troubleshooting.md has every refusal, retry and change that cannot be applied of the sources, and no message that no source has."""

import re
from pathlib import Path

import pytest

from integration.test_findings import arguments_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "cdc" / "manual" / "troubleshooting.md"

# Which arguments of a call are the kind and the text. A text that is put before another's keeps that one's kind.
CALLS = {"error_set": (1, 2), "record_refuse": (1, 3), "error_wrap": (None, 1)}
KINDS = {"ERROR_REFUSE": "refused", "ERROR_RETRY": "retried", "ERROR_DATA": "stops", "ERROR_CONFIG": "configuration",
         "ERROR_RUNNING": "running", "ERROR_SYSTEM": "system"}
WANTED = {"refused", "retried", "stops", "running"}
ANY = "any"
LETTERS_MIN = 8  # a text with fewer is another's: a server's, a library's, the operating system's

TOKEN = re.compile(r'"((?:\\.|[^"\\])*)"|\bPRI[a-z]\d+\b|\bSTART_OVER\b|[^\s"]')
VALUE = re.compile(r"%%|%[-+0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|z|j)?[a-zA-Z]?|[A-Z][A-Z0-9_]+")


def without_comments(text):
    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/', lambda found: found[0] if found[0][0] == '"' else " ", text, flags=re.S)


def literals_of(argument):
    """The texts that the argument can be: literals side by side are one, those with anything in between are several."""
    texts, is_open = [], False
    for token in TOKEN.finditer(argument):
        if token[1] is not None:
            if not is_open:
                texts.append("")
            texts[-1] += token[1]
            is_open = True
        elif not token[0].startswith("PRI"):
            is_open = False
    return [re.sub(r'\\(["\\])', r"\1", text) for text in texts]


def fixed(text):
    """The text with a mark for each value that is filled in, and for each word in capitals, which a page writes for one."""
    marked = VALUE.sub(lambda found: "%" if found[0] == "%%" else "\0", text)
    return re.sub("\0+", "\0", " ".join(marked.split()))


def letters(text):
    return len(re.findall(r"[a-z]", text))


def messages_in(text):
    """(kind, fixed words) of each error that the source makes."""
    text = without_comments(text)
    for name, (kind, format_) in CALLS.items():
        for call in re.finditer(rf"\b{name}\(", text):
            arguments = arguments_of(text, call.end())
            if len(arguments) <= format_:
                continue
            names = re.findall(r"\bERROR_[A-Z]+\b", arguments[kind]) if kind is not None else []
            kinds = {KINDS[name] for name in names if name in KINDS} if kind is not None else {ANY}
            for literal in literals_of(arguments[format_]):
                if letters(fixed(literal)) >= LETTERS_MIN:
                    yield kinds, fixed(literal)


def messages_of_sources():
    """{fixed words: kinds}"""
    found = {}
    for folder in ("cdc", "decoder", "proto", "sinks"):
        for file in sorted((ROOT / folder).rglob("*.c")):
            for kinds, message in messages_in(file.read_text(encoding="utf-8")):
                found.setdefault(message, set()).update(kinds)
    return found


def rows_of_page():
    """(message as the page writes it, kind) of each row."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
            assert len(cells) == 4 and all(cells), line
            for message in re.findall(r"`([^`]*)`", cells[0]):
                yield message, cells[1]


def pattern_of(message):
    """Three dots are any words."""
    return re.compile(".*".join(re.escape(fixed(part)) for part in message.replace("…", "\1").split("\1")), re.S)


@pytest.fixture(scope="module")
def messages():
    found = messages_of_sources()
    assert sum(bool(kinds & WANTED) for kinds in found.values()) > 150, "the search finds them"
    return found


def test_the_page_has_every_message(messages):
    patterns = [pattern_of(message) for message, _ in rows_of_page()]
    missing = [message.replace("\0", "%") for message, kinds in messages.items()
               if kinds & WANTED and not any(pattern.fullmatch(message) for pattern in patterns)]
    assert not missing


def test_every_message_of_the_page_exists_and_is_of_that_kind(messages):
    odd = []
    for message, kind in rows_of_page():
        pattern = pattern_of(message)
        kinds = set().union(*(kinds for text, kinds in messages.items() if pattern.fullmatch(text)))
        if not kinds & {kind, ANY}:
            odd.append((message, kind, kinds or "no source has it"))
    assert not odd


def test_no_message_of_the_page_fits_everything():
    assert [message for message, _ in rows_of_page() if letters(fixed(message)) < LETTERS_MIN] == []


def test_no_message_is_on_the_page_twice():
    listed = [message for message, _ in rows_of_page()]
    assert sorted(listed) == sorted(set(listed))


@pytest.mark.parametrize("source, found", [
    ('error_set(err, ERROR_REFUSE, "slot %s is " /* a "remark" */ "lost (%s)", a, b(c, d))', [({"refused"}, "slot \0 is lost (\0)")]),
    ('error_set(err, is ? ERROR_RUNNING : ERROR_RETRY, "the pid %" PRIu64 " of %.*s %%", 1)', [({"running", "retried"}, "the pid \0 of \0 %")]),
    ('error_set(err, ERROR_DATA, a ? "the first words" : "the other words")', [({"stops"}, "the first words"), ({"stops"}, "the other words")]),
    ('error_set(err, ERROR_DATA, "table \\"%s\\", gone, as (said)", x)', [({"stops"}, 'table "\0", gone, as (said)')]),
    ('/* error_set(err, ERROR_DATA, "no words of code") */ error_set(err, ERROR_RETRY, "%s: %s", a, b)', []),
])
def test_the_parser_reads_texts_as_the_compiler_does(source, found):
    assert list(messages_in(f"{source};\n")) == found
