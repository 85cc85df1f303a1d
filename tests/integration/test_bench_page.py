# SPDX-License-Identifier: Apache-2.0
"""The page of a result shows what is in it, needs nothing but itself, and takes what it does not know."""

import copy
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from support.bench_results import drains, lag, result

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import document, page, workload  # noqa: E402

EVERYTHING = result({
    "pgbench": {"recvlogical": drains(6.3, 6.4, 6.1), "pgcdc": drains(2.5, 2.6, 2.4, wal_bytes=90_000_000)},
    "steady": {"native": [lag(500, 1.5), lag(1000, 40)],
               "pgcdc": [lag(500, 1.2, highest_rate=2100), lag(1000, 1.3, highest_rate=2100)]},
    "idle": {"pgcdc": [{"kind": "idle", "commits": 500, "median_ms": 2.7, "p90_ms": 6.2, "p99_ms": 12.1}]},
})


def rendered(result_):
    """The page as a tree; it is also well-formed XML."""
    return ElementTree.fromstring(page.render(result_))


def text_of(tree):
    return " ".join(tree.itertext())


def drawings(tree):
    return {drawing.find("title").text: drawing for drawing in tree.iter("svg")}


def test_every_measure_has_its_drawing_with_a_title_and_what_it_shows_in_words():
    found = drawings(rendered(EVERYTHING))
    for title in ("pgbench: seconds to drain", "steady: lag against rate", "steady at 500/s: lag percentiles",
                  "steady at 1,000/s: lag over time"):
        assert title in found
        assert "pgcdc" in found[title].find("desc").text


def test_a_bar_is_as_long_as_the_median_and_every_round_is_a_dot():
    bars = drawings(rendered(EVERYTHING))["pgbench: seconds to drain"]
    lengths = [float(bar.get("width")) for bar in bars.iter("rect")]
    assert abs(lengths[0] / lengths[1] - 6.3 / 2.5) < 0.01
    assert len([dot for dot in bars.iter("circle") if dot.get("class") == "round"]) == 6


def test_the_page_asks_nobody_for_anything():
    text = page.render(EVERYTHING)
    for outside in ("http:", "https:", "src=", "url(", "@import", "<script"):
        assert outside not in text


def test_what_a_result_says_is_shown_as_text_whatever_is_in_it():
    evil = copy.deepcopy(EVERYTHING)
    evil["results"] = {"<b>w</b>": {"<i>p</i>": drains(1.0, 2.0) + [lag(100, 2)]}}
    evil["head"]["settings"]["a & b"] = "<script>"
    assert "<b>w</b>" in text_of(rendered(evil))
    assert not list(rendered(evil).iter("script"))


def test_keys_and_kinds_that_nobody_named_are_shown():
    known = result({"w": {"pgcdc": drains(1.0, unheard_of_bytes=5_000_000, cost={"spool_s": 3}) + [{"kind": "new", "thing_ms": 41}]}},
                   weather="rain")
    said = text_of(rendered(known))
    for expected in ("unheard of · MB", "cost spool · s", "w: new", "thing_ms", "41", "Weather", "rain"):
        assert expected in said


@pytest.mark.parametrize("run", [{}, {"kind": "drain"}, {"kind": "lag"}, {"kind": "idle"}, {"kind": "lag", "rate": 5},
                                 {"kind": "drain", "seconds": 0.0}, {"kind": "lag", "over_time": [], "histogram": []},
                                 {"kind": "lag", "rate": 5, "percentiles_ms": {"50": 1}},
                                 {"kind": "lag", "rate": 5, "over_time": [[0, None, None], [1, 2.0, 2.0]]}])
def test_what_is_missing_is_left_blank(run):
    bare = {"format": "pgcdc-bench", "version": 1, "head": {}, "results": {"w": {"pgcdc": [run], "other": [run, run]}}}
    assert "How fast" in text_of(rendered(bare))


def test_a_limit_that_is_the_source_s_is_told():
    run = lag(500, 1.2, highest_rate=2100, limited_by="source", falls_behind=False, source_falls_behind=True)
    limited = result({"steady": {"pgcdc": [run]}})
    said = text_of(rendered(limited))
    assert "above it falls behind" in said
    assert "source falls behind" in said


