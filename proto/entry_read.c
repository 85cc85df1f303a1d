/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry_read.c - an entry's bytes are copied into the arena, and the change points into them.
 */
#include <assert.h>
#include <stdlib.h>

#include "proto/entry_definition.h"
#include "proto/entry_field.h"
#include "proto/wire_read.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define RELATIONS_BYTES_MAX (SIZE_MAX / 2)

/* The fields of an entry. */
struct entry {
    uint64_t kind;
    uint64_t relation;
    int64_t lsn_step;
    uint64_t skipped;
    uint64_t old;
    struct slice old_states;
    struct slice new_states;
    size_t old_count; /* values */
    size_t new_count;
    bool partial;
    struct slice transaction;
    uint64_t end_lsn;
    struct slice definition;
    struct slice truncate;
    struct slice message;
    struct slice planned;
};

/* ---- life ---- */

void entry_reader_init(struct entry_reader *reader) {
    *reader = (struct entry_reader){0};
    arena_init(&reader->arena, BLOCK_BYTES, RELATIONS_BYTES_MAX);
}

void entry_reader_release(struct entry_reader *reader) {
    free(reader->relations);
    reader->relations = NULL;
    arena_release(&reader->arena);
}

void entry_reader_begin_segment(struct entry_reader *reader) {
    reader->relation_count = 0;
    reader->left = (struct slice){0};
}

void entry_reader_begin_frame(struct entry_reader *reader, struct slice plain) {
    reader->left = plain;
    reader->lsn = 0;
}

/* ---- fields ---- */

static int64_t unzigzag(uint64_t value) {
    return (int64_t) (value >> 1) ^ -(int64_t) (value & 1);
}

static void take_field(const struct wire_field *field, struct entry *entry) {
    switch (field->number) {
    case ENTRY_KIND:
        entry->kind = field->value;
        break;
    case ENTRY_RELATION:
        entry->relation = field->value;
        break;
    case ENTRY_LSN_STEP:
        entry->lsn_step = unzigzag(field->value);
        break;
    case ENTRY_SKIPPED:
        entry->skipped = field->value;
        break;
    case ENTRY_OLD:
        entry->old = field->value;
        break;
    case ENTRY_OLD_STATES:
        entry->old_states = field->bytes;
        break;
    case ENTRY_OLD_VALUES:
        entry->old_count++;
        break;
    case ENTRY_NEW_STATES:
        entry->new_states = field->bytes;
        break;
    case ENTRY_NEW_VALUES:
        entry->new_count++;
        break;
    case ENTRY_PARTIAL:
        entry->partial = field->value != 0;
        break;
    case ENTRY_TRANSACTION:
        entry->transaction = field->bytes;
        break;
    case ENTRY_END_LSN:
        entry->end_lsn = field->value;
        break;
    case ENTRY_DEFINITION:
        entry->definition = field->bytes;
        break;
    case ENTRY_TRUNCATE:
        entry->truncate = field->bytes;
        break;
    case ENTRY_MESSAGE:
        entry->message = field->bytes;
        break;
    case ENTRY_PLANNED:
        entry->planned = field->bytes;
        break;
    default:
        break;
    }
}

static bool take_entry(struct slice bytes, struct entry *ret_entry, struct error *err) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    *ret_entry = (struct entry){.definition = {.data = "", .size = 0}};
    while (wire_next(&fields, &field))
        take_field(&field, ret_entry);
    return wire_end(&fields) || entry_refuse(err, "its bytes are not an entry");
}

/* ---- transactions ---- */

/*
 * A transaction that goes on in a new frame is told again. After a place of the index nothing goes on.
 */
