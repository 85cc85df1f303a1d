# SPDX-License-Identifier: Apache-2.0
"""The peers that there are, in the order in which they are shown."""
from .cluster import ClusterError
from .peer_native import Native, NativeTuned
from .peer_pgcdc import Pgcdc
from .peer_pgcdc_kafka import PgcdcKafka
from .peer_pgcdc_null import PgcdcNull
from .peer_recvlogical import Recvlogical, RecvlogicalText

ALL = (Recvlogical, RecvlogicalText, PgcdcNull, Native, NativeTuned, Pgcdc, PgcdcKafka)


def choose(names):
    unknown = [name for name in names if name not in [peer.name for peer in ALL]]
    if unknown:
        raise ClusterError(f"no peer {', '.join(unknown)} (known: {', '.join(peer.name for peer in ALL)})")
    return [peer() for peer in ALL if (peer.name in names if names else peer.by_default)]
