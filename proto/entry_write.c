/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry_write.c - writes an entry in one pass, after its size was counted.
 *
 * Field numbers are those of archive.proto. Entries and Index.relations have field numbers of their own, so a
 * definition is written twice: among the entries, and for the index.
 */
#include <assert.h>

#include "cdc/base/hash.h"
#include "proto/entry.h"
#include "proto/entry_field.h"
#include "proto/wire.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define DEFINITIONS_BYTES_MAX ((size_t) 1024 * 1024 * 1024)
#define COLUMN_HEAD_MAX 64u /* tags, sizes and numbers of a column */
#define ENTRY_HEAD_MAX 160u /* likewise of an entry without values */

/* A definition that the segment has. */
struct entry_relation {
    uint32_t number;
    oid_t oid; /* at the source; 0: found in a file */
    struct slice bytes;
};

/* ---- life ---- */

void entry_writer_init(struct entry_writer *writer) {
    *writer = (struct entry_writer){0};
    arena_init(&writer->arena, BLOCK_BYTES, DEFINITIONS_BYTES_MAX);
    buffer_init(&writer->definitions, DEFINITIONS_BYTES_MAX);
    buffer_init(&writer->scratch, DEFINITIONS_BYTES_MAX);
}

void entry_writer_release(struct entry_writer *writer) {
    map_release(&writer->by_content);
    map_release(&writer->by_address);
    arena_release(&writer->arena);
    buffer_release(&writer->definitions);
    buffer_release(&writer->scratch);
}

void entry_writer_forget(struct entry_writer *writer) {
    map_reset(&writer->by_address);
    writer->relation = NULL;
}

void entry_writer_begin_segment(struct entry_writer *writer) {
    entry_writer_forget(writer);
    map_reset(&writer->by_content);
    arena_reset(&writer->arena);
    buffer_reset(&writer->definitions);
    writer->relation_count = 0;
    entry_writer_begin_frame(writer);
}

void entry_writer_begin_frame(struct entry_writer *writer) {
    writer->lsn = 0;
    writer->is_told = false;
}

/* ---- definitions ---- */

static size_t column_size(const struct column *column) {
    return COLUMN_HEAD_MAX + column->name.size + column->type_schema.size + column->type_name.size;
}

/* A number may be negative: it is then written with ten bytes, as protobuf does with an int32. */
static char *put_column(char *at, const struct column *column) {
    at = wire_put_bytes_if(at, COLUMN_NAME, column->name);
    at = wire_put_number_if(at, COLUMN_TYPE_OID, column->type_oid);
    at = wire_put_number_if(at, COLUMN_TYPE_MODIFIER, (uint64_t) (int64_t) column->type_modifier);
    at = wire_put_number_if(at, COLUMN_KEY, column->is_key);
    at = wire_put_bytes_if(at, COLUMN_TYPE_SCHEMA, column->type_schema);
    return wire_put_bytes_if(at, COLUMN_TYPE_NAME, column->type_name);
}

/* The bytes of a Relation, in scratch. */
static bool write_definition(struct buffer *scratch, const struct relation *relation) {
    struct buffer column AUTO(buffer_release) = {.bytes_max = DEFINITIONS_BYTES_MAX};
    buffer_reset(scratch);
    if (!buffer_reserve(scratch, ENTRY_HEAD_MAX + relation->schema.size + relation->name.size))
        return false;
    char *at = wire_put_bytes_if(scratch->data, RELATION_SCHEMA, relation->schema);
    at = wire_put_bytes_if(at, RELATION_NAME, relation->name);
    at = wire_put_number_if(at, RELATION_OID, relation->oid);
    at = wire_put_number_if(at, RELATION_IDENTITY, relation->identity);
    scratch->size = (size_t) (at - scratch->data);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        buffer_reset(&column);
        if (!buffer_reserve(&column, column_size(&relation->columns[i])))
            return false;
        column.size = (size_t) (put_column(column.data, &relation->columns[i]) - column.data);
        if (!buffer_reserve(scratch, WIRE_VARINT_MAX + 1 + column.size))
            return false;
        at = wire_put_bytes(scratch->data + scratch->size, RELATION_COLUMNS, buffer_slice(&column));
        scratch->size = (size_t) (at - scratch->data);
    }
    if (!buffer_reserve(scratch, ENTRY_HEAD_MAX))
        return false;
    at = scratch->data + scratch->size;
    at = wire_put_number_if(at, RELATION_IS_TREE, relation->is_tree);
    at = wire_put_number_if(at, RELATION_IS_UNCLEAR, relation->is_unclear);
    at = wire_put_number_if(at, RELATION_NEEDS_OLD, relation->needs_old);
    at = wire_put_number_if(at, RELATION_CERTAINTY, (uint64_t) relation->certainty);
    scratch->size = (size_t) (at - scratch->data);
    return true;
}