static bool begin_transaction(struct entry_reader *reader, const struct entry *entry, bool *ret_is_new,
                              struct error *err) {
    struct wire_reader fields = wire_over(entry->transaction);
    struct wire_field field;
    struct transaction transaction = {0};
    uint64_t next_index = 0;
    const bool is_copy = entry->kind == ENTRY_KIND_COPY;
    while (wire_next(&fields, &field)) {
        if (field.number == TRANSACTION_COMMIT_LSN)
            transaction.commit_lsn = field.value;
        else if (field.number == TRANSACTION_COMMIT_TIME_US)
            transaction.commit_time_us = (int64_t) field.value;
        else if (field.number == TRANSACTION_XID)
            transaction.xid = (xid_t) field.value;
        else if (field.number == TRANSACTION_NEXT_INDEX)
            next_index = field.value;
        else if (field.number == TRANSACTION_IS_CHUNK)
            transaction.is_chunk = is_copy && field.value != 0;
    }
    if (!wire_end(&fields) || transaction.commit_lsn == 0)
        return entry_refuse(err, "its bytes are not a transaction");
    *ret_is_new = reader->transaction.commit_lsn != transaction.commit_lsn ||
                  reader->transaction.xid != transaction.xid || reader->is_copy != is_copy;
    if (!is_copy && next_index != (*ret_is_new ? 0 : reader->next_index))
        return entry_refuse(err, "a part of its transaction is missing");
    reader->transaction = transaction;
    reader->next_index = next_index;
    reader->is_copy = is_copy;
    if (*ret_is_new || is_copy)
        reader->shared_arena = NULL;
    return true;
}

/* The transaction, in the arena of the changes. */
static struct transaction *share_transaction(struct entry_reader *reader, struct arena *arena) {
    if (reader->shared_arena == arena && reader->shared_generation == arena->generation)
        return reader->shared;
    struct transaction *shared = arena_alloc(arena, sizeof *shared);
    if (shared == NULL)
        return NULL;
    *shared = reader->transaction;
    reader->shared = shared;
    reader->shared_arena = arena;
    reader->shared_generation = arena->generation;
    return shared;
}

static bool set_transaction(struct entry_reader *reader, struct arena *arena, struct change *change,
                            struct error *err) {
    if (reader->transaction.commit_lsn == 0)
        return entry_refuse(err, "a change is outside a transaction");
    change->transaction = share_transaction(reader, arena);
    return change->transaction != NULL || error_no_memory(err);
}

static bool end_transaction(struct entry_reader *reader, struct arena *arena, const struct entry *entry,
                            struct change *change, struct error *err) {
    if (!set_transaction(reader, arena, change, err))
        return false;
    if (reader->is_copy || entry->end_lsn <= reader->transaction.commit_lsn)
        return entry_refuse(err, "a transaction ends before its commit record");
    change->end_lsn = entry->end_lsn;
    reader->shared->end_lsn = entry->end_lsn;
    reader->transaction = (struct transaction){0};
    reader->shared_arena = NULL;
    return true;
}

/* ---- changes ---- */

static bool count_index(struct entry_reader *reader, const struct entry *entry, struct change *change,
                        struct error *err) {
    if (entry->skipped > UINT64_MAX - reader->next_index - 1)
        return entry_refuse(err, "an index is out of range");
    change->index = reader->next_index + entry->skipped;
    reader->next_index = change->index + 1;
    return true;
}

static bool state_is_known(char state) {
    return state == VALUE_NULL || state == VALUE_UNCHANGED || state == VALUE_TEXT || state == VALUE_BINARY;
}

/* The values of the fields with this number, in the order of the states. */
static bool take_values(struct arena *arena, struct slice bytes, struct slice states, unsigned number,
                        size_t count, const struct value **ret_values, struct error *err) {
    struct wire_reader fields = wire_over(bytes);
    struct wire_field field;
    size_t taken = 0;
    struct value *values = arena_alloc(arena, states.size * sizeof *values + 1);
    if (values == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < states.size; i++) {
        const char state = states.data[i];
        if (!state_is_known(state))
            return entry_refuse(err, "a value is of an unknown kind");
        values[i] = (struct value){.kind = (enum value_kind) state};
        if (state != VALUE_TEXT && state != VALUE_BINARY)
            continue;
        if (taken++ == count)
            return entry_refuse(err, "a value is missing");
        do {
            if (!wire_next(&fields, &field))
                return entry_refuse(err, "a value is missing");
        } while (field.number != number);
        if (field.bytes.size > UINT32_MAX)
            return entry_refuse(err, "a value is too large");
        values[i].data = field.bytes.data != NULL ? field.bytes.data : "";
        values[i].size = (uint32_t) field.bytes.size;
    }
    *ret_values = values;
    return taken == count || entry_refuse(err, "it has more values than columns");
}

