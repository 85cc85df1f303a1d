/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_text_test.c - texts and values agree, with the C library and, when PGCDC_TEST_DSN names one, with a
 * server.
 */
#include "proto/value_text.h"

#include <criterion/criterion.h>
#include <float.h>
#include <libpq-fe.h>
#include <math.h>

#include "cdc/base/buffer.h"
#include "tests/support/random.h"

enum { ROUNDS = 200000, SERVER_ROUNDS = 20000 };

Test(value_text, booleans_are_one_letter) {
    bool value = false;
    cr_assert(value_text_to_bool(slice_of("t"), &value) && value);
    cr_assert(value_text_to_bool(slice_of("f"), &value) && !value);
    static const char *const WRONG[] = {"", "T", "true", "tf", "1"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(value_text_to_bool(slice_of(WRONG[i]), &value), "%s", WRONG[i]);
}

Test(value_text, integers_are_taken_up_to_their_limits) {
    static const struct {
        const char *text;
        int64_t min, max, value;
    } CASES[] = {{"0", INT16_MIN, INT16_MAX, 0},
                 {"-1", INT16_MIN, INT16_MAX, -1},
                 {"-32768", INT16_MIN, INT16_MAX, INT16_MIN},
                 {"32767", INT16_MIN, INT16_MAX, INT16_MAX},
                 {"4294967295", 0, UINT32_MAX, UINT32_MAX},
                 {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN},
                 {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t value = 77;
        char text[VALUE_TEXT_MAX];
        cr_assert(value_text_to_integer(slice_of(CASES[i].text), CASES[i].min, CASES[i].max, &value));
        cr_assert_eq(value, CASES[i].value);
        cr_assert_eq(value_text_of_integer(value, text), strlen(CASES[i].text));
        cr_assert_str_eq(text, CASES[i].text);
    }
}

Test(value_text, what_is_no_integer_is_refused) {
    static const char *const WRONG[] = {"",
                                        "-",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "01",
                                        "-0",
                                        "00",
                                        "1.0",
                                        "1e3",
                                        "0x1",
                                        "--1",
                                        "1-",
                                        "9223372036854775808",
                                        "-9223372036854775809",
                                        "18446744073709551616",
                                        "99999999999999999999"};
    int64_t value = 77;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(value_text_to_integer(slice_of(WRONG[i]), INT64_MIN, INT64_MAX, &value), "%s",
                      WRONG[i]);
    cr_assert_not(value_text_to_integer(slice_of("32768"), INT16_MIN, INT16_MAX, &value));
    cr_assert_not(value_text_to_integer(slice_of("-1"), 0, UINT32_MAX, &value));
    cr_assert_eq(value, 77);
}

Test(value_text, what_is_no_float_is_refused) {
    static const char *const WRONG[] = {"",       "-",
                                        "+1",     ".5",
                                        "5.",     "1e5",
                                        "1e+",    "1e+1234",
                                        "1E+05",  "0x1p+3",
                                        "inf",    "nan",
                                        "-NaN",   " 1",
                                        "1 ",     "1,5",
                                        "1e+05x", "infinity",
                                        "1e+400", "--1",
                                        "1.2.3",  "1234567890123456789012345678901234567890"};
    double wide;
    float narrow;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        cr_assert_not(value_text_to_float8(slice_of(WRONG[i]), &wide), "%s", WRONG[i]);
        cr_assert_not(value_text_to_float4(slice_of(WRONG[i]), &narrow), "%s", WRONG[i]);
    }
    cr_assert_not(value_text_to_float4(slice_of("1e+39"), &narrow));
}

Test(value_text, special_floats_have_names) {
    static const char *const NAMES[] = {"NaN", "Infinity", "-Infinity", "0", "-0"};
    for (size_t i = 0; i < 5; i++) {
        double wide;
        float narrow;
        char text[VALUE_TEXT_MAX];
        cr_assert(value_text_to_float8(slice_of(NAMES[i]), &wide));
        value_text_of_float8(wide, text);
        cr_assert_str_eq(text, NAMES[i]);
        cr_assert(value_text_to_float4(slice_of(NAMES[i]), &narrow));
        value_text_of_float4(narrow, text);
        cr_assert_str_eq(text, NAMES[i]);
    }
}

/* A float of any size, or one of the kind that people store. */
static double random_double(struct random *random) {
    uint64_t bits = random_next(random);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (random_below(random, 2) || !isfinite(value))
        value = (double) (int64_t) (bits >> random_below(random, 64)) / pow(10, random_below(random, 25));
    return value;
}

static float random_float(struct random *random) {
    uint32_t bits = (uint32_t) random_next(random);
    float value;
    memcpy(&value, &bits, sizeof value);
    if (random_below(random, 2) || !isfinite(value))
        value = (float) (bits >> random_below(random, 32)) / powf(10, (float) random_below(random, 12));
    return value;
}

Test(value_text, floats_are_what_the_c_library_makes_of_them) {
    struct random random = random_start("value_text");
    for (int i = 0; i < ROUNDS; i++) {
        char text[64];
        double wide = random_double(&random), wide_read;
        float narrow = random_float(&random), narrow_read;
        snprintf(text, sizeof text, "%.*g", (int) random_below(&random, 17) + 1, wide);
        wide = strtod(text, NULL);
        cr_assert_eq(value_text_to_float8(slice_of(text), &wide_read), isfinite(wide), "%s", text);
        if (isfinite(wide))
            cr_assert_arr_eq(&wide, &wide_read, sizeof wide, "%s", text);
        snprintf(text, sizeof text, "%.*g", (int) random_below(&random, 12) + 1, (double) narrow);
        narrow = strtof(text, NULL);
        cr_assert_eq(value_text_to_float4(slice_of(text), &narrow_read), isfinite(narrow), "%s", text);
        if (isfinite(narrow))
            cr_assert_arr_eq(&narrow, &narrow_read, sizeof narrow, "%s", text);
    }
}

Test(value_text, bytes_go_there_and_back) {
    char bytes[256], text[2 + 2 * 256], back[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char) i;
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct slice slice = {.data = bytes, .size = size};
        value_text_of_bytea(slice, text);
        struct slice hex = {.data = text, .size = value_text_of_bytea_size(slice)};
        size_t read_size = 1;
        cr_assert(value_text_bytea_size(hex, &read_size) && read_size == size);
        cr_assert(value_text_put_bytea(hex, back));
        cr_assert_eq(memcmp(back, bytes, size), 0);
    }
    cr_assert_eq(memcmp(text, "\\x000102", 8), 0);
}

