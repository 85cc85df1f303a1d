/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_options_test.c - Debezium's options by their names.
 */
#include "sinks/formats/debezium/debezium_options.h"

#include <criterion/criterion.h>

static bool read_option(const char *key, const char *value, struct debezium_options *options,
                        struct error *err) {
    const struct sink_option option = {.key = key, .value = value};
    const struct sink_config config = {
        .pipeline = "p", .name = "events", .options = &option, .option_count = key != NULL ? 1 : 0};
    return debezium_options_read(&config, options, err);
}

Test(debezium_options, defaults_are_debeziums) {
    struct debezium_options options;
    struct error err = {0};
    cr_assert(read_option(NULL, NULL, &options, &err));
    cr_expect_eq(options.time, TIME_ADAPTIVE);
    cr_expect_eq(options.decimal, DECIMAL_PRECISE);
    cr_expect_eq(options.binary, BINARY_BYTES);
    cr_expect_eq(options.interval, INTERVAL_NUMERIC);
    cr_expect_eq(options.hstore, HSTORE_JSON);
    cr_expect_eq(options.money_fraction_digits, 2);
    cr_expect_str_eq(options.placeholder, "__debezium_unavailable_value");
    cr_expect(options.tombstones);
    cr_expect_not(options.include_unknown_types);
    cr_expect_eq(options.skipped, SKIP_TRUNCATE);
}

Test(debezium_options, operations_to_skip_are_a_list) {
    struct debezium_options options;
    struct error err = {0};
    cr_assert(read_option("skipped.operations", "none", &options, &err));
    cr_expect_eq(options.skipped, 0);
    cr_assert(read_option("skipped.operations", "c,u, d", &options, &err));
    cr_expect_eq(options.skipped, SKIP_CREATE | SKIP_UPDATE | SKIP_DELETE);
}

Test(debezium_options, a_wrong_value_names_its_key_and_what_is_expected) {
    static const struct {
        const char *key;
        const char *value;
        const char *expected;
    } WRONG[] = {
        {"time.precision.mode", "Adaptive", "adaptive, adaptive_time_microseconds"},
        {"decimal.handling.mode", "", "precise, double or string"},
        {"binary.handling.mode", "base64url", "base64-url-safe"},
        {"interval.handling.mode", "iso", "numeric or string"},
        {"hstore.handling.mode", "object", "json or map"},
        {"schemas", "true", "none, or inline"},
        {"money.fraction.digits", "10", "0 to 9"},
        {"money.fraction.digits", "", "0 to 9"},
        {"include.unknown.datatypes", "yes", "true"},
        {"tombstones.on.delete", "0", "false"},
        {"skipped.operations", "x", "c, u, d and t"},
        {"skipped.operations", "cu", "c, u, d and t"},
        {"skipped.operations", "", "c, u, d and t"},
        {"skipped.operations", "none,c", "c, u, d and t"},
    };
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct debezium_options options;
        struct error err = {0};
        cr_assert_not(read_option(WRONG[i].key, WRONG[i].value, &options, &err), "%s=%s", WRONG[i].key,
                      WRONG[i].value);
        cr_expect_eq(err.kind, ERROR_CONFIG);
        cr_expect_not_null(strstr(err.text, WRONG[i].key));
        cr_expect_not_null(strstr(err.text, WRONG[i].expected), "%s", err.text);
    }
}