/* Appends a KIND_RELATION as the given field of the message around it. */
static bool append_definition(struct buffer *buffer, unsigned field, uint32_t number, struct slice bytes) {
    const size_t size = wire_number_size(ENTRY_KIND_RELATION) + wire_number_size(number) + 1 +
                        wire_varint_size(bytes.size) + bytes.size;
    if (!buffer_reserve(buffer, 1 + WIRE_VARINT_MAX + size))
        return false;
    char *at = wire_put_head(buffer->data + buffer->size, field, size);
    at = wire_put_number(at, ENTRY_KIND, ENTRY_KIND_RELATION);
    at = wire_put_number(at, ENTRY_RELATION, number);
    at = wire_put_bytes(at, ENTRY_DEFINITION, bytes);
    buffer->size = (size_t) (at - buffer->data);
    return true;
}

static bool has_bytes(const void *object, const void *key) {
    const struct entry_relation *relation = object;
    const struct slice *bytes = key;
    return slice_equal(relation->bytes, *bytes);
}

static uint64_t content_hash(struct slice bytes) {
    return hash_bytes(0, bytes.data, bytes.size);
}

/* Puts it among the segment's definitions. */
static struct entry_relation *keep_definition(struct entry_writer *writer, uint32_t number,
                                              struct slice bytes) {
    struct entry_relation *relation = arena_alloc(&writer->arena, sizeof *relation);
    if (relation == NULL)
        return NULL;
    *relation = (struct entry_relation){
        .number = number, .bytes = {.data = arena_copy(&writer->arena, bytes), .size = bytes.size}};
    if (relation->bytes.data == NULL ||
        !map_put(&writer->by_content, content_hash(bytes), has_bytes, &relation->bytes, relation))
        return NULL;
    return relation;
}

bool entry_writer_know(struct entry_writer *writer, uint32_t number, struct slice definition,
                       struct error *err) {
    if (keep_definition(writer, number, definition) == NULL ||
        !append_definition(&writer->definitions, INDEX_RELATIONS, number, definition))
        return error_no_memory(err);
    if (number > writer->relation_count)
        writer->relation_count = number;
    return true;
}

/* The number of the relation, which is defined in plain if the segment has no such definition yet. */
static bool define_relation(struct entry_writer *writer, const struct relation *relation,
                            struct buffer *plain, struct error *err) {
    struct entry_relation *known = map_find_number(&writer->by_address, (uintptr_t) relation);
    if (known == NULL || known->oid != relation->oid) {
        if (!write_definition(&writer->scratch, relation))
            return error_no_memory(err);
        const struct slice bytes = buffer_slice(&writer->scratch);
        known = map_find(&writer->by_content, content_hash(bytes), has_bytes, &bytes);
        if (known == NULL) {
            const uint32_t number = writer->relation_count + 1;
            known = keep_definition(writer, number, bytes);
            if (known == NULL || !append_definition(plain, ENTRIES_ENTRIES, number, bytes) ||
                !append_definition(&writer->definitions, INDEX_RELATIONS, number, bytes))
                return error_no_memory(err);
            writer->relation_count = number;
        }
        known->oid = relation->oid;
        if (!map_put_number(&writer->by_address, (uintptr_t) relation, known))
            return error_no_memory(err);
    }
    writer->relation = relation;
    writer->relation_oid = relation->oid;
    writer->relation_number = known->number;
    return true;
}

static bool find_number(struct entry_writer *writer, const struct relation *relation, struct buffer *plain,
                        struct error *err) {
    return (relation == writer->relation && relation->oid == writer->relation_oid) ||
           define_relation(writer, relation, plain, err);
}

/* ---- transactions ---- */

