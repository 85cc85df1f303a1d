# SPDX-License-Identifier: Apache-2.0
"""The result as one JSON document that says by itself what it is.

    {"format": "pgcdc-bench", "version": 1,
     "head": {"date", "command", "commit", "dirty", "rounds", "quick", "machine": {...}, "versions": {...}, "settings": {...},
              "workloads": {NAME: {"imitates", "rows"}}, "peers": {NAME: {"title", "version", "settings", "sinks"}}, "absent": {NAME: REASON}},
     "results": {WORKLOAD: {PEER: [RUN, ...]}},
     "failures": [SENTENCE, ...]}

A run says what it is by its "kind"; keys end with their unit (_s, _ms, _bytes, _count):

    drain    rows, changes, transactions, wal_bytes, seconds, and what it cost: client_cpu_s, walsender_cpu_s, apply_cpu_s, client_peak_bytes, ...
    copy     rows, bytes (of the tables on the source's disk), jobs, seconds, and what it cost: client_cpu_s, source_cpu_s (its sessions),
             walsender_cpu_s, apply_cpu_s (the target's), client_peak_bytes
    idle     commits, median_ms, p90_ms, p99_ms: one commit at a time on a pipeline with nothing else to do
    lag      rate (transactions a second that were due), duration_s, sent, late_sends, unseen, falls_behind,
             source_falls_behind, percentiles_ms {"50", "90", "99", "99.9", "100"} from due to visible, source_percentiles_ms
             from due to the commit's answer, reader (the watcher's own resolution), histogram [[value_us, count], ...],
             over_time [[second, median_ms, max_ms], ...]; where the highest rate was looked for, highest_rate, and
             limited_by "source" or "peer", who falls behind above it

A reader shows keys that it does not know, and leaves blank what is missing.
"""
import datetime
import json
import re
import shlex
import sys

from . import about

FORMAT = "pgcdc-bench"
VERSION = 1


class DocumentError(Exception):
    """A file that is not a result that we can read."""


def head(settings, server, options, workloads, peers, absent):
    """The head of a run that begins now."""
    commit, dirty = about.commit()
    server_version = server.version()
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join(["bench/run", *sys.argv[1:]]), "commit": commit, "dirty": dirty,
            "rounds": options.rounds, "quick": options.quick,
            "machine": about.machine(), "versions": about.versions(server.value("show server_version"), peers),
            "settings": dict(settings),
            "workloads": {item.name: {"imitates": item.imitates, "rows": item.rows} for item in workloads},
            "peers": {peer.name: {"title": peer.title, "version": peer.version(), "settings": peer.settings(server_version),
                                  "sinks": list(peer.sinks)} for peer in peers},
            "absent": dict(absent)}


def make(header, results, failures=()):
    return {"format": FORMAT, "version": VERSION, "head": header, "results": results, "failures": list(failures)}


def add(before, more):
    """One document of two runs of the same commit on the same machine: the second one's figures behind the first one's."""
    check_same(before, more["head"])
    results = {workload: dict(peers) for workload, peers in before["results"].items()}
    for workload, peers in more["results"].items():
        of_workload = results.setdefault(workload, {})
        for peer, runs in peers.items():
            of_workload[peer] = of_workload.get(peer, []) + runs
    heads = before["head"], more["head"]
    joined = {what: {**heads[0][what], **heads[1][what]} for what in ("versions", "workloads", "peers", "absent")}
    joined["absent"] = {name: why for name, why in joined["absent"].items() if name not in joined["peers"]}
    header = {**before["head"], **joined, "command": " && ".join(head["command"] for head in heads),
              "dirty": any(head["dirty"] for head in heads),
              "quick": any(head.get("quick") for head in heads), "rounds": max(head["rounds"] for head in heads)}
    return make(header, results, before.get("failures", []) + more["failures"])


def check_same(before, header):
    """May figures of a run with that head be added to the existing ones?"""
    pairs = [(what, before["head"].get(what), header[what]) for what in ("commit", "settings")]
    pairs += [(what, before["head"].get("machine", {}).get(what), header["machine"][what]) for what in ("cpu", "cores", "memory_gib")]
    for what, was, is_now in pairs:
        if was != is_now:
            raise DocumentError(f"there are figures to add to, but of another {what} ({was}, now {is_now}); run it without --add")


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_compact(json.dumps(document, indent=2)) + "\n", encoding="utf-8")


def _compact(text):
    """Lists of numbers, and lists of those, on one line: a histogram has hundreds. (A string has no raw line break in it.)"""
    return re.sub(r"\[[-\d\s.,eE+\[\]nul]*\]", lambda found: re.sub(r"\n *", "", found[0]).replace(",", ", "), text)


def read(path):
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise DocumentError(f"{path} cannot be read: {problem}") from None
    _check(path, document)
    return document


def _check(path, document):
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError(f"{path} is not a result of bench/run, or one from before results had a version; run it again")
    if not isinstance(document.get("version"), int) or document["version"] > VERSION:
        raise DocumentError(f"{path} has version {document.get('version')}, this program reads up to {VERSION}; "
                            "use the bench/ folder of the commit that wrote it")
    if not isinstance(document.get("head"), dict) or not isinstance(document.get("results"), dict):
        raise DocumentError(f"{path} has no head or no results")
    for workload, peers in document["results"].items():
        if not isinstance(peers, dict) or not all(_is_runs(runs) for runs in peers.values()):
            raise DocumentError(f"{path}: the results of {workload} are not peers with lists of runs")


def _is_runs(runs):
    return isinstance(runs, list) and all(isinstance(run, dict) for run in runs)


# ---- what readers ask ----

def runs_of(document, kind):
    """(workload, {peer: runs}) for every workload that has runs of the kind, in the order in which they were made."""
    for workload, peers in document["results"].items():
        chosen = {peer: [run for run in runs if kind_of(run) == kind] for peer, runs in peers.items()}
        chosen = {peer: runs for peer, runs in chosen.items() if runs}
        if chosen:
            yield workload, chosen


def kind_of(run):
    return run.get("kind") or "unknown"


def peer_title(document, peer):
    known = document["head"].get("peers", {}).get(peer)
    return known.get("title") or peer if isinstance(known, dict) else peer


def numbers_of(runs, key):
    """The values of a key, of the runs that have one."""
    return [run[key] for run in runs if is_number(run.get(key))]


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
