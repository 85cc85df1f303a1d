# SPDX-License-Identifier: Apache-2.0
"""All peers, in the order in which they are shown."""
import dataclasses

from . import peer_copy, peer_pgcdc_archive, peer_pgcdc_history, peer_pgcdc_mapped
from .cluster import ClusterError
from .peer_debezium import Debezium, DebeziumTuned
from .peer_native import Native, NativeTuned
from .peer_pgcdc import Pgcdc
from .peer_pgcdc_kafka import PgcdcKafka
from .peer_pgcdc_null import PgcdcNull
from .peer_pgcopydb import Pgcopydb
from .peer_recvlogical import Recvlogical, RecvlogicalText

ALL = (Recvlogical, RecvlogicalText, PgcdcNull, Native, NativeTuned, Pgcopydb, Pgcdc, PgcdcKafka,
       Debezium, DebeziumTuned, *peer_pgcdc_archive.ALL, *peer_pgcdc_mapped.ALL, *peer_pgcdc_history.ALL,
       *peer_copy.ALL)

SINKS = tuple(dict.fromkeys(sink for peer in ALL for sink in peer.sinks))


@dataclasses.dataclass
class Choice:
    """The peers that take part."""

    sinks: tuple = ()  # of pgcdc, each with whom it is measured beside; none: all
    names: tuple = ()  # only these
    quick: bool = False
    measures: tuple = ()  # what is measured: "stream", "copy"; none: all
    is_installed: bool = False  # what they need, as far as it can be had

    def __post_init__(self):
        for what, words, known in (("sink", self.sinks, SINKS), ("peer", self.names, [peer.name for peer in ALL])):
            unknown = [word for word in words if word not in known]
            if unknown:
                raise ClusterError(f"no {what} {', '.join(unknown)} (known: {', '.join(known)})")
        if not self.chosen():
            raise ClusterError("none of these peers is measured with these sinks; bench/run --list shows which are")

    def chosen(self):
        """A new peer each."""
        return [peer() for peer in self._asked_for() if not self._why_not(peer)]

    def absent(self, workloads):
        """{who belongs there and does not run, or in which workload: why}"""
        asked_for = self._asked_for()
        return ({peer.name: self._why_not(peer) for peer in asked_for if self._why_not(peer)}
                | {f"{peer.name} in {item.name}": peer.cannot[item.name] for peer in asked_for for item in workloads
                   if item.name in peer.cannot and not self._why_not(peer)})

    def _asked_for(self):
        return [peer for peer in ALL if (not self.names or peer.name in self.names)
                and (not self.measures or peer.measure in self.measures)
                and (not self.sinks or set(peer.sinks) & set(self.sinks))]

    def _why_not(self, peer):
        if self.quick and peer.starts_slowly and peer.name not in self.names:
            return "it takes long; without --quick it runs, or when --peer names it"
        return peer().unavailable() if self.is_installed else ""
