# SPDX-License-Identifier: Apache-2.0
"""The result as one self-contained HTML page. Made from the document alone, so it can be made again."""
import html
import pathlib
import statistics

from . import charts, document, figures, headline
from .plot import number

STYLE = pathlib.Path(__file__).with_name("page.css")

WORDS = (
    ("Drain", "The time to work off a backlog that was recorded before: how fast can it be? All peers read the same WAL "
              "from a copy of the same slot, one after the other, in an order that rotates from round to round."),
    ("Copy", "All rows of the source into a database that has none. For pgcdc until the stream has passed every change that a chunk "
             "contains, for the native subscription until each table is ready, for pgcopydb until it exits, with indexes and statistics."),
    ("Lag", "The time from a transaction's commit at the source until it is visible at the other end, while transactions "
            "come in at a set rate. In a table of the target: a reader sees the row. In Kafka: a read_committed consumer has the record."),
    ("Open loop", "Transactions are due by the clock, whether or not the previous one has arrived. One that starts late "
                  "counts from when it was due, so that a stall shows in every transaction that it delayed."),
    ("Late sends", "Transactions that the load generator itself started after they were due. Many of them mean that the "
                   "machine, not the peer, was at its limit."),
    ("Keeps up", "Lag does not grow through the run. A peer's highest rate is the highest at which it keeps up. Where the source "
                 "falls behind above it, the peer could do more, but this machine cannot show how much."),
    ("Source's own COMMIT", "From when the transaction was due to when the source's server answered its COMMIT: no peer can be "
                            "much faster."),
    ("Percentile", "99 % = 3 ms: of a hundred transactions, ninety-nine took at most 3 ms."),
    ("Idle latency", "One commit at a time on a pipeline that has nothing else to do, each after the previous one was seen. "
                     "It shows the best case and hides every stall; lag does not."),
    ("Round", "Everything measured once. With several rounds the bar is the median, dots are the rounds, and a line goes from the least "
              "to the most."),
    ("Recvlogical", "pg_recvlogical, PostgreSQL's own client, which discards what it receives: the server's speed with a client "
                    "like it."),
    ("Native", "PostgreSQL's own subscription, which ends when the last row is visible in the target."),
    ("Client, walsender, target", "The peer's own process; the source's process that decodes WAL and sends; the target's "
                                  "processes that apply. Processor seconds, user and system, for a million changes."),
    ("Peak memory", "The most that the peer's own process had in memory at once (VmHWM)."),
    ("On the wire", "Bytes between source and peer."),
)


def write(path, result):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(result), encoding="utf-8")


def render(result):
    sections = [section for section in (_drains(result), _copies(result), _lags(result), _idles(result), _costs(result), _others(result),
                                        _settings(result), _words()) if section]
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = "".join(f'<section id="{name}"><h2>{title}</h2>{content}</section>' for name, title, content in sections)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"/>\n<title>{_title(result)}</title>\n'
            f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
            f"<header><h1>How fast is pgcdc?</h1>{_summary(result)}<nav>{links}</nav></header>\n{body}\n</main>\n</body>\n</html>\n")


# ---- head ----

def _title(result):
    return html.escape(f"pgcdc benchmark {_commit(result['head'])}, {str(result['head'].get('date', ''))[:10]}")


def _commit(head):
    return f"{head.get('commit', '?')}{' with changes' if head.get('dirty') else ''}"


def _summary(result):
    head = result["head"]
    machine = head.get("machine", {})
    facts = [f"Commit <code>{html.escape(_commit(head))}</code>", html.escape(str(head.get("date", ""))[:16].replace("T", " ")),
             html.escape(f"{machine.get('cores', '?')} × {machine.get('cpu', '?')}, {machine.get('memory_gib', '?')} GiB"),
             html.escape(", ".join(f"{name} {str(version).split(' ')[0]}" for name, version in list(head.get("versions", {}).items())[:1])),
             f"{head.get('rounds', '?')} {'round' if head.get('rounds') == 1 else 'rounds'}"]
    told = "".join(f"<li>{html.escape(str(failure))}</li>" for failure in result.get("failures", []))
    return (_banner(result) + _headline(result)
            + (f'<div class="warn">Failures:<ul>{told}</ul></div>' if told else "")
            + f'<p class="soft">{" · ".join(fact for fact in facts if fact)}</p>'
            f"<p>All systems ran on this one machine and shared its cores, so only figures of this run can be compared.</p>")


