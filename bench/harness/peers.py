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
ABSENT = {"pgcopydb": "nobody has written this peer yet; Debian's 0.10 follows with wal2json (postgresql-15-wal2json), for which the "
                      "recorded slot can be copied with another plugin"}


def choose(names):
    unknown = [name for name in names if name not in [peer.name for peer in ALL]]
    if unknown:
        raise ClusterError(f"no peer {', '.join(unknown)} (known: {', '.join(peer.name for peer in ALL)})")
    return [peer() for peer in ALL if (peer.name in names if names else peer.by_default)]
