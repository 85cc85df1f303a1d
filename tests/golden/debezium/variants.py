# SPDX-License-Identifier: Apache-2.0
"""Properties of Debezium that a recording is made with; those that we know as well are options of our format."""

VARIANTS = {
    "default": {},
    "numbers": {
        "decimal.handling.mode": "double",
        "binary.handling.mode": "hex",
        "interval.handling.mode": "string",
        "hstore.handling.mode": "map",
        "time.precision.mode": "adaptive_time_microseconds",
        "skipped.operations": "none",
        "tombstones.on.delete": "false",
    },
    "texts": {
        "decimal.handling.mode": "string",
        "binary.handling.mode": "base64-url-safe",
        "time.precision.mode": "connect",
        "include.unknown.datatypes": "true",
        "unavailable.value.placeholder": "?",
        "skipped.operations": "d,t",
    },
    "iso": {"time.precision.mode": "isostring", "binary.handling.mode": "base64", "money.fraction.digits": "4"},
    "micro": {"time.precision.mode": "microseconds"},
    "nano": {"time.precision.mode": "nanoseconds"},
    "snapshot": {"snapshot.mode": "initial_only"},
}

# Those that make schemas of their own, which are recorded as well.
SCHEMAS = ("default", "numbers", "texts", "iso", "micro", "nano")
