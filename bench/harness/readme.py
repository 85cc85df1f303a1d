# SPDX-License-Identifier: Apache-2.0
"""The sections on speed in README.md and bench/README.md, written from the committed reference result between two marks."""
import html
import statistics
import textwrap

from . import document, figures, headline
from .build import ROOT
from .plot import number

REFERENCE = ROOT / "bench" / "reference.json"
BEGIN = "<!-- written by bench/readme from bench/reference.json -->"
END = "<!-- end of what bench/readme wrote -->"


class ReadmeError(Exception):
    """A README that has no place for the section."""


def sections(result):
    """{file: its section}."""
    return {ROOT / "README.md": short(result), ROOT / "bench" / "README.md": full(result)}


def replace(text, section):
    """The text with the section between the marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ReadmeError(f"it needs one line {BEGIN} and, below it, one line {END}")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{section}{rest[rest.index(END):]}"


# ---- the two sections ----

def short(result):
    """For README.md: one table of ratios."""
    parts = [_ratios(result), _failed(result, "drain"), _failed(result, "idle"), _made_with(result)]
    return "\n".join(part for part in parts if part)


def full(result):
    """For bench/README.md: every figure."""
    parts = [_headline(result), _made_with(result), _command(result), _drains(result), _failed(result, "drain"), _lags(result),
             _idle(result), _failed(result, "idle"), _cost_in_words(result), _kafka_in_words(result), _costs(result)]
    return "\n".join(part for part in parts if part)


# The rows of ratios: the kind of a measurement, the key that is compared, and the row's name.
COMPARED = [("drain", "seconds", "{}"), ("idle", "median_ms", "latency of one commit at a time")]


def _ratios(result):
    """How many times as fast pgcdc is as the fastest peer of each family: a row for each workload."""
    rows = [(name.format(workload), _ratios_of(result, peers, key)) for kind, key, name in COMPARED
            for workload, peers in document.runs_of(result, kind)]
    columns = {}  # {(sink, family): its peers}
    for _, found in rows:
        for column, (_, peers) in found.items():
            columns.setdefault(column, {}).update(dict.fromkeys(peers))
    if not columns:
        return ""
    heads = [f"{figures.sink_title(sink)}, compared with {headline.family_title(result, family, list(peers))}".removeprefix(", ")
             for (sink, family), peers in columns.items()]
    body = [[name, *(f"{found[column][0]:.2f}×" if column in found else "" for column in columns)] for name, found in rows if found]
    return _wrapped("How many times as fast pgcdc is. Below 1, it is slower.") + f"\n{_table([['workload', *heads], *body])}"


def _ratios_of(result, peers, key):
    """{(sink, family): (ratio, the family's peers)}."""
    return {(sink, family): found for sink, group in figures.by_sink(result, peers).items()
            for family, found in headline.ratios(group, sink, key).items()}


def _made_with(result):
    head = result["head"]
    machine, versions = head.get("machine", {}), head.get("versions", {})
    commit = f"{head.get('commit')}{' with changes' if head.get('dirty') else ''}"
    quick = f"{headline.quick_said(result)}. " if headline.is_quick(result) else ""
    others = [f"“{failure}”" for failure in headline.other_failures(result)]
    failed = f" These failed: {'; '.join(others)}." if others else ""
    return _wrapped(f"{quick}Measured at commit {commit} on {str(head.get('date', ''))[:10]}: {machine.get('cores')} cores of "
                    f"{_article(str(machine.get('cpu')))}, {machine.get('memory_gib')} GiB, "
                    + ", ".join(f"{name} {str(versions[name]).split(' ')[0]}" for name in ("PostgreSQL", "Apache Kafka") if name in versions)
                    + ". All systems ran on that one machine and shared its cores, so only ratios are meaningful." + failed)


def _headline(result):
    return "\n".join(_wrapped(sentence) for sentence in headline.drains(result))


def _wrapped(text):
    """A number stays with its %."""
    return textwrap.fill(text.replace(" %", "\u00a0%"), 110, break_long_words=False, break_on_hyphens=False).replace("\u00a0", " ") + "\n"


def _command(result):
    """The command as a block to copy, in lines of readable width."""
    command = str(result["head"].get("command"))
    parts = [" \\\n        ".join(textwrap.wrap(part, 100, break_long_words=False, break_on_hyphens=False)) for part in command.split(" && ")]
    return "The commands:\n\n    " + " &&\n    ".join(parts) + "\n"


def _article(name):
    return f"{'an' if name[:1] in 'AEIOaeio' else 'a'} {name}"


def _peers_of(found):
    return list(dict.fromkeys(peer for _, peers in found for peer in peers))


def _drains(result):
    found = [(sink, workload, group) for workload, peers in document.runs_of(result, "drain")
             for sink, group in figures.by_sink(result, peers).items()]
    if not found:
        return ""
    tables = [_drains_of_sink(result, sink, [(workload, group) for of, workload, group in found if of == sink])
              for sink in dict.fromkeys(sink for sink, _, _ in found)]
    said = _wrapped("Seconds to drain a recorded backlog (the median of the rounds; in brackets the least and the most; bold: the "
                    "shortest of its row), and how many times as long as pgcdc it took.")
    return "\n".join([said, *tables])


def _failed(result, kind):
    said = headline.failures_said(result, kind)
    return _wrapped(said) if said else ""


def _drains_of_sink(result, sink, found):
    peers = _peers_of(found)
    said = "; ".join(f"`{peer}`: {document.peer_title(result, peer)}" for peer in peers)
    rows = [["workload", "changes", *peers]]
    for workload, by_peer in found:
        changes = figures.changes_of([run for runs in by_peer.values() for run in runs])
        rows.append([workload, f"{changes:,.0f}" if changes else "", *(_seconds(by_peer, peer) for peer in peers)])
    title = f"**{figures.sink_title(sink)}.** " if sink else ""
    return f"{_wrapped(f'{title}{said}.')}\n{_table(rows)}"


def _seconds(by_peer, peer):
    seconds = document.numbers_of(by_peer.get(peer, []), "seconds")
    if not seconds:
        return ""
    median = statistics.median(seconds)
    ours = figures.ours(by_peer)
    spread = f" ({min(seconds):.2f}-{max(seconds):.2f})" if len(seconds) > 1 else ""
    theirs = figures.median(by_peer[ours], "seconds") if ours and peer != ours else None
    shown = f"**{median:.2f}**" if len(by_peer) > 1 and median == _shortest(by_peer) else f"{median:.2f}"
    return f"{shown}{spread}" + (f" · {median / theirs:.2f}×" if theirs else "")


def _shortest(by_peer):
    return min(filter(None, (figures.median(runs, "seconds") for runs in by_peer.values())), default=None)


def _lags(result):
    rows = [["workload", "peer", "transactions/s", "median", "90 %", "99 %", "99.9 %", "worst", "source's own COMMIT, 99 %", "highest rate"]]
    for workload, peers in document.runs_of(result, "lag"):
        for level in figures.lag_levels(peers):
            for peer, rate in level.items():
                runs = figures.at_rate(peers[peer], rate)
                rows.append([workload, peer, f"{rate:,.0f}",
                             *(_number(figures.median(runs, f"percentiles_ms.{share}")) for share in ("50", "90", "99", "99.9", "100")),
                             _number(figures.median(runs, "source_percentiles_ms.99")), _highest_rate(peers[peer])])
    if len(rows) == 1:
        return ""
    told = [column for column in range(len(rows[0])) if any(row[column] for row in rows[1:])]
    rows = [[row[column] for column in told] for row in rows]
    said = _wrapped("Lag in milliseconds, from when a transaction was due at the source to when it is visible at the other end, at a "
                    "set rate and with `synchronous_commit = on`:")
    return "\n".join(part for part in (said, _failed(result, "lag"), _table(rows)) if part)


def _highest_rate(runs):
    rate = figures.median(runs, "highest_rate")
    if rate is None:
        return ""
    return f"{rate:,.0f}" + (", then the source falls behind" if figures.limit_of(runs) == "source" else "")


def _idle(result):
    said = []
    for _, peers in document.runs_of(result, "idle"):
        for peer, runs in peers.items():
            middle, slow, slowest = (figures.median(runs, key) for key in ("median_ms", "p90_ms", "p99_ms"))
            if None not in (middle, slow, slowest):
                said.append(f"{peer} {middle:.2f} ms at the median ({slow:.2f} at 90 %, {slowest:.2f} at 99 %)")
    return _wrapped(f"With nothing else to do, from COMMIT to visible: {'; '.join(said)}.") if said else ""


def _cost_in_words(result):
    """The engine's own cost, compared with the source's walsender."""
    shares, peaks = [], []
    for _, peers in document.runs_of(result, "drain"):
        for peer, runs in peers.items():
            ours, walsender = figures.median(runs, "client_cpu_s"), figures.median(runs, "walsender_cpu_s")
            if peer == "pgcdc" and ours and walsender:
                shares.append(ours / walsender)
                peaks.append((figures.median(runs, "client_peak_bytes") or 0) / 2**20)
    if not shares:
        return ""
    return _wrapped((f"In the drains into PostgreSQL pgcdc itself used {min(shares):.0%} to {max(shares):.0%} of the processor time of the "
                     f"source's walsender, and at most {max(peaks):.0f} MiB.").replace("%", " %"))


def _kafka_in_words(result):
    """Beside Debezium at whichever of its settings does best, in each figure by itself."""
    times = {"client_cpu_s": [], "client_peak_bytes": []}
    for _, peers in document.runs_of(result, "drain"):
        theirs = [runs for peer, runs in peers.items() if peer.startswith("debezium")]
        for key, found in times.items():
            ours = figures.median(peers.get("pgcdc_kafka", []), key)
            best = min((figures.median(runs, key) for runs in theirs if figures.median(runs, key)), default=None)
            if ours and best:
                found.append(best / ours)
    if not all(times.values()):
        return ""
    cpu, memory = (" to ".join(f"1/{each(times[key]):.0f}" for each in (max, min)) for key in ("client_cpu_s", "client_peak_bytes"))
    return _wrapped(f"Into Kafka, pgcdc needs {cpu} of the processor time and {memory} of the memory of Debezium at the better of its settings.")


def _costs(result):
    found = list(document.runs_of(result, "drain"))
    keys = figures.cost_keys([run for _, peers in found for runs in peers.values() for run in runs])
    if not keys:
        return ""
    rows = [["workload", "peer", *map(_label, keys)]]
    rows += [[workload, peer, *(_number(figures.cost(runs, key)) for key in keys)] for workload, peers in found
             for peer, runs in peers.items()]
    return _wrapped("Costs: processor seconds (of the peer's own process, of the source's walsender, of the target's backends) for a "
                    f"million changes, and the most memory at once.") + f"\n{_table(rows)}"


def _label(key):
    label, unit = figures.column(key)
    return f"{label}, {unit}" if unit and "cpu" not in key else label


def _number(value):
    return "" if value is None else number(value)


def _table(rows):
    head, *body = [[html.escape(cell, quote=False).replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
