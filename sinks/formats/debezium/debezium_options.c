/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_options.c - the options for the encoding of values, with the names of Debezium's configuration.
 */
#include "sinks/formats/debezium/debezium_options.h"

#include "cdc/base/slice.h"

enum { MONEY_FRACTION_DIGITS_MAX = 9 };

#define PLACEHOLDER "__debezium_unavailable_value"

const struct option_spec DEBEZIUM_OPTIONS[] = {
    {"schemas", false, "none, or inline: each key and value contains its Kafka Connect schema", OPTION_TEXT,
     "none"},
    {"time.precision.mode", false,
     "adaptive, adaptive_time_microseconds, connect, isostring, microseconds or nanoseconds", OPTION_TEXT,
     "adaptive"},
    {"decimal.handling.mode", false, "precise, double or string", OPTION_TEXT, "precise"},
    {"binary.handling.mode", false, "bytes, base64, base64-url-safe or hex", OPTION_TEXT, "bytes"},
    {"interval.handling.mode", false, "numeric or string", OPTION_TEXT, "numeric"},
    {"hstore.handling.mode", false, "json or map", OPTION_TEXT, "json"},
    {"money.fraction.digits", false, "digits after the decimal point of a money value, 0 to 9", OPTION_TEXT,
     "2"},
    {"unavailable.value.placeholder", false, "text in place of a large value that an update left unchanged",
     OPTION_TEXT, PLACEHOLDER},
    {"include.unknown.datatypes", false,
     "true or false: send values of types that Debezium does not know as bytes", OPTION_TEXT, "false"},
    {"tombstones.on.delete", false, "true or false: send a tombstone after each delete", OPTION_TEXT, "true"},
    {"skipped.operations", false, "a list of c, u, d and t, or none", OPTION_TEXT, "t"},
    {0},
};

/* The words of an option, in the order of its enum, ended by NULL. */
static const char *const TIME_MODES[] = {
    "adaptive", "adaptive_time_microseconds", "connect", "isostring", "microseconds", "nanoseconds", NULL};
static const char *const DECIMAL_MODES[] = {"precise", "double", "string", NULL};
static const char *const BINARY_MODES[] = {"bytes", "base64", "base64-url-safe", "hex", NULL};
static const char *const INTERVAL_MODES[] = {"numeric", "string", NULL};
static const char *const HSTORE_MODES[] = {"json", "map", NULL};
static const char *const SCHEMAS_MODES[] = {"none", "inline", NULL};
static const char *const SWITCHES[] = {"false", "true", NULL};

static const char *help_of(const char *key) {
    const struct option_spec *spec = DEBEZIUM_OPTIONS;
    while (strcmp(spec->key, key) != 0)
        spec++;
    return spec->help;
}

static bool debezium_options_refuse(const char *key, struct error *err) {
    error_set(err, ERROR_CONFIG, "%s: expected %s", key, help_of(key));
    return error_option(err, key);
}

/* The index of the option's value among the words; fallback when it is not set. */
static bool read_word(const struct sink_config *config, const char *key, const char *const *words,
                      unsigned fallback, unsigned *ret_index, struct error *err) {
    const char *value = sink_config_find(config, key);
    *ret_index = fallback;
    if (value == NULL)
        return true;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], value) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return debezium_options_refuse(key, err);
}

static unsigned skip_bit(char letter) {
    switch (letter) {
    case 'c':
        return SKIP_CREATE;
    case 'u':
        return SKIP_UPDATE;
    case 'd':
        return SKIP_DELETE;
    case 't':
        return SKIP_TRUNCATE;
    default:
        return 0;
    }
}

/* "none", or letters separated by commas and blanks. */
static bool read_skipped(const struct sink_config *config, unsigned *ret_skipped, struct error *err) {
    static const char KEY[] = "skipped.operations";
    const char *value = sink_config_find(config, KEY);
    *ret_skipped = value == NULL ? SKIP_TRUNCATE : 0;
    if (value == NULL || strcmp(value, "none") == 0)
        return true;
    for (bool after_letter = false; *value != '\0'; value++) {
        if (*value == ' ')
            continue;
        if (after_letter ? *value != ',' : skip_bit(*value) == 0)
            return debezium_options_refuse(KEY, err);
        *ret_skipped |= skip_bit(*value);
        after_letter = !after_letter;
    }
    return *ret_skipped != 0 || debezium_options_refuse(KEY, err);
}

static bool read_money_digits(const struct sink_config *config, int *ret_digits, struct error *err) {
    static const char KEY[] = "money.fraction.digits";
    const char *value = sink_config_find(config, KEY);
    *ret_digits = 2;
    if (value == NULL)
        return true;
    if (value[0] < '0' || value[0] > '0' + MONEY_FRACTION_DIGITS_MAX || value[1] != '\0')
        return debezium_options_refuse(KEY, err);
    *ret_digits = value[0] - '0';
    return true;
}

bool debezium_options_read(const struct sink_config *config, struct debezium_options *ret_options,
                           struct error *err) {
    unsigned time, decimal, binary, interval, hstore, schemas, unknown, tombstones;
    struct debezium_options options = {0};
    if (!read_word(config, "time.precision.mode", TIME_MODES, TIME_ADAPTIVE, &time, err) ||
        !read_word(config, "decimal.handling.mode", DECIMAL_MODES, DECIMAL_PRECISE, &decimal, err) ||
        !read_word(config, "binary.handling.mode", BINARY_MODES, BINARY_BYTES, &binary, err) ||
        !read_word(config, "interval.handling.mode", INTERVAL_MODES, INTERVAL_NUMERIC, &interval, err) ||
        !read_word(config, "hstore.handling.mode", HSTORE_MODES, HSTORE_JSON, &hstore, err) ||
        !read_word(config, "schemas", SCHEMAS_MODES, SCHEMAS_NONE, &schemas, err) ||
        !read_word(config, "include.unknown.datatypes", SWITCHES, 0, &unknown, err) ||
        !read_word(config, "tombstones.on.delete", SWITCHES, 1, &tombstones, err) ||
        !read_money_digits(config, &options.money_fraction_digits, err) ||
        !read_skipped(config, &options.skipped, err))
        return false;
    const char *placeholder = sink_config_find(config, "unavailable.value.placeholder");
    options.placeholder = placeholder != NULL ? placeholder : PLACEHOLDER;
    options.time = (enum debezium_time_mode) time;
    options.decimal = (enum debezium_decimal_mode) decimal;
    options.binary = (enum debezium_binary_mode) binary;
    options.interval = (enum debezium_interval_mode) interval;
    options.hstore = (enum debezium_hstore_mode) hstore;
    options.schemas = (enum debezium_schemas_mode) schemas;
    options.include_unknown_types = unknown != 0;
    options.tombstones = tombstones != 0;
    *ret_options = options;
    return true;
}