Test(value_text, bytes_of_anything_but_lower_case_digits_are_refused) {
    char byte;
    for (int letter = 0; letter < 256; letter++) {
        char text[] = {'\\', 'x', '0', (char) letter};
        bool is_digit = letter != 0 && strchr("0123456789abcdef", letter) != NULL;
        cr_assert_eq(value_text_put_bytea((struct slice){.data = text, .size = 4}, &byte), is_digit, "%d",
                     letter);
    }
    size_t size;
    static const char *const WRONG[] = {"", "\\", "x00", "\\y00", "\\x0", "\\X00"};
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(value_text_bytea_size(slice_of(WRONG[i]), &size), "%s", WRONG[i]);
}

/* ---- beside a server ---- */

static void finish(PGconn **conn) {
    PQfinish(*conn);
}

static PGconn *connect_or_skip(void) {
    if (getenv("PGCDC_TEST_DSN") == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set");
    PGconn *conn = PQconnectdb(getenv("PGCDC_TEST_DSN"));
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    PQclear(PQexec(conn, "set extra_float_digits = 3"));
    return conn;
}

/* The texts that the server has for the values, in their order. */
static PGresult *ask(PGconn *conn, const char *type, const char *array) {
    char sql[200];
    snprintf(sql, sizeof sql, "select v::text from unnest($1::%s[]) with ordinality u (v, n) order by n",
             type);
    PGresult *result = PQexecParams(conn, sql, 1, NULL, &array, NULL, NULL, 0);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(conn));
    return result;
}

static void append(struct buffer *array, int i, double value, int digits) {
    buffer_printf(array, "%c%.*g", i == 0 ? '{' : ',', digits, value);
}

/* Powers of two are where the next value below is nearer than the one above. */
Test(value_text, float8_is_what_the_server_prints) {
    AUTO(finish) PGconn *conn = connect_or_skip();
    AUTO(buffer_release) struct buffer array = {.bytes_max = 8 << 20};
    struct random random = random_start("value_text_float8");
    static double values[SERVER_ROUNDS];
    for (int i = 0; i < SERVER_ROUNDS; i++) {
        values[i] = i < 2098 ? ldexp(1, i - 1074) : random_double(&random);
        append(&array, i, values[i], 17);
    }
    buffer_append_text(&array, "}");
    PGresult *texts = ask(conn, "float8", buffer_text(&array));
    for (int i = 0; i < SERVER_ROUNDS; i++) {
        char text[VALUE_TEXT_MAX];
        double read;
        cr_assert(value_text_to_float8(slice_of(PQgetvalue(texts, i, 0)), &read));
        cr_assert_arr_eq(&read, &values[i], sizeof read, "%s", PQgetvalue(texts, i, 0));
        value_text_of_float8(values[i], text);
        cr_assert_str_eq(text, PQgetvalue(texts, i, 0));
    }
    PQclear(texts);
}

Test(value_text, float4_is_what_the_server_prints) {
    AUTO(finish) PGconn *conn = connect_or_skip();
    AUTO(buffer_release) struct buffer array = {.bytes_max = 8 << 20};
    struct random random = random_start("value_text_float4");
    static float values[SERVER_ROUNDS];
    for (int i = 0; i < SERVER_ROUNDS; i++) {
        values[i] = i < 277 ? ldexpf(1, i - 149) : random_float(&random);
        append(&array, i, (double) values[i], 9);
    }
    buffer_append_text(&array, "}");
    PGresult *texts = ask(conn, "float4", buffer_text(&array));
    for (int i = 0; i < SERVER_ROUNDS; i++) {
        char text[VALUE_TEXT_MAX];
        float read;
        cr_assert(value_text_to_float4(slice_of(PQgetvalue(texts, i, 0)), &read));
        cr_assert_arr_eq(&read, &values[i], sizeof read, "%s", PQgetvalue(texts, i, 0));
        value_text_of_float4(values[i], text);
        cr_assert_str_eq(text, PQgetvalue(texts, i, 0));
    }
    PQclear(texts);
}
