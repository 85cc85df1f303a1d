/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_filter.c - asks the map about each change, and rewrites those that apply in part.
 */
#include "cdc/copy/chunk_filter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/start_over.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 1 << 30)

struct chunk_filter *chunk_filter_new(struct chunk_map *map, size_t changes_max) {
    struct chunk_filter *filter = calloc(1, sizeof *filter);
    if (filter == NULL)
        return NULL;
    filter->map = map;
    filter->kept = calloc(changes_max, sizeof *filter->kept);
    filter->kept_capacity = changes_max;
    filter->places = calloc(2 * changes_max, sizeof *filter->places);
    filter->kept_lsns = calloc(map->table_count + 1, sizeof *filter->kept_lsns);
    arena_init(&filter->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (filter->kept != NULL && filter->places != NULL && filter->kept_lsns != NULL)
        return filter;
    chunk_filter_free(filter);
    return NULL;
}

void chunk_filter_free(struct chunk_filter *filter) {
    if (filter == NULL)
        return;
    arena_release(&filter->arena);
    free(filter->kept);
    free(filter->seen);
    free(filter->resets);
    free(filter->dirty);
    free(filter->emptied);
    free(filter->places);
    free(filter->kept_lsns);
    free(filter);
}

/* ---- the note ---- */

static bool note_seen(struct chunk_filter *filter, struct error *err) {
    if (filter->is_noted || filter->map->is_relayed)
        return true;
    if (filter->seen_count == filter->seen_capacity) {
        const size_t capacity = filter->seen_capacity == 0 ? 64 : filter->seen_capacity * 2;
        uint64_t *seen = reallocarray(filter->seen, capacity, sizeof *seen);
        if (seen == NULL)
            return error_no_memory(err);
        filter->seen = seen;
        filter->seen_capacity = capacity;
    }
    filter->seen[filter->seen_count++] = filter->xid;
    filter->is_noted = true;
    return chunk_map_note(filter->map, filter->xid, err);
}

static bool grow_resets(struct chunk_filter *filter, struct error *err) {
    if (filter->reset_count < filter->reset_capacity)
        return true;
    const size_t capacity = filter->reset_capacity == 0 ? 16 : filter->reset_capacity * 2;
    struct filter_reset *resets = reallocarray(filter->resets, capacity, sizeof *resets);
    if (resets == NULL)
        return error_no_memory(err);
    filter->resets = resets;
    uint32_t *dirty = reallocarray(filter->dirty, capacity, sizeof *dirty);
    if (dirty == NULL)
        return error_no_memory(err);
    filter->dirty = dirty;
    const struct chunk **emptied = reallocarray(filter->emptied, capacity, sizeof(const struct chunk *));
    if (emptied == NULL)
        return error_no_memory(err);
    filter->emptied = emptied;
    filter->reset_capacity = capacity;
    return true;
}

static bool reset_chunk(struct chunk_filter *filter, struct map_chunk *chunk, struct error *err) {
    if (!grow_resets(filter, err))
        return false;
    filter->resets[filter->reset_count++] =
        (struct filter_reset){.chunk = chunk, .commit_lsn = filter->transaction->commit_lsn};
    chunk_map_reset(filter->map, chunk);
    return true;
}

/* Relayed: a row of the chunk that the sink has is not complete, or is not there any more. */
static bool repeat_chunk(struct chunk_filter *filter, struct map_chunk *chunk, struct error *err) {
    if (!grow_resets(filter, err))
        return false;
    if (chunk_map_repeat(filter->map, chunk))
        filter->resets[filter->reset_count++] =
            (struct filter_reset){.chunk = chunk, .commit_lsn = filter->transaction->commit_lsn};
    return true;
}

/*
 * The sink cannot find the rows of one chunk when only the source knows the order, so all of the table go.
 * *ret_awaited is a chunk that is being read; then nothing happened.
 */
static bool empty_table(struct chunk_filter *filter, const struct map_table *table,
                        const struct map_chunk **ret_awaited, struct error *err) {
    if (!grow_resets(filter, err))
        return false;
    *ret_awaited = chunk_map_empty(filter->map, table);
    if (*ret_awaited == NULL)
        filter->resets[filter->reset_count++] =
            (struct filter_reset){.chunk = &filter->map->chunks[table->first],
                                  .commit_lsn = filter->transaction->commit_lsn,
                                  .is_table = true};
    return true;
}

bool chunk_filter_has_note(struct chunk_filter *filter, lsn_t end_lsn, struct chunk_note *ret_note) {
    size_t count = 0, dirty_count = 0, emptied_count = 0;
    for (; count < filter->reset_count && filter->resets[count].commit_lsn < end_lsn; count++) {
        const struct filter_reset *reset = &filter->resets[count];
        if (reset->is_table)
            filter->emptied[emptied_count++] = &reset->chunk->chunk;
        else
            filter->dirty[dirty_count++] = reset->chunk->chunk.id;
    }
    filter->noted_resets = count;
    *ret_note = (struct chunk_note){.seen = filter->seen,
                                    .seen_count = filter->seen_count,
                                    .seen_below = chunk_map_seen_below(filter->map),
                                    .dirty = filter->dirty,
                                    .dirty_count = dirty_count,
                                    .emptied = filter->emptied,
                                    .emptied_count = emptied_count};
    return filter->seen_count > 0 || count > 0;
}

void chunk_filter_forget_note(struct chunk_filter *filter) {
    const size_t noted = filter->noted_resets;
    filter->seen_count = 0;
    filter->noted_resets = 0;
    if (noted == 0)
        return;
    for (size_t i = 0; i < noted; i++)
        if (filter->resets[i].is_table)
            chunk_map_release_table(filter->map, filter->resets[i].chunk);
        else
            chunk_map_release_held(filter->map, filter->resets[i].chunk);
    filter->reset_count -= noted;
    memmove(filter->resets, filter->resets + noted, filter->reset_count * sizeof *filter->resets);
}

/* ---- where a row is ---- */

static bool refuse_table(const struct relation *relation, const char *reason, struct error *err) {
    error_set(err, ERROR_REFUSE, "table %s.%s changed while it was copied: %s", relation->schema.data,
              relation->name.data, reason);
    return error_remedy(err, START_OVER);
}

static const struct chunk *first_chunk(const struct chunk_filter *filter, const struct map_table *table) {
    return &filter->map->chunks[table->first].chunk;
}

static bool look_up(struct chunk_filter *filter, const struct relation *relation, struct error *err) {
    if (filter->relation == relation)
        return true;
    filter->table = chunk_map_table(filter->map, relation->oid);
    filter->column = 0;
    if (filter->table != NULL && filter->table->count > 1 && !map_table_is_shared(filter->table)) {
        const struct chunk *chunk = first_chunk(filter, filter->table);
        const struct slice wanted = slice_of(chunk->column);
        while (filter->column < relation->column_count &&
               !slice_equal(relation->columns[filter->column].name, wanted))
            filter->column++;
        if (filter->column == relation->column_count || !relation->columns[filter->column].is_key ||
            relation->columns[filter->column].type_oid != chunk->column_type)
            return refuse_table(relation, "its replica identity does not identify the key column any more",
                                err);
    }
    filter->relation = relation;
    return true;
}

/* A large key that an UPDATE left unchanged is in the old tuple only. */
static const struct value *key_of(const struct chunk_filter *filter, const struct change *change,
                                  bool is_new) {
    const struct value *key = &(is_new ? change->new_values : change->old_values)[filter->column];
    return key->kind == VALUE_UNCHANGED && change->old_values != NULL ? &change->old_values[filter->column]
                                                                      : key;
}

static bool refuse_change(const struct chunk_filter *filter, const char *reason, struct error *err) {
    return error_set(err, ERROR_PROTOCOL, "source: a change of table %s.%s %s", filter->relation->schema.data,
                     filter->relation->name.data, reason);
}

static bool find_asked_place(const struct chunk_filter *filter, const struct change *change, bool is_new,
                             struct map_chunk **ret_chunk, struct error *err) {
    assert(change >= filter->expected && change < filter->expected + filter->expected_count);
    const uint32_t place = filter->places[2 * (change - filter->expected) + is_new];
    if (place >= filter->table->count)
        return refuse_change(filter, "has a key whose place is not known", err);
    *ret_chunk += place;
    return true;
}

static bool find_place(const struct chunk_filter *filter, const struct change *change, bool is_new,
                       struct map_chunk **ret_chunk, struct error *err) {
    const struct map_table *table = filter->table;
    struct chunk_key key;
    *ret_chunk = &filter->map->chunks[table->first];
    if (table->count == 1 || map_table_is_shared(table))
        return true;
    if (table->method == CHUNK_BY_SOURCE)
        return find_asked_place(filter, change, is_new, ret_chunk, err);
    if (!chunk_key_read((*ret_chunk)->chunk.key_type, key_of(filter, change, is_new), &key))
        return refuse_change(filter, "lacks its key", err);
    *ret_chunk = chunk_map_place(filter->map, table, &key);
    return true;
}

/* ---- rows ---- */

static struct change *keep(struct chunk_filter *filter, const struct change *change) {
    struct change *kept = &filter->kept[filter->kept_count++];
    *kept = *change;
    return kept;
}

/*
 * The new row with the unchanged values taken from an old tuple that has them; *ret_values is NULL when it
 * lacks one.
 */
static bool complete_row(struct chunk_filter *filter, const struct change *change,
                         const struct value **ret_values, struct error *err) {
    const uint32_t count = change->relation->column_count;
    struct value *values = arena_alloc(&filter->arena, (count + 1) * sizeof *values);
    if (values == NULL)
        return error_no_memory(err);
    *ret_values = values;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = change->new_values[i];
        if (values[i].kind != VALUE_UNCHANGED)
            continue;
        if (change->old_kind == OLD_FULL)
            values[i] = change->old_values[i];
        if (values[i].kind == VALUE_UNCHANGED || change->old_kind != OLD_FULL)
            *ret_values = NULL;
    }
    return true;
}

