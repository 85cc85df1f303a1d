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