def _banner(result):
    return f'<p class="banner">{html.escape(headline.quick_said(result))}</p>' if headline.is_quick(result) else ""


def _headline(result):
    return "".join(f'<p class="headline">{html.escape(sentence)}</p>' for sentence in headline.sentences(result))


def _failed(result, kind):
    said = headline.failures_said(result, kind)
    return f'<p class="warn">{html.escape(said)}</p>' if said else ""


def _styles(result):
    peers = [peer for peers in result["results"].values() for peer in peers]
    return {peer: charts.style_of(peer, set(peers)) for peer in dict.fromkeys(peers)}


def _legend(result, peers):
    styles = _styles(result)
    items = "".join(f'<li><i class="{styles[peer]}"></i>{html.escape(peer)}: {html.escape(document.peer_title(result, peer))}</li>'
                    for peer in peers)
    return f'<ul class="legend">{items}</ul>'


def _peers_of(found):
    return list(dict.fromkeys(peer for _, peers in found for peer in peers))


def _card(title, note, drawing):
    return f'<div class="card"><h3>{html.escape(title)}</h3><p class="note">{html.escape(note)}</p>{drawing}</div>'


def _imitates(result, workload):
    """The first sentence of what the workload imitates."""
    about = result["head"].get("workloads", {}).get(workload, {})
    said = about.get("imitates", "").split(". ")[0].removeprefix("Imitates ").rstrip(".")
    return said[:1].upper() + said[1:]


# ---- drains ----

def _drains(result):
    found = [(workload, sink, group) for workload, peers in document.runs_of(result, "drain")
             for sink, group in figures.by_sink(result, peers).items()]
    content = "".join(_drains_of_sink(result, sink, [(workload, group) for workload, of, group in found if of == sink])
                      for sink in dict.fromkeys(sink for _, sink, _ in found))
    if not content:
        return None
    return ("drain", "Draining a backlog",
            "<p>Seconds until everything that was recorded is where it belongs; shorter is faster, and the shortest is bold. "
            "On the right: how many times as long as pgcdc it took. Each card has a scale of its own, so compare bars within a card only.</p>"
            f"{_failed(result, 'drain')}{content}")


def _drains_of_sink(result, sink, found):
    cards = "".join(_drain_card(result, workload, peers) for workload, peers in found)
    title = f"<h3>{html.escape(figures.sink_title(sink))}</h3>" if sink else ""
    return f'{title}{_legend(result, _peers_of(found))}<div class="cards">{cards}</div>' if cards else ""


def _drain_card(result, workload, peers):
    series = [(peer, document.numbers_of(runs, "seconds")) for peer, runs in peers.items()]
    series = [(peer, seconds) for peer, seconds in series if seconds]
    if not series:
        return ""
    drawing = charts.bars(workload, series, _styles(result), figures.ours(peers))
    changes = figures.changes_of([run for runs in peers.values() for run in runs])
    told = f"{changes:,.0f} changes" if changes else ""
    return _card(workload, ". ".join(part for part in (_imitates(result, workload), told) if part), drawing)


# ---- copies ----

def _copies(result):
    found = list(document.runs_of(result, "copy"))
    if not found:
        return None
    cards = "".join(_copy_card(result, workload, peers) for workload, peers in found)
    keys = figures.cost_keys([run for _, peers in found for runs in peers.values() for run in runs])
    rows = []
    for workload, peers in found:
        rows.append([workload] + [""] * len(keys))
        rows += [[f"\u2002{peer}", *(_blank(figures.cost(runs, key)) for key in keys)] for peer, runs in peers.items()]
    heads = ["workload, peer", *(" · ".join(part for part in figures.column(key) if part) for key in keys)]
    return ("copy", "The initial copy",
            "<p>Seconds until all rows of the source are in a database that had none; shorter is faster, and the shortest is bold. "
            "On the right: how many times as long as pgcdc’s live copy it took. All peers have the same number of jobs.</p>"
            f"{_failed(result, 'copy')}{_legend(result, _peers_of(found))}<div class=\"cards\">{cards}</div>"
            + _table("Costs: processor seconds for a million rows, and memory", heads, rows, _styles(result)))


