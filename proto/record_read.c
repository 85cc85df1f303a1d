/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_read.c - protobuf-c unpacks into the arena; the result is checked and becomes a change.
 */
#include "proto/record_read.h"

#include "decoder/builtin_type.h"
#include "proto/change.pb-c.h"
#include "proto/record_type.h"
#include "proto/value_text.h"

struct reading {
    const Pgcdc__V1__Change *message;
    struct arena *arena;
    struct relation *relation;
    struct change *change;
    struct error *err;
};

static bool record_read_refuse(const struct reading *r, const char *problem) {
    return error_set(r->err, ERROR_PROTOCOL, "a record of %s.%s at %s: %s", r->message->schema,
                     r->message->table, lsn_format(r->message->commit_lsn).text, problem);
}

static bool refuse_column(const struct reading *r, const Pgcdc__V1__Column *column, const char *problem) {
    return error_set(r->err, ERROR_PROTOCOL, "column %s in a record of %s.%s at %s: %s", column->name,
                     r->message->schema, r->message->table, lsn_format(r->message->commit_lsn).text, problem);
}

/* ---- values ---- */

static bool set_text(struct reading *r, struct value *value, struct slice text) {
    if (text.size > UINT32_MAX)
        return record_read_refuse(r, "a value is too large");
    value->kind = VALUE_TEXT;
    value->data = arena_copy(r->arena, text);
    value->size = (uint32_t) text.size;
    return value->data != NULL || error_no_memory(r->err);
}

static bool set_bytea(struct reading *r, struct value *value, struct slice bytes) {
    size_t size = value_text_of_bytea_size(bytes);
    char *text = arena_alloc(r->arena, size);
    if (text == NULL)
        return error_no_memory(r->err);
    value_text_of_bytea(bytes, text);
    *value = (struct value){.kind = VALUE_TEXT, .data = text, .size = (uint32_t) size};
    return size <= UINT32_MAX || record_read_refuse(r, "a value is too large");
}

static struct slice bytes_of(const Pgcdc__V1__Column *column) {
    return (struct slice){.data = (const char *) column->bytes.data, .size = column->bytes.len};
}

static bool take_number(struct reading *r, const Pgcdc__V1__Column *column, const struct record_type *type,
                        struct value *ret_value) {
    char text[VALUE_TEXT_MAX];
    size_t size = 0;
    if (type->value == RECORD_FLOAT4)
        size = value_text_of_float4(column->float4, text);
    else if (type->value == RECORD_FLOAT8)
        size = value_text_of_float8(column->float8, text);
    else if (column->integer >= type->min && column->integer <= type->max)
        size = value_text_of_integer(column->integer, text);
    else
        return refuse_column(r, column, "an integer is out of its type's range");
    return set_text(r, ret_value, (struct slice){.data = text, .size = size});
}

/* The value in the oneof member of its type. */
static bool take_typed(struct reading *r, const Pgcdc__V1__Column *column, const struct record_type *type,
                       struct value *ret_value) {
    switch (type->value) {
    case RECORD_BOOLEAN:
        return set_text(r, ret_value, slice_of(column->boolean ? "t" : "f"));
    case RECORD_INTEGER:
    case RECORD_FLOAT4:
    case RECORD_FLOAT8:
        return take_number(r, column, type, ret_value);
    case RECORD_TEXT:
        return set_text(r, ret_value, slice_of(column->text));
    case RECORD_BYTES:
        return set_bytea(r, ret_value, bytes_of(column));
    case RECORD_LITERAL:
        return set_text(r, ret_value, slice_of(column->literal));
    case RECORD_NULL:
    case RECORD_UNCHANGED:
        break;
    }
    return refuse_column(r, column, "its type has no values");
}

