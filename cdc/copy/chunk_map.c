/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_map.c - the map is made, and the rule that joins it to the stream.
 */
#include "cdc/copy/chunk_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

/* Nothing is left to do with the chunk. */
static bool is_copied(const struct map_chunk *chunk) {
    return chunk->state == MAP_CHUNK_COPIED && !chunk->is_repeated;
}

/* ---- making ---- */

static const char *keep(struct arena *arena, const char *text) {
    return text != NULL ? arena_copy(arena, slice_of(text)) : NULL;
}

static bool keep_chunk(struct chunk_map *map, const struct chunk *chunk, struct map_chunk *ret_chunk,
                       struct error *err) {
    struct chunk copy = *chunk;
    copy.schema = keep(&map->arena, chunk->schema);
    copy.table = keep(&map->arena, chunk->table);
    copy.column = keep(&map->arena, chunk->column);
    copy.order_sql = keep(&map->arena, chunk->order_sql);
    copy.low = keep(&map->arena, chunk->low);
    copy.high = keep(&map->arena, chunk->high);
    copy.snapshot = NULL;
    const struct value low = {
        .data = copy.low, .size = copy.low != NULL ? (uint32_t) strlen(copy.low) : 0, .kind = VALUE_TEXT};
    *ret_chunk = (struct map_chunk){.chunk = copy, .is_kept = chunk_is_kept(chunk), .rows = chunk->rows};
    ret_chunk->is_repeated = chunk->state == CHUNK_DIRTY && chunk->snapshot != NULL;
    ret_chunk->is_dirty = chunk->state == CHUNK_DIRTY && !ret_chunk->is_repeated;
    if (copy.schema == NULL || copy.table == NULL || (chunk->column != NULL && copy.column == NULL) ||
        (chunk->order_sql != NULL && copy.order_sql == NULL) || (chunk->low != NULL && copy.low == NULL) ||
        (chunk->high != NULL && copy.high == NULL))
        return error_no_memory(err);
    if (chunk->method == CHUNK_BY_KEY && chunk->low != NULL &&
        !chunk_key_read(chunk->key_type, &low, &ret_chunk->low))
        return error_set(err, ERROR_PROTOCOL, "chunk %u of table %s.%s has a bound that is not a key",
                         chunk->id, chunk->schema, chunk->table);
    if (chunk->state != CHUNK_COPIED && !ret_chunk->is_repeated)
        return true;
    if (chunk->snapshot == NULL || !xid_snapshot_parse(chunk->snapshot, &ret_chunk->snapshot))
        return error_set(err, ERROR_PROTOCOL, "chunk %u of table %s.%s is copied but has no snapshot",
                         chunk->id, chunk->schema, chunk->table);
    ret_chunk->state = MAP_CHUNK_COPIED;
    return true;
}

static bool keep_chunks(struct chunk_map *map, const struct chunk_plan *plan, struct error *err) {
    map->chunks = arena_alloc_zero(&map->arena, plan->count * sizeof *map->chunks);
    if (map->chunks == NULL)
        return error_no_memory(err);
    for (; map->count < plan->count; map->count++) {
        struct map_chunk *chunk = &map->chunks[map->count];
        if (!keep_chunk(map, &plan->chunks[map->count], chunk, err))
            return false;
        map->copied_count += is_copied(chunk);
        map->has_added |= chunk->chunk.is_added;
        if (chunk->snapshot.xmax > map->known_xid)
            map->known_xid = chunk->snapshot.xmax;
    }
    return true;
}

static int compare_tables(const void *a, const void *b) {
    const struct map_table *left = a;
    const struct map_table *right = b;
    return (left->oid > right->oid) - (left->oid < right->oid);
}

static bool is_same_snapshot(const struct map_chunk *a, const struct map_chunk *b) {
    return xid_snapshot_covers(&a->snapshot, &b->snapshot) && xid_snapshot_covers(&b->snapshot, &a->snapshot);
}

/* What was copied before an interruption is of a snapshot that is gone, so all chunks wait again. */
static bool join_chunks(struct chunk_map *map, struct map_table *table, struct error *err) {
    struct map_chunk *first = &map->chunks[table->first];
    if (!map_table_is_shared(table))
        return true;
    const bool is_copied = table->copied_count == table->count;
    for (size_t i = 0; i < table->count; i++) {
        if (is_copied && !is_same_snapshot(first, first + i))
            return error_set(err, ERROR_PROTOCOL, "the chunks of table %s.%s are of different snapshots",
                             first->chunk.schema, first->chunk.table);
        if (is_copied)
            continue;
        first->is_dirty = first->is_dirty || first[i].is_dirty || first[i].state == MAP_CHUNK_COPIED;
        first[i].is_dirty = first[i].is_dirty && i == 0; /* the rows of all go together */
        first[i].state = MAP_CHUNK_WAITING;
        xid_snapshot_release(&first[i].snapshot);
    }
    if (!is_copied) {
        map->copied_count -= table->copied_count;
        table->copied_count = 0;
    }
    return true;
}

