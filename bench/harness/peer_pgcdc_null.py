# SPDX-License-Identifier: Apache-2.0
"""pgcdc: the release engine, from the recorded slot into its null sink, which discards every change.

What is left is receiving, decoding and handing on: the engine's own limit, to compare with pg_recvlogical to /dev/null.
"""
from .peer_pgcdc import CONFIGURATION, Pgcdc

CONFIGURATION_NULL = CONFIGURATION[:CONFIGURATION.index("sinks:")] + """\
sinks:
  - name: nowhere
    type: "null"
"""


class PgcdcNull(Pgcdc):
    name = "pgcdc_null"
    title = "pgcdc to its null sink"
    applies = False
    follows = False
    sinks = ("null",)

    def configuration(self, run):
        return CONFIGURATION_NULL, {}
