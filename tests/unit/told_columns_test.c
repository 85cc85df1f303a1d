/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_columns_test.c - what the source's triggers tell is taken; what is malformed, huge or hostile, which
 * everyone may write, makes all that was told unknown and stops nothing.
 */
#include "cdc/readers/slot/told_columns.h"

#include <string.h>

#include <criterion/criterion.h>

#include "cdc/base/buffer.h"
#include "cdc/source/ddl_triggers.h"
#include "sinks/mapping/hmac.h"

enum { XID = 700, TABLE = 20000, OTHER = 20001, PLAIN = 0, TRANSACTIONAL = 1, HUGE_BYTES = 5 * 1024 * 1024 };

#define SECRET "00112233445566778899aabbccddeeff"
#define HEAD "{\"version\":2,\"oid\":20000,"
#define OTHER_HEAD "{\"version\":2,\"oid\":20001,"
#define TAIL                                                                                                 \
    ",\"dropped\":false,\"name\":\"id\",\"type\":23,\"modifier\":-1,\"type_sql\":\"integer\",\"missing\":"
#define ID "{\"number\":1" TAIL "null}"
#define GOOD HEAD "\"columns\":[" ID "]}"

static void append_u64(struct buffer *buffer, uint64_t value) {
    buffer_append_u32(buffer, (uint32_t) (value >> 32));
    buffer_append_u32(buffer, (uint32_t) value);
}

/* A Message message, as the server sends it. */
static bool take(struct told_columns *told, xid_t xid, uint8_t flags, const char *prefix,
                 struct slice content, bool *ret_own) {
    struct buffer payload;
    struct error err = {0};
    buffer_init(&payload, SIZE_MAX);
    buffer_append_u8(&payload, 'M');
    buffer_append_u8(&payload, flags);
    append_u64(&payload, 0x1000);
    buffer_append_text(&payload, prefix);
    buffer_append_u8(&payload, 0);
    buffer_append_u32(&payload, (uint32_t) content.size);
    buffer_append_slice(&payload, content);
    const bool is_taken = told_columns_take(told, xid, buffer_slice(&payload), ret_own, &err);
    buffer_release(&payload);
    return is_taken;
}

static void tell_bytes(struct told_columns *told, struct slice content) {
    bool is_own = false;
    cr_assert(take(told, XID, TRANSACTIONAL, DDL_MESSAGE_PREFIX, content, &is_own));
    cr_assert(is_own);
}

/* As the triggers write it in the transaction xid: the signature, a space, the text. */
static void append_signed(struct buffer *content, xid_t xid, struct slice text) {
    struct hmac_key key = {0};
    struct error err = {0};
    struct buffer whole;
    uint8_t code[HMAC_BYTES];
    buffer_init(&whole, SIZE_MAX);
    buffer_printf(&whole, "%u ", xid);
    buffer_append_slice(&whole, text);
    cr_assert(hmac_key_init(&key, slice_of(SECRET), &err) &&
              hmac_sign(&key, buffer_slice(&whole), code, &err));
    for (size_t i = 0; i < HMAC_BYTES; i++)
        buffer_printf(content, "%02x", code[i]);
    buffer_append_u8(content, ' ');
    buffer_append_slice(content, text);
    hmac_key_release(&key);
    buffer_release(&whole);
}

static void tell_signed(struct told_columns *told, xid_t xid, struct slice text) {
    struct buffer content;
    buffer_init(&content, SIZE_MAX);
    append_signed(&content, xid, text);
    tell_bytes(told, buffer_slice(&content));
    buffer_release(&content);
}

static void tell(struct told_columns *told, const char *text) {
    tell_signed(told, XID, slice_of(text));
}

static const struct catalog_table *find(const struct told_columns *told, oid_t oid) {
    static const struct ddl_triggers TRIGGERS = {.state = DDL_TRIGGERS_ON, .secret = SECRET};
    return told_columns_find(told, oid, &TRIGGERS);
}

