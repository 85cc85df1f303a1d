/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_options.h - the options for the encoding of values, with the names of Debezium's configuration.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "sinks/sink.h"

enum debezium_time_mode {
    TIME_ADAPTIVE,
    TIME_ADAPTIVE_TIME_MICROSECONDS,
    TIME_CONNECT,
    TIME_ISOSTRING,
    TIME_MICROSECONDS,
    TIME_NANOSECONDS,
};

enum debezium_decimal_mode { DECIMAL_PRECISE, DECIMAL_DOUBLE, DECIMAL_STRING };
enum debezium_binary_mode { BINARY_BYTES, BINARY_BASE64, BINARY_BASE64_URL_SAFE, BINARY_HEX };
enum debezium_interval_mode { INTERVAL_NUMERIC, INTERVAL_STRING };
enum debezium_schemas_mode { SCHEMAS_NONE, SCHEMAS_INLINE };
enum debezium_hstore_mode { HSTORE_JSON, HSTORE_MAP };

/* Operations that may be skipped, as bits. */
enum { SKIP_CREATE = 1, SKIP_UPDATE = 2, SKIP_DELETE = 4, SKIP_TRUNCATE = 8 };

struct debezium_options {
    enum debezium_time_mode time;
    enum debezium_decimal_mode decimal;
    enum debezium_binary_mode binary;
    enum debezium_interval_mode interval;
    enum debezium_hstore_mode hstore;
    enum debezium_schemas_mode schemas;
    const char *placeholder; /* for a TOASTed value that the UPDATE left unchanged */
    int money_fraction_digits;
    bool include_unknown_types;
    bool tombstones;
    unsigned skipped; /* SKIP_* */
};

/* Ended by key NULL. */
extern const struct option_spec DEBEZIUM_OPTIONS[];

/* ERROR_CONFIG names the key and the expected values. The texts belong to the configuration. */
MUST_CHECK bool debezium_options_read(const struct sink_config *config, struct debezium_options *ret_options,
                                      struct error *err);