static bool join_tables(struct chunk_map *map, struct error *err) {
    for (size_t i = 0; i < map->table_count; i++) {
        struct map_table *table = &map->tables[i];
        for (size_t c = table->first; c < table->first + table->count; c++)
            map->chunks[c].table = table;
        if (!join_chunks(map, table, err))
            return false;
    }
    return true;
}

static bool find_tables(struct chunk_map *map, struct error *err) {
    map->tables = arena_alloc_zero(&map->arena, map->count * sizeof *map->tables);
    if (map->tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < map->count; i++) {
        const oid_t oid = map->chunks[i].chunk.relation_oid;
        if (i == 0 || map->tables[map->table_count - 1].oid != oid)
            map->tables[map->table_count++] =
                (struct map_table){.oid = oid, .first = i, .method = map->chunks[i].chunk.method};
        struct map_table *table = &map->tables[map->table_count - 1];
        table->count++;
        table->copied_count += is_copied(&map->chunks[i]);
    }
    qsort(map->tables, map->table_count, sizeof *map->tables, compare_tables);
    for (size_t i = 1; i < map->table_count; i++)
        if (map->tables[i - 1].oid == map->tables[i].oid)
            return error_set(err, ERROR_PROTOCOL, "the chunks of the table with OID %u are apart",
                             map->tables[i].oid);
    return join_tables(map, err);
}

static bool add_seen(struct chunk_map *map, uint64_t xid, struct error *err) {
    if (map->seen_count == map->seen_capacity) {
        const size_t capacity = map->seen_capacity == 0 ? 256 : map->seen_capacity * 2;
        uint64_t *seen = reallocarray(map->seen, capacity, sizeof *seen);
        if (seen == NULL)
            return error_no_memory(err);
        map->seen = seen;
        map->seen_capacity = capacity;
    }
    map->seen[map->seen_count++] = xid;
    if (xid > map->known_xid)
        map->known_xid = xid;
    return true;
}

static bool fill(struct chunk_map *map, const struct chunk_plan *plan, struct error *err) {
    assert(plan->count > 0);
    if (!xid_snapshot_parse(plan->snapshot, &map->latest))
        return error_set(err, ERROR_PROTOCOL, "the snapshot of the copy's plan is not one");
    map->known_xid = map->latest.xmax;
    if (!keep_chunks(map, plan, err) || !find_tables(map, err))
        return false;
    for (size_t i = 0; i < plan->seen_count; i++)
        if (!add_seen(map, plan->seen[i], err))
            return false;
    return true;
}

