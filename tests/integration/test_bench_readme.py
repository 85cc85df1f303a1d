# SPDX-License-Identifier: Apache-2.0
"""The figures in README.md and bench/README.md are those of the committed reference result."""

import sys
from pathlib import Path

import pytest

from support.bench_results import drains, lag, result

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import document, figures, readme  # noqa: E402


def test_the_readmes_say_what_the_reference_says():
    for path, section in readme.sections(document.read(readme.REFERENCE)).items():
        text = path.read_text(encoding="utf-8")
        assert readme.replace(text, section) == text, f"{path.name} is not what the reference says: run bench/readme"


def test_a_changed_reference_changes_the_readmes():
    reference = document.read(readme.REFERENCE)
    reference["results"]["pgbench"]["pgcdc"] = drains(77.7)
    for path, section in readme.sections(reference).items():
        assert readme.replace(path.read_text(encoding="utf-8"), section) != path.read_text(encoding="utf-8")
    assert "| 77.70 |" in readme.full(reference)


def test_only_what_is_between_the_marks_is_replaced():
    text = f"above\n{readme.BEGIN}\nold\n{readme.END}\nbelow\n"
    assert readme.replace(text, "new\n") == f"above\n{readme.BEGIN}\nnew\n{readme.END}\nbelow\n"


@pytest.mark.parametrize("text", ["no marks", f"{readme.BEGIN}\n", f"{readme.END}\n{readme.BEGIN}\n", f"{readme.BEGIN}{readme.END}" * 2])
def test_a_readme_without_a_place_for_it_is_refused(text):
    with pytest.raises(readme.ReadmeError, match="needs one line"):
        readme.replace(text, "new")


def test_drains_are_said_as_multiples_of_ours():
    made = result({"pgbench": {"recvlogical": drains(6, 5, 7), "pgcdc": drains(2), "debezium": drains(50)}})
    assert "| pgbench | 100,000 | 6.00 (5.00-7.00) · 3.00× | **2.00** | 50.00 · 25.00× |" in readme.full(made)


def test_the_short_section_is_a_table_of_ratios_to_the_fastest_of_each_family():
    idle = {peer: [{"kind": "idle", "median_ms": median_ms}] for peer, median_ms in (("native", 1.2), ("pgcdc", 1.5))}
    said = readme.short(result({"pgbench": {"native": drains(8), "native_tuned": drains(6), "pgcdc": drains(2), "debezium": drains(50)},
                                "idle": idle}))
    assert "| workload | compared with the native subscription at the better of its settings | compared with debezium |" in said
    assert "| pgbench | 3.00× | 25.00× |" in said
    assert "| latency of one commit at a time | 0.80× |  |" in said
    assert "bench/run" not in said


def test_bold_is_the_shortest_of_its_row_whoever_that_is():
    said = readme.full(result({"pgbench": {"native": drains(2), "pgcdc": drains(4)}}))
    assert "| **2.00** · 0.50× | 4.00 |" in said
    assert "bold: the shortest of its row" in " ".join(said.split())


def test_a_failed_measurement_is_told_where_its_figures_are():
    failed = "steady: lag postgres: stopped"
    made = result({"w": {"pgcdc": drains(1)}, "steady": {"pgcdc": [lag(100, 1, highest_rate=200)]}}) | {"failures": [failed, "gone: it fell over"]}
    section = readme.full(made)
    lags = section[section.index("Lag in milliseconds"):]
    assert failed in lags.partition("| workload")[0]
    assert "counts as not held" in " ".join(lags.split())
    assert failed not in section.partition("Lag in")[0]
    for section in (readme.short(made), readme.full(made)):
        assert "gone: it fell over" in " ".join(section.partition("Seconds to drain")[0].split())


def test_a_failed_drain_is_told_where_its_ratio_is():
    failed = "w: pgcdc stopped"
    made = result({"w": {"native": drains(2), "pgcdc": drains(1)}}) | {"failures": [failed]}
    for section in (readme.short(made), readme.full(made)):
        assert failed in section


