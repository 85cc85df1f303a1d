# SPDX-License-Identifier: Apache-2.0
"""The time until one commit is visible at the target, on an idle pipeline.

Each row is its own transaction; the next one waits until this one was seen and a random pause has passed, so that
nothing queues. The clock starts when COMMIT is sent, so the source's own flush is part of the figure.
"""
import random
import time

POLL_INTERVAL_S = 0.0002
PAUSE_S = (0.02, 0.06)
FIRST_TIMEOUT_S = 60  # the peer has to come up
TIMEOUT_S = 30
WARM_UP = 10


class LatencyError(Exception):
    """A row did not arrive."""


def measure(run, count, wait):
    """Milliseconds from COMMIT to visible, one for each of count commits. wait: what the peer's visible(run) yields."""
    source = run.source.connect(run.source_database)
    try:
        pauses = random.Random(1)
        samples = []
        for number in range(count + WARM_UP):
            sent = _commit(source, number)
            wait(number, sent + (TIMEOUT_S if number else FIRST_TIMEOUT_S))
            samples.append((time.monotonic() - sent) * 1000)
            time.sleep(pauses.uniform(*PAUSE_S))
        return samples[WARM_UP:]
    finally:
        source.close()


def _commit(source, number):
    """Inserts and commits; when the COMMIT was sent."""
    with source.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("insert into ping values (%s, md5(random()::text), clock_timestamp())", (number,))
        sent = time.monotonic()
        cursor.execute("commit")
        return sent


def wait_visible(target, number, deadline):
    with target.cursor() as cursor:
        while True:
            cursor.execute("select from ping where id = %s", (number,))
            if cursor.rowcount == 1:
                return
            if time.monotonic() > deadline:
                raise LatencyError(f"commit {number} is not visible at the target after {TIMEOUT_S} s")
            time.sleep(POLL_INTERVAL_S)
