# SPDX-License-Identifier: Apache-2.0
"""Compares two results in plain sentences: the changes, how sure they are, and why the results may not be comparable."""
import dataclasses
import statistics

from . import certainty, document, figures
from .plot import number

# For a ratio below one and above it; and likewise when it is twofold or more.
FASTER = ("faster", "slower", "as fast", "as slow")
LESS = ("less", "more", "as little", "as much")
HIGHER = ("lower", "higher", "as low", "as high")
NOTABLE_LOAD = 0.5  # of the cores, by others, when a run began


@dataclasses.dataclass
class Difference:
    """One figure of one peer in one workload, before and after."""

    workload: str
    peer: str
    figure: str
    before: list
    after: list
    words: tuple
    is_cost: bool = False

    @property
    def ratio(self):
        return certainty.ratio(self.before, self.after)

    def verdict(self):
        """The change, and how sure it is."""
        found, rounds = self.ratio, min(len(self.before), len(self.after))
        if found is None:
            return "cannot be compared: a figure is nought"
        if found.confidence < certainty.LIKELY - 1e-9:
            return f"{_said(found.middle, self.words)}, which may be chance: {_rounds(rounds)} on one side"
        if not found.differs:
            return (f"no difference that {_rounds(rounds)} can show "
                    f"({_said(found.low, self.words)} to {_said(found.high, self.words)})")
        span = f"({_amount(found.low)} to {_amount(found.high)})" if found.low > 1 else f"({_amount(found.high)} to {_amount(found.low)})"
        sure = "sure" if found.confidence >= certainty.SURE else f"likely ({_rounds(rounds)} cannot be surer)"
        return f"{_said(found.middle, self.words)} {span}, {sure}"


def _rounds(count):
    return "1 round" if count == 1 else f"{count} rounds"


def _amount(ratio):
    if 0.5 < ratio < 2:
        return f"{abs(1 - ratio) * 100:.{0 if abs(1 - ratio) >= 0.095 else 1}f} %"
    return f"{ratio if ratio > 1 else 1 / ratio:.2g} times"


def _said(ratio, words):
    if f"{ratio:.3f}" == "1.000":
        return "the same"
    return f"{_amount(ratio)} {words[(ratio > 1) + (0 if 0.5 < ratio < 2 else 2)]}"


# ---- what is compared ----

def differences(before, after):
    """The comparisons of all workloads and peers that are in both results."""
    for workload, peers in before["results"].items():
        for peer, runs in peers.items():
            others = after["results"].get(workload, {}).get(peer)
            if others and _same_size(before, after, workload):
                yield from _of_runs(workload, peer, runs, others)


def _same_size(before, after, workload):
    rows = [_rows(result, workload) for result in (before, after)]
    return rows[0] == rows[1] or None in rows


def _rows(result, workload):
    return result["head"].get("workloads", {}).get(workload, {}).get("rows")


def _of_runs(workload, peer, before, after):
    drains = [[run for run in runs if document.kind_of(run) == "drain"] for runs in (before, after)]
    yield from _difference(workload, peer, "drain, s", *drains, "seconds", FASTER)
    for key in figures.cost_keys(drains[0] + drains[1]):
        yield from _difference(workload, peer, " ".join(figures.column(key)[:1]), *drains, key, LESS, True)
    idles = [[run for run in runs if document.kind_of(run) == "idle"] for runs in (before, after)]
    for key, name in (("median_ms", "idle median, ms"), ("p99_ms", "idle 99 %, ms")):
        yield from _difference(workload, peer, name, *idles, key, FASTER)
    lags = [[run for run in runs if document.kind_of(run) == "lag"] for runs in (before, after)]
    for rate in sorted({run.get("rate") or 0 for run in lags[0]}):
        at_rate = [[run for run in runs if (run.get("rate") or 0) == rate] for runs in lags]
        for share in ("50", "99", "99.9"):
            yield from _difference(workload, peer, f"lag at {number(rate)}/s, {share} %, ms", *at_rate,
                                   f"percentiles_ms.{share}", FASTER)
    yield from _difference(workload, peer, "highest rate/s", *lags, "highest_rate", HIGHER)


