# SPDX-License-Identifier: Apache-2.0
"""Every relative link of every page leads to a file of the tree, and its anchor to a heading of that page."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def pages():
    """Those of the tree, not of a build."""
    folders = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith((".", "build"))]
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))])


def prose(page):
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page):
    """As GitHub makes them of the headings: lower case, no punctuation, spaces as dashes."""
    headings = re.findall(r"^#+ +(.*?)\s*$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fault(page, link):
    """What is wrong with the link, None when it is right."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists() or not target.is_relative_to(ROOT):
        return "leads nowhere"
    if anchor and anchor not in anchors(target):
        return f"has no heading {anchor}"
    return None


def faults(page):
    links = [link for link in LINK.findall(prose(page)) if not re.match(r"[a-z]+:", link)]
    return [f"{page.relative_to(ROOT)}: {link} {fault(page, link)}" for link in links if fault(page, link)]


def test_every_link_leads_to_a_page_and_a_heading():
    assert len(pages()) > 10
    assert not [each for page in pages() for each in faults(page)]


def test_a_wrong_link_is_found():
    page = ROOT / "README.md"
    assert fault(page, "tests/README.md#rules") is None
    assert fault(page, "tests/README.md#no-such-heading") and fault(page, "no/such/page.md") and fault(page, "../outside.md")


def test_every_page_of_the_manual_is_reached_from_the_first_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in pages() if page.parent == ROOT / "cdc/manual" and f"(cdc/manual/{page.name})" not in text]