static bool append_transaction(struct entry_writer *writer, enum entry_kind kind, uint64_t lsn_step,
                               struct buffer *plain, struct error *err) {
    const struct transaction *transaction = &writer->transaction;
    const bool is_chunk = kind == ENTRY_KIND_COPY && writer->is_chunk;
    const size_t inner = wire_number_size(transaction->commit_lsn) +
                         wire_number_size((uint64_t) transaction->commit_time_us) +
                         wire_number_size(transaction->xid) + wire_number_size(writer->next_index) +
                         wire_number_size(is_chunk);
    const size_t size =
        wire_number_size(kind) + wire_number_size(lsn_step) + 1 + wire_varint_size(inner) + inner;
    if (!buffer_reserve(plain, 1 + WIRE_VARINT_MAX + size))
        return error_no_memory(err);
    char *at = wire_put_head(plain->data + plain->size, ENTRIES_ENTRIES, size);
    at = wire_put_number(at, ENTRY_KIND, kind);
    at = wire_put_number_if(at, ENTRY_LSN_STEP, lsn_step);
    at = wire_put_head(at, ENTRY_TRANSACTION, inner);
    at = wire_put_number_if(at, TRANSACTION_COMMIT_LSN, transaction->commit_lsn);
    at = wire_put_number_if(at, TRANSACTION_COMMIT_TIME_US, (uint64_t) transaction->commit_time_us);
    at = wire_put_number_if(at, TRANSACTION_XID, transaction->xid);
    at = wire_put_number_if(at, TRANSACTION_NEXT_INDEX, writer->next_index);
    at = wire_put_number_if(at, TRANSACTION_IS_CHUNK, is_chunk);
    plain->size = (size_t) (at - plain->data);
    writer->is_told = true;
    return true;
}

static bool has_index(const struct change *change) {
    return change_is_row(change) || change->kind == CHANGE_TRUNCATE ||
           (change->kind == CHANGE_MESSAGE && change->transactional);
}

/* The rows of a copy may be numbered anew. */
static bool is_open(const struct entry_writer *writer, const struct change *change) {
    return !(has_index(change) && change->index < writer->next_index) &&
           writer->transaction.commit_lsn == change->transaction->commit_lsn &&
           writer->transaction.xid == change->transaction->xid &&
           writer->is_reading == (change->kind == CHANGE_READ);
}

/*
 * The frame tells the change's transaction, once. The rows of a copy have no Begin. Rows of a copy and of the
 * stream belong to different owners.
 */
static bool tell_transaction(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                             struct error *err) {
    const bool is_read = change->kind == CHANGE_READ;
    if (change->transaction == NULL)
        return true;
    if (!is_open(writer, change)) {
        if (is_read != writer->is_reading)
            entry_writer_forget(writer);
        writer->is_reading = is_read;
        writer->transaction = *change->transaction;
        writer->next_index = has_index(change) ? change->index : 0;
        writer->is_told = false;
    }
    if (writer->is_told)
        return true;
    const bool is_begin = change->kind == CHANGE_BEGIN;
    const uint64_t lsn_step = is_begin ? wire_zigzag((int64_t) (change->lsn - writer->lsn)) : 0;
    if (is_begin)
        writer->lsn = change->lsn;
    return append_transaction(writer, is_read ? ENTRY_KIND_COPY : ENTRY_KIND_BEGIN, lsn_step, plain, err);
}

/* ---- changes ---- */

struct entry_values {
    size_t count;
    size_t size; /* of both fields */
    const struct value *values;
};

static bool value_is_sent(const struct value *value) {
    return value->kind == VALUE_TEXT || value->kind == VALUE_BINARY;
}

static struct entry_values measure_values(const struct value *values, uint32_t count) {
    struct entry_values measured = {.count = values != NULL ? count : 0, .values = values};
    for (size_t i = 0; i < measured.count; i++)
        if (value_is_sent(&values[i]))
            measured.size += 1 + wire_varint_size(values[i].size) + values[i].size;
    measured.size += wire_bytes_size(measured.count);
    return measured;
}

/* The kinds of values are the letters of the states. */
static char *put_values(char *at, const struct entry_values *measured, unsigned states_field) {
    if (measured->count == 0)
        return at;
    at = wire_put_head(at, states_field, measured->count);
    for (size_t i = 0; i < measured->count; i++)
        *at++ = (char) measured->values[i].kind;
    for (size_t i = 0; i < measured->count; i++)
        if (value_is_sent(&measured->values[i]))
            at = wire_put_bytes(at, states_field + 1, value_slice(&measured->values[i]));
    return at;
}