static bool columns_agree(const struct relation *relation, struct slice states) {
    return states.size == 0 || states.size == relation->column_count;
}

static bool kinds_agree(const struct change *change) {
    switch (change->kind) {
    case CHANGE_INSERT:
    case CHANGE_READ:
        return change->new_values != NULL && change->old_values == NULL;
    case CHANGE_UPDATE:
        return change->new_values != NULL && (change->old_values != NULL) == (change->old_kind != OLD_NONE);
    case CHANGE_DELETE:
        return change->new_values == NULL && change->old_values != NULL && change->old_kind != OLD_NONE;
    default:
        return false;
    }
}

static bool take_old_kind(uint64_t old, struct change *change, struct error *err) {
    if (old > ENTRY_OLD_FULL)
        return entry_refuse(err, "old values are of an unknown kind");
    change->old_kind = old == ENTRY_OLD_KEY ? OLD_KEY : old == ENTRY_OLD_FULL ? OLD_FULL : OLD_NONE;
    return true;
}

/* bytes: the entry, in the arena. A table without columns has rows without values. */
static bool take_row(struct entry_reader *reader, struct arena *arena, struct slice bytes,
                     const struct entry *entry, struct change *change, struct error *err) {
    if (!entry_find_relation(reader, entry->relation, &change->relation, err) ||
        !take_old_kind(entry->old, change, err) || !set_transaction(reader, arena, change, err) ||
        !count_index(reader, entry, change, err))
        return false;
    if (reader->is_copy != (change->kind == CHANGE_READ))
        return entry_refuse(err, "a row of a copy is among changes");
    if (!columns_agree(change->relation, entry->old_states) ||
        !columns_agree(change->relation, entry->new_states))
        return entry_refuse(err, "a row has not as many values as its table has columns");
    const bool has_new = change->kind != CHANGE_DELETE;
    change->is_partial = entry->partial;
    if ((change->old_kind != OLD_NONE && !take_values(arena, bytes, entry->old_states, ENTRY_OLD_VALUES,
                                                      entry->old_count, &change->old_values, err)) ||
        (has_new && !take_values(arena, bytes, entry->new_states, ENTRY_NEW_VALUES, entry->new_count,
                                 &change->new_values, err)))
        return false;
    if (has_new && entry->new_states.size != change->relation->column_count)
        return entry_refuse(err, "a row lacks its values");
    return kinds_agree(change) || entry_refuse(err, "a row lacks its values");
}

static bool take_truncate(struct entry_reader *reader, struct arena *arena, const struct entry *entry,
                          struct change *change, struct error *err) {
    struct wire_reader fields = wire_over(entry->truncate);
    struct wire_field field;
    struct slice numbers = {0};
    if (!set_transaction(reader, arena, change, err) || !count_index(reader, entry, change, err))
        return false;
    while (wire_next(&fields, &field))
        if (field.number == TRUNCATE_RELATIONS)
            numbers = field.bytes;
        else if (field.number == TRUNCATE_FLAGS)
            change->truncate_flags = (uint32_t) field.value;
    const struct relation **relations = arena_alloc(arena, (numbers.size + 1) * sizeof *relations);
    if (relations == NULL)
        return error_no_memory(err);
    struct wire_reader packed = wire_over(numbers);
    uint64_t number;
    while (packed.at < packed.end) {
        if (!wire_take_varint(&packed, &number))
            return entry_refuse(err, "its bytes are not a truncate");
        if (!entry_find_relation(reader, number, &relations[change->relation_count++], err))
            return false;
    }
    change->relations = relations;
    return (wire_end(&fields) && change->relation_count > 0) ||
           entry_refuse(err, "its bytes are not a truncate");
}

