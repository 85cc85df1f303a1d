/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_value_test.c - values of every type by every option, as JSON.
 *
 * That a real Debezium writes the same is tests/golden/debezium's.
 */
#include "sinks/formats/debezium/debezium_value.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT4 = 23,
    TEXT_TYPE = 25,
    JSON = 114,
    POINT = 600,
    FLOAT8 = 701,
    MONEY = 790,
    INT4_ARRAY = 1007,
    TEXT_ARRAY = 1009,
    DATE = 1082,
    TIME = 1083,
    TIMESTAMP = 1114,
    NUMERIC_ARRAY = 1231,
    DATE_ARRAY = 1182,
    TIMESTAMPTZ = 1184,
    INTERVAL = 1186,
    TIMETZ = 1266,
    BIT = 1560,
    VARBIT = 1562,
    NUMERIC = 1700,
    UUID = 2950,
    BYTEA_ARRAY = 1001,
    PG_LSN = 3220,
    USER = 16400,
};

static struct debezium_options options;

static void use_defaults(void) {
    const struct sink_config config = {.pipeline = "p", .name = "s"};
    struct error err;
    cr_assert(debezium_options_read(&config, &options, &err));
}

TestSuite(debezium_value, .init = use_defaults);

static bool append(const struct column *column, const struct value *value, struct buffer *json) {
    struct debezium_writer writer AUTO(debezium_writer_release);
    debezium_writer_init(&writer, &options);
    return debezium_column_is_written(&writer, column) && debezium_value_append(&writer, column, value, json);
}

static void expect_column(const struct column *column, const char *text, const char *expected) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = 65536};
    const struct value value = {.kind = VALUE_TEXT, .data = text, .size = (uint32_t) strlen(text)};
    cr_assert(append(column, &value, &json), "%s of type %u", text, column->type_oid);
    cr_expect_str_eq(buffer_text(&json), expected, "%s of type %u is %s", text, column->type_oid,
                     buffer_text(&json));
}

static void expect(oid_t type, int32_t modifier, const char *text, const char *expected) {
    const struct column column = {.type_oid = type, .type_modifier = modifier};
    expect_column(&column, text, expected);
}

static void expect_unchanged(oid_t type, const char *expected) {
    const struct column column = {.type_oid = type, .type_modifier = -1};
    const struct value value = {.kind = VALUE_UNCHANGED};
    struct buffer json AUTO(buffer_release) = {.bytes_max = 65536};
    cr_assert(append(&column, &value, &json));
    cr_expect_str_eq(buffer_text(&json), expected);
}

static struct column user_column(const char *schema, const char *name) {
    return (struct column){
        .type_oid = USER, .type_modifier = -1, .type_schema = slice_of(schema), .type_name = slice_of(name)};
}

/* numeric(precision, scale) */
static int32_t numeric_modifier(int precision, int scale) {
    return (precision << 16 | (scale & 0x7ff)) + 4;
}

Test(debezium_value, null_is_null_whatever_the_type) {
    const struct column column = {.type_oid = INT4_ARRAY};
    const struct value value = {.kind = VALUE_NULL};
    struct buffer json AUTO(buffer_release) = {.bytes_max = 100};
    cr_assert(append(&column, &value, &json));
    cr_expect_str_eq(buffer_text(&json), "null");
}

