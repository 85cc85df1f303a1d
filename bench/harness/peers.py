# SPDX-License-Identifier: Apache-2.0
"""The peers that there are, in the order in which they are shown."""
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


def choose(names):
    unknown = [name for name in names if name not in [peer.name for peer in ALL]]
    if unknown:
        raise ClusterError(f"no peer {', '.join(unknown)} (known: {', '.join(peer.name for peer in ALL)})")
    return [peer() for peer in ALL if (peer.name in names if names else peer.by_default)]
