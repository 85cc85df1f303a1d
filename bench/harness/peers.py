# SPDX-License-Identifier: Apache-2.0
"""The peers that there are, in the order in which they are shown."""
import dataclasses

from .cluster import ClusterError
from .peer_debezium import Debezium, DebeziumTuned
from .peer_native import Native, NativeTuned
from .peer_pgcdc import Pgcdc
from .peer_pgcdc_kafka import PgcdcKafka
from .peer_pgcdc_null import PgcdcNull
from .peer_recvlogical import Recvlogical, RecvlogicalText

ALL = (Recvlogical, RecvlogicalText, PgcdcNull, Native, NativeTuned, Pgcdc, PgcdcKafka,
       Debezium, DebeziumTuned)

# Who belongs here and does not run, and why.
ABSENT = {"pgcopydb": "Debian's 0.10 gave up on a copy of the recorded slot (wal2json) of the workload mix and applied nothing: \"BUG: logical "
                      "message xid is 965, which is different from the current transaction xid 967\"; no newer one was tried"}

SINKS = tuple(dict.fromkeys(sink for peer in ALL for sink in peer.sinks))


@dataclasses.dataclass
class Choice:
    """Who takes part."""

    sinks: tuple = ()  # of pgcdc, each with whom it is measured beside; none: all
    names: tuple = ()  # only these
    quick: bool = False

    def __post_init__(self):
        for what, words, known in (("sink", self.sinks, SINKS), ("peer", self.names, [peer.name for peer in ALL])):
            unknown = [word for word in words if word not in known]
            if unknown:
                raise ClusterError(f"no {what} {', '.join(unknown)} (known: {', '.join(known)})")
        if not self.chosen():
            raise ClusterError("none of these peers is measured beside these sinks; bench/run --list says who is")

    def chosen(self):
        """A new peer each."""
        return [peer() for peer in self._asked_for() if not self._is_too_slow(peer)]

    def absent(self):
        """{who belongs there and does not run: why}"""
        late = {peer.name: "it takes long to start; without --quick it runs, or when --peer names it"
                for peer in self._asked_for() if self._is_too_slow(peer)}
        return {**late, **ABSENT}

    def _asked_for(self):
        return [peer for peer in ALL if (not self.names or peer.name in self.names)
                and (not self.sinks or set(peer.sinks) & set(self.sinks))]

    def _is_too_slow(self, peer):
        return self.quick and peer.starts_slowly and peer.name not in self.names
