/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_map_work.c - the copiers' side of the map: which chunk is next, and how it becomes copied.
 */
#include <assert.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/copy/chunk_map.h"

enum { PUT_OFF_MS = 5000 };

static bool is_work(const struct chunk_map *map, const struct map_chunk *chunk) {
    if (chunk->is_taken || chunk->is_held)
        return false;
    if (!map_table_is_shared(chunk->table))
        return chunk->state == MAP_CHUNK_WAITING || chunk->is_repeated;
    return chunk->state == MAP_CHUNK_WAITING ? chunk == &map->chunks[chunk->table->first]
                                             : chunk->table->is_open && !chunk->is_done;
}

/* A shared table that was begun goes first, so that its snapshot is short; one that is locked goes last. */
static struct map_chunk *find_waiting(struct chunk_map *map) {
    const int64_t now_ms = clock_now_ms();
    struct map_chunk *found = NULL, *put_off = NULL;
    for (size_t i = 0; i < map->count; i++) {
        struct map_chunk *chunk = &map->chunks[i];
        if (!is_work(map, chunk))
            continue;
        if (chunk->table->is_open)
            return chunk;
        struct map_chunk **place = chunk->table->put_off_until_ms > now_ms ? &put_off : &found;
        *place = *place != NULL ? *place : chunk;
    }
    return found != NULL ? found : put_off;
}

static enum map_work find_work(struct chunk_map *map, struct map_chunk **ret_chunk) {
    if (map->is_closed)
        return MAP_WORK_NONE;
    *ret_chunk = find_waiting(map);
    if (*ret_chunk != NULL) {
        (*ret_chunk)->is_taken = true;
        return MAP_WORK_CHUNK;
    }
    if (map->copied_count < map->count || map->end_is_asked)
        return MAP_WORK_NONE;
    map->end_is_asked = true;
    return MAP_WORK_END;
}

enum map_work chunk_map_take(struct chunk_map *map, struct map_chunk **ret_chunk) {
    enum map_work work;
    pthread_mutex_lock(&map->lock);
    while ((work = find_work(map, ret_chunk)) == MAP_WORK_NONE && !map->is_closed)
        pthread_cond_wait(&map->changed, &map->lock);
    pthread_mutex_unlock(&map->lock);
    return work;
}

static bool sees_all(const struct chunk_map *map, const struct xid_snapshot *snapshot) {
    if (!xid_snapshot_covers(snapshot, &map->latest))
        return false;
    for (size_t i = 0; i < map->seen_count; i++)
        if (!xid_snapshot_sees(snapshot, map->seen[i]))
            return false;
    return true;
}

static bool set_snapshot(struct map_chunk *chunk, const struct xid_snapshot *snapshot, struct error *err) {
    if (chunk->is_repeated)
        return xid_snapshot_copy(snapshot, &chunk->repeat) ? true : error_no_memory(err);
    xid_snapshot_release(&chunk->snapshot);
    chunk->state = MAP_CHUNK_READING;
    chunk->is_done = false;
    atomic_store(&chunk->rows, 0);
    atomic_store(&chunk->bytes, 0);
    return xid_snapshot_copy(snapshot, &chunk->snapshot) ? true : error_no_memory(err);
}

/* Each snapshot that is accepted later must cover this one. What it sees need not be remembered. */
static bool set_latest(struct chunk_map *map, const struct xid_snapshot *snapshot, struct error *err) {
    struct xid_snapshot latest;
    size_t left = 0;
    if (!xid_snapshot_copy(snapshot, &latest))
        return error_no_memory(err);
    xid_snapshot_release(&map->latest);
    map->latest = latest;
    for (size_t i = 0; i < map->seen_count; i++)
        if (!xid_snapshot_sees(&latest, map->seen[i]))
            map->seen[left++] = map->seen[i];
    map->seen_count = left;
    if (latest.xmax > map->known_xid)
        map->known_xid = latest.xmax;
    return true;
}