def test_columns_that_nobody_has_are_left_out():
    assert "never seen" not in text_of(rendered(result({"steady": {"pgcdc": [lag(500, 1.2)]}})))
    assert "never seen" in text_of(rendered(result({"steady": {"pgcdc": [lag(500, 1.2, unseen=0)]}})))


def test_who_did_not_run_is_named_with_the_reason():
    assert "nobody has it" in text_of(rendered(result({}, absent={"pgcopydb": "nobody has it"})))


def test_a_failure_is_told_on_top():
    assert "it fell over" in text_of(rendered(EVERYTHING | {"failures": ["native: it fell over"]}))


def test_a_failure_is_told_beside_the_figures_that_it_concerns():
    tree = rendered(EVERYTHING | {"failures": ["steady: it fell over"]})
    sections = {section.get("id"): text_of(section) for section in tree.iter("section")}
    assert "steady: it fell over" in sections["lag"]
    assert "steady: it fell over" not in sections["drain"]


def test_the_headline_stands_first():
    header = next(rendered(EVERYTHING).iter("header"))
    assert header[1].get("class") == "headline"
    assert "2.5 times as fast" in text_of(rendered(result({"w": {"native": drains(5), "pgcdc": drains(2)}})))
    assert "0.40 times as fast" in text_of(rendered(result({"w": {"native": drains(2), "pgcdc": drains(5)}})))


@pytest.mark.parametrize("head", [{"quick": True, "rounds": 1}, {"command": "bench/run --quick", "rounds": 1}])
def test_a_quick_result_has_a_banner_above_all(head):
    header = next(rendered(result({"w": {"pgcdc": drains(1)}}, **head)).iter("header"))
    assert header[1].get("class") == "banner"
    assert header[1].text == "quick: one round, a tenth of the size; start-up dominates; do not quote"


def test_a_result_that_is_not_quick_has_no_banner():
    assert "do not quote" not in text_of(rendered(EVERYTHING))


def test_bold_is_the_shortest_bar_and_nothing_else():
    tree = rendered(result({"w": {"native": drains(2.0), "pgcdc": drains(5.0)}}))
    assert [text.text for text in tree.iter("text") if "best" in text.get("class", "")] == ["2.00 s"]
    assert not [row for row in tree.iter("tr") if row.get("class") == "own"]


def test_the_ratios_have_a_head_that_says_of_what():
    assert "times pgcdc’s" in text_of(drawings(rendered(EVERYTHING))["pgbench: seconds to drain"])


def test_the_machine_is_told_in_words():
    said = text_of(rendered(EVERYTHING))
    assert "Memory, GiB" in said and "Processor" in said
    assert "Memory gib" not in said and "Cpu" not in said


@pytest.mark.parametrize("item", workload.load([]), ids=lambda item: item.name)
def test_what_a_workload_is_said_to_imitate_holds_at_every_size(item):
    for size in {item.rows, item.quick_rows} - {0}:
        assert f"{size:,} " not in item.imitates
    assert "million" not in item.imitates and "thousand small" not in item.imitates


def test_a_line_of_few_seconds_is_left_out():
    assert not [title for title in drawings(rendered(result({"steady": {"pgcdc": [lag(500, 1.2, seconds=3)]}}))) if "over time" in title]


def test_the_program_makes_the_page_beside_the_result(tmp_path):
    (tmp_path / "r.json").write_text(json.dumps(EVERYTHING))
    done = subprocess.run([BENCH / "page", tmp_path / "r.json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ElementTree.parse(tmp_path / "r.html")


@pytest.mark.parametrize("content, said", [
    ("", "cannot be read"), ("[]", "is not a result"), ('{"commit": "x"}', "is not a result"),
    ('{"format": "pgcdc-bench", "version": 2}', "has version 2"),
    ('{"format": "pgcdc-bench", "version": 1, "head": {}}', "no head or no results"),
    ('{"format": "pgcdc-bench", "version": 1, "head": {}, "results": {"w": {"p": 1}}}', "the results of w")])
def test_a_file_that_is_no_result_is_refused(tmp_path, content, said):
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(document.DocumentError, match=said):
        document.read(tmp_path / "r.json")
