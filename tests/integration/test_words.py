# SPDX-License-Identifier: Apache-2.0
"""Comments, texts for people and pages are in plain English: a list of words that a translation brings, with plain ones."""

import re

from integration.test_tidy import files

# Words of a translation, and plain ones for them.
GLOSSARY = {
    r"whoever|whomever": "the caller, another thread: say which",
    r"nobody": "no one, no session: say who",
    r"somebody": "someone, another session: say who",
    r"meanwhile": "while that lasts, in between, or nothing",
    r"as ever": "as before",
    r"in peace": "orderly",
    r"lets? go of|let go": "release",
    r"manieth": "the ordinal",
    r"wonders?": "say what happens",
    r"stands? (?:in|on|at|there|here|alone|still|before|behind|so|with|under|between)|stood": "is",
    r"comes? to nothing": "fails",
    r"behind (?:it|them|that|which|those|what|its|us|him)": "after",
    r"besides": "also, besides that: say it plainly",
    r"speaks? up": "reports",
    r"goes? ahead": "is sent first",
    r"takes? both back": "loses both",
}


def words_of(text, suffix):
    """(line number, words) of comments and of texts for people."""
    if suffix == ".md":
        yield from enumerate(text.splitlines(), 1)
        return
    for match in re.finditer(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', text, re.S):
        for offset, line in enumerate(match[0].splitlines()):
            yield text.count("\n", 0, match.start()) + 1 + offset, line


def test_words_are_plain():
    odd = []
    for file, path, text in files(".c", ".h", ".md"):
        for number, line in words_of(text, file.suffix):
            for pattern, plain in GLOSSARY.items():
                if re.search(rf"\b(?:{pattern})\b", line, re.I):
                    odd.append(f"{path}:{number}: {line.strip()[:90]} -> {plain}")
    assert not odd


# Constants that are larger than one, and texts whose number never is one.
ALWAYS_MANY = {
    "cdc/config/config_document.c: %d keys", "cdc/config/config_migrate.c: %d databases", "cdc/check/check_start.c: %d replication slots", "cdc/config/config_sinks.c: %d sinks", "cdc/engine/attempt.c: %d batches",
    "cdc/engine/pipeline.c: %d sinks",
    "cdc/verify/verify_sides.c: %d seconds", "sinks/formats/topic_name.c: %zu characters", "sinks/kafka/kafka_check.c: %d replicas",
}
NO_NOUNS = {"bytes", "ms", "runs", "sends", "exists", "does", "has"}  # a unit, and verbs


def counted_by_hand(text):
    """A number, then a noun that ends in s."""
    joined = re.sub(r'"\s*PRI[du]64\s*"', "u", text)
    for match in re.finditer(r"%(?:z|l|ll)?[ud]((?: [a-z]+){0,2}?) ([a-z]{2,}s)\b", joined):
        if match[2] not in NO_NOUNS and not re.search(r"\b(?:not|where|into|of)\b", match[1]):
            yield match[0]


def test_a_count_and_its_noun_come_from_amount_count():
    """`status` said "1 attempts", and a run "1 transactions, 3 changes"."""
    found = {f"{path}: {count}" for _, path, text in files(".c") for count in counted_by_hand(text)}
    assert found - ALWAYS_MANY == set() and ALWAYS_MANY - found == set()
