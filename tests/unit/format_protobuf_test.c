/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_protobuf_test.c - which messages a change becomes: their keys, their order, their tombstones.
 */
#include <criterion/criterion.h>

#include "proto/record_read.h"
#include "sinks/formats/format.h"
#include "tests/support/change_builder.h"

struct session {
    struct sink_option option;
    struct sink_config config;
    struct format *format;
    struct message_list list;
    struct change_builder builder;
    struct error err;
};

static bool create(struct session *s) {
    const struct format_options options = {.config = &s->config};
    return format_protobuf.create(&options, &s->format, &s->err);
}

static void session_init(struct session *s, const char *tombstones) {
    *s = (struct session){.option = {.key = "tombstones", .value = tombstones}};
    s->config =
        (struct sink_config){.name = "events", .options = &s->option, .option_count = tombstones != NULL};
    buffer_init(&s->list.bytes, 1 << 20);
    change_builder_init(&s->builder);
    change_builder_begin(&s->builder);
}

static void session_close(struct session *s) {
    format_protobuf.free(s->format);
    buffer_release(&s->list.bytes);
    change_builder_release(&s->builder);
}

static void session_open(struct session *s, const char *tombstones) {
    session_init(s, tombstones);
    cr_assert(create(s), "%s", s->err.text);
}

/* The messages of the change that was built last. */
static void encode(struct session *s, uint32_t relation_index) {
    const struct change *last = &s->builder.changes[s->builder.count - 1];
    cr_assert(format_protobuf.encode(s->format, last, relation_index, 0, &s->list, &s->err), "%s",
              s->err.text);
}

static struct slice key(const struct session *s, size_t i) {
    const struct message_span *span = &s->list.messages[i].key;
    cr_assert_not(span->is_null);
    return (struct slice){.data = s->list.bytes.data + span->offset, .size = span->size};
}

static bool has(struct slice bytes, const char *text) {
    return memmem(bytes.data, bytes.size, text, strlen(text)) != NULL;
}

static struct record value(struct session *s, size_t i) {
    const struct message_span *span = &s->list.messages[i].value;
    struct record record;
    cr_assert_not(span->is_null);
    cr_assert(record_read((struct slice){.data = s->list.bytes.data + span->offset, .size = span->size},
                          &s->builder.arena, &record, &s->err),
              "%s", s->err.text);
    return record;
}

static const struct relation *keyed(struct session *s) {
    return change_builder_relation(&s->builder, "t", REPLICA_IDENTITY_DEFAULT, "id text key, v text");
}

Test(format_protobuf, a_row_has_one_message_with_its_key) {
    AUTO(session_close) struct session s;
    session_open(&s, NULL);
    const struct relation *t = keyed(&s);
    change_builder_insert(&s.builder, t, ROW("one", "first"));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1);
    cr_assert_eq(s.list.messages[0].relation, t);
    cr_assert(has(key(&s, 0), "one"));
    cr_assert_not(has(key(&s, 0), "first"));
    cr_assert_eq(value(&s, 0).change.kind, CHANGE_INSERT);
    change_builder_update(&s.builder, t, NULL, ROW("one", UNCHANGED_TEXT));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1);
    cr_assert_eq(value(&s, 0).change.new_values[1].kind, VALUE_UNCHANGED);
    change_builder_delete(&s.builder, t, ROW("one", NULL));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1, "no tombstone that nobody asked for");
}

Test(format_protobuf, the_key_of_a_row_stays_the_same_bytes) {
    AUTO(session_close) struct session s;
    session_open(&s, NULL);
    const struct relation *before =
        change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_DEFAULT, "id int4 key, v text");
    const struct relation *after =
        change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_INDEX, "w text, id int8 key");
    char first[64];
    change_builder_insert(&s.builder, before, ROW("7", "x"));
    encode(&s, 0);
    struct slice was = key(&s, 0);
    memcpy(first, was.data, was.size);
    was.data = first;
    change_builder_delete(&s.builder, after, ROW(NULL, "7"));
    encode(&s, 0);
    cr_assert(slice_equal(was, key(&s, 0)));
}

