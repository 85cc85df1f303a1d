# SPDX-License-Identifier: Apache-2.0
"""`bench/compare` claims what the rounds show, and no more."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from support.bench_results import drains, lag, result

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import certainty, compare, document  # noqa: E402


def pgcdc(*seconds, **other):
    return result({"w": {"pgcdc": drains(*seconds)}}, **other)


def verdict(before, after, figure="drain, s"):
    (found,) = [item.verdict() for item in compare.differences(before, after) if item.figure == figure]
    return found


def warnings(before, after):
    return "\n".join(compare.warnings(before, after, list(compare.differences(before, after))))


@pytest.mark.parametrize("before, after, said", [
    ([10, 10.1, 10.2, 9.9, 10], [8.8, 8.7, 8.9, 8.8, 8.9], "12 % faster (11 % to 14 %), sure"),
    ([10, 10.1, 9.9], [8.8, 8.7, 8.9], "12 % faster (10 % to 14 %), likely (3 rounds cannot be surer)"),
    ([10, 10.1, 9.9], [10.2, 9.8, 10.05], "no difference that 3 rounds can show (3.0 % faster to 3.0 % slower)"),
    ([10, 10.1, 9.9], [40, 41, 39], "4 times as slow (3.9 times to 4.1 times), likely (3 rounds cannot be surer)"),
    ([10], [8], "20 % faster, which may be chance: 1 round on one side"),
    ([10, 10.1], [8, 8.1], "20 % faster, which may be chance: 2 rounds on one side"),
    ([10] * 5, [10] * 5, "no difference that 5 rounds can show (the same to the same)"),
])
def test_a_difference_is_said_plainly_with_how_sure_it_is(before, after, said):
    assert verdict(pgcdc(*before), pgcdc(*after)) == said


def test_one_slow_round_of_three_is_no_difference():
    """It happened: one round in twenty loses a segment and waits for it."""
    assert verdict(pgcdc(3.0, 2.9, 3.1), pgcdc(3.0, 6.4, 2.95)).startswith("no difference")


@pytest.mark.parametrize("rounds, confidence", [(1, 0), (2, 1 - 2 / 6), (3, 0.9), (4, 1 - 2 / 70)])
def test_few_rounds_cannot_be_surer_than_chance_allows(rounds, confidence):
    found = certainty.ratio([1.0] * rounds, [2.0] * rounds)
    assert found.confidence == pytest.approx(confidence)


def test_the_interval_is_the_one_in_the_tables_of_mann_and_whitney():
    """Five against five: U = 2 is the critical value at 5 % on two sides, so three quotients would be too many to leave out."""
    a, b = [1.0] * 5, [2.0, 3.0, 5.0, 7.0, 11.0]
    found = certainty.ratio(a, b)
    quotients = sorted(after / before for after in b for before in a)
    assert (found.low, found.high) == (quotients[2], quotients[-3])
    assert found.confidence == pytest.approx(1 - 2 * 4 / 252)


def test_without_a_difference_one_is_seldom_claimed_and_with_one_it_is_found():
    chance = random.Random(1)

    def sample(factor):
        return [factor * chance.lognormvariate(0, 0.05) for _ in range(5)]

    times = 2000
    claimed = sum(certainty.ratio(sample(1), sample(1)).differs for _ in range(times))
    found = sum(certainty.ratio(sample(1), sample(1.2)).differs for _ in range(times))
    assert claimed / times < 0.05
    assert found / times > 0.95


def test_lag_and_costs_are_compared_too():
    def made(wire_bytes, median_ms, highest_rate):
        lags = [lag(500, median_ms, seed=seed, highest_rate=highest_rate) for seed in range(4)]
        return result({"w": {"pgcdc": drains(5, 5.1, 5.2, 5, wire_bytes=wire_bytes) + lags}})

    before, after = made(100, 2, 1000), made(50, 4, 1500)
    assert verdict(before, after, "lag at 500/s, 99 %, ms").startswith("2 times as slow")
    assert verdict(before, after, "highest rate/s").startswith("50 % higher (50 % to 50 %), sure")
    assert verdict(before, after, "on the wire").startswith("2 times as little")


@pytest.mark.parametrize("other, said", [
    ({"machine": {"cpu": "another", "cores": 2}}, "the machine differs: cpu was A <CPU> & more, is another"),
    ({"versions": {"PostgreSQL": "16.1"}}, "a version differs: PostgreSQL was 15.20, is 16.1"),
    ({"settings": {"shared_buffers": "1GB", "synchronous_commit": "on"}},
     "a server's setting differs: synchronous_commit was off, is on"),
    ({"peers": {"pgcdc": {"settings": {"batch": 5}}}}, "a setting of pgcdc differs: batch was not told, is 5"),
    ({"peers": {"pgcdc": {"version": "9"}}}, "pgcdc's version differs"),
    ({"dirty": True}, "B was measured with changes that are not in commit"),
    ({"rounds": 1}, "B has only 1 round"),
    ({"machine": {"cores": 2, "load_average": 1.9}}, "was busy when it began: load 1.9 on 2 cores"),
])
def test_what_makes_two_results_incomparable_is_told(other, said):
    same = pgcdc(1, 2, 3)
    assert not warnings(same, same)
    assert said in warnings(same, pgcdc(1, 2, 3, **other))


def test_a_control_that_changed_means_the_machine_did():
    before = result({"w": {"recvlogical": drains(5, 5.1, 5.2, 5.05)}})
    after = result({"w": {"recvlogical": drains(6, 6.1, 6.2, 6.05)}})
    assert "recvlogical is not pgcdc and yet is 20 % slower in w" in warnings(before, after)


def test_workloads_of_another_size_are_not_compared():
    before, after = pgcdc(1, 2), pgcdc(1, 2)
    before["head"]["workloads"], after["head"]["workloads"] = {"w": {"rows": 10}}, {"w": {"rows": 100}}
    assert not list(compare.differences(before, after))
    assert "w has 10 rows in A and 100 in B" in warnings(before, after)


def compared(*arguments):
    return subprocess.run([BENCH / "compare", *arguments], capture_output=True, text=True, check=False)


def test_the_program_says_what_changed_and_that_is_no_failure(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(pgcdc(10, 10.1, 9.9)))
    (tmp_path / "b.json").write_text(json.dumps(pgcdc(20, 20.1, 19.9)))
    done = compared(tmp_path / "a.json", tmp_path / "b.json")
    assert done.returncode == 0, done.stderr
    assert "2 times as slow" in done.stdout
    done = compared(tmp_path / "a.json", tmp_path / "none.json")
    assert done.returncode == 1
    assert "none.json cannot be read" in done.stderr


def test_what_was_measured_later_on_the_same_commit_is_added():
    before, more = pgcdc(1, 2), result({"w": {"pgcdc": drains(3), "other": drains(9)}, "x": {"pgcdc": drains(4)}}, rounds=1)
    before["head"]["absent"], more["head"]["absent"] = {"other": "it takes long"}, {}
    more["head"]["peers"] = {"other": {"title": "another"}}
    both = document.add(before, more)
    assert [run["seconds"] for run in both["results"]["w"]["pgcdc"]] == [1, 2, 3]
    assert set(both["results"]) == {"w", "x"} and set(both["results"]["w"]) == {"pgcdc", "other"}
    assert both["head"]["command"] == "bench/run --rounds 5 && bench/run --rounds 5"
    assert "other" in both["head"]["peers"] and not both["head"]["absent"]
    for other in {"commit": "another"}, {"settings": {}}, {"machine": {"cpu": "B", "cores": 2, "memory_gib": 24}}:
        with pytest.raises(document.DocumentError, match="without --add"):
            document.add(before, pgcdc(3, **other))
