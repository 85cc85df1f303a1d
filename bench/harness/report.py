# SPDX-License-Identifier: Apache-2.0
"""The results as tables on the terminal."""
import statistics

DEBEZIUM = ("debezium", "debezium_tuned")


def median_of(runs, key):
    return statistics.median(run[key] for run in runs)


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def print_head(head):
    print(f"pgcdc {head['commit']}{'+' if head['dirty'] else ''} · PostgreSQL {head['versions']['PostgreSQL']} · {head['machine']['cores']} x "
          f"{head['machine']['cpu']}, {head['machine']['memory_gib']} GiB, load {head['machine']['load_average']}")
    print("both servers: " + ", ".join(f"{key}={value}" for key, value in head["settings"].items()))
    for name, peer in head["peers"].items():
        settings = ", ".join(f"{key}={value}" for key, value in peer["settings"].items())
        print(f"{name}: {' '.join(filter(None, (peer['title'], peer['version'])))} ({settings or 'defaults'})")
    print()


def print_drains(results):
    """One line a workload: every peer's seconds, their ratios, and costs."""
    drains = {name: peers for name, peers in results.items() if peers and _first_run(peers)["kind"] == "drain"}
    if not drains:
        return
    print("Draining a backlog: seconds (with several rounds: median, least, most), and how many times as fast pgcdc is "
          "(null: pgcdc's null sink; tuned: the native subscription)")
    rows = [("workload", "rows", "recv", "null", "native", "tuned", "pgcdc", "recv/null", "recv/pgcdc", "tuned/pgcdc")]
    rows += [_drain_row(name, peers) for name, peers in drains.items()]
    _print_table(rows)
    print("Costs: processor seconds, and the engine's peak memory")
    rows = [("workload", "engine", "walsender", "engine/walsender", "target", "tuned target", "peak MiB")]
    rows += [_cost_row(name, peers) for name, peers in drains.items()]
    _print_table(rows)


def print_kafka_drains(results):
    """The same backlogs into Kafka, next to pg_recvlogical to /dev/null with the same settings: text values."""
    drains = {name: peers for name, peers in results.items() if "seconds" in peers.get("pgcdc_kafka", [{}])[0]}
    if not drains:
        return
    print("Draining into Kafka: seconds, and how many times as fast pgcdc is (best: Debezium at the better of its two settings)")
    rows = [("workload", "rows", "recv (text)", "debezium", "tuned", "pgcdc", "recv/pgcdc", "best/pgcdc")]
    rows += [_kafka_row(name, peers) for name, peers in drains.items()]
    _print_table(rows)
    print("Costs: processor seconds of the peers' own processes and of the walsender, and the most memory at once")
    rows = [("workload", "pgcdc", "walsender", "pgcdc/walsender", "debezium", "tuned", "best/pgcdc", "MiB", "debezium MiB", "times")]
    rows += [_kafka_cost_row(name, peers) for name, peers in drains.items()]
    _print_table(rows)


# A peer with rules, and the one without that does the same else.
MAPPED = {"pgcdc_mapped": "pgcdc", "pgcdc_mapped_sql": "pgcdc", "pgcdc_history": "pgcdc", "pgcdc_kafka_mapped": "pgcdc_kafka"}


def print_mapped_drains(results):
    """What rules of a mapping cost: the speed with them, as a part of the speed without."""
    rows = [(name, mapped, _spread(peers, plain), _spread(peers, mapped), _ratio(_seconds(peers, plain), _seconds(peers, mapped)),
             _ratio(median_of(peers[plain], "client_cpu_s"), median_of(peers[mapped], "client_cpu_s")))
            for name, peers in results.items() for mapped, plain in MAPPED.items() if mapped in peers and plain in peers]
    if rows:
        print("With rules of a mapping: seconds, and the speed with them as a part of the speed without")
        _print_table([("workload", "peer", "without", "with", "speed", "engine's CPU"), *rows])


def _kafka_row(name, peers):
    shown = ("recvlogical_text", "debezium", "debezium_tuned", "pgcdc_kafka")
    ours = _seconds(peers, "pgcdc_kafka")
    return (name, str(_first_run(peers)["rows"]), *(_spread(peers, peer) for peer in shown),
            _ratio(_seconds(peers, "recvlogical_text"), ours), _ratio(_least(peers, "seconds"), ours, 1))


def _kafka_cost_row(name, peers):
    ours = peers["pgcdc_kafka"]
    engine, walsender = median_of(ours, "client_cpu_s"), median_of(ours, "walsender_cpu_s")
    peak, their_peak = max(run["client_peak_bytes"] for run in ours) / 2**20, _least(peers, "client_peak_bytes")
    theirs = [_number(median_of(peers[peer], "client_cpu_s") if peer in peers else None) for peer in DEBEZIUM]
    return (name, _number(engine), _number(walsender), _ratio(engine, walsender), *theirs,
            _ratio(_least(peers, "client_cpu_s"), engine, 1), _number(peak, 1),
            _number(their_peak / 2**20 if their_peak else None, 0), _ratio(their_peak / 2**20 if their_peak else None, peak, 1))


def _least(peers, key):
    """The best of Debezium's settings."""
    return min((median_of(peers[peer], key) for peer in DEBEZIUM if peer in peers), default=None)