def test_the_committed_reference_s_failures_are_in_the_page_of_the_figures():
    reference = document.read(readme.REFERENCE)
    said = " ".join((BENCH / "README.md").read_text(encoding="utf-8").split())
    for failure in reference["failures"]:
        assert failure in said


def test_the_headline_is_first_and_says_so_when_we_are_slower():
    said = readme.full(result({"a": {"native": drains(2), "native_tuned": drains(1), "pgcdc": drains(4)}, "b": {"native": drains(8), "pgcdc": drains(4)}}))
    assert " ".join(said.split()).startswith("In all, pgcdc drains a backlog 0.25 to 2.00 times as fast as the native subscription at the better of its settings.")


def test_no_line_of_prose_is_wider_than_a_screen_and_the_commands_can_be_pasted():
    section = readme.full(result({"w": {"pgcdc": drains(1)}}, command="bench/run " + "some_workload " * 30 + "&& bench/run lag --add"))
    assert max(len(line) for line in section.splitlines() if not line.startswith("|")) <= 140
    commands = [line for line in section.splitlines() if line.startswith("    ")]
    assert len(commands) > 2
    assert all(line.endswith((" \\", " &&")) for line in commands[:-1])


def test_each_of_our_sinks_is_compared_with_its_own_peers():
    peers = {"recvlogical": ["null", "postgres"], "pgcdc_null": ["null"], "pgcdc": ["postgres"], "pgcdc_kafka": ["kafka"], "debezium": ["kafka"]}
    said = readme.full(result({"w": {"recvlogical": drains(6), "pgcdc_null": drains(3), "pgcdc": drains(2), "pgcdc_kafka": drains(4),
                                     "debezium": drains(40)}},
                              peers={name: {"title": name, "sinks": sinks} for name, sinks in peers.items()}))
    for table, row in (("Discarding changes", "6.00 · 2.00× | **3.00**"), ("Into PostgreSQL", "6.00 · 3.00× | **2.00**"),
                       ("Into Kafka", "**4.00** | 40.00 · 10.00×")):
        assert f"| w | 100,000 | {row} |" in said.partition(f"**{table}.**")[2].split("\n\n")[1]


def test_a_group_without_us_is_shown_when_it_has_somebody_new():
    def groups(*names):
        sinks = {"recvlogical": ["null", "postgres"], "pgcdc": ["postgres"], "debezium": ["kafka"]}
        made = result({"w": {name: drains(1) for name in names}}, peers={name: {"sinks": sinks[name]} for name in names})
        return {sink: set(group) for sink, group in figures.by_sink(made, made["results"]["w"]).items()}

    assert groups("recvlogical", "pgcdc") == {"postgres": {"recvlogical", "pgcdc"}}
    assert groups("pgcdc", "debezium") == {"postgres": {"pgcdc"}, "kafka": {"debezium"}}
    assert groups("recvlogical") == {"null": {"recvlogical"}, "postgres": {"recvlogical"}}


def test_the_full_section_has_every_rate_and_the_short_one_none():
    lags = result({"steady": {"pgcdc": [lag(rate, 1.5) for rate in (100, 200, 300)]}})
    assert "| pgcdc |" not in readme.short(lags)
    assert [line.split("|")[3].strip() for line in readme.full(lags).splitlines() if "| pgcdc |" in line] == ["100", "200", "300"]


def test_peers_that_were_measured_at_shares_of_their_own_highest_rate_are_side_by_side():
    peers = {"fast": [lag(rate, 1, highest_rate=4000) for rate in (1000, 2000)], "slow": [lag(rate, 1, highest_rate=40) for rate in (10, 20)]}
    assert figures.lag_levels(peers) == [{"fast": 1000, "slow": 10}, {"fast": 2000, "slow": 20}]


def test_a_highest_rate_that_is_the_source_s_is_said_to_be():
    said = readme.full(result({"steady": {"pgcdc": [lag(500, 1.2, highest_rate=2100, limited_by="source")]}}))
    assert "| 2,100, then the source falls behind |" in said


def test_a_table_cannot_be_broken_by_what_is_in_it():
    assert r"| a\|b &lt;i&gt; |" in readme.full(result({"a|b <i>": {"pgcdc": drains(1.0)}}))
