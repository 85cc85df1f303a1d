# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, never for time."""

import time

DEADLINE_S = 90.0


def wait_until(condition, what, deadline_s=DEADLINE_S, pause_s=0.05):
    """Returns the first true value of condition(). `what` completes "waited for ..."; a callable is asked at the end."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:.0f} s for {what() if callable(what) else what}")
        time.sleep(pause_s)