static bool take_value(struct reading *r, const struct column *definition, const Pgcdc__V1__Column *column,
                       struct value *ret_value) {
    const struct record_type *type = record_type_of(definition);
    const enum record_value kind = (enum record_value) column->value_case;
    if (kind == RECORD_NULL)
        *ret_value = (struct value){.kind = VALUE_NULL};
    else if (kind == RECORD_UNCHANGED)
        *ret_value = (struct value){.kind = VALUE_UNCHANGED};
    else if (kind == type->value)
        return take_typed(r, column, type, ret_value);
    else if (kind == RECORD_BYTES && (type->value == RECORD_TEXT || type->value == RECORD_LITERAL))
        return set_text(r, ret_value, bytes_of(column)); /* not UTF-8 */
    else
        return refuse_column(r, column,
                             "its value is of a kind that this program does not know for its type");
    return true;
}

/* ---- the relation ---- */

static enum replica_identity identity_of(Pgcdc__V1__ReplicaIdentity identity) {
    switch ((int) identity) {
    case PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT:
        return REPLICA_IDENTITY_DEFAULT;
    case PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING:
        return REPLICA_IDENTITY_NOTHING;
    case PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL:
        return REPLICA_IDENTITY_FULL;
    case PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX:
        return REPLICA_IDENTITY_INDEX;
    default:
        return 0;
    }
}

/* The texts are already in the arena, where protobuf-c put them. */
static struct column column_of(const Pgcdc__V1__Column *column, bool is_full) {
    const bool is_builtin = column->type_schema[0] == '\0';
    const bool has_modifier = column->modifier_case == PGCDC__V1__COLUMN__MODIFIER_TYPE_MODIFIER;
    return (struct column){
        .name = slice_of(column->name),
        .type_oid = is_builtin ? builtin_type_find(slice_of(column->type)) : 0,
        .type_modifier = has_modifier ? column->type_modifier : -1,
        .is_key = is_full || column->key,
        .type_schema = slice_of(is_builtin ? "pg_catalog" : column->type_schema),
        .type_name = slice_of(column->type),
    };
}

static bool make_relation(struct reading *r, Pgcdc__V1__Column *const *columns, size_t count) {
    const enum replica_identity identity = identity_of(r->message->replica_identity);
    if (identity == 0 || count > RELATION_COLUMNS_MAX)
        return record_read_refuse(r, "its replica identity or the number of its columns is impossible");
    r->relation = arena_alloc_zero(r->arena, sizeof *r->relation);
    struct column *made = arena_alloc(r->arena, count * sizeof *made);
    if (r->relation == NULL || made == NULL)
        return error_no_memory(r->err);
    *r->relation = (struct relation){.schema = slice_of(r->message->schema),
                                     .name = slice_of(r->message->table),
                                     .identity = identity,
                                     .column_count = (uint32_t) count,
                                     .columns = made};
    for (size_t i = 0; i < count; i++) {
        made[i] = column_of(columns[i], identity == REPLICA_IDENTITY_FULL);
        r->relation->key_count += made[i].is_key;
    }
    return true;
}

/* ---- rows ---- */

/* A row's columns are the relation's, or some of them in the same order; the others are null. */
static const struct value *take_row(struct reading *r, Pgcdc__V1__Column *const *columns, size_t count) {
    const struct relation *relation = r->relation;
    struct value *values = arena_alloc(r->arena, relation->column_count * sizeof *values);
    size_t next = 0;
    if (values == NULL) {
        error_no_memory(r->err);
        return NULL;
    }
    for (uint32_t i = 0; i < relation->column_count; i++) {
        values[i] = (struct value){.kind = VALUE_NULL};
        if (next == count || !slice_equal(relation->columns[i].name, slice_of(columns[next]->name)))
            continue;
        if (!take_value(r, &relation->columns[i], columns[next++], &values[i]))
            return NULL;
    }
    if (next == count)
        return values;
    record_read_refuse(r, "the old row has columns that the new one has not");
    return NULL;
}

static bool take_old(struct reading *r) {
    const Pgcdc__V1__Change *message = r->message;
    const bool is_full = r->relation->identity == REPLICA_IDENTITY_FULL;
    r->change->old_kind = is_full ? OLD_FULL : OLD_KEY;
    for (size_t i = 0; i < message->n_before; i++)
        if (!is_full && !message->before[i]->key)
            r->change->old_kind = OLD_FULL;
    r->change->old_values = take_row(r, message->before, message->n_before);
    return r->change->old_values != NULL;
}