def print_copies(results):
    """A line a peer: its seconds, how many times as long as pgcdc's live copy or migration that is, and what it cost."""
    rows = [("workload", "peer", "seconds", "times pgcdc's", "MB/s", "client", "source", "target", "peak MiB")]
    for name, peers in results.items():
        chosen = {peer: [run for run in runs if run["kind"] == "copy"] for peer, runs in peers.items()}
        chosen = {peer: runs for peer, runs in chosen.items() if runs}
        ours = _seconds(chosen, "pgcdc_live" if "pgcdc_live" in chosen else "pgcdc_migrate")
        for peer, runs in chosen.items():
            seconds = _seconds(chosen, peer)
            rows.append((name, peer, _spread(chosen, peer), _ratio(seconds, ours), f"{runs[0]['bytes'] / 1e6 / seconds:.0f}",
                         *(_number(median_of(runs, key)) for key in ("client_cpu_s", "source_cpu_s", "apply_cpu_s")),
                         _number(max(run["client_peak_bytes"] for run in runs) / 2**20, 0)))
    if len(rows) > 1:
        print("Copying all rows into an empty database: seconds, and processor seconds")
        _print_table(rows)


def print_latency(results):
    rows = [("workload", "peer", "commits", "median ms", "p90 ms", "p99 ms")]
    for name, peers in results.items():
        for peer, runs in peers.items():
            if "median_ms" in runs[0]:
                rows.append((name, peer, str(runs[0]["commits"]),
                             *(f"{median_of(runs, key):.2f}" for key in ("median_ms", "p90_ms", "p99_ms"))))
    if len(rows) > 1:
        print("Idle: from COMMIT sent at the source to visible at the target")
        _print_table(rows)


def in_short(figures):
    """The run's main figure, for the line at its end."""
    if figures["kind"] in ("drain", "copy"):
        return f"{figures['seconds']:.2f} s"
    if figures["kind"] == "idle":
        return f"{figures['median_ms']:.2f} ms"
    percentiles = figures["percentiles_ms"]
    behind = f", FALLS BEHIND, {figures['unseen']} unseen" if figures["falls_behind"] or figures["unseen"] else ""
    return f"{figures['rate']}/s: median {percentiles['50']:.2f} ms, p99 {percentiles['99']:.2f} ms{behind}"


def print_lags(results):
    head = ("peer", "rate", "median", "90 %", "99 %", "99.9 %", "most", "source 50", "source 99", "late sends", "")
    rows = [_lag_row(peer, run) for peers in results.values() for peer, runs in peers.items() for run in runs
            if run["kind"] == "lag"]
    if rows:
        print("Lag, with synchronous_commit = on: ms from when a transaction is due to when it is visible; to its commit at the source")
        _print_table([head, *rows])


def _lag_row(peer, run):
    percentiles, source = run["percentiles_ms"], run["source_percentiles_ms"]
    note = "falls behind" if run["falls_behind"] or run["unseen"] else ""
    if "highest_rate" in run:
        note = f"{run['rate'] / run['highest_rate']:.0%} of {run['highest_rate']} (limit: the {run['limited_by']}) {note}".rstrip()
    return (peer, str(run["rate"]), *(f"{percentiles[share]:.2f}" for share in ("50", "90", "99", "99.9", "100")),
            f"{source['50']:.2f}", f"{source['99']:.2f}", str(run["late_sends"]), note)


def _first_run(peers):
    return next(iter(peers.values()))[0]


def _seconds(peers, name):
    return median_of(peers[name], "seconds") if name in peers else None


def _spread(peers, name):
    """The median; with several rounds also the least and the most."""
    if name not in peers:
        return "-"
    seconds = [run["seconds"] for run in peers[name]]
    middle = f"{statistics.median(seconds):.2f}"
    return middle if len(seconds) == 1 else f"{middle} ({min(seconds):.2f}-{max(seconds):.2f})"


def _ratio(theirs, ours, digits=2):
    return f"{theirs / ours:.{digits}f}" if theirs is not None and ours else "-"


def _number(value, digits=2):
    return f"{value:.{digits}f}" if value is not None else "-"


def _drain_row(name, peers):
    shown = ("recvlogical", "pgcdc_null", "native", "native_tuned", "pgcdc")
    recv, null, _, tuned, ours = (_seconds(peers, peer) for peer in shown)
    return (name, str(_first_run(peers)["rows"]), *(_spread(peers, peer) for peer in shown), _ratio(recv, null),
            _ratio(recv, ours), _ratio(tuned, ours))


def _cost_row(name, peers):
    ours = peers.get("pgcdc")
    native = median_of(peers["native_tuned"], "apply_cpu_s") if "native_tuned" in peers else None
    if ours is None:
        return (name, "-", "-", "-", "-", _number(native), "-")
    engine, walsender = median_of(ours, "client_cpu_s"), median_of(ours, "walsender_cpu_s")
    return (name, _number(engine), _number(walsender), _ratio(engine, walsender),
            _number(median_of(ours, "apply_cpu_s")), _number(native),
            _number(max(run["client_peak_bytes"] for run in ours) / 2**20, 1))


def _print_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))
    print()