/*
 * Relayed to a sink that does not append: a TRUNCATE is written in the place of the change, so no row of the
 * table counts. A chunk that is being read sees this transaction, and its rows come after it.
 */
static bool void_chunks(struct chunk_filter *filter, const struct map_table *table, struct error *err) {
    struct map_chunk *chunks = &filter->map->chunks[table->first];
    for (size_t i = 0; i < table->count; i++)
        if (chunk_map_is_copied(filter->map, &chunks[i]) && !reset_chunk(filter, &chunks[i], err))
            return false;
    return true;
}

static bool void_table(struct chunk_filter *filter, const struct change *change, struct error *err) {
    const struct relation **relations = arena_alloc(&filter->arena, sizeof *relations);
    if (relations == NULL)
        return error_no_memory(err);
    relations[0] = change->relation;
    struct change *kept = keep(filter, change);
    *kept = (struct change){.kind = CHANGE_TRUNCATE,
                            .lsn = change->lsn,
                            .index = change->index,
                            .transaction = change->transaction,
                            .relations = relations,
                            .relation_count = 1};
    return void_chunks(filter, filter->table, err);
}

static bool keep_arrival(struct chunk_filter *filter, const struct change *change, struct map_chunk *chunk,
                         const struct map_chunk **ret_awaited, struct error *err) {
    const struct value *values = NULL;
    if (!complete_row(filter, change, &values, err))
        return false;
    if (values == NULL && filter->map->is_relayed && !filter->map->is_appended)
        return void_table(filter, change, err);
    if (values == NULL && filter->map->is_relayed) {
        keep(filter, change);
        return repeat_chunk(filter, chunk, err);
    }
    if (values == NULL)
        return filter->table->method == CHUNK_BY_SOURCE ? empty_table(filter, filter->table, ret_awaited, err)
                                                        : reset_chunk(filter, chunk, err);
    struct change *kept = keep(filter, change);
    kept->kind = CHANGE_INSERT;
    kept->old_kind = OLD_NONE;
    kept->old_values = NULL;
    kept->new_values = values;
    return true;
}

