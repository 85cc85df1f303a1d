/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key_order_test.c - keys have the order of their values, in both formats; that of a real server, when
 * PGCDC_TEST_DSN names one.
 */
#include "cdc/copy/chunk_key.h"

#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cdc/base/attributes.h"

enum { BYTEA = 17, INT4 = 23, TEXT = 25, VARCHAR = 1043, DATE = 1082, TIMESTAMP = 1114, TIMESTAMPTZ = 1184 };

static struct value value_of(enum value_kind kind, const char *data, size_t size) {
    return (struct value){.data = data, .size = (uint32_t) size, .kind = kind};
}

static struct chunk_key key_of_text(oid_t type, const char *text) {
    const struct value value = value_of(VALUE_TEXT, text, strlen(text));
    struct chunk_key key;
    cr_assert(chunk_key_read(type, &value, &key), "%s", text);
    return key;
}

static void assert_ascending(oid_t type, const char *const *texts) {
    for (size_t i = 0; texts[i + 1] != NULL; i++) {
        const struct chunk_key low = key_of_text(type, texts[i]), high = key_of_text(type, texts[i + 1]);
        cr_assert(chunk_key_is_less(&low, &high), "%s < %s", texts[i], texts[i + 1]);
        cr_assert_not(chunk_key_is_less(&high, &low), "%s < %s", texts[i], texts[i + 1]);
        cr_assert_not(chunk_key_is_less(&low, &low), "%s", texts[i]);
    }
}

Test(chunk_key_order, dates_have_their_order_also_before_christ) {
    assert_ascending(DATE, (const char *const[]){"-infinity", "4713-01-01 BC", "0044-03-15 BC",
                                                 "0001-12-31 BC", "0001-01-01", "1999-12-31", "2000-01-01",
                                                 "10000-01-01", "5874897-12-31", "infinity", NULL});
}

Test(chunk_key_order, timestamps_have_their_order_to_the_microsecond) {
    assert_ascending(TIMESTAMP, (const char *const[]){"-infinity", "0044-03-15 23:59:59 BC",
                                                      "1999-12-31 23:59:59.999999", "2000-01-01 00:00:00",
                                                      "2000-01-01 00:00:00.000001",
                                                      "294276-12-31 23:59:59.999999", "infinity", NULL});
    assert_ascending(TIMESTAMPTZ, (const char *const[]){"2000-01-01 02:00:00+05:30", "2000-01-01 00:00:00+00",
                                                        "1999-12-31 22:00:00-02:00:01", NULL});
}

Test(chunk_key_order, bytes_are_compared_without_a_sign_and_a_prefix_comes_first) {
    assert_ascending(BYTEA, (const char *const[]){"\\x", "\\x00", "\\x0000", "\\x01", "\\x7f", "\\x80",
                                                  "\\xff", "\\xff00", NULL});
    assert_ascending(TEXT, (const char *const[]){"", " ", "A", "Z", "a", "a ", "ab", "\xc3\xa4",
                                                 "\xf0\x9f\x98\x80", NULL});
}

Test(chunk_key_order, what_is_not_a_value_is_refused) {
    static const struct {
        oid_t type;
        struct value value;
    } BAD[] = {
        {INT4, {.kind = VALUE_NULL}},
        {TEXT, {.kind = VALUE_UNCHANGED}},
        {TEXT, {.kind = VALUE_NULL}},
        {BYTEA, {"x00", 3, VALUE_TEXT}},
        {BYTEA, {"\\x0", 3, VALUE_TEXT}},
        {BYTEA, {"\\x0g", 4, VALUE_TEXT}},
        {DATE, {"2000-02-30", 10, VALUE_TEXT}},
        {DATE, {"\0\0\0", 3, VALUE_BINARY}},
        {TIMESTAMP, {"2000-01-01", 10, VALUE_TEXT}},
        {TIMESTAMPTZ, {"\0\0\0\0", 4, VALUE_BINARY}},
    };
    struct chunk_key key;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        cr_assert_not(chunk_key_read(BAD[i].type, &BAD[i].value, &key), "case %zu", i);
}

/* ---- a real server ---- */

static void finish(PGconn **conn) {
    PQfinish(*conn);
}

static void clear(PGresult **result) {
    PQclear(*result);
}