def _copy_card(result, workload, peers):
    series = [(peer, document.numbers_of(runs, "seconds")) for peer, runs in peers.items()]
    drawing = charts.bars(workload, [(peer, seconds) for peer, seconds in series if seconds], _styles(result), figures.ours(peers), "copy")
    megabytes = (figures.median([run for runs in peers.values() for run in runs], "bytes") or 0) / 1e6
    return _card(workload, f"{_imitates(result, workload)}. {megabytes:,.0f} MB", drawing)


# ---- lag ----

def _lags(result):
    found = list(document.runs_of(result, "lag"))
    if not found:
        return None
    content = "".join(_lag_of_workload(result, workload, peers) for workload, peers in found)
    return ("lag", "Lag at a set rate",
            "<p>From the commit at the source, or from when it was due if that was earlier, until it can be seen at the other "
            "end; lower is better, and each step up is a multiple. Each card has scales of its own.</p>"
            f"{_failed(result, 'lag')}{_legend(result, _peers_of(found))}{content}")


def _lag_of_workload(result, workload, peers):
    levels = figures.lag_levels(peers)
    shown = figures.middle_of(levels)
    rest = "".join(_lag_at(result, workload, peers, level) for level in levels if level is not shown)
    curve = _lag_curve(result, workload, peers) if len(levels) > 1 else ""
    folded = (f"<details><summary>The other rates of {html.escape(workload)}</summary>"
              f'<div class="cards">{rest}</div></details>') if rest else ""
    return f'<div class="cards">{curve}{_lag_at(result, workload, peers, shown)}</div>{folded}{_lag_table(result, workload, peers)}'


OVER_TIME_MIN = 5  # seconds: a line of fewer points shows nothing


def _lag_at(result, workload, peers, level):
    """Each peer's runs at the peer's rate of this level."""
    styles = _styles(result)
    chosen = {peer: figures.at_rate(peers[peer], rate) for peer, rate in level.items()}
    over_time = [(peer, [point for point in run["over_time"] if None not in point])
                 for peer, runs in chosen.items() for run in runs if run.get("over_time")]
    over_time = [(peer, points) for peer, points in over_time if len(points) >= OVER_TIME_MIN]
    curves = [(peer, curve) for peer, runs in chosen.items() if (curve := _curve(runs))]
    at, rates = _level_title(workload, peers, level)
    cards = ""
    if curves:
        cards += _card(at, f"Percentiles: so many of the transactions were not slower. {rates}", charts.percentiles(at, curves, styles))
    if over_time:
        cards += _card(at, f"Over time: of each second the median (thick) and the worst (thin). {rates}",
                       charts.over_time(at, over_time, styles))
    return cards


def _level_title(workload, peers, level):
    """Title and note: of one rate that all peers share, or of a share of each peer's highest rate, with the rates."""
    if len(set(level.values())) == 1:
        return f"{workload} at {next(iter(level.values())):,.0f}/s", ""
    rates = ", ".join(f"{peer} {rate:,.0f}/s" for peer, rate in level.items()) + "."
    shares = {round(rate / highest * 20) * 5 for peer, rate in level.items() if (highest := figures.median(peers[peer], "highest_rate"))}
    return (f"{workload} at {shares.pop()} % of each peer's highest rate" if len(shares) == 1 else workload), rates


def _curve(runs):
    """[(percentile, ms)] of all rounds: of their histograms together, else the medians of their percentiles."""
    merged = {}
    for run in runs:
        for value_us, count in run.get("histogram") or []:
            merged[value_us] = merged.get(value_us, 0) + count
    if merged:
        return _of_histogram(merged)
    shares = dict.fromkeys(share for run in runs for share in run.get("percentiles_ms") or {})
    return sorted((float(share), statistics.median(run["percentiles_ms"][share] for run in runs
                                                   if share in run.get("percentiles_ms", {}))) for share in shares)