/* The snapshot sees all of map->seen. */
static bool accept(struct chunk_map *map, struct map_chunk *chunk, const struct xid_snapshot *snapshot,
                   struct error *err) {
    const size_t count = map_table_is_shared(chunk->table) ? chunk->table->count : 1;
    if (!set_latest(map, snapshot, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!set_snapshot(chunk + i, snapshot, err))
            return false;
    if (map->is_relayed) {
        assert(map->reader_count < MAP_READERS_MAX);
        map->readers[map->reader_count++] = chunk;
    }
    return true;
}

bool chunk_map_accept(struct chunk_map *map, struct map_chunk *chunk, const struct xid_snapshot *snapshot,
                      bool *ret_accepted, struct error *err) {
    pthread_mutex_lock(&map->lock);
    assert((chunk->state == MAP_CHUNK_WAITING || chunk->is_repeated) && chunk->is_taken);
    *ret_accepted = !chunk->is_held && sees_all(map, snapshot);
    bool good = true;
    if (*ret_accepted)
        good = accept(map, chunk, snapshot, err);
    else if (map->is_relayed && xid_snapshot_covers(snapshot, &map->latest))
        good = set_latest(map, snapshot, err); /* every transaction is in seen, so keep it short */
    pthread_mutex_unlock(&map->lock);
    return good;
}

void chunk_map_open(struct chunk_map *map, struct map_chunk *first) {
    pthread_mutex_lock(&map->lock);
    assert(first->state == MAP_CHUNK_READING && map_table_is_shared(first->table));
    first->is_taken = false;
    first->table->is_open = true;
    first->table->ending_count = 0;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

bool chunk_map_put_off(struct chunk_map *map, struct map_chunk *chunk) {
    const int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&map->lock);
    assert(chunk->is_taken && !map_chunk_is_being_read(chunk));
    const bool was_put_off = chunk->table->put_off_until_ms > now_ms;
    chunk->is_taken = false;
    chunk->table->put_off_until_ms = now_ms + PUT_OFF_MS;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
    return was_put_off;
}

bool chunk_map_find_last(struct chunk_map *map, struct map_chunk *chunk, bool *ret_last, struct error *err) {
    struct map_table *table = chunk->table;
    pthread_mutex_lock(&map->lock);
    assert(table->is_open && table->ending_count < table->count);
    *ret_last = ++table->ending_count == table->count;
    while (*ret_last && table->copied_count < table->count - 1 && !map->is_closed)
        pthread_cond_wait(&map->changed, &map->lock);
    const bool are_copied = !*ret_last || table->copied_count == table->count - 1;
    pthread_mutex_unlock(&map->lock);
    return are_copied || error_set(err, ERROR_STOPPED, "stopped");
}

void chunk_map_note_emptied(struct chunk_map *map, struct map_chunk *first) {
    pthread_mutex_lock(&map->lock);
    first->is_dirty = false;
    pthread_mutex_unlock(&map->lock);
}

static void forget_reader(struct chunk_map *map, const struct map_chunk *chunk) {
    size_t i = 0;
    while (i < map->reader_count && map->readers[i] != chunk)
        i++;
    if (i < map->reader_count)
        map->readers[i] = map->readers[--map->reader_count];
}

static void end_locked(struct chunk_map *map, struct map_chunk *chunk, bool is_last) {
    struct map_table *table = chunk->table;
    chunk->is_taken = false;
    chunk->is_dirty = false;
    chunk->is_done = true;
    chunk->is_repeated = false;
    xid_snapshot_release(&chunk->repeat);
    chunk->repeat = (struct xid_snapshot){0};
    forget_reader(map, chunk);
    if (!map_table_is_shared(table))
        chunk->state = MAP_CHUNK_COPIED;
    else if (is_last)
        for (size_t i = 0; i < table->count; i++)
            map->chunks[table->first + i].state = MAP_CHUNK_COPIED;
    /* a copier that reads it without the lock has a chunk that is not done, so this is not the last */
    if (is_last)
        table->is_open = false;
}

bool chunk_map_end(struct chunk_map *map, struct map_chunk *chunk) {
    pthread_mutex_lock(&map->lock);
    assert(map_chunk_is_being_read(chunk));
    map->copied_count++;
    const bool is_last = ++chunk->table->copied_count == chunk->table->count;
    end_locked(map, chunk, is_last);
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
    return is_last;
}

void chunk_map_set_end(struct chunk_map *map, lsn_t end_lsn) {
    pthread_mutex_lock(&map->lock);
    assert(map->end_is_asked && map->end_lsn == 0);
    if (!map->end_is_stale)
        map->end_lsn = end_lsn;
    map->end_is_asked = !map->end_is_stale;
    map->end_is_stale = false;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}

void chunk_map_fail(struct chunk_map *map, const struct error *error) {
    pthread_mutex_lock(&map->lock);
    if (map->error.kind == ERROR_NONE && !map->is_closed)
        map->error = *error;
    map->is_closed = true;
    pthread_cond_broadcast(&map->changed);
    pthread_mutex_unlock(&map->lock);
}
