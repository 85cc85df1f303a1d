# SPDX-License-Identifier: Apache-2.0
"""Invented results of bench/run, for tests of their readers."""
import random


def head(**other):
    return {"date": "2026-11-22T12:00:00+00:00", "command": "bench/run --rounds 5", "commit": "abc1234", "dirty": False,
            "rounds": 5, "machine": {"cpu": "A <CPU> & more", "cores": 2, "memory_gib": 24, "kernel": "6.1"},
            "versions": {"PostgreSQL": "15.20", "librdkafka": "2.0.2"},
            "settings": {"shared_buffers": "1GB", "synchronous_commit": "off"},
            "absent": {}, "workloads": {"pgbench": {"imitates": "Imitates a busy order system. It is TPC-B.", "rows": 100000}},
            "peers": {"recvlogical": {"title": "pg_recvlogical to /dev/null", "version": "", "settings": {"binary": "true"}},
                      "pgcdc": {"title": "pgcdc to its Postgres sink", "version": "", "settings": {}}}} | other


def result(results, **other):
    return {"format": "pgcdc-bench", "version": 1, "head": head(**other), "results": results, "failures": []}


def drains(*seconds, rows=100000, **costs):
    """A run for each time that it took."""
    return [{"kind": "drain", "rows": rows, "seconds": each, "client_cpu_s": each / 8, "walsender_cpu_s": each / 1.2,
             "client_peak_bytes": 30_000_000, **costs} for each in seconds]


def lag(rate, median_ms, seconds=30, seed=1, **other):
    """A run whose lags are distributed as lags are: close together, with a long tail."""
    chance = random.Random(seed)
    lags_us = sorted(int(chance.lognormvariate(0, 0.5) * median_ms * 1000) for _ in range(rate * seconds))
    histogram = {}
    for value in lags_us:
        digits = max(0, len(str(value)) - 2)
        rounded = round(value, -digits)
        histogram[rounded] = histogram.get(rounded, 0) + 1
    at = {share: lags_us[min(len(lags_us) - 1, int(len(lags_us) * float(share) / 100))] / 1000
          for share in ("50", "90", "99", "99.9", "100")}
    over_time = [[second, median_ms * chance.uniform(0.8, 1.3), median_ms * chance.uniform(2, 9)] for second in range(seconds)]
    return {"kind": "lag", "rate": rate, "duration_s": seconds, "sent": len(lags_us), "late_sends": 3, "percentiles_ms": at,
            "histogram": sorted(map(list, histogram.items())), "over_time": over_time, **other}