def _of_histogram(counts):
    total, seen, curve = sum(counts.values()), 0, []
    wanted = [50, 90, 99, 99.9]
    for value_us in sorted(counts):
        before, seen = seen, seen + counts[value_us]
        curve += [(share, value_us / 1000) for share in wanted if before / total < share / 100 <= seen / total]
        if seen < total:
            curve.append((seen / total * 100, value_us / 1000))
    return sorted(set(curve)) + [(100.0, max(counts) / 1000)]


def _lag_curve(result, workload, peers):
    series = [(peer, [(rate, _percentile(runs, rate, "50"), _percentile(runs, rate, "99"))
                      for rate in sorted({run["rate"] for run in runs if run.get("rate")})]) for peer, runs in peers.items()]
    highest = {peer: rate for peer, runs in peers.items() if (rate := figures.median(runs, "highest_rate"))}
    drawing = charts.against_rate(workload, [(peer, curve) for peer, curve in series if curve], _styles(result), highest)
    return _card(workload, "Against the rate: median (solid), 99 % (dashed), and the highest rate that the peer keeps up with (upright).",
                 drawing)


def _percentile(runs, rate, share):
    values = [run["percentiles_ms"][share] for run in runs
              if run.get("rate") == rate and (run.get("percentiles_ms") or {}).get(share) is not None]
    return statistics.median(values) if values else None


LAG_COLUMNS = ("50", "90", "99", "99.9", "100")


def _lag_table(result, workload, peers):
    heads = ["peer", "rate/s", "median", "90 %", "99 %", "99.9 %", "all", "99 % of source's own COMMIT", "sent", "late sends",
             "never seen", "keeps up", "highest rate/s", "above it falls behind"]
    rows = []
    for peer, runs in peers.items():
        for rate in sorted({run.get("rate") or 0 for run in runs}):
            chosen = figures.at_rate(runs, rate)
            rows.append([peer, _blank(rate), *(_blank(_percentile(runs, rate, share)) for share in LAG_COLUMNS),
                         _blank(figures.median(chosen, "source_percentiles_ms.99")),
                         *(_blank(figures.median(chosen, key)) for key in ("sent", "late_sends", "unseen")),
                         _keeps_up(chosen), _blank(figures.median(runs, "highest_rate")), figures.limit_of(runs)])
    return _table(f"{workload}: milliseconds", heads, rows, _styles(result))


def _keeps_up(runs):
    told = [run["falls_behind"] for run in runs if "falls_behind" in run]
    if any(run.get("source_falls_behind") for run in runs):
        return "source falls behind"
    return "" if not told else "falls behind" if any(told) else "yes"


# ---- idle, costs and figures without a name ----

def _idles(result):
    found = list(document.runs_of(result, "idle"))
    if not found:
        return None
    rows = [[peer, *(_blank(figures.median(runs, key)) for key in ("median_ms", "p90_ms", "p99_ms", "commits"))]
            for _, peers in found for peer, runs in peers.items()]
    return ("idle", "Idle latency", "<p>One commit at a time, with <code>synchronous_commit = on</code> at both servers: "
            "milliseconds from COMMIT sent to visible.</p>" + _failed(result, "idle")
            + _table("", ["peer", "median", "90 %", "99 %", "commits"], rows, _styles(result)))


def _costs(result):
    found = list(document.runs_of(result, "drain"))
    if not found:
        return None
    everything = [run for _, peers in found for runs in peers.values() for run in runs]
    keys = figures.cost_keys(everything)
    rates = list(dict.fromkeys(label for _, peers in found for runs in peers.values() for label in figures.rates(runs)))
    heads = ["workload, peer", *rates, *(" · ".join(part for part in figures.column(key) if part) for key in keys)]
    rows = []
    for workload, peers in found:
        rows.append([workload] + [""] * (len(heads) - 1))
        rows += [[f"\u2002{peer}", *(_blank(figures.rates(runs).get(label)) for label in rates),
                  *(_blank(figures.cost(runs, key)) for key in keys)] for peer, runs in peers.items()]
    return ("cost", "What it cost", "<p>Of each drain: the work done in a second, processor seconds for a million changes, the "
            "most memory at once. A blank was not measured, or there is none.</p>" + _table("", heads, rows, _styles(result)))


