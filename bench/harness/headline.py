# SPDX-License-Identifier: Apache-2.0
"""A result in words: how fast ours is compared with its peers, what failed, and whether it may be quoted."""
from . import document, figures

FAMILIES = {"native": "the native subscription", "debezium": "Debezium", "recvlogical": "pg_recvlogical"}


def sentences(result):
    """The headline: a sentence a sink on drains, one on copies, and one on lag. Where ours is slower, the same figures say so."""
    return [*drains(result), *copies(result), *_lags(result)]


def drains(result):
    said = [_of_sink(result, sink, found) for sink, found in _drains_by_sink(result).items()]
    return [sentence for sentence in said if sentence]


def copies(result):
    """Ours beside each other program at its fastest, over all copies."""
    times = {}
    for _, peers in document.runs_of(result, "copy"):
        for family, (ratio, _) in ratios(peers, "postgres", "seconds").items():
            times.setdefault(family, []).append(ratio)
    said = " and ".join(f"{_range(found)} times as fast as {FAMILIES.get(family, family)}" for family, found in times.items())
    return [f"The initial copy while changes stream is {said}."] if said else []


def _drains_by_sink(result):
    """{sink: [{peer: runs}, ...]}, one for each workload."""
    found = {}
    for _, peers in document.runs_of(result, "drain"):
        for sink, group in figures.by_sink(result, peers).items():
            found.setdefault(sink, []).append(group)
    return found


def ratios(group, sink, key):
    """{family: (how many times as fast ours is as the family's fastest, the family's peers)}, by the median of the key."""
    found = {}
    ours = figures.median(group.get(figures.ours(group), []), key)
    for family, names in _families(group, sink).items():
        best = min(filter(None, (figures.median(group[name], key) for name in names)), default=None)
        if ours and best:
            found[family] = best / ours, names
    return found


def _of_sink(result, sink, groups):
    times = {}  # {family: [how many times as fast ours is, ...]}
    peers = {}
    for group in groups:
        for family, (ratio, names) in ratios(group, sink, "seconds").items():
            times.setdefault(family, []).append(ratio)
            peers.setdefault(family, {}).update(dict.fromkeys(names))
    if not times:
        return ""
    said = " and ".join(f"{_range(found)} times as fast as {family_title(result, family, list(peers[family]))}"
                        for family, found in times.items())
    return f"{figures.sink_title(sink) or 'In all'}, pgcdc drains a backlog {said}."


def _families(group, sink):
    """{family: its peers}, without ours. pg_recvlogical, which applies nothing, counts for the null sink only."""
    families = {}
    for peer in group:
        family = peer.split("_")[0]
        if family != "pgcdc" and (family != "recvlogical" or sink == "null"):
            families.setdefault(family, []).append(peer)
    return families


def family_title(result, family, peers):
    if len(peers) == 1:
        return document.peer_title(result, peers[0])
    return f"{FAMILIES.get(family, family)} at the better of its settings"


def _range(times):
    low, high = (f"{each:.{1 if min(times) >= 1 else 2}f}" for each in (min(times), max(times)))
    return low if low == high else f"{low} to {high}"


# ---- lag ----

def _lags(result):
    for workload, peers in document.runs_of(result, "lag"):
        said = [_lag_of(peers, peer, rate) for peer, rate in figures.middle_of(figures.lag_levels(peers)).items()]
        if any(said):
            yield f"Milliseconds from when a transaction is due until it can be seen ({workload}): {'; '.join(filter(None, said))}."


def _lag_of(peers, peer, rate):
    runs = figures.at_rate(peers[peer], rate)
    middle, slow = (figures.median(runs, f"percentiles_ms.{share}") for share in ("50", "99"))
    source = figures.median(runs, "source_percentiles_ms.99")
    if middle is None or slow is None:
        return ""
    behind = f" (the source's own COMMIT: {_ms(source)})" if source and source > slow / 2 else ""
    return f"{peer} at {rate:,.0f} a second {_ms(middle)} at the median and {_ms(slow)} at 99 %{behind}"


def _ms(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


# ---- failures and warnings ----

def failures_of(result, kind):
    """The failed measurements of workloads that have figures of the kind. A failure begins with its workload's name."""
    workloads = [workload for workload, _ in document.runs_of(result, kind)]
    return [failure for failure in result.get("failures") or [] if str(failure).partition(":")[0] in workloads]


def failures_said(result, kind):
    """A sentence on them, "" when there are none."""
    failed = failures_of(result, kind)
    if not failed:
        return ""
    searched = kind == "lag" and any(figures.median(runs, "highest_rate") for _, peers in document.runs_of(result, kind)
                                     for runs in peers.values())
    effect = ("While a highest rate is looked for, such a rate counts as not held; of a set rate its figures are missing."
              if searched else "Its figures are missing." if len(failed) == 1 else "Their figures are missing.")
    count = "One measurement failed" if len(failed) == 1 else f"{len(failed)} measurements failed"
    return f"{count}: “{'”; “'.join(map(str, failed))}”. {effect}"


def other_failures(result):
    told = [failure for kind in ("drain", "copy", "lag", "idle") for failure in failures_of(result, kind)]
    return [failure for failure in result.get("failures") or [] if failure not in told]


def is_quick(result):
    """Made with --quick; a result from before the head said so has it in its command."""
    head = result["head"]
    return bool(head.get("quick", "--quick" in str(head.get("command", "")).split()))


def quick_said(result):
    head = result["head"]
    rounds = head.get("rounds") or 1
    size = "other sizes" if "--rows" in str(head.get("command", "")) else "a tenth of the size"
    return f"quick: {'one round' if rounds == 1 else f'{rounds} rounds'}, {size}; start-up dominates; do not quote"
