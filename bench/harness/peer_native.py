# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL's own subscription: as it is by default, and tuned with what its documentation offers for throughput.

Its end is a marker row that becomes visible in the target. The slot's confirmed_flush_lsn would not do: the worker's
feedback lags while a backlog flows.
"""
import contextlib
import time

from .peer import Outcome, Peer, PeerError
from .workload import PUBLICATION

POLL_INTERVAL_S = 0.05
DRAIN_TIMEOUT_S = 1800


class Native(Peer):
    name = "native"
    title = "native subscription, defaults"

    def __init__(self):
        self.session = None

    def settings(self, server_version):
        return {**self.options(server_version), "synchronous_commit": "off (the subscription's default)"}

    def options(self, server_version):
        """The subscription's options, except those that the benchmark needs: an existing slot, and no copy."""
        del server_version
        return {}

    def prepare(self, run):
        self.session = run.target.connect(run.target_database)
        options = {"create_slot": "false", "slot_name": f"'{run.slot}'", "copy_data": "false", "enabled": "false",
                   **self.options(run.target.version())}
        self._execute(f"create subscription bench connection '{run.source.dsn(run.source_database)}' "
                      f"publication {PUBLICATION} with ({', '.join(f'{key} = {value}' for key, value in options.items())})")
        # With copy_data = false every table is ready at once, so the apply worker is the only one.

    def drain(self, run):
        started = time.monotonic()
        self._execute("alter subscription bench enable")
        while not self._execute("select from bench_marker"):
            if time.monotonic() - started > DRAIN_TIMEOUT_S:
                raise PeerError(f"the subscription did not arrive within {DRAIN_TIMEOUT_S} s")
            time.sleep(POLL_INTERVAL_S)
        return Outcome(time.monotonic() - started)

    def clean(self, run):
        if self.session is None:
            return
        with contextlib.suppress(Exception):
            self._execute("alter subscription bench disable")
            self._execute("alter subscription bench set (slot_name = none)")
            self._execute("drop subscription bench")
        self.session.close()
        self.session = None

    @contextlib.contextmanager
    def follow(self, run):
        self.prepare(run)
        try:
            self._execute("alter subscription bench enable")
            yield
        finally:
            self.clean(run)

    def _execute(self, sql):
        with self.session.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description is not None else []


class NativeTuned(Native):
    """Binary values, and large transactions sent before they end (applied before they end, too, from PostgreSQL 16 on)."""

    name = "native_tuned"
    title = "native subscription, tuned"

    def options(self, server_version):
        return {"binary": "true", "streaming": "parallel" if server_version >= 160000 else "on"}
