/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_json_test.c - a change as a line of JSON.
 */
#include "sinks/change_json.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/pgoutput.h"

static const struct transaction TRANSACTION = {
    .commit_lsn = 0x100000020, .commit_time_us = INT64_C(848739600123456), .xid = 739};

#define IDENTITY                                                                                             \
    "\"commit_lsn\":\"1/20\",\"index\":3,\"xid\":739,\"commit_time\":\"2026-11-23T09:00:00.123456Z\""
#define ROW_HEAD(op) "{\"op\":\"" op "\",\"schema\":\"public\",\"table\":\"orders\"," IDENTITY ","

enum { INT8 = 20, INT4 = 23, TEXT_TYPE = 25 };

static struct column columns[] = {
    {.name = {"id", 2}, .type_oid = INT4, .is_key = true},
    {.name = {"note", 4}, .type_oid = TEXT_TYPE},
};

static const struct relation ORDERS = {
    .oid = 1,
    .schema = {"public", 6},
    .name = {"orders", 6},
    .identity = REPLICA_IDENTITY_DEFAULT,
    .column_count = 2,
    .key_count = 1,
    .columns = columns,
};

static struct change change_of(enum change_kind kind) {
    return (struct change){.kind = kind, .index = 3, .transaction = &TRANSACTION};
}

static void expect_line(const struct change *change, const char *expected) {
    struct json_writer json AUTO(json_writer_release) = {0};
    struct error err = {0};
    struct slice line = {0};
    cr_assert(json_writer_init(&json, &err));
    cr_assert(change_json_write(&json, change, &line, &err), "%s", err.text);
    cr_assert(line.size > 0 && line.data[line.size - 1] == '\n', "a line ends in a newline");
    char *found = strndup(line.data, line.size - 1);
    cr_expect_str_eq(found, expected);
    free(found);
}

/* The JSON of one value of the type, as it stands in a row. */
static void expect_value(oid_t type_oid, const char *text, const char *expected) {
    struct column column = {.name = {"v", 1}, .type_oid = type_oid};
    const struct relation relation = {.schema = {"s", 1},
                                      .name = {"t", 1},
                                      .identity = REPLICA_IDENTITY_NOTHING,
                                      .column_count = 1,
                                      .columns = &column};
    const struct value value = {.kind = VALUE_TEXT, .data = text, .size = (uint32_t) strlen(text)};
    struct change change = change_of(CHANGE_INSERT);
    change.relation = &relation;
    change.new_values = &value;
    char line[1024];
    snprintf(line, sizeof line,
             "{\"op\":\"insert\",\"schema\":\"s\",\"table\":\"t\"," IDENTITY
             ",\"key\":null,\"before\":null,\"after\":{\"v\":%s}}",
             expected);
    expect_line(&change, line);
}

Test(change_json, an_insert_shows_its_key_and_its_row) {
    struct change change = change_of(CHANGE_INSERT);
    change.relation = &ORDERS;
    change.new_values = TUPLE(TEXT("7"), TEXT("new")).values;
    expect_line(&change, ROW_HEAD("insert") "\"key\":{\"id\":7},\"before\":null,"
                                            "\"after\":{\"id\":7,\"note\":\"new\"}}");
}

Test(change_json, null_is_not_unchanged) {
    struct change change = change_of(CHANGE_UPDATE);
    change.relation = &ORDERS;
    change.new_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    expect_line(&change, ROW_HEAD("update") "\"key\":{\"id\":7},\"before\":null,"
                                            "\"after\":{\"id\":7,\"note\":null}}");
    change.new_values = TUPLE(TEXT("7"), UNCHANGED).values;
    expect_line(&change, ROW_HEAD("update") "\"key\":{\"id\":7},\"before\":null,"
                                            "\"after\":{\"id\":7},\"unchanged\":[\"note\"]}");
}

Test(change_json, a_key_change_shows_the_old_key_alone_before) {
    struct change change = change_of(CHANGE_UPDATE);
    change.relation = &ORDERS;
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    change.new_values = TUPLE(TEXT("8"), UNCHANGED).values;
    expect_line(&change, ROW_HEAD("update") "\"key\":{\"id\":8},\"before\":{\"id\":7},"
                                            "\"after\":{\"id\":8},\"unchanged\":[\"note\"]}");
}

Test(change_json, a_delete_is_known_by_its_old_key) {
    struct change change = change_of(CHANGE_DELETE);
    change.relation = &ORDERS;
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    expect_line(&change, ROW_HEAD("delete") "\"key\":{\"id\":7},\"before\":{\"id\":7},\"after\":null}");
}

Test(change_json, identity_full_shows_the_whole_row_before_and_no_key) {
    struct relation full = ORDERS;
    full.identity = REPLICA_IDENTITY_FULL;
    struct change change = change_of(CHANGE_DELETE);
    change.relation = &full;
    change.old_kind = OLD_FULL;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    expect_line(&change,
                ROW_HEAD("delete") "\"key\":null,\"before\":{\"id\":7,\"note\":null},\"after\":null}");
}

Test(change_json, a_truncate_names_all_its_tables) {
    const struct relation lines = {.schema = {"public", 6}, .name = {"lines", 5}};
    const struct relation *relations[] = {&ORDERS, &lines};
    struct change change = change_of(CHANGE_TRUNCATE);
    change.relations = relations;
    change.relation_count = 2;
    change.truncate_flags = TRUNCATE_RESTART_IDENTITY;
    expect_line(&change,
                "{\"op\":\"truncate\"," IDENTITY ",\"tables\":[{\"schema\":\"public\",\"table\":\"orders\"},"
                "{\"schema\":\"public\",\"table\":\"lines\"}],"
                "\"cascade\":false,\"restart_identity\":true}");
}