/* Nothing is known after it, also of another table that was told well. */
static void expect_unknown(const char *content, bool is_signed) {
    struct told_columns told = {0};
    told_columns_init(&told, true);
    tell(&told, OTHER_HEAD "\"columns\":[" ID "]}");
    cr_assert_not_null(find(&told, OTHER));
    if (is_signed)
        tell(&told, content);
    else
        tell_bytes(&told, slice_of(content));
    cr_assert_null(find(&told, TABLE), "%s", content);
    cr_assert_null(find(&told, OTHER), "%s", content);
    told_columns_release(&told);
}

Test(told_columns, the_last_message_of_a_table_counts) {
    struct told_columns told = {0};
    told_columns_init(&told, true);
    tell(&told, GOOD);
    tell_bytes(&told, slice_of("")); /* as follows each message */
    tell(&told, HEAD "\"columns\":[{\"number\":1,\"dropped\":true},{\"number\":2" TAIL "\"7\"}]}");
    const struct catalog_table *table = find(&told, TABLE);
    cr_assert_not_null(table);
    cr_assert_eq(table->oid, TABLE);
    cr_assert_eq(table->column_count, 2);
    cr_assert(table->columns[0].is_dropped);
    cr_assert_not(table->columns[1].is_dropped);
    cr_assert(slice_equal(table->columns[1].name, slice_of("id")));
    cr_assert(slice_equal(table->columns[1].type_sql, slice_of("integer")));
    cr_assert(slice_equal(table->columns[1].missing, slice_of("7")));
    cr_assert_eq(table->columns[1].type_oid, 23);
    cr_assert_eq(table->columns[1].type_modifier, -1);
    told_columns_release(&told);
}

Test(told_columns, what_is_signed_otherwise_is_not_trusted) {
    static const struct ddl_triggers OTHERS = {.state = DDL_TRIGGERS_ON, .secret = "another"};
    static const struct ddl_triggers NONE = {.state = DDL_TRIGGERS_OFF};
    struct told_columns told = {0};
    told_columns_init(&told, true);
    tell(&told, GOOD);
    cr_assert_not_null(find(&told, TABLE));
    cr_assert_null(told_columns_find(&told, TABLE, &OTHERS));
    cr_assert_null(told_columns_find(&told, TABLE, &NONE));
    cr_assert_null(find(&told, OTHER));
    tell_signed(&told, XID + 1, slice_of(GOOD)); /* written again in another transaction */
    cr_assert_null(find(&told, TABLE));
    told_columns_release(&told);
}

/* Of a signed message another text. */
Test(told_columns, a_text_that_was_changed_is_not_trusted) {
    struct told_columns told = {0};
    struct buffer content;
    told_columns_init(&told, true);
    buffer_init(&content, SIZE_MAX);
    append_signed(&content, XID, slice_of(GOOD));
    *strstr(content.data, "\"id\"") = ' ';
    memcpy(strstr(content.data, " id\""), "\"ix\"", 4);
    tell_bytes(&told, buffer_slice(&content));
    cr_assert_null(find(&told, TABLE));
    buffer_release(&content);
    told_columns_release(&told);
}

Test(told_columns, what_cannot_be_read_makes_all_unknown) {
    static const char *const CONTENTS[] = {
        "null", "[]", "{", "{}", GOOD "x", "\"\xff\"",
        /* missing fields */
        "{\"oid\":20000,\"columns\":[" ID "]}", "{\"version\":2,\"columns\":[" ID "]}",
        HEAD "\"column\":[" ID "]}", HEAD "\"columns\":[{\"number\":1,\"dropped\":false}]}",
        HEAD "\"columns\":[{}]}",
        /* wrong types and numbers */
        "{\"version\":3,\"oid\":20000,\"columns\":[" ID "]}",
        "{\"version\":\"2\",\"oid\":20000,\"columns\":[" ID "]}",
        "{\"version\":2,\"oid\":\"20000\",\"columns\":[" ID "]}",
        "{\"version\":2,\"oid\":20000.5,\"columns\":[" ID "]}",
        "{\"version\":2,\"oid\":4294967296,\"columns\":[" ID "]}",
        "{\"version\":2,\"oid\":99999999999999999999,\"columns\":[" ID "]}",
        "{\"version\":2,\"oid\":-1,\"columns\":[" ID "]}", HEAD "\"columns\":{}}", HEAD "\"columns\":[1]}",
        HEAD "\"columns\":[{\"number\":2" TAIL "null}]}", HEAD "\"columns\":[" ID "," ID "]}",
        HEAD "\"columns\":[{\"number\":1" TAIL "7}]}", HEAD "\"columns\":[{\"number\":1" TAIL "[]}]}"};
    for (size_t i = 0; i < sizeof CONTENTS / sizeof *CONTENTS; i++)
        expect_unknown(CONTENTS[i], true);
    expect_unknown("lost", false);
    expect_unknown("", true);
    expect_unknown(GOOD, false);
}

