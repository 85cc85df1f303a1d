/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_read_test.c - envelopes as they are in a topic, and what another program may have written there.
 */
#include <criterion/criterion.h>

#include "sinks/formats/debezium/debezium_read.h"
#include "tests/support/random.h"

#define SOURCE                                                                                               \
    "\"source\":{\"schema\":\"public\",\"table\":\"orders\",\"sequence\":\"[\\\"50\\\",\\\"40\\\"]\"}"
#define COPIED "\"source\":{\"schema\":\"public\",\"table\":\"orders\",\"sequence\":\"[null,\\\"40\\\"]\"}"

static struct arena arena;
static struct format_reading reading;
static struct error err;

static void setup(void) {
    arena_init(&arena, 4096, 1 << 20);
    err = (struct error){0};
}

static void teardown(void) {
    arena_release(&arena);
}

TestSuite(debezium_read, .init = setup, .fini = teardown);

static bool read(const char *key, const char *value) {
    const struct slice none = {0};
    return debezium_read(key != NULL ? slice_of(key) : none, value != NULL ? slice_of(value) : none, &arena,
                         &reading, &err);
}

static void expect_value(const struct value *values, uint32_t i, const char *name, const char *text) {
    const struct relation *relation = reading.change.relation;
    cr_assert_lt(i, relation->column_count);
    cr_expect_str_eq(relation->columns[i].name.data, name);
    cr_expect_eq(values[i].kind, text == NULL ? VALUE_NULL : VALUE_TEXT);
    if (text != NULL)
        cr_expect(slice_equal(value_slice(&values[i]), slice_of(text)), "%.*s", (int) values[i].size,
                  values[i].data);
}

Test(debezium_read, an_update_has_its_row_and_its_place) {
    cr_assert(read("{\"id\":7}",
                   "{\"before\":null,\"after\":{\"id\":7,\"note\":\"a \\\"b\\\"\",\"n\":1.50E3,"
                   "\"point\":{\"x\":1.0,\"y\":null},\"list\":[1, true]}," SOURCE ",\"op\":\"u\"}"),
              "%s", err.text);
    const struct change *change = &reading.change;
    cr_expect_eq(change->kind, CHANGE_UPDATE);
    cr_expect(slice_equal(reading.key, slice_of("{\"id\":7}")));
    cr_expect_eq(change->transaction->commit_lsn, 50);
    cr_expect_eq(change->index, 40);
    cr_expect_not(reading.has_index);
    expect_value(change->new_values, 0, "id", "7");
    expect_value(change->new_values, 1, "note", "\"a \\\"b\\\"\"");
    expect_value(change->new_values, 2, "n", "1.50E3");
    expect_value(change->new_values, 3, "point", "{\"x\":1.0,\"y\":null}");
    expect_value(change->new_values, 4, "list", "[1,true]");
}

Test(debezium_read, a_schema_and_blanks_change_nothing) {
    cr_assert(read("{ \"schema\": {\"type\": \"struct\"}, \"payload\": {\"id\": 7} }",
                   "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"before\":{\"id\":7,\"note\":null},"
                   "\"after\":null," SOURCE ",\"op\":\"d\"}}"),
              "%s", err.text);
    cr_expect(slice_equal(reading.key, slice_of("{\"id\":7}")));
    cr_expect_eq(reading.change.kind, CHANGE_DELETE);
    cr_expect_eq(reading.change.old_kind, OLD_KEY);
    expect_value(reading.change.old_values, 0, "id", "7");
    expect_value(reading.change.old_values, 1, "note", NULL);
}

Test(debezium_read, a_key_may_be_named_like_a_schema) {
    cr_assert(read("{\"schema\":\"s\",\"payload\":1}", NULL));
    cr_expect(reading.is_tombstone);
    cr_expect(slice_equal(reading.key, slice_of("{\"schema\":\"s\",\"payload\":1}")));
}