Test(change_json, a_message_outside_a_transaction_is_known_by_its_lsn) {
    struct change change = {.kind = CHANGE_MESSAGE, .lsn = 0x1a0};
    change.prefix = slice_of("app");
    change.content = slice_of("hello");
    expect_line(&change, "{\"op\":\"message\",\"lsn\":\"0/1A0\",\"transactional\":false,"
                         "\"prefix\":\"app\",\"content\":\"hello\"}");
}

Test(change_json, message_bytes_that_are_not_utf8_come_as_hex) {
    struct change change = {.kind = CHANGE_MESSAGE, .lsn = 0x1a0};
    change.prefix = slice_of("app");
    const struct {
        const char *bytes;
        const char *hex;
    } cases[] = {
        {"\xff", "ff"},             /* never in UTF-8 */
        {"a\xc3", "61c3"},          /* cut off */
        {"\xc0\xaf", "c0af"},       /* overlong */
        {"\xed\xa0\x80", "eda080"}, /* a surrogate */
        {"\xf5\x80\x80\x80", "f5808080"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[256];
        snprintf(line, sizeof line,
                 "{\"op\":\"message\",\"lsn\":\"0/1A0\",\"transactional\":false,\"prefix\":\"app\","
                 "\"content_hex\":\"%s\"}",
                 cases[i].hex);
        change.content = slice_of(cases[i].bytes);
        expect_line(&change, line);
    }
}

Test(change_json, what_json_holds_exactly_is_its_own) {
    const struct {
        oid_t type_oid;
        const char *text;
        const char *json;
    } cases[] = {
        {16, "t", "true"},
        {16, "f", "false"},
        {21, "-32768", "-32768"},
        {23, "2147483647", "2147483647"},
        {26, "4294967295", "4294967295"},
        {INT8, "9007199254740992", "9007199254740992"},
        {INT8, "-9007199254740992", "-9007199254740992"},
        {700, "1.5e-05", "1.5e-05"},
        {701, "1e+300", "1e+300"},
        {701, "-0", "-0"},
        {3802, "{\"a\": [1, null]}", "{\"a\": [1, null]}"},
        {114, "\"x\"", "\"x\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_value(cases[i].type_oid, cases[i].text, cases[i].json);
}

Test(change_json, what_json_would_round_is_a_string) {
    const struct {
        oid_t type_oid;
        const char *text;
    } cases[] = {
        {INT8, "9007199254740993"},
        {INT8, "-9223372036854775808"},
        {700, "NaN"},
        {701, "Infinity"},
        {701, "-Infinity"},
        {1700, "0.10"},
        {1082, "2026-11-22"},
        {1007, "{1,2}"},
        {TEXT_TYPE, "12"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", cases[i].text);
        expect_value(cases[i].type_oid, cases[i].text, quoted);
    }
}

/*
 * A type that says integer and a text that is none would make the line unreadable; so only numbers stand
 * bare.
 */
Test(change_json, only_a_number_stands_without_quotes) {
    const char *const TEXTS[] = {"", "-", "01", "1.", ".5", "1e", "1e+", "0x10", "1 ", "+1", "1\n2"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\"", strcmp(TEXTS[i], "1\n2") == 0 ? "1\\n2" : TEXTS[i]);
        expect_value(701, TEXTS[i], quoted);
        expect_value(INT4, TEXTS[i], quoted);
    }
}

Test(change_json, a_line_stays_one_line) {
    expect_value(TEXT_TYPE, "a\nb\r\t\"\\", "\"a\\nb\\r\\t\\\"\\\\\"");
    expect_value(114, "{\n \"a\":\r\n 1}", "{  \"a\":   1}");
}

/* They are valid JSON, but a terminal obeys some of them; embedded JSON has them, too. */
Test(change_json, nothing_that_a_terminal_obeys_is_raw) {
    expect_value(TEXT_TYPE, "\x1b\x7f|\xc2\x9b|\xe2\x80\xae|\xef\xbb\xbf",
                 "\"\\u001B\\u007f|\\u009b|\\u202e|\\ufeff\"");
    expect_value(114, "{\"\x7f\": \"\xc2\x85\"}", "{\"\\u007f\": \"\\u0085\"}");
    expect_value(TEXT_TYPE, "\xc2\xa0\xc3\xa9\xe2\x82\xac\xd8\xa7\xef\xbc\x81\xf0\x9f\x98\x80",
                 "\"\xc2\xa0\xc3\xa9\xe2\x82\xac\xd8\xa7\xef\xbc\x81\xf0\x9f\x98\x80\"");
}

Test(change_json, a_binary_value_is_refused) {
    struct change change = change_of(CHANGE_INSERT);
    change.relation = &ORDERS;
    change.new_values = TUPLE(BINARY("\0\0\0\7"), TEXT("x")).values;
    struct json_writer json AUTO(json_writer_release) = {0};
    struct error err = {0};
    struct slice line = {0};
    cr_assert(json_writer_init(&json, &err));
    cr_assert_not(change_json_write(&json, &change, &line, &err));
    cr_assert_eq(err.kind, ERROR_PROTOCOL);
    change.new_values = TUPLE(TEXT("7"), TEXT("x")).values;
    cr_assert(change_json_write(&json, &change, &line, &err), "the next change is written all the same");
}