static enum entry_kind kind_of(const struct change *change) {
    switch (change->kind) {
    case CHANGE_BEGIN:
        return ENTRY_KIND_BEGIN;
    case CHANGE_COMMIT:
        return ENTRY_KIND_COMMIT;
    case CHANGE_INSERT:
        return ENTRY_KIND_INSERT;
    case CHANGE_UPDATE:
        return ENTRY_KIND_UPDATE;
    case CHANGE_DELETE:
        return ENTRY_KIND_DELETE;
    case CHANGE_TRUNCATE:
        return ENTRY_KIND_TRUNCATE;
    case CHANGE_MESSAGE:
        return ENTRY_KIND_MESSAGE;
    case CHANGE_READ:
        return ENTRY_KIND_READ;
    }
    return ENTRY_KIND_UNSPECIFIED;
}

static uint64_t old_of(const struct change *change) {
    return change->old_kind == OLD_KEY ? ENTRY_OLD_KEY : change->old_kind == OLD_FULL ? ENTRY_OLD_FULL : 0;
}

struct entry_head {
    uint64_t kind;
    uint64_t relation;
    uint64_t lsn_step; /* zigzag */
    uint64_t skipped;
};

static struct entry_head head_of(struct entry_writer *writer, const struct change *change,
                                 uint32_t relation) {
    struct entry_head head = {.kind = kind_of(change),
                              .relation = relation,
                              .lsn_step = wire_zigzag((int64_t) (change->lsn - writer->lsn))};
    writer->lsn = change->lsn;
    if (has_index(change)) {
        assert(change->index >= writer->next_index);
        head.skipped = change->index - writer->next_index;
        writer->next_index = change->index + 1;
    }
    return head;
}

static size_t head_size(const struct entry_head *head) {
    return wire_number_size(head->kind) + wire_number_size(head->relation) +
           wire_number_size(head->lsn_step) + wire_number_size(head->skipped);
}

static char *put_head(char *at, const struct entry_head *head) {
    at = wire_put_number_if(at, ENTRY_KIND, head->kind);
    at = wire_put_number_if(at, ENTRY_RELATION, head->relation);
    at = wire_put_number_if(at, ENTRY_LSN_STEP, head->lsn_step);
    return wire_put_number_if(at, ENTRY_SKIPPED, head->skipped);
}

static bool write_row(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                      struct error *err) {
    const struct relation *relation = change->relation;
    if (!find_number(writer, relation, plain, err))
        return false;
    const struct entry_head head = head_of(writer, change, writer->relation_number);
    const struct entry_values old = measure_values(change->old_values, relation->column_count);
    const struct entry_values new = measure_values(change->new_values, relation->column_count);
    const uint64_t old_kind = old_of(change);
    const size_t size = head_size(&head) + wire_number_size(old_kind) + old.size + new.size +
                        wire_number_size(change->is_partial);
    if (!buffer_reserve(plain, 1 + WIRE_VARINT_MAX + size))
        return error_no_memory(err);
    char *at = wire_put_head(plain->data + plain->size, ENTRIES_ENTRIES, size);
    at = put_head(at, &head);
    at = wire_put_number_if(at, ENTRY_OLD, old_kind);
    at = put_values(at, &old, ENTRY_OLD_STATES);
    at = put_values(at, &new, ENTRY_NEW_STATES);
    at = wire_put_number_if(at, ENTRY_PARTIAL, change->is_partial);
    plain->size = (size_t) (at - plain->data);
    return true;
}

/* An entry with one part more, which is in scratch. */
static bool write_with(struct entry_writer *writer, const struct change *change, unsigned field,
                       struct buffer *plain, struct error *err) {
    const struct entry_head head = head_of(writer, change, 0);
    const struct slice part = buffer_slice(&writer->scratch);
    const size_t size = head_size(&head) + 1 + wire_varint_size(part.size) + part.size;
    if (!buffer_ok(&writer->scratch) || !buffer_reserve(plain, 1 + WIRE_VARINT_MAX + size))
        return error_no_memory(err);
    char *at = wire_put_head(plain->data + plain->size, ENTRIES_ENTRIES, size);
    at = put_head(at, &head);
    at = wire_put_bytes(at, field, part);
    plain->size = (size_t) (at - plain->data);
    return true;
}

