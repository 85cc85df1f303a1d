/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgoutput.c - written from PostgreSQL's protocol chapter, not from our decoder, so that the two can
 * disagree.
 */
#include "tests/support/pgoutput.h"

#include <assert.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX ((size_t) 16 * 1024 * 1024)

void pgoutput_init(struct pgoutput *pgoutput) {
    *pgoutput = (struct pgoutput){0};
    buffer_init(&pgoutput->bytes, MESSAGE_BYTES_MAX);
}

void pgoutput_release(struct pgoutput *pgoutput) {
    for (size_t i = 0; i < pgoutput->message_count; i++)
        free((void *) (uintptr_t) pgoutput->messages[i].data);
    free(pgoutput->messages);
    buffer_release(&pgoutput->bytes);
    pgoutput_init(pgoutput);
}

struct slice pgoutput_raw(struct pgoutput *pgoutput, const void *bytes, size_t size) {
    size_t count = pgoutput->message_count + 1;
    struct slice *messages = realloc(pgoutput->messages, count * sizeof *messages);
    char *copy = malloc(size > 0 ? size : 1);
    assert(messages != NULL);
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    pgoutput->messages = messages;
    pgoutput->message_count = count;
    messages[count - 1] = (struct slice){.data = copy, .size = size};
    return messages[count - 1];
}

static struct buffer *start(struct pgoutput *pgoutput, char letter) {
    buffer_reset(&pgoutput->bytes);
    buffer_append_u8(&pgoutput->bytes, (uint8_t) letter);
    return &pgoutput->bytes;
}

static struct slice finish(struct pgoutput *pgoutput) {
    assert(buffer_ok(&pgoutput->bytes));
    return pgoutput_raw(pgoutput, pgoutput->bytes.data, pgoutput->bytes.size);
}

static void put_u64(struct buffer *bytes, uint64_t value) {
    buffer_append_u32(bytes, (uint32_t) (value >> 32));
    buffer_append_u32(bytes, (uint32_t) value);
}

static void put_string(struct buffer *bytes, struct slice text) {
    buffer_append_slice(bytes, text);
    buffer_append_u8(bytes, 0);
}

static void put_tuple(struct buffer *bytes, char letter, struct tuple tuple) {
    buffer_append_u8(bytes, (uint8_t) letter);
    buffer_append_u16(bytes, (uint16_t) tuple.count);
    for (uint32_t i = 0; i < tuple.count; i++) {
        const struct value *value = &tuple.values[i];
        buffer_append_u8(bytes, (uint8_t) value->kind);
        if (value->kind == VALUE_TEXT || value->kind == VALUE_BINARY) {
            buffer_append_u32(bytes, value->size);
            buffer_append(bytes, value->data, value->size);
        }
    }
}

struct slice pgoutput_begin(struct pgoutput *pgoutput, const struct transaction *transaction) {
    struct buffer *bytes = start(pgoutput, 'B');
    put_u64(bytes, transaction->commit_lsn);
    put_u64(bytes, (uint64_t) transaction->commit_time_us);
    buffer_append_u32(bytes, transaction->xid);
    return finish(pgoutput);
}

struct slice pgoutput_commit(struct pgoutput *pgoutput, const struct transaction *transaction,
                             lsn_t end_lsn) {
    struct buffer *bytes = start(pgoutput, 'C');
    buffer_append_u8(bytes, 0);
    put_u64(bytes, transaction->commit_lsn);
    put_u64(bytes, end_lsn);
    put_u64(bytes, (uint64_t) transaction->commit_time_us);
    return finish(pgoutput);
}

struct slice pgoutput_origin(struct pgoutput *pgoutput, lsn_t lsn, const char *name) {
    struct buffer *bytes = start(pgoutput, 'O');
    put_u64(bytes, lsn);
    put_string(bytes, slice_of(name));
    return finish(pgoutput);
}

struct slice pgoutput_relation(struct pgoutput *pgoutput, const struct relation *relation) {
    struct buffer *bytes = start(pgoutput, 'R');
    buffer_append_u32(bytes, relation->oid);
    put_string(bytes, relation->schema);
    put_string(bytes, relation->name);
    buffer_append_u8(bytes, (uint8_t) relation->identity);
    buffer_append_u16(bytes, (uint16_t) relation->column_count);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        buffer_append_u8(bytes, column->is_key ? 1 : 0);
        put_string(bytes, column->name);
        buffer_append_u32(bytes, column->type_oid);
        buffer_append_u32(bytes, (uint32_t) column->type_modifier);
    }
    return finish(pgoutput);
}

struct slice pgoutput_type(struct pgoutput *pgoutput, const struct type_name *type) {
    struct buffer *bytes = start(pgoutput, 'Y');
    buffer_append_u32(bytes, type->oid);
    put_string(bytes, type->schema);
    put_string(bytes, type->name);
    return finish(pgoutput);
}

struct slice pgoutput_insert(struct pgoutput *pgoutput, oid_t oid, struct tuple new_tuple) {
    struct buffer *bytes = start(pgoutput, 'I');
    buffer_append_u32(bytes, oid);
    put_tuple(bytes, 'N', new_tuple);
    return finish(pgoutput);
}

struct slice pgoutput_update(struct pgoutput *pgoutput, oid_t oid, enum old_kind old_kind,
                             struct tuple old_tuple, struct tuple new_tuple) {
    struct buffer *bytes = start(pgoutput, 'U');
    buffer_append_u32(bytes, oid);
    if (old_kind != OLD_NONE)
        put_tuple(bytes, (char) old_kind, old_tuple);
    put_tuple(bytes, 'N', new_tuple);
    return finish(pgoutput);
}

struct slice pgoutput_delete(struct pgoutput *pgoutput, oid_t oid, enum old_kind old_kind,
                             struct tuple old_tuple) {
    struct buffer *bytes = start(pgoutput, 'D');
    buffer_append_u32(bytes, oid);
    put_tuple(bytes, (char) old_kind, old_tuple);
    return finish(pgoutput);
}

struct slice pgoutput_truncate(struct pgoutput *pgoutput, uint8_t flags, uint32_t count, const oid_t *oids) {
    struct buffer *bytes = start(pgoutput, 'T');
    buffer_append_u32(bytes, count);
    buffer_append_u8(bytes, flags);
    for (uint32_t i = 0; i < count; i++)
        buffer_append_u32(bytes, oids[i]);
    return finish(pgoutput);
}

struct slice pgoutput_message(struct pgoutput *pgoutput, uint8_t flags, lsn_t lsn, const char *prefix,
                              const char *content) {
    struct buffer *bytes = start(pgoutput, 'M');
    buffer_append_u8(bytes, flags);
    put_u64(bytes, lsn);
    put_string(bytes, slice_of(prefix));
    buffer_append_u32(bytes, (uint32_t) strlen(content));
    buffer_append_text(bytes, content);
    return finish(pgoutput);
}