bool chunk_map_new(const struct chunk_plan *plan, struct chunk_map **ret_map, struct error *err) {
    pthread_condattr_t attributes;
    struct chunk_map *map = calloc(1, sizeof *map);
    *ret_map = map;
    if (map == NULL)
        return error_no_memory(err);
    atomic_init(&map->users, 1);
    pthread_mutex_init(&map->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&map->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    arena_init(&map->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (fill(map, plan, err))
        return true;
    chunk_map_free(map);
    *ret_map = NULL;
    return false;
}

static void release_chunk(struct map_chunk *chunk) {
    xid_snapshot_release(&chunk->snapshot);
    xid_snapshot_release(&chunk->repeat);
}

void chunk_map_free(struct chunk_map *map) {
    if (map == NULL || atomic_fetch_sub(&map->users, 1) > 1)
        return;
    for (size_t i = 0; i < map->count; i++)
        release_chunk(&map->chunks[i]);
    xid_snapshot_release(&map->latest);
    free(map->seen);
    arena_release(&map->arena);
    pthread_cond_destroy(&map->changed);
    pthread_mutex_destroy(&map->lock);
    free(map);
}

struct chunk_map *chunk_map_share(struct chunk_map *map) {
    atomic_fetch_add(&map->users, 1);
    return map;
}

/* ---- tallies ---- */

static void tally_chunk(const struct map_chunk *chunk, struct chunk_tally *tally) {
    const bool is_safe = is_copied(chunk);
    const bool is_done = is_safe || chunk->is_done;
    const uint64_t estimate = chunk->chunk.bytes_estimate, bytes = atomic_load(&chunk->bytes);
    if (chunk->is_kept)
        return;
    tally->chunk_count++;
    tally->bytes += bytes;
    tally->bytes_estimate += estimate;
    if (chunk->state == MAP_CHUNK_WAITING || !(is_done || map_chunk_is_being_read(chunk)))
        return;
    tally->chunks_done += is_done;
    tally->chunks_safe += is_safe;
    tally->rows += atomic_load(&chunk->rows);
    tally->bytes_done += is_done || bytes > estimate ? estimate : bytes;
    tally->chunks_read += map_chunk_is_being_read(chunk);
}

void chunk_map_tally(struct chunk_map *map, struct chunk_tally *ret_tables) {
    pthread_mutex_lock(&map->lock);
    for (size_t i = 0; i < map->table_count; i++) {
        const struct map_table *table = &map->tables[i];
        const struct chunk *first = &map->chunks[table->first].chunk;
        ret_tables[i] =
            (struct chunk_tally){.oid = table->oid, .schema = first->schema, .table = first->table};
        for (size_t c = 0; c < table->count; c++)
            tally_chunk(&map->chunks[table->first + c], &ret_tables[i]);
    }
    pthread_mutex_unlock(&map->lock);
}

static struct map_table *table_of(struct chunk_map *map, const struct map_chunk *chunk) {
    const struct map_table key = {.oid = chunk->chunk.relation_oid};
    return bsearch(&key, map->tables, map->table_count, sizeof key, compare_tables);
}

/* ---- the runner ---- */

const struct map_table *chunk_map_table(const struct chunk_map *map, oid_t oid) {
    const struct map_table key = {.oid = oid};
    return bsearch(&key, map->tables, map->table_count, sizeof key, compare_tables);
}

/* The last chunk whose low bound is not above the key. */
struct map_chunk *chunk_map_place(const struct chunk_map *map, const struct map_table *table,
                                  const struct chunk_key *key) {
    size_t low = table->first, high = table->first + table->count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (chunk_key_is_less(key, &map->chunks[middle].low))
            high = middle;
        else
            low = middle;
    }
    return &map->chunks[low];
}

uint64_t chunk_map_widen(struct chunk_map *map, xid_t xid) {
    pthread_mutex_lock(&map->lock);
    const uint64_t wide = xid_widen(xid, map->known_xid);
    pthread_mutex_unlock(&map->lock);
    return wide;
}

void chunk_map_know(struct chunk_map *map, uint64_t xid) {
    pthread_mutex_lock(&map->lock);
    if (xid > map->known_xid)
        map->known_xid = xid;
    pthread_mutex_unlock(&map->lock);
}

bool chunk_map_note(struct chunk_map *map, uint64_t xid, struct error *err) {
    pthread_mutex_lock(&map->lock);
    const bool noted = xid_snapshot_sees(&map->latest, xid) || add_seen(map, xid, err);
    pthread_mutex_unlock(&map->lock);
    return noted;
}

enum map_answer chunk_map_ask(struct chunk_map *map, const struct map_chunk *chunk, uint64_t xid) {
    enum map_answer answer = MAP_OMIT;
    pthread_mutex_lock(&map->lock);
    if (chunk->state != MAP_CHUNK_WAITING && !xid_snapshot_sees(&chunk->snapshot, xid))
        answer = chunk->state == MAP_CHUNK_READING ? MAP_WAIT : MAP_APPLY;
    pthread_mutex_unlock(&map->lock);
    return answer;
}

bool chunk_map_is_unseen(struct chunk_map *map, const struct map_table *table, uint64_t xid) {
    bool is_unseen = true;
    pthread_mutex_lock(&map->lock);
    for (size_t i = table->first; i < table->first + table->count; i++)
        is_unseen = is_unseen && map->chunks[i].state == MAP_CHUNK_COPIED &&
                    !xid_snapshot_sees(&map->chunks[i].snapshot, xid);
    pthread_mutex_unlock(&map->lock);
    return is_unseen;
}

bool chunk_map_enter(struct chunk_map *map, uint64_t xid, const struct map_chunk **ret_awaited,
                     struct error *err) {
    bool entered = true;
    *ret_awaited = NULL;
    pthread_mutex_lock(&map->lock);
    for (size_t i = 0; i < map->reader_count && *ret_awaited == NULL; i++) {
        const struct map_chunk *reader = map->readers[i];
        if (!xid_snapshot_sees(reader->is_repeated ? &reader->repeat : &reader->snapshot, xid))
            *ret_awaited = reader;
    }
    if (*ret_awaited == NULL && !xid_snapshot_sees(&map->latest, xid))
        entered = add_seen(map, xid, err);
    pthread_mutex_unlock(&map->lock);
    return entered;
}

/* It has work again, so the end of the copy is not known any more. */
static void uncount(struct chunk_map *map, struct map_chunk *chunk) {
    chunk->is_held = true;
    chunk->is_kept = false;
    chunk->is_done = false;
    map->copied_count--;
    table_of(map, chunk)->copied_count--;
    map->end_is_stale = map->end_is_asked && map->end_lsn == 0;
    map->end_is_asked = map->end_is_stale;
    map->end_lsn = 0;
}

bool chunk_map_is_copied(struct chunk_map *map, const struct map_chunk *chunk) {
    pthread_mutex_lock(&map->lock);
    const bool has_rows = chunk->state == MAP_CHUNK_COPIED;
    pthread_mutex_unlock(&map->lock);
    return has_rows;
}

bool chunk_map_repeat(struct chunk_map *map, struct map_chunk *chunk) {
    pthread_mutex_lock(&map->lock);
    assert(map->is_relayed && chunk->state == MAP_CHUNK_COPIED);
    const bool is_new = !chunk->is_repeated;
    if (is_new) {
        chunk->is_repeated = true;
        uncount(map, chunk);
    }
    pthread_mutex_unlock(&map->lock);
    return is_new;
}

void chunk_map_reset(struct chunk_map *map, struct map_chunk *chunk) {
    pthread_mutex_lock(&map->lock);
    assert(chunk->state == MAP_CHUNK_COPIED);
    chunk->state = MAP_CHUNK_WAITING;
    chunk->is_dirty = true;
    uncount(map, chunk);
    pthread_mutex_unlock(&map->lock);
}

static const struct map_chunk *find_read(const struct chunk_map *map, const struct map_table *table) {
    for (size_t i = table->first; i < table->first + table->count; i++)
        if (map->chunks[i].state == MAP_CHUNK_READING)
            return &map->chunks[i];
    return NULL;
}

static void empty_locked(struct chunk_map *map, struct map_table *table) {
    for (size_t i = table->first; i < table->first + table->count; i++) {
        map->chunks[i].state = MAP_CHUNK_WAITING;
        map->chunks[i].is_dirty = false;
        map->chunks[i].is_held = true;
        map->chunks[i].is_kept = false;
    }
    map->copied_count -= table->copied_count;
    table->copied_count = 0;
    map->end_lsn = 0;
    map->end_is_asked = false;
}

const struct map_chunk *chunk_map_empty(struct chunk_map *map, const struct map_table *table) {
    pthread_mutex_lock(&map->lock);
    const struct map_chunk *read = find_read(map, table);
    if (read == NULL)
        empty_locked(map, table_of(map, &map->chunks[table->first]));
    pthread_mutex_unlock(&map->lock);
    return read;
}

void chunk_map_release_table(struct chunk_map *map, struct map_chunk *chunk) {
    const struct map_table *table = table_of(map, chunk);
    pthread_mutex_lock(&map->lock);
    for (size_t i = table->first; i < table->first + table->count; i++)
        map->chunks[i].is_held = false;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

void chunk_map_release_held(struct chunk_map *map, struct map_chunk *chunk) {
    pthread_mutex_lock(&map->lock);
    assert(chunk->is_held);
    chunk->is_held = false;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

bool chunk_map_wait(struct chunk_map *map, const struct map_chunk *chunk, int timeout_ms) {
    const struct timespec until = clock_deadline(timeout_ms);
    int failure = 0;
    pthread_mutex_lock(&map->lock);
    while (map_chunk_is_being_read(chunk) && !map->is_closed && failure == 0)
        failure = pthread_cond_timedwait(&map->changed, &map->lock, &until);
    const bool ended = !map_chunk_is_being_read(chunk);
    pthread_mutex_unlock(&map->lock);
    return ended;
}

bool chunk_map_failed(struct chunk_map *map, struct error *err) {
    pthread_mutex_lock(&map->lock);
    const bool has_failed = map->error.kind != ERROR_NONE;
    if (has_failed)
        *err = map->error;
    pthread_mutex_unlock(&map->lock);
    return has_failed;
}

lsn_t chunk_map_end_lsn(struct chunk_map *map) {
    pthread_mutex_lock(&map->lock);
    const lsn_t end_lsn = map->end_lsn;
    pthread_mutex_unlock(&map->lock);
    return end_lsn;
}

uint64_t chunk_map_seen_below(struct chunk_map *map) {
    pthread_mutex_lock(&map->lock);
    const uint64_t seen_below = map->latest.xmin;
    pthread_mutex_unlock(&map->lock);
    return seen_below;
}

struct map_chunk *chunk_map_find(struct chunk_map *map, uint32_t id) {
    size_t i = 0;
    while (i < map->count && map->chunks[i].chunk.id != id)
        i++;
    assert(i < map->count);
    return &map->chunks[i];
}

uint32_t chunk_map_last_id(const struct chunk_map *map) {
    uint32_t last = 0;
    for (size_t i = 0; i < map->count; i++)
        last = map->chunks[i].chunk.id > last ? map->chunks[i].chunk.id : last;
    return last;
}

void chunk_map_close(struct chunk_map *map) {
    pthread_mutex_lock(&map->lock);
    map->is_closed = true;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}
