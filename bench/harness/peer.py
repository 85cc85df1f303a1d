# SPDX-License-Identifier: Apache-2.0
"""A peer is a program that drains the backlog of a slot. Every peer is one file, peer_NAME.py.

The harness calls, for each run:

    prepare(run)   untimed: configuration, subscription; may leave sessions open
    drain(run)     timed; returns an Outcome when everything up to run.end_lsn is where it belongs
    verify(run)    untimed: is everything there? For peers that do not fill the target database
    clean(run)     untimed, also after a failure: leaves neither slot nor process

`follow(run)`, a context manager, keeps the peer streaming in the background for the latency and lag measurements; `visible(run)`
yields what waits for one row there, `watch(run)` says how bench/lag sees rows there.
"""
import contextlib
import dataclasses
import pathlib

from . import latency

DECODING_WORK_MEM = "256MB"


@dataclasses.dataclass
class Run:
    """One peer draining one backlog once."""

    source: object  # Cluster
    target: object
    source_database: str
    target_database: str
    slot: str  # the peer's own copy of the recorded slot
    end_lsn: str  # where the recording ends; None when there is none
    folder: pathlib.Path  # for logs and state
    engine: pathlib.Path
    kafka: object  # Kafka, not started yet
    counts: object = None  # workload.Counts of the recording, where there is one
    schema: str = ""  # of a copy: the statements that make the tables


@dataclasses.dataclass
class Outcome:
    seconds: float
    client_cpu_s: float = 0.0  # of the peer's own process; 0 when it has none
    client_system_cpu_s: float = 0.0  # the part of it that is the kernel's
    client_peak_bytes: int = 0
    more: dict = dataclasses.field(default_factory=dict)  # figures that only this peer has


class PeerError(Exception):
    """The peer failed; its log's end is in the text."""


class Peer:
    name = ""
    title = ""
    measure = "stream"  # or "copy", "mapped": it takes part in these workloads only
    measures_lag = False  # of a table that streams while it copies
    applies = True  # it fills the target database, so the contents are compared
    needs_kafka = False
    groups = ()  # further groups of tests/support/install that it needs
    follows = True  # it can keep streaming, so its lag can be measured
    sinks = ("postgres",)  # pgcdc's sinks that it is measured beside
    starts_slowly = False  # so a quick look is had without it, unless it is named
    cannot = {}  # {workload: why it is not asked to}

    def unavailable(self):
        """Why it cannot run here, after its groups were installed; "" when it can."""
        return ""

    def version(self):
        """The version of what runs, unless it is PostgreSQL's own or this commit."""
        return ""

    def settings(self, server_version):
        """Its settings for a server of that version (150020), by name, to be printed."""
        return {}

    def prepare(self, run):
        pass

    def drain(self, run):
        raise NotImplementedError

    def verify(self, run):
        pass

    def clean(self, run):
        pass

    def watch(self, run):
        """The arguments with which bench/lag watches this peer's rows: the words after its FILE and COUNT, the first before them."""
        return ["postgres", run.target.dsn(run.target_database)]

    @contextlib.contextmanager
    def visible(self, run):
        """Watches the target database; peers with another target have their own function."""
        with contextlib.closing(run.target.connect(run.target_database)) as target:
            yield lambda number, deadline: latency.wait_visible(target, number, deadline)


def log_end(path, lines=12):
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