static bool take_new(struct reading *r) {
    r->change->new_values = take_row(r, r->message->after, r->message->n_after);
    return r->change->new_values != NULL;
}

static bool take_insert(struct reading *r, enum change_kind kind) {
    if (r->message->n_before > 0)
        return record_read_refuse(r, "a row that is new has an old one");
    r->change->kind = kind;
    return make_relation(r, r->message->after, r->message->n_after) && take_new(r);
}

static bool take_update(struct reading *r) {
    r->change->kind = CHANGE_UPDATE;
    return make_relation(r, r->message->after, r->message->n_after) &&
           (r->message->n_before == 0 || take_old(r)) && take_new(r);
}

static bool take_delete(struct reading *r) {
    if (r->message->n_after > 0)
        return record_read_refuse(r, "a row that is gone has a new one");
    r->change->kind = CHANGE_DELETE;
    return make_relation(r, r->message->before, r->message->n_before) && take_old(r);
}

static bool take_truncate(struct reading *r) {
    const Pgcdc__V1__Truncate *truncate = r->message->truncate;
    if (truncate == NULL || r->message->n_before + r->message->n_after > 0)
        return record_read_refuse(r, "a truncate has rows, or does not say how");
    const struct relation **relations = arena_alloc(r->arena, sizeof *relations);
    if (relations == NULL)
        return error_no_memory(r->err);
    if (!make_relation(r, NULL, 0))
        return false;
    relations[0] = r->relation;
    r->change->kind = CHANGE_TRUNCATE;
    r->change->relations = relations;
    r->change->relation_count = 1;
    r->change->truncate_flags = (truncate->cascade ? TRUNCATE_CASCADE : 0u) |
                                (truncate->restart_identity ? TRUNCATE_RESTART_IDENTITY : 0u);
    return true;
}

/* ---- the record ---- */

static bool take_operation(struct reading *r) {
    switch ((int) r->message->operation) {
    case INSERT:
        return take_insert(r, CHANGE_INSERT);
    case UPDATE:
        return take_update(r);
    case DELETE:
        return take_delete(r);
    case TRUNCATE:
        return take_truncate(r);
    case READ:
        return take_insert(r, CHANGE_READ);
    default:
        return record_read_refuse(r, "its operation is one that this program does not know");
    }
}

static bool take_change(struct reading *r) {
    const Pgcdc__V1__Change *message = r->message;
    struct transaction *transaction = arena_alloc(r->arena, sizeof *transaction);
    if (transaction == NULL)
        return error_no_memory(r->err);
    *transaction = (struct transaction){
        .commit_lsn = message->commit_lsn,
        .commit_time_us = (int64_t) ((uint64_t) message->commit_time_us - POSTGRES_EPOCH_US),
        .xid = message->xid};
    *r->change =
        (struct change){.lsn = message->commit_lsn, .index = message->index, .transaction = transaction};
    if (!take_operation(r))
        return false;
    if (r->change->kind != CHANGE_TRUNCATE)
        r->change->relation = r->relation;
    return message->moved_to == NULL || r->change->kind == CHANGE_DELETE ||
           record_read_refuse(r, "a row that was not deleted has moved");
}

static void *record_read_allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

/* The arena releases everything. */
static void record_read_release(void *arena, void *memory) {
    (void) arena, (void) memory;
}

bool record_read(struct slice bytes, struct arena *arena, struct record *ret_record, struct error *err) {
    ProtobufCAllocator allocator = {
        .alloc = record_read_allocate, .free = record_read_release, .allocator_data = arena};
    struct record record = {0};
    struct reading reading = {.arena = arena, .change = &record.change, .err = err};
    reading.message = pgcdc__v1__change__unpack(&allocator, bytes.size, (const uint8_t *) bytes.data);
    if (reading.message == NULL)
        return error_set(err, ERROR_PROTOCOL, "%zu bytes are no record, or too many for the memory",
                         bytes.size);
    if (!take_change(&reading))
        return false;
    record.is_moved = reading.message->moved_to != NULL;
    *ret_record = record;
    return true;
}
