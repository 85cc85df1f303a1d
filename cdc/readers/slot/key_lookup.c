/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_lookup.c - one query for one definition, or for all when many arrive together.
 */
#include "cdc/readers/slot/key_lookup.h"

#include "cdc/base/clock.h"
#include "cdc/base/cursor.h"
#include "cdc/source/source.h"
#include "cdc/source/table_key.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    BYTES_MAX = 256 * 1024 * 1024,
    TOGETHER_MS = 1000, /* definitions that arrive within this time are many */
};

void key_lookup_init(struct key_lookup *lookup, const struct source_config *source, const char *slot,
                     const atomic_bool *stop, int server_version) {
    *lookup = (struct key_lookup){
        .source = source, .slot = slot, .stop = stop, .is_needed = table_keys_are_needed(server_version)};
    arena_init(&lookup->all_arena, BLOCK_BYTES, BYTES_MAX);
    arena_init(&lookup->one_arena, BLOCK_BYTES, BYTES_MAX);
}

/* Reads the key of one table, or the keys of all when table is 0. */
static bool read_keys(struct key_lookup *lookup, oid_t table, struct error *err) {
    struct session session = {0};
    struct table_keys keys = {0};
    lsn_t lsn = 0;
    struct arena *arena = table != 0 ? &lookup->one_arena : &lookup->all_arena;
    arena_reset(arena);
    const bool read = source_open(&session, lookup->source, lookup->stop, err) &&
                      table_keys_read(&session, lookup->slot, table, arena, &keys, &lsn, err);
    session_close(&session);
    if (!read)
        return false;
    lookup->asked_ms = clock_now_ms();
    if (table != 0) {
        lookup->one = keys;
    } else {
        lookup->all = keys;
        lookup->all_lsn = lsn;
    }
    return true;
}

bool key_lookup_tell(struct key_lookup *lookup, struct decoder *decoder, lsn_t commit_lsn,
                     struct slice payload, struct error *err) {
    struct cursor cursor = cursor_over(payload);
    cursor_bytes(&cursor, 1);
    const oid_t table = cursor_u32(&cursor);
    if (!lookup->is_needed)
        return true;
    const bool is_known = commit_lsn != 0 && commit_lsn < lookup->all_lsn;
    const bool asks_all =
        lookup->all_lsn == 0 || table == 0 || clock_now_ms() - lookup->asked_ms < TOGETHER_MS;
    if (!is_known && !read_keys(lookup, asks_all ? 0 : table, err))
        return false;
    decoder_set_table_keys(decoder, is_known || asks_all ? lookup->all : lookup->one);
    return true;
}

void key_lookup_release(struct key_lookup *lookup) {
    arena_release(&lookup->all_arena);
    arena_release(&lookup->one_arena);
}