static void keep_departure(struct chunk_filter *filter, const struct change *change) {
    struct change *kept = keep(filter, change);
    kept->kind = CHANGE_DELETE;
    kept->new_values = NULL;
}

/* From one chunk to another. */
static bool take_move(struct chunk_filter *filter, const struct change *change, struct map_chunk *from,
                      struct map_chunk *to, const struct map_chunk **ret_awaited, struct error *err) {
    const enum map_answer leaves = chunk_map_ask(filter->map, from, filter->xid);
    const enum map_answer arrives = chunk_map_ask(filter->map, to, filter->xid);
    if (leaves == MAP_WAIT || arrives == MAP_WAIT) {
        *ret_awaited = leaves == MAP_WAIT ? from : to;
        return true;
    }
    if (leaves == MAP_APPLY && arrives == MAP_APPLY)
        keep(filter, change);
    else if (leaves == MAP_APPLY)
        keep_departure(filter, change);
    else if (arrives == MAP_APPLY)
        return keep_arrival(filter, change, to, ret_awaited, err);
    return true;
}

static bool take_row(struct chunk_filter *filter, const struct change *change,
                     const struct map_chunk **ret_awaited, struct error *err) {
    struct map_chunk *from = NULL;
    struct map_chunk *to = NULL;
    if (!look_up(filter, change->relation, err))
        return false;
    if (filter->table == NULL) {
        keep(filter, change);
        return true;
    }
    if (!note_seen(filter, err) ||
        (change->old_values != NULL && !find_place(filter, change, false, &from, err)) ||
        (change->new_values != NULL && !find_place(filter, change, true, &to, err)))
        return false;
    if (from != NULL && to != NULL && from != to)
        return take_move(filter, change, from, to, ret_awaited, err);
    const struct map_chunk *chunk = to != NULL ? to : from;
    const enum map_answer answer = chunk_map_ask(filter->map, chunk, filter->xid);
    if (answer == MAP_WAIT)
        *ret_awaited = chunk;
    else if (answer == MAP_APPLY)
        keep(filter, change);
    return true;
}

