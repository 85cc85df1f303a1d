/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_debezium_test.c - envelopes, keys, headers and tombstones of debezium-json.
 *
 * That a real Debezium sends the same is tests/golden/debezium's.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "sinks/formats/format.h"
#include "tests/support/pgoutput.h"

#define NOW_US INT64_C(1795424400000007)
#define NOW ",\"ts_ms\":1795424400000,\"ts_us\":1795424400000007,\"ts_ns\":1795424400000007000"

static const struct transaction TRANSACTION = {
    .commit_lsn = 0x100000020, .commit_time_us = INT64_C(848739600123456), .xid = 739};

/* After the row, up to and with the end of the source block. */
#define SOURCE(snapshot, sequence, xid)                                                                      \
    "\"source\":{\"version\":\"" PGCDC_VERSION "\",\"connector\":\"postgresql\",\"name\":\"shop\","          \
    "\"ts_ms\":1795424400123,\"snapshot\":\"" snapshot "\",\"db\":\"store\",\"sequence\":\"[" sequence       \
    ",\\\"4294967312\\\"]\",\"ts_us\":1795424400123456,\"ts_ns\":1795424400123456000,"                       \
    "\"schema\":\"public\",\"table\":\"orders\",\"txId\":" xid ",\"lsn\":4294967312,\"xmin\":null,"          \
    "\"origin\":null,\"origin_lsn\":null}"
#define STREAMED SOURCE("false", "\\\"4294967328\\\"", "739")
#define ENVELOPE(op, before, after)                                                                          \
    "{\"before\":" before ",\"after\":" after "," STREAMED ",\"transaction\":null,\"op\":\"" op "\"" NOW "}"