static bool write_truncate(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                           struct error *err) {
    struct buffer numbers AUTO(buffer_release) = {.bytes_max = DEFINITIONS_BYTES_MAX};
    for (uint32_t i = 0; i < change->relation_count; i++) {
        if (!find_number(writer, change->relations[i], plain, err) ||
            !buffer_reserve(&numbers, WIRE_VARINT_MAX))
            return err->kind != ERROR_NONE ? false : error_no_memory(err);
        numbers.size =
            (size_t) (wire_put_varint(numbers.data + numbers.size, writer->relation_number) - numbers.data);
    }
    struct buffer *scratch = &writer->scratch;
    buffer_reset(scratch);
    if (!buffer_reserve(scratch, ENTRY_HEAD_MAX + numbers.size))
        return error_no_memory(err);
    char *at = wire_put_bytes_if(scratch->data, TRUNCATE_RELATIONS, buffer_slice(&numbers));
    at = wire_put_number_if(at, TRUNCATE_FLAGS, change->truncate_flags);
    scratch->size = (size_t) (at - scratch->data);
    return write_with(writer, change, ENTRY_TRUNCATE, plain, err);
}

static bool write_message(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                          struct error *err) {
    struct buffer *scratch = &writer->scratch;
    buffer_reset(scratch);
    if (!buffer_reserve(scratch, ENTRY_HEAD_MAX + change->prefix.size + change->content.size))
        return error_no_memory(err);
    char *at = wire_put_bytes_if(scratch->data, MESSAGE_PREFIX, change->prefix);
    at = wire_put_bytes_if(at, MESSAGE_CONTENT, change->content);
    at = wire_put_number_if(at, MESSAGE_TRANSACTIONAL, change->transactional);
    scratch->size = (size_t) (at - scratch->data);
    return write_with(writer, change, ENTRY_MESSAGE, plain, err);
}

static bool write_commit(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                         struct error *err) {
    const struct entry_head head = head_of(writer, change, 0);
    const size_t size = head_size(&head) + wire_number_size(change->end_lsn);
    if (!buffer_reserve(plain, 1 + WIRE_VARINT_MAX + size))
        return error_no_memory(err);
    char *at = wire_put_head(plain->data + plain->size, ENTRIES_ENTRIES, size);
    at = put_head(at, &head);
    at = wire_put_number_if(at, ENTRY_END_LSN, change->end_lsn);
    plain->size = (size_t) (at - plain->data);
    writer->commit_time_us = change->transaction->commit_time_us;
    writer->transaction = (struct transaction){0};
    writer->is_told = false;
    return true;
}

bool entry_write(struct entry_writer *writer, const struct change *change, struct buffer *plain,
                 struct error *err) {
    if (change->kind == CHANGE_BEGIN) {
        writer->transaction = (struct transaction){0};
        return tell_transaction(writer, change, plain, err);
    }
    if (!tell_transaction(writer, change, plain, err))
        return false;
    switch (change->kind) {
    case CHANGE_COMMIT:
        return write_commit(writer, change, plain, err);
    case CHANGE_TRUNCATE:
        return write_truncate(writer, change, plain, err);
    case CHANGE_MESSAGE:
        return write_message(writer, change, plain, err);
    case CHANGE_BEGIN:
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE:
    case CHANGE_READ:
        break;
    }
    return write_row(writer, change, plain, err);
}

bool entry_write_plan(enum entry_plan_kind kind, uint32_t chunk, struct slice record, struct buffer *plain,
                      struct error *err) {
    const size_t inner = wire_number_size(chunk) + wire_bytes_size(record.size);
    const uint64_t tag = (uint64_t) ENTRY_PLANNED << 3 | WIRE_BYTES;
    const size_t size = wire_number_size(kind) + wire_varint_size(tag) + wire_varint_size(inner) + inner;
    if (!buffer_reserve(plain, 1 + WIRE_VARINT_MAX + size))
        return error_no_memory(err);
    char *at = wire_put_head(plain->data + plain->size, ENTRIES_ENTRIES, size);
    at = wire_put_number(at, ENTRY_KIND, kind);
    at = wire_put_varint(wire_put_varint(at, tag), inner);
    at = wire_put_number_if(at, PLANNED_CHUNK, chunk);
    at = wire_put_bytes_if(at, PLANNED_RECORD, record);
    plain->size = (size_t) (at - plain->data);
    return true;
}