/* ---- TRUNCATE ---- */

static const struct map_chunk *find_awaited(struct chunk_filter *filter, const struct map_table *table) {
    for (size_t i = table->first; i < table->first + table->count; i++)
        if (chunk_map_ask(filter->map, &filter->map->chunks[i], filter->xid) == MAP_WAIT)
            return &filter->map->chunks[i];
    return NULL;
}

/* The sink's rows of these chunks go; those of a chunk that sees the transaction came after it. */
static bool empty_chunks(struct chunk_filter *filter, const struct map_table *table, struct error *err) {
    for (size_t i = table->first; i < table->first + table->count; i++)
        if (chunk_map_ask(filter->map, &filter->map->chunks[i], filter->xid) == MAP_APPLY &&
            !reset_chunk(filter, &filter->map->chunks[i], err))
            return false;
    return true;
}

/* The same for a table of which only the source knows the order. */
static bool empty_asked(struct chunk_filter *filter, const struct map_table *table,
                        const struct map_chunk **ret_awaited, struct error *err) {
    for (size_t i = table->first; i < table->first + table->count; i++)
        if (chunk_map_ask(filter->map, &filter->map->chunks[i], filter->xid) == MAP_APPLY)
            return empty_table(filter, table, ret_awaited, err);
    return true;
}

/* The sink has its rows, which a TRUNCATE of all of the table removes though the chunk sees it. */
static bool renew_chunk(struct chunk_filter *filter, struct map_chunk *chunk, struct error *err) {
    return filter->map->is_appended ? repeat_chunk(filter, chunk, err) : reset_chunk(filter, chunk, err);
}

/*
 * Relayed: the TRUNCATE is written if the sink has rows of a chunk that does not see it. A consumer then
 * removes all rows of the table, so those of the other chunks are written once more.
 */
static bool append_truncate(struct chunk_filter *filter, const struct map_table *table, bool *ret_applies,
                            struct error *err) {
    struct map_chunk *chunks = &filter->map->chunks[table->first];
    *ret_applies = false;
    for (size_t i = 0; i < table->count; i++)
        *ret_applies |= chunk_map_ask(filter->map, &chunks[i], filter->xid) == MAP_APPLY;
    for (size_t i = 0; i < table->count && *ret_applies; i++)
        if (chunk_map_is_copied(filter->map, &chunks[i]) &&
            chunk_map_ask(filter->map, &chunks[i], filter->xid) == MAP_OMIT &&
            !renew_chunk(filter, &chunks[i], err))
            return false;
    return true;
}

/* Is the TRUNCATE of this table written? */
static bool truncate_applies(struct chunk_filter *filter, const struct map_table *table,
                             const struct map_chunk **ret_awaited, bool *ret_applies, struct error *err) {
    *ret_applies = table == NULL || chunk_map_is_unseen(filter->map, table, filter->xid);
    if (*ret_applies)
        return true;
    if (filter->map->is_relayed)
        return append_truncate(filter, table, ret_applies, err);
    return map_table_is_asked(table) ? empty_asked(filter, table, ret_awaited, err)
                                     : empty_chunks(filter, table, err);
}

static void note_kept(struct chunk_filter *filter, const struct change *change,
                      const struct map_table *table) {
    filter->kept_lsns[table - filter->map->tables] = change->transaction->commit_lsn;
}

static bool take_truncate(struct chunk_filter *filter, const struct change *change,
                          const struct map_chunk **ret_awaited, struct error *err) {
    const struct relation **relations =
        arena_alloc(&filter->arena, (change->relation_count + 1) * sizeof *relations);
    uint32_t count = 0;
    if (relations == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        const struct map_table *table = chunk_map_table(filter->map, change->relations[i]->oid);
        if (table != NULL && !note_seen(filter, err))
            return false;
        if (table != NULL && (*ret_awaited = find_awaited(filter, table)) != NULL)
            return true;
    }
    for (uint32_t i = 0; i < change->relation_count; i++) {
        const struct map_table *table = chunk_map_table(filter->map, change->relations[i]->oid);
        bool applies = false;
        if (!truncate_applies(filter, table, ret_awaited, &applies, err))
            return false;
        if (applies)
            relations[count++] = change->relations[i];
        if (applies && table != NULL)
            note_kept(filter, change, table);
        if (*ret_awaited != NULL)
            return true;
    }
    if (count == 0)
        return true;
    struct change *kept = keep(filter, change);
    kept->relations = relations;
    kept->relation_count = count;
    return true;
}

