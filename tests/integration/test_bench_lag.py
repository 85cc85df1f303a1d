# SPDX-License-Identifier: Apache-2.0
"""The lag measurement of `bench/run`: its histogram, when a peer falls behind, its search for a rate, and a small run."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from harness import lag, rates  # noqa: E402
from harness.histogram import Histogram  # noqa: E402

PEERS = ("recvlogical", "native", "pgcdc")
DISTRIBUTIONS = {
    "constant": lambda chance: 1234,
    "small": lambda chance: chance.randrange(300),
    "wide": lambda chance: int(math.exp(chance.uniform(0, 20))),
    "powers": lambda chance: 2 ** chance.randrange(40) - chance.randrange(2),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("count", [1, 2, 999, 20_000])
def test_percentiles_are_the_exact_ones_within_the_precision(name, count):
    chance = random.Random(count)
    values = [DISTRIBUTIONS[name](chance) for _ in range(count)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    for percent in (50, 90, 99, 99.9, 100):
        exact = ordered[max(1, math.ceil(round(count * percent / 100, 6))) - 1]
        assert exact <= histogram.percentile(percent) <= exact * (1 + 1 / 128) + 1, percent
    assert histogram.percentile(100) == ordered[-1]
    assert sum(count for _, count in histogram.buckets()) == len(values)


def test_a_histogram_stays_small():
    histogram = Histogram()
    for value in range(0, 60_000_000, 100):
        histogram.add(value)
    assert len(histogram.buckets()) < 128 * 26


def test_a_late_sample_counts_from_when_it_was_due():
    """The second of two transactions was sent half a second late and seen at once: its lag is half a second all the same."""
    due = 10_000_000
    after_warm_up = due + lag.WARM_UP_S * 1_000_000
    departures = [(due, due, due + 5), (after_warm_up, after_warm_up + 500_000, after_warm_up + 500_100)]
    figures = lag.figures(departures, {1: (due, due + 5), 2: (after_warm_up, after_warm_up + 500_200)}, 0)
    assert figures["percentiles_ms"]["100"] == 500.2
    assert (figures["sent"], figures["late_sends"], figures["unseen"]) == (1, 1, 0)


def test_what_never_arrived_counts_until_the_end():
    due = 10_000_000
    after_warm_up = due + lag.WARM_UP_S * 1_000_000
    figures = lag.figures([(due, due, due), (after_warm_up, 0, 0)], {}, after_warm_up + 7_000_000)
    assert figures["percentiles_ms"]["50"] == 7000
    assert (figures["sent"], figures["late_sends"], figures["unseen"]) == (0, 1, 1)
    assert figures["falls_behind"] and figures["source_falls_behind"]


def test_a_source_that_falls_behind_is_told_from_the_peer():
    due = [10_000_000 + number * 100_000 for number in range(100)]
    departures = [(moment, moment, moment + (moment - due[0]) // 2) for moment in due]
    figures = lag.figures(departures, {number: (row[0], row[2] + 3000) for number, row in enumerate(departures, 1)}, 0)
    assert figures["falls_behind"] and figures["source_falls_behind"]
    departures = [(moment, moment, moment + 1000) for moment in due]
    figures = lag.figures(departures, {number: (row[0], row[0] + (row[0] - due[0]) // 2)
                                       for number, row in enumerate(departures, 1)}, 0)
    assert figures["falls_behind"] and not figures["source_falls_behind"]


def test_falling_behind_is_lag_that_grows_and_not_one_bad_second():
    assert not lag.falls_behind([[second, 5.0, 9.0] for second in range(10)])
    assert not lag.falls_behind([[second, 900.0 if second == 6 else 5.0, 950.0] for second in range(10)])
    assert lag.falls_behind([[second, 5.0 + 100 * second, 950.0] for second in range(10)])


def test_who_carries_a_backlog_along_has_fallen_behind_before():
    """A peer that was slow to warm up and then goes at the rate, four seconds late, does not keep up."""
    assert lag.falls_behind([[second, 4000.0 + second % 3, 4100.0] for second in range(10)])
    assert not lag.falls_behind([[second, max(5.0, 4000.0 - 1000 * second), 4100.0] for second in range(10)])


@pytest.mark.parametrize("limit", [3, 90, 999, 1000, 4321, 50_000])
def test_the_highest_rate_is_found_within_ten_percent(limit):
    found = rates.highest(lambda rate: rate <= limit)
    assert limit / rates.CLOSE_ENOUGH - 1 <= found <= limit


def test_who_holds_no_rate_has_none():
    assert rates.highest(lambda rate: False) == 0


def test_a_small_run_measures_the_lag_of_everybody_in_postgres(program, tmp_path):
    path = tmp_path / "figures.json"
    result = subprocess.run([BENCH / "run", "lag", "--rate", "50", "--duration", "3", "--peer", ",".join(PEERS), "--engine", program,
                             "--json", path],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    peers = json.loads(path.read_text())["results"]["lag"]
    assert set(peers) == set(PEERS)
    for (figures,) in peers.values():
        assert (figures["kind"], figures["rate"], figures["sent"], figures["unseen"]) == ("lag", 50, 150, 0)
        assert sum(count for _, count in figures["histogram"]) == 150
        assert len(figures["over_time"]) == 3
        percentiles = [figures["percentiles_ms"][percent] for percent in ("50", "90", "99", "99.9", "100")]
        assert 0 < percentiles[0] and percentiles == sorted(percentiles)
        