/* An expression for the g-th random value of a type, and its borders. */
static const struct {
    oid_t oid;
    const char *name;
    const char *send;
    const char *random;
    const char *borders;
} TYPES[] = {
    {20, "int8", "int8send", "((random() - 0.5) * 1.8e19)",
     "{-9223372036854775808,9223372036854775807,0,-1,1}"},
    {21, "int2", "int2send", "((random() - 0.5) * 65000)", "{-32768,32767,0,-1}"},
    {23, "int4", "int4send", "((random() - 0.5) * 4e9)", "{-2147483648,2147483647,0,-1}"},
    {26, "oid", "oidsend", "(random() * 4294967295)::int8", "{0,4294967295,2147483648}"},
    {2950, "uuid", "uuid_send", "md5(random()::text)", "{00000000-0000-0000-0000-000000000000}"},
    {DATE, "date", "date_send", "date '2000-01-01' + ((random() - 0.5) * 1.4e6)::int",
     "{infinity,-infinity,4714-11-24 BC,5874897-12-31,0001-01-01,0001-12-31 BC,2000-01-01,1970-01-01}"},
    {TIMESTAMP, "timestamp", "timestamp_send",
     "case when g < 30 then timestamp '1999-12-31 23:59:59.99999' + g * interval '1 us'"
     " else timestamp '2000-01-01' + (random() - 0.5) * interval '8000 years' end",
     "{infinity,-infinity,4714-11-24 00:00:00 BC,294276-12-31 23:59:59.999999,1970-01-01}"},
    {TIMESTAMPTZ, "timestamptz", "timestamptz_send",
     "timestamptz '2000-01-01' + (random() - 0.5) * interval '8000 years'",
     "{infinity,-infinity,4714-11-24 00:00:00+00 BC,2000-01-01,1999-12-31 23:59:59.999999}"},
    {BYTEA, "bytea", "byteasend", "substr(decode(md5(random()::text), 'hex'), 1, g % 4)",
     "{\"\",\"\\\\x00\",\"\\\\xff\",\"\\\\xffff\"}"},
    {TEXT, "text collate \"C\"", "textsend",
     "left(chr((1 + random() * 120)::int) || chr((1 + random() * 50000)::int) || chr((1 + random() * "
     "900)::int),"
     " g % 4)",
     "{\"\",\" \",a,\"a \",A,\xc3\xa4,\xf0\x9f\x98\x80,\xef\xbf\xbd}"},
    {VARCHAR, "varchar collate \"POSIX\"", "varcharsend",
     "chr((33 + random() * 90)::int) || chr((33 + random() * 5)::int) || repeat(' ', g % 3)", "{\"\",\" \"}"},
};

/* format: 0 text, 1 binary. */
static PGresult *query(PGconn *conn, const char *sql, int format) {
    PGresult *result = PQexecParams(conn, sql, 0, NULL, NULL, NULL, NULL, format);
    cr_assert(PQresultStatus(result) == PGRES_TUPLES_OK || PQresultStatus(result) == PGRES_COMMAND_OK,
              "%s: %s", sql, PQerrorMessage(conn));
    return result;
}

static struct chunk_key key_at(const PGresult *result, int row, int column, oid_t type) {
    const struct value value =
        value_of(column == 0 ? VALUE_TEXT : VALUE_BINARY, PQgetvalue(result, row, column),
                 (size_t) PQgetlength(result, row, column));
    struct chunk_key key;
    cr_assert(chunk_key_read(type, &value, &key), "type %u, row %d, column %d", type, row, column);
    return key;
}

/* Each row has a value's text, its binary form, and whether the next value is larger. */
static void assert_order(const PGresult *rows, oid_t type, const char *seed) {
    for (int row = 0; row + 1 < PQntuples(rows); row++) {
        const bool is_less = PQgetvalue(rows, row, 2)[0] == 1;
        for (int column = 0; column < 4; column++) {
            const struct chunk_key low = key_at(rows, row, column / 2, type);
            const struct chunk_key high = key_at(rows, row + 1, column % 2, type);
            cr_assert_eq(chunk_key_is_less(&low, &high), is_less, "type %u, row %d, seed %s", type, row,
                         seed);
            cr_assert_not(chunk_key_is_less(&high, &low), "type %u, row %d, seed %s", type, row, seed);
        }
    }
}

static void assert_type(PGconn *conn, size_t type, const char *seed) {
    char sql[4096];
    snprintf(sql, sizeof sql, "select setseed(%s)", seed);
    PQclear(query(conn, sql, 0));
    snprintf(
        sql, sizeof sql,
        "select v::text as t, %s(v), coalesce(lead(v) over (order by v) > v, false) from (select (%s)::%s as "
        "v"
        " from generate_series(1, 400) g union all select b::%s from unnest($b$%s$b$::text[]) b) r order by "
        "v",
        TYPES[type].send, TYPES[type].random, TYPES[type].name, TYPES[type].name, TYPES[type].borders);
    AUTO(clear) PGresult *rows = query(conn, sql, 1);
    cr_assert_gt(PQntuples(rows), 400);
    assert_order(rows, TYPES[type].oid, seed);
}

Test(chunk_key_order, a_real_server_has_the_same_order) {
    char seed[32];
    if (getenv("PGCDC_TEST_DSN") == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set");
    const char *given = getenv("PGCDC_TEST_SEED");
    snprintf(seed, sizeof seed, "0.%ld",
             given != NULL ? strtol(given, NULL, 10) : (long) time(NULL) % 100000);
    AUTO(finish) PGconn *conn = PQconnectdb(getenv("PGCDC_TEST_DSN"));
    cr_assert_eq(PQsetClientEncoding(conn, "UTF8"), 0, "%s", PQerrorMessage(conn));
    PQclear(query(conn, "set timezone = 'UTC'", 0));
    PQclear(query(conn, "set datestyle = 'ISO'", 0));
    for (size_t type = 0; type < sizeof TYPES / sizeof *TYPES; type++)
        assert_type(conn, type, seed);
}