lsn_t chunk_filter_kept_lsn(const struct chunk_filter *filter, oid_t oid) {
    const struct map_table *table = chunk_map_table(filter->map, oid);
    return table != NULL ? filter->kept_lsns[table - filter->map->tables] : 0;
}

/* ---- what the source is asked ---- */

/* Of these types, in their base type, the binary form is the text. */
static bool is_text(oid_t type_oid) {
    enum { NAME_OID = 19, TEXT_OID = 25, BPCHAR_OID = 1042, VARCHAR_OID = 1043 };
    return type_oid == NAME_OID || type_oid == TEXT_OID || type_oid == BPCHAR_OID || type_oid == VARCHAR_OID;
}

static bool find_key(const struct chunk_filter *filter, const struct change *change, bool is_new,
                     const struct value **ret_value, struct error *err) {
    *ret_value = NULL;
    if ((is_new ? change->new_values : change->old_values) == NULL)
        return true;
    *ret_value = key_of(filter, change, is_new);
    if ((*ret_value)->kind == VALUE_TEXT ||
        ((*ret_value)->kind == VALUE_BINARY && is_text(first_chunk(filter, filter->table)->key_type)))
        return true;
    if ((*ret_value)->kind == VALUE_BINARY)
        return error_set(err, ERROR_NEEDS_TEXT, "the source orders the keys of table %s.%s, and in text",
                         filter->relation->schema.data, filter->relation->name.data);
    return refuse_change(filter, "lacks its key", err);
}

bool chunk_filter_keys(struct chunk_filter *filter, const struct change *change, struct filter_keys *ret_keys,
                       struct error *err) {
    *ret_keys = (struct filter_keys){0};
    if (!look_up(filter, change->relation, err))
        return false;
    if (filter->table == NULL || !map_table_is_asked(filter->table))
        return true;
    ret_keys->table = filter->table;
    return find_key(filter, change, false, &ret_keys->values[0], err) &&
           find_key(filter, change, true, &ret_keys->values[1], err);
}

void chunk_filter_expect(struct chunk_filter *filter, const struct change *changes, size_t count) {
    assert(count <= filter->kept_capacity);
    filter->expected = changes;
    filter->expected_count = count;
    for (size_t i = 0; i < 2 * count; i++)
        filter->places[i] = FILTER_PLACE_UNKNOWN;
}

/* ---- all changes ---- */

static void enter(struct chunk_filter *filter, const struct transaction *transaction) {
    if (filter->transaction == transaction && transaction != NULL)
        return;
    const uint64_t xid = transaction != NULL ? chunk_map_widen(filter->map, transaction->xid) : 0;
    filter->is_noted = filter->is_noted && xid == filter->xid;
    filter->transaction = transaction;
    filter->xid = xid;
}

static bool take_one(struct chunk_filter *filter, const struct change *change,
                     const struct map_chunk **ret_awaited, struct error *err) {
    if (change->transaction != NULL)
        enter(filter, change->transaction);
    if (change->kind == CHANGE_BEGIN) {
        filter->is_noted = false;
        if (filter->map->is_relayed && !chunk_map_enter(filter->map, filter->xid, ret_awaited, err))
            return false;
        if (*ret_awaited != NULL)
            return true;
    }
    if (change_is_row(change)) {
        const size_t before = filter->kept_count;
        if (!take_row(filter, change, ret_awaited, err))
            return false;
        if (filter->kept_count > before && filter->table != NULL)
            note_kept(filter, change, filter->table);
        return true;
    }
    if (change->kind == CHANGE_TRUNCATE)
        return take_truncate(filter, change, ret_awaited, err);
    keep(filter, change);
    return true;
}

bool chunk_filter_take(struct chunk_filter *filter, const struct change *changes, size_t count,
                       size_t *ret_taken, const struct map_chunk **ret_awaited, struct error *err) {
    assert(count <= filter->kept_capacity);
    filter->kept_count = 0;
    arena_reset(&filter->arena);
    filter->transaction = NULL; /* its memory may be another transaction's by now */
    *ret_awaited = NULL;
    for (*ret_taken = 0; *ret_taken < count; ++*ret_taken) {
        if (!take_one(filter, &changes[*ret_taken], ret_awaited, err))
            return false;
        if (*ret_awaited != NULL)
            return true;
    }
    return true;
}