Test(format_protobuf, a_table_without_a_key_has_messages_without_one) {
    static const enum replica_identity IDENTITIES[] = {REPLICA_IDENTITY_NOTHING, REPLICA_IDENTITY_FULL,
                                                       REPLICA_IDENTITY_DEFAULT};
    AUTO(session_close) struct session s;
    session_open(&s, "true");
    for (size_t i = 0; i < 3; i++) {
        const struct relation *t = change_builder_relation(&s.builder, "t", IDENTITIES[i], "id text, v text");
        change_builder_insert(&s.builder, t, ROW("one", "first"));
        encode(&s, 0);
        cr_assert_eq(s.list.count, 1);
        cr_assert(s.list.messages[0].key.is_null);
    }
    const struct relation *full = change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_FULL, "id text");
    change_builder_delete(&s.builder, full, ROW("one"));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1, "no tombstone without a key");
}

Test(format_protobuf, a_changed_key_is_told_to_both) {
    AUTO(session_close) struct session s;
    session_open(&s, "true");
    change_builder_update(&s.builder, keyed(&s), ROW("old", NULL), ROW("new", UNCHANGED_TEXT));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 3);
    cr_assert(has(key(&s, 0), "old"));
    struct record moved = value(&s, 0);
    cr_assert(moved.is_moved);
    cr_assert_eq(moved.change.kind, CHANGE_DELETE);
    cr_assert(slice_equal(key(&s, 1), key(&s, 0)));
    cr_assert(s.list.messages[1].value.is_null, "a tombstone");
    cr_assert(has(key(&s, 2), "new"));
    struct record update = value(&s, 2);
    cr_assert_eq(update.change.kind, CHANGE_UPDATE);
    cr_assert_eq(update.change.old_kind, OLD_KEY);
    cr_assert_eq(update.change.index, moved.change.index);
}

Test(format_protobuf, an_old_key_that_is_the_new_one_is_no_change_of_it) {
    AUTO(session_close) struct session s;
    session_open(&s, NULL);
    const struct relation *t = keyed(&s);
    change_builder_update(&s.builder, t, ROW("same", NULL), ROW("same", "v"));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1);
    change_builder_update(&s.builder, t, ROW("large", NULL), ROW(UNCHANGED_TEXT, "v"));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 1);
    cr_assert(has(key(&s, 0), "large"));
}

Test(format_protobuf, tombstones_follow_deletes_on_request) {
    AUTO(session_close) struct session s;
    session_open(&s, "true");
    change_builder_delete(&s.builder, keyed(&s), ROW("one", NULL));
    encode(&s, 0);
    cr_assert_eq(s.list.count, 2);
    cr_assert(s.list.messages[1].value.is_null);
    cr_assert(slice_equal(key(&s, 0), key(&s, 1)));
}

Test(format_protobuf, a_truncate_has_a_message_for_each_table) {
    AUTO(session_close) struct session s;
    session_open(&s, "true");
    const struct relation *tables[] = {
        keyed(&s), change_builder_relation(&s.builder, "u", REPLICA_IDENTITY_FULL, "id text")};
    change_builder_truncate(&s.builder, TRUNCATE_CASCADE, 2, tables);
    for (uint32_t i = 0; i < 2; i++) {
        encode(&s, i);
        cr_assert_eq(s.list.count, 1);
        cr_assert_eq(s.list.messages[0].relation, tables[i]);
        cr_assert(has(key(&s, 0), tables[i]->name.data), "so that a compacted topic takes it");
        struct record record = value(&s, 0);
        cr_assert_eq(record.change.kind, CHANGE_TRUNCATE);
        cr_assert_eq(record.change.truncate_flags, TRUNCATE_CASCADE);
    }
}

Test(format_protobuf, an_option_that_is_no_switch_is_refused_by_name) {
    AUTO(session_close) struct session s;
    session_init(&s, "yes");
    cr_assert_not(create(&s));
    cr_assert_eq(s.err.kind, ERROR_CONFIG);
    cr_assert_not_null(strstr(s.err.text, "tombstones"));
}