Test(debezium_value, scalars_are_jsons_own) {
    expect(BOOL, -1, "t", "true");
    expect(BOOL, -1, "f", "false");
    expect(INT8, -1, "-9223372036854775808", "-9223372036854775808");
    expect(FLOAT8, -1, "1e-07", "1.0E-7");
    expect(FLOAT8, -1, "NaN", "\"NaN\"");
    expect(TEXT_TYPE, -1, "a \"b\"\n", "\"a \\\"b\\\"\\n\"");
    expect(JSON, -1, "{\"a\": 1}", "\"{\\\"a\\\": 1}\"");
    expect(UUID, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
}

Test(debezium_value, a_numeric_with_a_scale_is_its_unscaled_bytes) {
    expect(NUMERIC, numeric_modifier(5, 2), "123.45", "\"MDk=\"");
    expect(NUMERIC, numeric_modifier(5, 2), "-0.01", "\"/w==\"");
    expect(NUMERIC, numeric_modifier(5, 0), "0", "\"AA==\"");
    expect(NUMERIC, numeric_modifier(3, -2), "12300", "\"MAw=\"");
    expect(NUMERIC, numeric_modifier(5, 2), "NaN", "null");
}

Test(debezium_value, a_numeric_without_a_scale_brings_its_own) {
    expect(NUMERIC, -1, "-1.50", "{\"scale\":1,\"value\":\"8Q==\"}");
    expect(NUMERIC, -1, "0.000", "{\"scale\":0,\"value\":\"AA==\"}");
    expect(NUMERIC, -1, "100", "{\"scale\":0,\"value\":\"ZA==\"}");
}

Test(debezium_value, numerics_are_doubles_or_texts_on_request) {
    options.decimal = DECIMAL_DOUBLE;
    expect(NUMERIC, -1, "1.50", "1.5");
    expect(NUMERIC, -1, "NaN", "\"NaN\"");
    expect(MONEY, -1, "-$1,234.50", "-1234.5");
    options.decimal = DECIMAL_STRING;
    expect(NUMERIC, numeric_modifier(5, 2), "1.50", "\"1.50\"");
    expect(MONEY, -1, "$1,234.50", "\"1234.50\"");
    expect(NUMERIC, -1, "NaN", "\"NAN\"");
    expect(NUMERIC, -1, "-Infinity", "\"NEGATIVE_INFINITY\"");
}

Test(debezium_value, money_has_the_configured_scale) {
    expect(MONEY, -1, "-$1,234.50", "\"/h3G\"");
    options.money_fraction_digits = 4;
    expect(MONEY, -1, "$0.01", "\"ZA==\"");
}

Test(debezium_value, bytes_are_written_by_their_mode) {
    expect(BYTEA, -1, "\\xfbefff", "\"++//\"");
    options.binary = BINARY_BASE64;
    expect(BYTEA, -1, "\\xfbefff", "\"++//\"");
    options.binary = BINARY_BASE64_URL_SAFE;
    expect(BYTEA, -1, "\\xfbefff", "\"--__\"");
    options.binary = BINARY_HEX;
    expect(BYTEA, -1, "\\xfbefff", "\"fbefff\"");
    expect(BYTEA, -1, "\\x", "\"\"");
}

Test(debezium_value, bits_are_little_endian_bytes_and_one_bit_is_a_boolean) {
    expect(BIT, 1, "1", "true");
    expect(BIT, 1, "0", "false");
    expect(BIT, 3, "101", "\"BQ==\"");
    expect(BIT, 12, "100000000001", "\"AQg=\"");
    expect(VARBIT, -1, "", "\"\"");
    options.binary = BINARY_HEX;
    expect(BIT, 3, "101", "\"BQ==\"");
}

Test(debezium_value, precision_decides_between_milliseconds_and_microseconds) {
    expect(DATE, -1, "2024-02-29", "19782");
    expect(TIME, -1, "12:34:56.123456", "45296123456");
    expect(TIME, 3, "12:34:56.123", "45296123");
    expect(TIME, 4, "12:34:56.1234", "45296123400");
    expect(TIMESTAMP, -1, "1969-12-31 23:59:59.999999", "-1");
    expect(TIMESTAMP, 3, "1969-12-31 23:59:59.999", "-1");
    expect(TIMESTAMP, 6, "1970-01-01 00:00:00.000001", "1");
    options.time = TIME_ADAPTIVE_TIME_MICROSECONDS;
    expect(TIME, 3, "12:34:56.123", "45296123000");
    expect(TIMESTAMP, 3, "1970-01-01 00:00:01", "1000");
}

Test(debezium_value, other_time_modes_have_one_unit) {
    options.time = TIME_CONNECT;
    expect(TIME, -1, "12:34:56.123456", "45296123");
    expect(TIMESTAMP, -1, "1969-12-31 23:59:59.999999", "-1");
    options.time = TIME_MICROSECONDS;
    expect(TIME, 0, "00:00:01", "1000000");
    expect(TIMESTAMP, 0, "1970-01-01 00:00:01", "1000000");
    options.time = TIME_NANOSECONDS;
    expect(TIME, 0, "00:00:01", "1000000000");
    expect(TIMESTAMP, 0, "1970-01-01 00:00:01", "1000000000");
}

Test(debezium_value, a_zone_is_always_utc) {
    expect(TIMESTAMPTZ, -1, "2024-02-29 12:34:56.1+02", "\"2024-02-29T10:34:56.100000Z\"");
    expect(TIMESTAMPTZ, 3, "2024-02-29 12:34:56.1+00", "\"2024-02-29T12:34:56.100Z\"");
    expect(TIMESTAMPTZ, -1, "infinity", "\"infinity\"");
    expect(TIMETZ, -1, "01:00:00+02", "\"23:00:00Z\"");
    expect(TIMETZ, -1, "23:00:00-02", "\"01:00:00Z\"");
}

Test(debezium_value, infinity_is_what_the_jdbc_driver_has_for_it) {
    expect(TIMESTAMP, -1, "infinity", "9223372036825200000");
    expect(TIMESTAMP, -1, "-infinity", "-9223372036832400000");
    expect(DATE, -1, "infinity", "-2147472692");
    expect(DATE, -1, "-infinity", "-2147472691");
}

Test(debezium_value, intervals_are_microseconds_or_iso_8601) {
    expect(INTERVAL, -1, "1 mon", "2629800000000");
    expect(INTERVAL, -1, "-1 days -00:00:00.000001", "-86400000001");
    expect(INTERVAL, -1, "178000000 years", "9223372036854775807");
    options.interval = INTERVAL_STRING;
    expect(INTERVAL, -1, "1 year 2 mons 3 days 04:05:06.78", "\"P1Y2M3DT4H5M6.78S\"");
    expect(INTERVAL, -1, "-1 years +3 days -04:05:06.7", "\"P-1Y0M3DT-4H-5M-6.7S\"");
    expect(INTERVAL, -1, "-00:00:00.5", "\"P0Y0M0DT0H0M-0.5S\"");
}

Test(debezium_value, a_point_has_its_coordinates_twice) {
    expect(POINT, -1, "(1.5,-2)",
           "{\"x\":1.5,\"y\":-2.0,\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\",\"srid\":null}");
}

Test(debezium_value, arrays_are_arrays_of_the_same_values) {
    expect(INT4_ARRAY, -1, "{1,NULL,3}", "[1,null,3]");
    expect(INT4_ARRAY, -1, "{}", "[]");
    expect(INT4_ARRAY, -1, "{{1,2},{3,4}}", "[[1,2],[3,4]]");
    expect(TEXT_ARRAY, -1, "{a,\"b,c\",\"NULL\",NULL}", "[\"a\",\"b,c\",\"NULL\",null]");
    expect(NUMERIC_ARRAY, numeric_modifier(5, 2), "{1.50}", "[\"AJY=\"]");
    expect(DATE_ARRAY, -1, "{1970-01-02}", "[1]");
    expect(BYTEA_ARRAY, -1, "{\"\\\\x00ff\"}", "[\"AP8=\"]");
}

Test(debezium_value, types_of_extensions_are_known_by_name) {
    struct column hstore = user_column("public", "hstore");
    expect_column(&hstore, "\"a\"=>\"1\", \"b\"=>NULL", "\"{\\\"a\\\":\\\"1\\\",\\\"b\\\":null}\"");
    options.hstore = HSTORE_MAP;
    expect_column(&hstore, "\"a\"=>\"1\", \"b\"=>NULL", "{\"a\":\"1\",\"b\":null}");
    struct column citext = user_column("extensions", "citext");
    expect_column(&citext, "A", "\"A\"");
    struct column geometry = user_column("public", "geometry");
    expect_column(&geometry, "0101000020E6100000000000000000F03F0000000000000040",
                  "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==\",\"srid\":4326}");
    expect_column(&geometry, "0101000000000000000000F03F0000000000000040",
                  "{\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAABA\",\"srid\":null}");
}

Test(debezium_value, a_domain_is_its_base_type_and_an_enum_a_string) {
    struct column domain = user_column("pg_catalog", "int4");
    expect_column(&domain, "5", "5");
    struct column mood = user_column("public", "mood");
    expect_column(&mood, "very happy", "\"very happy\"");
    struct column moods = user_column("public", "_mood");
    expect_column(&moods, "{sad,NULL,\"very happy\"}", "[\"sad\",null,\"very happy\"]");
    struct column impostor = user_column("public", "int4");
    expect_column(&impostor, "(1,2)", "\"(1,2)\"");
}

Test(debezium_value, unknown_types_are_left_out_unless_asked_for) {
    const struct column column = {.type_oid = PG_LSN, .type_modifier = -1};
    struct debezium_writer writer AUTO(debezium_writer_release);
    debezium_writer_init(&writer, &options);
    cr_expect_not(debezium_column_is_written(&writer, &column));
    options.include_unknown_types = true;
    expect(PG_LSN, -1, "0/1", "\"MC8x\"");
}

Test(debezium_value, the_placeholder_has_the_columns_type) {
    options.placeholder = "ab";
    expect_unchanged(TEXT_TYPE, "\"ab\"");
    expect_unchanged(JSON, "\"ab\"");
    expect_unchanged(BYTEA, "\"YWI=\"");
    expect_unchanged(TEXT_ARRAY, "[\"ab\"]");
    expect_unchanged(INT4_ARRAY, "[97,98]");
    expect_unchanged(BYTEA_ARRAY, "[\"YWI=\"]");
    expect_unchanged(NUMERIC_ARRAY, "null");
    expect_unchanged(NUMERIC, "null");
    options.binary = BINARY_HEX;
    expect_unchanged(BYTEA, "\"ab\"");
    options.time = TIME_ISOSTRING;
    expect_unchanged(DATE_ARRAY, "null");
}

static const struct {
    oid_t type;
    const char *text;
} HOSTILE[] = {
    {BOOL, ""},
    {BOOL, "true"},
    {INT4, ""},
    {INT4, "1.5"},
    {INT8, "0x1"},
    {INT4, "01"},
    {INT4, "-"},
    {FLOAT8, "1,5"},
    {NUMERIC, "1e5"},
    {NUMERIC, ""},
    {MONEY, "$"},
    {MONEY, "12 €"},
    {BYTEA, "abc"},
    {BYTEA, "\\x0"},
    {BYTEA, "\\xzz"},
    {BIT, "102"},
    {DATE, "yesterday"},
    {TIME, "25:00:00"},
    {TIMETZ, "12:00"},
    {TIMESTAMP, "20240229"},
    {TIMESTAMPTZ, "now"},
    {INTERVAL, "1 week"},
    {POINT, ""},
    {POINT, "(1)"},
    {POINT, "(1,2"},
    {POINT, "(,)"},
    {POINT, "(1,2,3)"},
    {INT4_ARRAY, "{a}"},
    {INT4_ARRAY, "{1"},
    {TEXT_ARRAY, "{\"a}"},
    {DATE_ARRAY, "{2024-02-30}"},
    {TEXT_TYPE, "\xff"},
    {TEXT_ARRAY, "{\xc3}"},
    {NUMERIC_ARRAY, "{1,}"},
};

Test(debezium_value, hostile_texts_are_refused) {
    for (size_t i = 0; i < COUNT(HOSTILE); i++) {
        const struct column column = {.type_oid = HOSTILE[i].type, .type_modifier = -1};
        char *text = strdup(HOSTILE[i].text);
        const struct value value = {.kind = VALUE_TEXT, .data = text, .size = (uint32_t) strlen(text)};
        struct buffer json AUTO(buffer_release) = {.bytes_max = 65536};
        cr_expect_not(append(&column, &value, &json), "%s of type %u became %s", text, HOSTILE[i].type,
                      buffer_text(&json));
        free(text);
    }
}

Test(debezium_value, hostile_texts_of_extensions_are_refused) {
    static const char *const TYPES[] = {"hstore", "geometry", "_hstore"};
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        const struct column column = user_column("public", TYPES[i]);
        const struct value value = {.kind = VALUE_TEXT, .data = "\"x", .size = 2};
        struct buffer json AUTO(buffer_release) = {.bytes_max = 65536};
        cr_expect_not(append(&column, &value, &json), "%s", TYPES[i]);
    }
}
