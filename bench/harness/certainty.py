# SPDX-License-Identifier: Apache-2.0
"""The confidence interval of the ratio b / a of two small samples, by Mann and Whitney's test.

It makes no assumption on how the rounds are distributed, only that those of one side are like each other. Of all quotients of a
round of b and a round of a it leaves out so many on either side as the wanted confidence allows. With few rounds even all of
them are no sure interval (three against three: 90 %), and then that is said.
"""
import dataclasses
import functools
import math
import statistics

SURE = 0.95
LIKELY = 0.8  # below this nothing is claimed: two rounds against two


@dataclasses.dataclass
class Ratio:
    """b / a: the middle of all quotients, and where it lies with this confidence."""

    middle: float
    low: float
    high: float
    confidence: float

    @property
    def differs(self):
        return self.confidence >= LIKELY - 1e-9 and not self.low <= 1 <= self.high


def ratio(a, b):
    """The interval, None when no quotient can be computed."""
    if not a or not b or min(a) <= 0 or min(b) <= 0:
        return None
    quotients = sorted(after / before for after in b for before in a)
    left_out, confidence = _left_out(len(a), len(b))
    return Ratio(statistics.median(quotients), quotients[left_out], quotients[-1 - left_out], confidence)


@functools.cache
def _left_out(count_a, count_b):
    """How many quotients may be left out on either side, and the confidence of what remains."""
    arrangements = math.comb(count_a + count_b, count_a)
    below, left_out = 1, 0
    while left_out + 1 < count_a * count_b / 2:
        more = below + _arrangements_with(left_out + 1, count_a, count_b)
        if 1 - 2 * more / arrangements < SURE:
            break
        below, left_out = more, left_out + 1
    return left_out, max(0.0, 1 - 2 * below / arrangements)


@functools.cache
def _arrangements_with(wins, count_a, count_b):
    """The number of orders of a's and b's rounds in which b's are smaller in exactly so many pairs (Mann-Whitney's U)."""
    if wins < 0 or count_a < 0 or count_b < 0:
        return 0
    if count_a == 0 or count_b == 0:
        return int(wins == 0)
    return _arrangements_with(wins - count_b, count_a - 1, count_b) + _arrangements_with(wins, count_a, count_b - 1)