def _difference(workload, peer, figure, before, after, key, words, is_cost=False):
    values = [[figures.flat(run)[key] for run in runs if key in figures.flat(run)] for runs in (before, after)]
    if values[0] and values[1] and any(values[0] + values[1]):
        yield Difference(workload, peer, figure, *values, words, is_cost)


# ---- what makes them incomparable ----

def warnings(before, after, found):
    heads = before["head"], after["head"]
    told = []
    for part, name in (("machine", "the machine"), ("versions", "a version"), ("settings", "a server's setting")):
        told += _parts_that_differ(name, *(head.get(part, {}) for head in heads), without=("load_average",))
    told += _peers_that_differ(*(head.get("peers", {}) for head in heads))
    told += _sizes_that_differ(before, after)
    for name, head in zip("AB", heads):
        told += _of_one_side(name, head)
    return [*told, *_controls(found), *_chance(found)]


def _parts_that_differ(name, before, after, without=()):
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key) and key not in without:
            yield f"{name} differs: {key} was {_text(before.get(key))}, is {_text(after.get(key))}"


def _text(value):
    return "not told" if value in (None, "") else str(value)


def _peers_that_differ(before, after):
    for peer in before.keys() & after.keys():
        yield from _parts_that_differ(f"{peer}'s version", {"it": before[peer].get("version")}, {"it": after[peer].get("version")})
        yield from _parts_that_differ(f"a setting of {peer}", before[peer].get("settings") or {}, after[peer].get("settings") or {})


def _sizes_that_differ(before, after):
    for workload in before["results"].keys() & after["results"].keys():
        if not _same_size(before, after, workload):
            yield (f"{workload} has {_rows(before, workload)} rows in A and {_rows(after, workload)} in B: "
                   "it is not compared")


def _of_one_side(name, head):
    if head.get("dirty"):
        yield f"{name} was measured with changes that are not in commit {head.get('commit')}"
    load, cores = head.get("machine", {}).get("load_average"), head.get("machine", {}).get("cores")
    if load and cores and load > NOTABLE_LOAD * cores:
        yield f"the machine of {name} was busy when it began: load {load} on {cores} cores"
    if head.get("rounds") in (1, 2):
        yield f"{name} has only {_rounds(head['rounds'])}; three show a large difference, five a small one"


def _controls(found):
    """Peers that are not ours do not change with a commit; when they did, the machine did."""
    for item in found:
        if not item.peer.startswith("pgcdc") and not item.is_cost and item.ratio is not None and item.ratio.differs:
            yield (f"{item.peer} is not pgcdc and yet is {_said(item.ratio.middle, item.words)} in {item.workload} ({item.figure}): "
                   "something other than the commit changed, by as much")


def _chance(found):
    expected = sum(1 - item.ratio.confidence for item in found
                   if item.ratio is not None and item.ratio.confidence >= certainty.LIKELY - 1e-9)
    if expected >= 0.5:
        yield (f"with so few rounds, about {expected:.0f} of these {len(found)} comparisons would show a difference by "
               "chance alone, were there none at all")


# ---- on the terminal ----

def show(before, after, with_costs):
    """Lines of text."""
    found = list(differences(before, after))
    yield f"A: {_side(before)}"
    yield f"B: {_side(after)}"
    yield ""
    shown = [item for item in found if with_costs or not item.is_cost or (item.ratio is not None and item.ratio.differs)]
    rows = [("workload", "peer", "figure", "A", "B", "B is")]
    rows += [(item.workload, item.peer, item.figure, _spread(item.before), _spread(item.after), item.verdict()) for item in shown]
    yield from _table(rows) if shown else ["There is nothing that is in both."]
    yield ""
    yield from (f"WARNING: {warning}" for warning in dict.fromkeys(warnings(before, after, found)))
    if shown:
        yield ("12 % faster: it takes 12 % less time. In brackets: where the true ratio lies, at 95 % confidence when it is called "
               "sure, by Mann and Whitney's test.")
    if len(shown) < len(found):
        yield f"{len(found) - len(shown)} costs that did not change are left out; --all shows them."


def _side(result):
    head = result["head"]
    return f"{head.get('commit')}{'+' if head.get('dirty') else ''}, {head.get('date')}, {head.get('command')}"


def _spread(values):
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}-{number(max(values))})"


def _table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for place, row in enumerate(rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
        if place == 0:
            yield "  ".join("-" * width for width in widths)
