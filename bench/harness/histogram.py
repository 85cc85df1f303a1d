# SPDX-License-Identifier: Apache-2.0
"""Counts by value as HdrHistogram keeps them: fine for small values, coarser for large ones, never off by more than 0.8 %."""

PRECISION_BITS = 7  # of a value only this many bits below the highest one count: 128 buckets from each power of 2 to the next


class Histogram:
    def __init__(self):
        self.counts = {}  # by the largest value of the bucket
        self.count = 0
        self.largest = 0

    def add(self, value):
        """An integer of 0 or more."""
        upper = _upper_end(value)
        self.counts[upper] = self.counts.get(upper, 0) + 1
        self.count += 1
        self.largest = max(self.largest, value)

    def percentile(self, percent):
        """The least bucket's end that so many percent of the values do not exceed; never more than the largest value."""
        wanted = max(1, -(-self.count * round(percent * 1000) // 100_000))  # rounded up, in integers
        reached = 0
        for upper, count in sorted(self.counts.items()):
            reached += count
            if reached >= wanted:
                return min(upper, self.largest)
        return self.largest

    def buckets(self):
        """[value, count] of the buckets that are not empty, least first."""
        return [[min(upper, self.largest), count] for upper, count in sorted(self.counts.items())]


def _upper_end(value):
    shift = max(0, value.bit_length() - PRECISION_BITS - 1)
    return (((value >> shift) + 1) << shift) - 1