Test(debezium_read, without_a_key_the_old_row_is_whole) {
    cr_assert(read(NULL, "{\"before\":{\"v\":1},\"after\":{\"v\":2}," SOURCE ",\"op\":\"u\"}"));
    cr_expect_eq(reading.change.old_kind, OLD_FULL);
    expect_value(reading.change.old_values, 0, "v", "1");
    expect_value(reading.change.new_values, 0, "v", "2");
}

Test(debezium_read, a_copied_row_precedes_the_changes_at_its_place) {
    cr_assert(read(NULL, "{\"before\":null,\"after\":{\"v\":1}," COPIED ",\"op\":\"r\"}"));
    cr_expect_eq(reading.change.kind, CHANGE_READ);
    cr_expect_eq(reading.change.transaction->commit_lsn, 39);
}

Test(debezium_read, a_truncate_has_no_rows) {
    cr_assert(read(NULL, "{\"before\":null,\"after\":null," SOURCE ",\"op\":\"t\"}"));
    cr_expect_eq(reading.change.kind, CHANGE_TRUNCATE);
    cr_expect_str_eq(reading.change.relations[0]->name.data, "orders");
}

Test(debezium_read, other_records_are_no_messages) {
    static const char *const VALUES[] = {
        "",
        "{",
        "7",
        "[]",
        "null",
        "{}",
        "{\"after\":{\"v\":1},\"op\":\"c\"}",
        "{\"after\":{\"v\":1}," SOURCE "}",
        "{\"after\":{\"v\":1}," SOURCE ",\"op\":\"x\"}",
        "{\"after\":null," SOURCE ",\"op\":\"c\"}",
        "{\"after\":7," SOURCE ",\"op\":\"u\"}",
        "{\"before\":null," SOURCE ",\"op\":\"d\"}",
        "{\"after\":{\"v\":1},\"source\":{\"schema\":\"s\",\"table\":\"t\",\"sequence\":\"x\"},\"op\":\"c\"}",
        "{\"after\":{\"v\":1},\"source\":{\"schema\":\"s\",\"table\":\"t\"},\"op\":\"c\"}",
    };
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        err = (struct error){0};
        cr_expect_not(read("{\"id\":1}", VALUES[i]), "%s", VALUES[i]);
        cr_expect_eq(err.kind, ERROR_PROTOCOL, "%s", VALUES[i]);
    }
    cr_expect_not(read("no JSON", NULL));
    cr_expect_not(debezium_read((struct slice){0}, (struct slice){.data = "{}\0{}", .size = 5}, &arena,
                                &reading, &err));
}

/* Whatever comes of it: it is read, or it is no message. */
Test(debezium_read, damaged_messages_are_harmless) {
    static const char MESSAGE[] =
        "{\"schema\":{\"type\":\"struct\"},\"payload\":{\"before\":{\"id\":7,\"v\":null},"
        "\"after\":{\"id\":7,\"v\":[{\"x\":-1.5e3},\"\\u00e4\"]}," SOURCE ",\"op\":\"u\"}}";
    struct random random = random_start("debezium_read");
    for (int round = 0; round < 20000; round++) {
        char message[sizeof MESSAGE];
        memcpy(message, MESSAGE, sizeof message);
        for (uint32_t count = 1 + random_below(&random, 4); count > 0; count--)
            message[random_below(&random, sizeof message - 1)] = (char) random_below(&random, 128);
        const struct slice value = {.data = message, .size = sizeof message - 1};
        err = (struct error){0};
        arena_reset(&arena);
        if (!debezium_read(slice_of("{\"id\":7}"), value, &arena, &reading, &err))
            cr_assert_eq(err.kind, ERROR_PROTOCOL, "%s", err.text);
    }
}

Test(debezium_read, depth_has_a_limit) {
    char value[4096] = "{\"after\":{\"v\":";
    for (int i = 0; i < 200; i++)
        strncat(value, "[", sizeof value - strlen(value) - 1);
    for (int i = 0; i < 200; i++)
        strncat(value, "]", sizeof value - strlen(value) - 1);
    strncat(value, "}," SOURCE ",\"op\":\"c\"}", sizeof value - strlen(value) - 1);
    cr_expect_not(read("{\"id\":1}", value));
    cr_expect_eq(err.kind, ERROR_PROTOCOL);
}
