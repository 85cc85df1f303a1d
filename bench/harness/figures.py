# SPDX-License-Identifier: Apache-2.0
"""The meaning of each key of a run: its label, its unit, and how it is shown. A key without a name here is shown by its suffix."""
import statistics

from . import document

# Of several rounds the median is shown; of these the most.
OF_THE_MOST = ("peak", "max")

LABELS = {
    "client_cpu_s": "client",
    "client_system_cpu_s": "of it in the kernel",
    "walsender_cpu_s": "walsender",
    "source_cpu_s": "source",
    "apply_cpu_s": "target",
    "broker_cpu_s": "broker",
    "startup_s": "start",
    "startup_cpu_s": "start, processor time",
    "client_peak_bytes": "peak memory",
    "wal_bytes": "WAL",
    "wire_bytes": "on the wire",
}
# Not costs: what was done, and what says which run it is.
WORK = ("kind", "rows", "changes", "transactions", "seconds", "wal_bytes", "round", "rate", "bytes", "jobs")


def flat(run, before=""):
    """The run's numbers; those of a dictionary within it as outer.inner."""
    found = {}
    for key, value in run.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        elif document.is_number(value):
            found[before + key] = value
    return found


def cost_keys(runs):
    """The keys that are costs, in the order of LABELS and then as they come."""
    keys = dict.fromkeys(key for run in runs for key in flat(run) if key not in WORK)
    order = {key: place for place, key in enumerate(LABELS)}
    return sorted(keys, key=lambda key: order.get(key, len(order)))


def median(runs, key):
    """The median of a key, None when no run has the key."""
    values = [flat(run)[key] for run in runs if key in flat(run)]
    if not values:
        return None
    value = max(values) if any(word in key for word in OF_THE_MOST) else statistics.median(values)
    return int(value) if all(isinstance(each, int) for each in values) and value == int(value) else value


def ours(peers):
    """The pgcdc peer that others are compared with, None when it was not measured."""
    return next((peer for peer in ("pgcdc", "pgcdc_kafka", "pgcdc_null", "pgcdc_archive", "pgcdc_live", "pgcdc_migrate") if peer in peers), None)


SINK_TITLES = {"null": "Discarding changes", "postgres": "Into PostgreSQL", "kafka": "Into Kafka", "archive": "Into an archive, and out of it", "": ""}


def by_sink(result, peers):
    """{sink: {peer: runs}}: the peers of each pgcdc sink. All peers under "" when the result does not name sinks."""
    known = result["head"].get("peers", {})
    told = {peer: known[peer].get("sinks") if isinstance(known.get(peer), dict) else None for peer in peers}
    if not all(told.values()):
        return {"": peers}
    groups = {sink: {peer: runs for peer, runs in peers.items() if sink in told[peer]}
              for sink in dict.fromkeys(sink for sinks in told.values() for sink in sinks)}
    with_ours = {sink: group for sink, group in groups.items() if ours(group)}
    shown = {peer for group in with_ours.values() for peer in group}
    return with_ours | {sink: group for sink, group in groups.items() if set(group) - shown}


def sink_title(sink):
    return SINK_TITLES.get(sink, f"Into {sink}")


def changes_of(runs):
    return median(runs, "changes") or median(runs, "rows")


def column(key):
    """(label, unit) of a cost."""
    label = LABELS.get(key) or key.removesuffix("_bytes").removesuffix("_s").replace("_", " ").replace(".", " ")
    if "cpu" in key and key.endswith("_s") and not key.startswith("startup"):  # which does not grow with the changes
        return label, "CPU s a million"
    return label, ("MiB" if "peak" in key else "MB") if key.endswith("_bytes") else "s" if key.endswith("_s") else (
        "ms" if key.endswith("_ms") else "")


def cost(runs, key):
    """The cost in the column's unit; None when it is unknown, or zero because there is no such process."""
    value = median(runs, key)
    if not value:
        return None
    if column(key)[1] == "CPU s a million":
        return value / changes_of(runs) * 1e6 if changes_of(runs) else None
    return value / {"MiB": 2**20, "MB": 1e6}.get(column(key)[1], 1)


def rates(runs):
    """The known rates a second: {label: value}."""
    seconds = median(runs, "seconds")
    done = {"changes/s": changes_of(runs), "transactions/s": median(runs, "transactions"),
            "WAL MB/s": (median(runs, "wal_bytes") or 0) / 1e6 or None}
    return {label: value / seconds for label, value in done.items() if value and seconds}


# ---- lag at rates ----

def at_rate(runs, rate):
    return [run for run in runs if (run.get("rate") or 0) == rate]


def lag_levels(peers):
    """[{peer: rate}]: what to show side by side. Rates that peers have in common; or, when each was measured at shares of its
    own highest rate, the lowest of each, the next of each, and so on."""
    rates = {peer: sorted({run.get("rate") or 0 for run in runs}) for peer, runs in peers.items()}
    everything = sorted({rate for each in rates.values() for rate in each})
    if not any(median(runs, "highest_rate") for runs in peers.values()):
        return [{peer: rate for peer, each in rates.items() if rate in each} for rate in everything]
    return [{peer: each[place] for peer, each in rates.items() if place < len(each)}
            for place in range(max(len(each) for each in rates.values()))]


def limit_of(runs):
    """The side that falls behind above the highest rate: "source" or "peer", "" when it is unknown."""
    return next((run["limited_by"] for run in runs if isinstance(run.get("limited_by"), str)), "")


def middle_of(levels):
    """The level to show when there is room for one: about half of the highest rate."""
    return levels[max((len(levels) - 1) // 2, min(1, len(levels) - 1))]