Test(told_columns, of_a_key_that_comes_twice_the_first_counts) {
    struct told_columns told = {0};
    told_columns_init(&told, true);
    tell(&told,
         HEAD "\"columns\":[{\"number\":1,\"number\":9" TAIL "null,\"name\":\"other\"}],\"oid\":20001}");
    const struct catalog_table *table = find(&told, TABLE);
    cr_assert_not_null(table);
    cr_assert(slice_equal(table->columns[0].name, slice_of("id")));
    cr_assert_null(find(&told, OTHER));
    told_columns_release(&told);
}

/* A megabyte of brackets would use up the parser's stack; a string may hold any number of them. */
Test(told_columns, deep_and_huge_content_is_not_parsed) {
    struct told_columns told = {0};
    struct buffer content;
    told_columns_init(&told, true);
    buffer_init(&content, SIZE_MAX);
    for (size_t i = 0; i < HUGE_BYTES / 5; i++)
        buffer_append_u8(&content, '[');
    tell_signed(&told, XID, buffer_slice(&content));
    content.size = 0;
    buffer_append_text(&content, GOOD);
    while (content.size < HUGE_BYTES)
        buffer_append_u8(&content, ' ');
    tell_signed(&told, XID, buffer_slice(&content));
    cr_assert_null(find(&told, TABLE));
    buffer_release(&content);
    tell(&told, HEAD "\"columns\":[{\"number\":1" TAIL "\"\\\"[[[[{{{{\"}]}");
    cr_assert_not_null(find(&told, TABLE));
    told_columns_release(&told);
}

Test(told_columns, a_type_with_other_sql_has_no_text) {
    struct told_columns told = {0};
    told_columns_init(&told, true);
    tell(&told,
         HEAD "\"columns\":[{\"number\":1,\"dropped\":false,\"name\":\"a\",\"type\":23,\"modifier\":-1,"
              "\"type_sql\":\"integer, add column owned integer\",\"missing\":null}]}");
    const struct catalog_table *table = find(&told, TABLE);
    cr_assert_not_null(table);
    cr_assert_eq(table->columns[0].type_sql.size, 0);
    told_columns_release(&told);
}

Test(told_columns, messages_of_others_and_outside_a_transaction_tell_nothing) {
    struct told_columns told = {0};
    bool is_own = true;
    told_columns_init(&told, true);
    cr_assert(take(&told, XID, TRANSACTIONAL, "somebody", slice_of(GOOD), &is_own));
    cr_assert_not(is_own);
    cr_assert(take(&told, 0, PLAIN, DDL_MESSAGE_PREFIX, slice_of(GOOD), &is_own));
    cr_assert(is_own);
    cr_assert_null(find(&told, TABLE));
    cr_assert_not(take(&told, 0, TRANSACTIONAL, DDL_MESSAGE_PREFIX, slice_of(GOOD), &is_own));
    cr_assert_not(take(&told, XID, 2, DDL_MESSAGE_PREFIX, slice_of(GOOD), &is_own));
    told_columns_release(&told);
}

Test(told_columns, a_message_that_is_cut_off_is_an_error) {
    static const char BYTES[] = "M\1\0\0\0\0\0\0\0\1pgcdc.ddl\0\0\0\0\4lost";
    for (size_t size = 0; size < sizeof BYTES - 1; size++) {
        struct told_columns told = {0};
        struct error err = {0};
        bool is_own = false;
        told_columns_init(&told, true);
        cr_assert_not(told_columns_take(&told, XID, (struct slice){BYTES, size}, &is_own, &err), "%zu", size);
        cr_assert_eq(err.kind, ERROR_PROTOCOL);
        told_columns_release(&told);
    }
}
