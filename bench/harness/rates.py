# SPDX-License-Identifier: Apache-2.0
"""Up to which rate does a peer not fall behind, and at which rates below it lag is measured for the curve."""

FIRST_RATE = 1000
RATE_MAX = 128_000
CLOSE_ENOUGH = 1.1
ATTEMPTS = 2  # a rate is held when one of them holds it: a machine with neighbours has bad moments
SHARES = (0.25, 0.5, 0.75, 0.9)


def highest(holds):
    """The highest rate that holds(rate) is true for, within ten percent; 0 when it is true for none."""
    low, high = _bracket(lambda rate: any(holds(rate) for _ in range(ATTEMPTS)))
    while low and high and high > max(low * CLOSE_ENOUGH, low + 1):
        middle = round((low * high) ** 0.5)
        if any(holds(middle) for _ in range(ATTEMPTS)):
            low = middle
        else:
            high = middle
    return low


def _bracket(holds):
    """A rate that is held and a higher one that is not (None: not found up to RATE_MAX)."""
    rate = FIRST_RATE
    if holds(rate):
        while rate < RATE_MAX:
            if not holds(rate * 2):
                return rate, rate * 2
            rate *= 2
        return rate, None
    while rate > 1:
        if holds(rate // 2):
            return rate // 2, rate
        rate //= 2
    return 0, 1


def of_curve(highest_rate):
    return [max(1, round(highest_rate * share)) for share in SHARES]