static bool take_message(struct entry_reader *reader, struct arena *arena, const struct entry *entry,
                         struct change *change, struct error *err) {
    struct wire_reader fields = wire_over(entry->message);
    struct wire_field field;
    change->prefix = change->content = (struct slice){.data = "", .size = 0};
    while (wire_next(&fields, &field))
        if (field.number == MESSAGE_PREFIX)
            change->prefix = field.bytes;
        else if (field.number == MESSAGE_CONTENT)
            change->content = field.bytes;
        else if (field.number == MESSAGE_TRANSACTIONAL)
            change->transactional = field.value != 0;
    if (!wire_end(&fields))
        return entry_refuse(err, "its bytes are not a message");
    return !change->transactional ||
           (set_transaction(reader, arena, change, err) && count_index(reader, entry, change, err));
}

/* False without an error: no change. */
static bool take_change(struct entry_reader *reader, struct arena *arena, struct slice bytes,
                        const struct entry *entry, struct change *change, struct error *err) {
    static const enum change_kind KINDS[] = {
        [ENTRY_KIND_INSERT] = CHANGE_INSERT,
        [ENTRY_KIND_UPDATE] = CHANGE_UPDATE,
        [ENTRY_KIND_DELETE] = CHANGE_DELETE,
        [ENTRY_KIND_READ] = CHANGE_READ,
    };
    reader->lsn += (lsn_t) entry->lsn_step;
    change->lsn = reader->lsn;
    switch (entry->kind) {
    case ENTRY_KIND_COMMIT:
        change->kind = CHANGE_COMMIT;
        return end_transaction(reader, arena, entry, change, err);
    case ENTRY_KIND_INSERT:
    case ENTRY_KIND_UPDATE:
    case ENTRY_KIND_DELETE:
    case ENTRY_KIND_READ:
        change->kind = KINDS[entry->kind];
        return take_row(reader, arena, bytes, entry, change, err);
    case ENTRY_KIND_TRUNCATE:
        change->kind = CHANGE_TRUNCATE;
        return take_truncate(reader, arena, entry, change, err);
    case ENTRY_KIND_MESSAGE:
        change->kind = CHANGE_MESSAGE;
        return take_message(reader, arena, entry, change, err);
    default:
        return entry_refuse(err, "it is of a kind that this pgcdc does not know; a newer one may read it");
    }
}

static bool is_plan(const struct entry *entry) {
    return entry->kind == ENTRY_KIND_PLAN || entry->kind == ENTRY_KIND_CHUNK ||
           entry->kind == ENTRY_KIND_COPIED;
}

/* An entry that is no change: a definition, a part of a copy's plan, or a transaction that goes on. */
static bool take_other(struct entry_reader *reader, struct arena *arena, const struct entry *entry,
                       struct change *change, bool *ret_is_change, struct error *err) {
    bool is_new = false;
    *ret_is_change = false;
    if (entry->kind == ENTRY_KIND_RELATION)
        return entry_define_relation(reader, entry->relation, entry->definition, err);
    if (is_plan(entry))
        return true;
    if (!begin_transaction(reader, entry, &is_new, err))
        return false;
    *ret_is_change = is_new && entry->kind == ENTRY_KIND_BEGIN;
    reader->lsn += (lsn_t) entry->lsn_step;
    change->kind = CHANGE_BEGIN;
    change->lsn = reader->lsn;
    return !*ret_is_change || set_transaction(reader, arena, change, err);
}

static bool is_other(const struct entry *entry) {
    return entry->kind == ENTRY_KIND_RELATION || entry->kind == ENTRY_KIND_BEGIN ||
           entry->kind == ENTRY_KIND_COPY || is_plan(entry);
}