static struct column columns[] = {
    {.name = {"id", 2},
     .type_oid = 23,
     .type_modifier = -1,
     .is_key = true,
     .type_schema = {"pg_catalog", 10},
     .type_name = {"int4", 4}},
    {.name = {"note", 4},
     .type_oid = 25,
     .type_modifier = -1,
     .type_schema = {"pg_catalog", 10},
     .type_name = {"text", 4}},
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

static struct change change_of(enum change_kind kind, const struct relation *relation) {
    return (struct change){
        .kind = kind, .lsn = 0x100000010, .index = 3, .transaction = &TRANSACTION, .relation = relation};
}

static struct sink_option option;
static struct sink_config config = {
    .pipeline = "shop", .name = "events", .database = "store", .options = &option, .option_count = 1};

static struct message_list list;
static struct error err;

static void make(const struct change *change, const char *key, const char *value) {
    struct format *format = NULL;
    option = (struct sink_option){.key = key, .value = value};
    list = (struct message_list){.bytes.bytes_max = 65536};
    err = (struct error){0};
    cr_assert(format_debezium_json.create(&(struct format_options){.config = &config}, &format, &err), "%s",
              err.text);
    bool good = format_debezium_json.encode(format, change, 0, NOW_US, &list, &err);
    format_debezium_json.free(format);
    cr_assert(good, "%s", err.text);
}

static void expect_span(const struct message_span *span, const char *expected) {
    if (expected == NULL) {
        cr_expect(span->is_null);
        return;
    }
    cr_assert_not(span->is_null);
    char *found = strndup(list.bytes.data + span->offset, span->size);
    cr_expect_str_eq(found, expected);
    free(found);
}

static void expect_message(size_t index, const char *key, const char *value) {
    cr_assert_lt(index, list.count);
    expect_span(&list.messages[index].key, key);
    expect_span(&list.messages[index].value, value);
    cr_expect_eq(list.messages[index].relation, &ORDERS);
}

static void expect_header(size_t index, const char *name, const char *value) {
    cr_assert_eq(list.messages[index].header_count, 1);
    cr_expect_str_eq(list.messages[index].headers[0].name, name);
    expect_span(&list.messages[index].headers[0].value, value);
}

Test(format_debezium, an_insert_is_a_create) {
    struct change change = change_of(CHANGE_INSERT, &ORDERS);
    change.new_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    make(&change, "", "");
    cr_expect_eq(list.count, 1);
    expect_message(0, "{\"id\":7}", ENVELOPE("c", "null", "{\"id\":7,\"note\":null}"));
    cr_expect_eq(list.messages[0].header_count, 0);
    buffer_release(&list.bytes);
}

Test(format_debezium, a_copied_row_is_a_read_outside_any_transaction) {
    struct change change = change_of(CHANGE_READ, &ORDERS);
    change.new_values = TUPLE(TEXT("7"), TEXT("n")).values;
    make(&change, "", "");
    expect_message(0, "{\"id\":7}",
                   "{\"before\":null,\"after\":{\"id\":7,\"note\":\"n\"}," SOURCE(
                       "true", "null", "null") ",\"transaction\":null,\"op\":\"r\"" NOW "}");
    buffer_release(&list.bytes);
}

Test(format_debezium, an_update_without_old_row_has_no_before) {
    struct change change = change_of(CHANGE_UPDATE, &ORDERS);
    change.new_values = TUPLE(TEXT("7"), UNCHANGED).values;
    make(&change, "", "");
    cr_expect_eq(list.count, 1);
    expect_message(0, "{\"id\":7}",
                   ENVELOPE("u", "null", "{\"id\":7,\"note\":\"__debezium_unavailable_value\"}"));
    buffer_release(&list.bytes);
}

Test(format_debezium, a_value_left_out_is_taken_from_a_full_old_row) {
    struct relation full = ORDERS;
    full.identity = REPLICA_IDENTITY_FULL;
    struct change change = change_of(CHANGE_UPDATE, &full);
    change.old_kind = OLD_FULL;
    change.old_values = TUPLE(TEXT("7"), TEXT("big")).values;
    change.new_values = TUPLE(TEXT("8"), UNCHANGED).values;
    make(&change, "", "");
    cr_assert_eq(list.count, 1);
    expect_span(&list.messages[0].key, NULL);
    expect_span(&list.messages[0].value,
                ENVELOPE("u", "{\"id\":7,\"note\":\"big\"}", "{\"id\":8,\"note\":\"big\"}"));
    buffer_release(&list.bytes);
}

Test(format_debezium, a_delete_is_followed_by_a_tombstone) {
    struct change change = change_of(CHANGE_DELETE, &ORDERS);
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    make(&change, "", "");
    cr_expect_eq(list.count, 2);
    expect_message(0, "{\"id\":7}", ENVELOPE("d", "{\"id\":7,\"note\":null}", "null"));
    expect_message(1, "{\"id\":7}", NULL);
    buffer_release(&list.bytes);
    make(&change, "tombstones.on.delete", "false");
    cr_expect_eq(list.count, 1);
    buffer_release(&list.bytes);
}

Test(format_debezium, a_changed_key_is_a_delete_and_a_create_that_know_each_other) {
    struct change change = change_of(CHANGE_UPDATE, &ORDERS);
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    change.new_values = TUPLE(TEXT("8"), TEXT("n")).values;
    make(&change, "", "");
    cr_assert_eq(list.count, 3);
    expect_message(0, "{\"id\":7}", ENVELOPE("d", "{\"id\":7,\"note\":null}", "null"));
    expect_header(0, "__debezium.newkey", "{\"id\":8}");
    expect_message(1, "{\"id\":7}", NULL);
    expect_header(1, "__debezium.newkey", "{\"id\":8}");
    expect_message(2, "{\"id\":8}", ENVELOPE("c", "null", "{\"id\":8,\"note\":\"n\"}"));
    expect_header(2, "__debezium.oldkey", "{\"id\":7}");
    buffer_release(&list.bytes);
    make(&change, "tombstones.on.delete", "false");
    cr_assert_eq(list.count, 2);
    expect_header(1, "__debezium.oldkey", "{\"id\":7}");
    buffer_release(&list.bytes);
}

Test(format_debezium, an_old_key_that_is_the_new_one_is_a_plain_update) {
    struct change change = change_of(CHANGE_UPDATE, &ORDERS);
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    change.new_values = TUPLE(UNCHANGED, TEXT("n")).values;
    make(&change, "", "");
    cr_expect_eq(list.count, 1);
    expect_message(0, "{\"id\":7}", ENVELOPE("u", "{\"id\":7,\"note\":null}", "{\"id\":7,\"note\":\"n\"}"));
    buffer_release(&list.bytes);
}

Test(format_debezium, a_truncate_is_skipped_unless_asked_for) {
    const struct relation *relations[] = {&ORDERS};
    struct change change = {.kind = CHANGE_TRUNCATE,
                            .lsn = 0x100000010,
                            .transaction = &TRANSACTION,
                            .relations = relations,
                            .relation_count = 1};
    make(&change, "", "");
    cr_expect_eq(list.count, 0);
    buffer_release(&list.bytes);
    make(&change, "skipped.operations", "none");
    cr_expect_eq(list.count, 1);
    expect_message(0, NULL, ENVELOPE("t", "null", "null"));
    buffer_release(&list.bytes);
}

Test(format_debezium, skipped_operations_make_no_messages) {
    struct change change = change_of(CHANGE_UPDATE, &ORDERS);
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    change.new_values = TUPLE(TEXT("8"), TEXT("n")).values;
    make(&change, "skipped.operations", "d");
    cr_expect_eq(list.count, 1, "of a changed key the create is left");
    expect_header(0, "__debezium.oldkey", "{\"id\":7}");
    buffer_release(&list.bytes);
    make(&change, "skipped.operations", "c");
    cr_expect_eq(list.count, 2, "or the delete and its tombstone");
    buffer_release(&list.bytes);
    make(&change, "skipped.operations", "u");
    cr_expect_eq(list.count, 0);
    buffer_release(&list.bytes);
}

static bool encode_value(struct column *column, struct value value) {
    struct column two[] = {columns[0], *column};
    struct relation relation = ORDERS;
    relation.columns = two;
    const struct value values[] = {TEXT("7"), value};
    struct change change = change_of(CHANGE_INSERT, &relation);
    change.new_values = values;
    struct format *format = NULL;
    list = (struct message_list){.bytes.bytes_max = 65536};
    err = (struct error){0};
    option = (struct sink_option){0, NULL};
    option.key = "";
    cr_assert(format_debezium_json.create(&(struct format_options){.config = &config}, &format, &err));
    bool good = format_debezium_json.encode(format, &change, 0, NOW_US, &list, &err);
    format_debezium_json.free(format);
    buffer_release(&list.bytes);
    return good;
}

Test(format_debezium, a_value_that_does_not_fit_is_named_and_not_shown) {
    struct column column = {.name = {"paid", 4},
                            .type_oid = 1114,
                            .type_modifier = -1,
                            .type_schema = {"pg_catalog", 10},
                            .type_name = {"timestamp", 9}};
    cr_assert_not(encode_value(&column, (struct value) TEXT("secret")));
    cr_expect_eq(err.kind, ERROR_DATA);
    cr_expect_str_eq(err.text, "table public.orders (key id) at 1/10: column paid of type "
                               "pg_catalog.timestamp has a value that is not the "
                               "text that PostgreSQL writes for it in a UTF-8 database");
    cr_assert_not(encode_value(&column, (struct value) BINARY("\0\0\0\0")));
    cr_expect_eq(err.kind, ERROR_PROTOCOL);
    column.type_oid = 25;
    cr_assert_not(encode_value(&column, (struct value) TEXT("\xff")));
    cr_expect_eq(err.kind, ERROR_DATA);
}

/* An update of the key is two events, and so two of the transaction's. */
Test(format_debezium, a_transaction_is_counted_in_events) {
    struct transaction_tally tally = {0};
    struct format *format = NULL;
    struct change change = change_of(CHANGE_UPDATE, &ORDERS);
    struct error ignored = {0};
    change.old_kind = OLD_KEY;
    change.old_values = TUPLE(TEXT("7"), NULL_VALUE).values;
    change.new_values = TUPLE(TEXT("8"), NULL_VALUE).values;
    list = (struct message_list){.bytes.bytes_max = 65536};
    option = (struct sink_option){"", ""};
    cr_assert(format_debezium_json.create(&(struct format_options){.config = &config, .tally = &tally},
                                          &format, &ignored));
    transaction_tally_start(&tally, &TRANSACTION);
    cr_assert(format_debezium_json.encode_transaction(format, TRANSACTION_BEGIN, &list, &ignored));
    expect_span(&list.messages[0].key, "{\"id\":\"739:4294967328\"}");
    expect_span(&list.messages[0].value,
                "{\"status\":\"BEGIN\",\"id\":\"739:4294967328\",\"event_count\":null,"
                "\"data_collections\":null,\"ts_ms\":1795424400123}");
    cr_assert(format_debezium_json.encode(format, &change, 0, NOW_US, &list, &ignored));
    cr_assert_eq(list.count, 3);
    const struct slice last = message_slice(&list.bytes, &list.messages[2].value);
    static const char BLOCK[] = "\"transaction\":{\"id\":\"739:4294967328\",\"total_order\":2,"
                                "\"data_collection_order\":2},\"op\":\"c\"";
    cr_assert_not_null(memmem(last.data, last.size, BLOCK, strlen(BLOCK)));
    cr_assert(format_debezium_json.encode_transaction(format, TRANSACTION_SPLIT, &list, &ignored));
    cr_assert_eq(list.count, 0, "Debezium knows no parts");
    cr_assert(format_debezium_json.encode_transaction(format, TRANSACTION_END, &list, &ignored));
    expect_span(&list.messages[0].value,
                "{\"status\":\"END\",\"id\":\"739:4294967328\",\"event_count\":2,\"data_collections\":"
                "[{\"data_collection\":\"public.orders\",\"event_count\":2}],\"ts_ms\":1795424400123}");
    format_debezium_json.free(format);
    transaction_tally_release(&tally);
    buffer_release(&list.bytes);
}