def _others(result):
    known = ("drain", "copy", "lag", "idle")
    kinds = dict.fromkeys(document.kind_of(run) for peers in result["results"].values() for runs in peers.values() for run in runs)
    tables = ""
    for kind in [kind for kind in kinds if kind not in known]:
        for workload, peers in document.runs_of(result, kind):
            keys = list(dict.fromkeys(key for runs in peers.values() for run in runs for key in figures.flat(run)))
            rows = [[peer, *(_blank(figures.median(runs, key)) for key in keys)] for peer, runs in peers.items()]
            tables += _table(f"{workload}: {kind}", ["peer", *keys], rows, _styles(result))
    return ("other", "Other figures", tables) if tables else None


def _table(caption, heads, rows, styles=None):
    """Columns without a value are left out. A row that begins with a peer has the peer's colour."""
    told = [place for place in range(len(heads)) if place == 0 or any(row[place] for row in rows)]
    heads, rows = [heads[place] for place in told], [[row[place] for place in told] for row in rows]
    said = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    top = "".join(f'<th scope="col">{html.escape(head).replace(" %", "&#160;%")}</th>' for head in heads)
    body = "".join(f'<tr{_row_class(row)}><th scope="row">{_swatch(row[0], styles or {})}{html.escape(row[0])}</th>'
                   + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:]) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{said}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _row_class(row):
    return ' class="group"' if len(row) > 1 and not any(row[1:]) else ""


def _swatch(name, styles):
    style = styles.get(name.strip())
    return f'<i class="{style}"></i>' if style else ""


def _blank(value):
    return "" if value is None else number(value) if document.is_number(value) else str(value)


# ---- settings and words ----

def _settings(result):
    head = result["head"]
    facts = {"Command": head.get("command"), "Commit": _commit(head), "Date": head.get("date"), "Rounds": head.get("rounds"),
             **{_capital(key): value for key, value in head.get("machine", {}).items()}, **head.get("versions", {})}
    settings = {f"{key}": value for key, value in head.get("settings", {}).items()}
    return ("settings", "Settings",
            _facts("This run", facts) + _facts("Both servers", settings) + _peers_table(head)
            + _facts("Skipped", head.get("absent") or {}) + _unknown(head))


def _peers_table(head):
    rows = [[name, str(peer.get("title", "")), str(peer.get("version", "")), _joined(peer.get("settings")), str(peer.get("reason", ""))]
            for name, peer in head.get("peers", {}).items() if isinstance(peer, dict)]
    table = _table("Peers", ["peer", "description", "version", "settings", "why it did not run"], rows) if rows else ""
    return table.replace("<table>", '<table class="settings">')


def _unknown(head):
    """Keys of the head that the page does not know."""
    known = ("date", "command", "commit", "dirty", "rounds", "quick", "machine", "versions", "settings", "workloads", "peers", "absent")
    return _facts("Other facts", {_capital(key): _joined(value) for key, value in head.items() if key not in known})


def _joined(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_joined(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_joined, value))
    return "" if value is None else str(value)


NAMES = {"cpu": "Processor", "memory_gib": "Memory, GiB", "load_average": "Load at the start", "system": "Operating system"}


def _capital(key):
    return NAMES.get(key) or key[:1].upper() + key[1:].replace("_", " ")


def _facts(caption, facts):
    rows = "".join(f'<tr><th scope="row">{html.escape(str(key))}</th><td>{html.escape(_joined(value))}</td></tr>'
                   for key, value in facts.items() if value not in (None, ""))
    if not rows:
        return ""
    return f'<div class="scroll"><table class="facts"><caption>{html.escape(caption)}</caption><tbody>{rows}</tbody></table></div>'


def _words():
    return ("words", "Glossary",
            "<dl>" + "".join(f"<dt>{html.escape(word)}</dt><dd>{html.escape(meaning)}</dd>" for word, meaning in WORDS) + "</dl>")