/* The bytes of the next entry; false at the end. */
static bool next_entry(struct slice *left, struct slice *ret_bytes, struct error *err) {
    struct wire_reader fields = wire_over(*left);
    struct wire_field field;
    while (wire_next(&fields, &field)) {
        if (field.number != ENTRIES_ENTRIES)
            continue;
        *ret_bytes = field.bytes;
        *left = (struct slice){.data = fields.at, .size = (size_t) (fields.end - fields.at)};
        return true;
    }
    *left = (struct slice){0};
    if (!wire_end(&fields))
        entry_refuse(err, "its bytes are not entries");
    return false;
}

bool entry_read(struct entry_reader *reader, struct arena *arena, struct change *ret_change, bool *ret_got,
                struct error *err) {
    struct slice bytes;
    struct error problem = {0};
    struct entry entry;
    *ret_got = false;
    while (!*ret_got && next_entry(&reader->left, &bytes, &problem)) {
        struct slice copy = {.data = arena_copy(arena, bytes), .size = bytes.size};
        struct change change = {0};
        if (copy.data == NULL)
            return error_no_memory(err);
        if (!take_entry(copy, &entry, err))
            return false;
        *ret_got = !is_other(&entry);
        if (*ret_got ? !take_change(reader, arena, copy, &entry, &change, err)
                     : !take_other(reader, arena, &entry, &change, ret_got, err))
            return false;
        *ret_change = change;
    }
    if (problem.kind != ERROR_NONE)
        *err = problem;
    return problem.kind == ERROR_NONE;
}

bool entry_reader_take_index(struct entry_reader *reader, struct slice plain, struct error *err) {
    struct wire_reader fields = wire_over(plain);
    struct wire_field field;
    struct entry entry;
    while (wire_next(&fields, &field))
        if (field.number == INDEX_RELATIONS &&
            (!take_entry(field.bytes, &entry, err) ||
             !entry_define_relation(reader, entry.relation, entry.definition, err)))
            return false;
    return wire_end(&fields) || entry_refuse(err, "its bytes are not an index");
}

bool entry_find_definitions(struct slice plain,
                            bool (*take)(void *context, uint32_t number, struct slice definition,
                                         struct error *err),
                            void *context, struct error *err) {
    struct wire_reader fields = wire_over(plain);
    struct wire_field field;
    struct entry entry;
    while (wire_next(&fields, &field)) {
        if (field.number != ENTRIES_ENTRIES)
            continue;
        if (!take_entry(field.bytes, &entry, err))
            return false;
        if (entry.kind == ENTRY_KIND_RELATION &&
            !take(context, (uint32_t) entry.relation, entry.definition, err))
            return false;
    }
    return wire_end(&fields) || entry_refuse(err, "its bytes are not entries");
}

static bool read_planned(const struct entry *entry, uint32_t *ret_chunk, struct slice *ret_record,
                         struct error *err) {
    struct wire_reader fields = wire_over(entry->planned);
    struct wire_field field;
    *ret_chunk = 0;
    *ret_record = (struct slice){.data = "", .size = 0};
    while (wire_next(&fields, &field))
        if (field.number == PLANNED_CHUNK)
            *ret_chunk = (uint32_t) field.value;
        else if (field.number == PLANNED_RECORD)
            *ret_record = field.bytes;
    return wire_end(&fields) || entry_refuse(err, "its bytes are not a part of a plan");
}

bool entry_find_plan(struct slice plain, entry_plan_fn *take, void *context, struct error *err) {
    struct slice left = plain, bytes, record;
    struct error problem = {0};
    struct entry entry;
    uint32_t chunk;
    while (next_entry(&left, &bytes, &problem)) {
        if (!take_entry(bytes, &entry, err))
            return false;
        if (is_plan(&entry) && (!read_planned(&entry, &chunk, &record, err) ||
                                !take(context, (enum entry_plan_kind) entry.kind, chunk, record, err)))
            return false;
    }
    if (problem.kind != ERROR_NONE)
        *err = problem;
    return problem.kind == ERROR_NONE;
}
