/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_text.c - one head line a change, one line a value. Long values are cut and carry a hash of the
 * whole.
 */
#include "tests/support/change_text.h"

#include <assert.h>
#include <inttypes.h>

#define VALUE_BYTES_MAX 100u

static void append_escaped(struct buffer *text, struct slice bytes) {
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char) bytes.data[i];
        if (byte == '"' || byte == '\\')
            buffer_printf(text, "\\%c", byte);
        else if (byte < ' ' || byte == 0x7f)
            buffer_printf(text, "\\x%02x", byte);
        else
            buffer_append_u8(text, byte);
    }
}

static void append_hex(struct buffer *text, struct slice bytes) {
    for (size_t i = 0; i < bytes.size; i++)
        buffer_printf(text, "%02x", (unsigned char) bytes.data[i]);
}

static uint64_t hash(struct slice bytes) { /* FNV-1a */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes.size; i++)
        hash = (hash ^ (unsigned char) bytes.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void append_bytes(struct buffer *text, struct slice bytes, bool is_binary) {
    struct slice head = {.data = bytes.data,
                         .size = bytes.size < VALUE_BYTES_MAX ? bytes.size : VALUE_BYTES_MAX};
    buffer_append_text(text, is_binary ? "binary " : "\"");
    if (is_binary)
        append_hex(text, head);
    else
        append_escaped(text, head);
    buffer_append_text(text, is_binary ? "" : "\"");
    if (head.size < bytes.size)
        buffer_printf(text, "... %zu bytes, hash %016" PRIx64, bytes.size, hash(bytes));
}

static void append_value(struct buffer *text, const struct value *value) {
    switch (value->kind) {
    case VALUE_NULL:
        buffer_append_text(text, "null");
        return;
    case VALUE_UNCHANGED:
        buffer_append_text(text, "unchanged");
        return;
    case VALUE_TEXT:
    case VALUE_BINARY:
        append_bytes(text, value_slice(value), value->kind == VALUE_BINARY);
        return;
    }
    assert(!"a value of no known kind");
}

static void append_tuple(struct buffer *text, const char *which, const struct relation *relation,
                         const struct value *values) {
    for (uint32_t i = 0; values != NULL && i < relation->column_count; i++) {
        buffer_printf(text, "    %s ", which);
        append_escaped(text, relation->columns[i].name);
        buffer_append_text(text, " = ");
        append_value(text, &values[i]);
        buffer_append_u8(text, '\n');
    }
}

static void append_name(struct buffer *text, const struct relation *relation) {
    append_escaped(text, relation->schema);
    buffer_append_u8(text, '.');
    append_escaped(text, relation->name);
}

static void append_column(struct buffer *text, const struct column *column, const struct decoder *decoder) {
    const struct type_name *type = decoder == NULL ? NULL : decoder_find_type(decoder, column->type_oid);
    buffer_append_text(text, "    ");
    append_escaped(text, column->name);
    buffer_printf(text, ": type %u", column->type_oid);
    if (type != NULL)
        buffer_printf(text, " %s.%s", type->schema.data, type->name.data);
    if (column->type_modifier != -1)
        buffer_printf(text, " modifier %" PRId32, column->type_modifier);
    buffer_append_text(text, column->is_key ? " key\n" : "\n");
}

static void describe(struct buffer *text, const struct relation *relation, const struct decoder *decoder,
                     const struct relation **described) {
    if (*described == relation)
        return;
    *described = relation;
    buffer_append_text(text, "relation ");
    append_name(text, relation);
    buffer_printf(text, " oid %u identity %c, %u of %u columns are key\n", relation->oid,
                  (char) relation->identity, relation->key_count, relation->column_count);
    for (uint32_t i = 0; i < relation->column_count; i++)
        append_column(text, &relation->columns[i], decoder);
}

static void append_row(struct buffer *text, const char *verb, const struct change *change) {
    buffer_printf(text, "%s #%" PRIu64 " %s ", lsn_format(change->lsn).text, change->index, verb);
    append_name(text, change->relation);
    if (change->old_kind != OLD_NONE)
        buffer_append_text(text, change->old_kind == OLD_KEY ? " by key" : " by old row");
    buffer_append_u8(text, '\n');
    append_tuple(text, "old", change->relation, change->old_values);
    append_tuple(text, "new", change->relation, change->new_values);
}

static void append_truncate(struct buffer *text, const struct change *change) {
    buffer_printf(text, "%s #%" PRIu64 " truncate", lsn_format(change->lsn).text, change->index);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        buffer_append_u8(text, ' ');
        append_name(text, change->relations[i]);
    }
    buffer_append_text(text, change->truncate_flags & TRUNCATE_CASCADE ? " cascade" : "");
    buffer_append_text(text,
                       change->truncate_flags & TRUNCATE_RESTART_IDENTITY ? " restart identity\n" : "\n");
}

static bool is_printable(struct slice bytes) {
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i] < ' ' || bytes.data[i] > '~')
            return false;
    return true;
}

static void append_message(struct buffer *text, const struct change *change) {
    buffer_append_text(text, lsn_format(change->lsn).text);
    if (change->transactional)
        buffer_printf(text, " #%" PRIu64, change->index);
    buffer_append_text(text, change->transactional ? " message \"" : " message outside \"");
    append_escaped(text, change->prefix);
    buffer_append_text(text, "\": ");
    append_bytes(text, change->content, !is_printable(change->content));
    buffer_append_u8(text, '\n');
}

void change_text_append(struct buffer *text, const struct change *change, const struct decoder *decoder,
                        const struct relation **described) {
    if (change_is_row(change))
        describe(text, change->relation, decoder, described);
    switch (change->kind) {
    case CHANGE_BEGIN:
        buffer_printf(text, "%s begin xid %u", lsn_format(change->lsn).text, change->transaction->xid);
        buffer_printf(text, " commit %s at %" PRId64 "\n", lsn_format(change->transaction->commit_lsn).text,
                      change->transaction->commit_time_us);
        return;
    case CHANGE_COMMIT:
        buffer_printf(text, "%s commit, end %s\n", lsn_format(change->lsn).text,
                      lsn_format(change->end_lsn).text);
        return;
    case CHANGE_INSERT:
        append_row(text, "insert", change);
        return;
    case CHANGE_UPDATE:
        append_row(text, "update", change);
        return;
    case CHANGE_DELETE:
        append_row(text, "delete", change);
        return;
    case CHANGE_READ:
        append_row(text, "read", change);
        return;
    case CHANGE_TRUNCATE:
        append_truncate(text, change);
        return;
    case CHANGE_MESSAGE:
        append_message(text, change);
        return;
    }
    assert(!"a change of no known kind");
}
