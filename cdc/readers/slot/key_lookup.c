/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_lookup.c - one query for one definition, or for all when many arrive together.
 */
#include "cdc/readers/slot/key_lookup.h"

#include "cdc/base/clock.h"
#include "cdc/base/cursor.h"
#include "cdc/source/catalog_columns.h"
#include "cdc/source/source.h"
#include "cdc/source/table_key.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    BYTES_MAX = 256 * 1024 * 1024,
    TOGETHER_MS = 1000, /* definitions that arrive within this time are many */
};

void key_lookup_init(struct key_lookup *lookup, const struct source_config *source, const char *slot,
                     const atomic_bool *stop, int server_version, const struct told_columns *told) {
    *lookup = (struct key_lookup){.source = source,
                                  .slot = slot,
                                  .stop = stop,
                                  .is_needed = table_keys_are_needed(server_version),
                                  .has_followers = told != NULL,
                                  .told = told};
    arena_init(&lookup->all_arena, BLOCK_BYTES, BYTES_MAX);
    arena_init(&lookup->one_arena, BLOCK_BYTES, BYTES_MAX);
}

/* What both answers show is what the first one shows. */
static bool ask_catalog(struct key_lookup *lookup, oid_t table, struct session *session,
                        struct table_keys *keys, struct catalog_tables *columns, lsn_t *ret_lsn,
                        struct error *err) {
    struct arena *arena = table != 0 ? &lookup->one_arena : &lookup->all_arena;
    lsn_t lsn = 0;
    arena_reset(arena);
    if (!source_open(session, lookup->source, lookup->stop, err) ||
        (lookup->is_needed && !table_keys_read(session, lookup->slot, table, arena, keys, ret_lsn, err)) ||
        (lookup->has_followers &&
         !catalog_columns_read(session, lookup->slot, table, arena, columns, &lsn, err)) ||
        (lookup->has_followers && lookup->told->is_on && !ddl_triggers_read(session, &lookup->triggers, err)))
        return false;
    *ret_lsn = lookup->is_needed ? *ret_lsn : lsn;
    return true;
}

/* Reads about one table, or about all when table is 0. */
static bool read_catalog(struct key_lookup *lookup, oid_t table, struct error *err) {
    struct session session = {0};
    struct table_keys keys = {0};
    struct catalog_tables columns = {0};
    lsn_t lsn = 0;
    const bool read = ask_catalog(lookup, table, &session, &keys, &columns, &lsn, err);
    session_close(&session);
    if (!read)
        return false;
    lookup->asked_ms = clock_now_ms();
    if (table != 0) {
        lookup->one = keys;
        lookup->one_columns = columns;
    } else {
        lookup->all = keys;
        lookup->all_columns = columns;
        lookup->all_lsn = lsn;
    }
    return true;
}

/* With what the triggers have told: if one was switched since, changes may have been missed. */
static struct catalog_tables with_told(struct key_lookup *lookup, const struct catalog_tables *tables,
                                       oid_t oid) {
    const struct catalog_table *now = catalog_tables_find(tables, oid);
    const struct catalog_table *then =
        lookup->has_followers ? told_columns_find(lookup->told, oid, &lookup->triggers) : NULL;
    if (now == NULL || then == NULL)
        return *tables;
    lookup->described = *now;
    lookup->described.then = then;
    return (struct catalog_tables){.tables = &lookup->described, .count = 1};
}

bool key_lookup_tell(struct key_lookup *lookup, struct decoder *decoder, lsn_t commit_lsn,
                     struct slice payload, struct error *err) {
    struct cursor cursor = cursor_over(payload);
    cursor_bytes(&cursor, 1);
    const oid_t table = cursor_u32(&cursor);
    if (!lookup->is_needed && !lookup->has_followers)
        return true;
    const bool is_known = commit_lsn != 0 && commit_lsn < lookup->all_lsn;
    const bool asks_all =
        lookup->all_lsn == 0 || table == 0 || clock_now_ms() - lookup->asked_ms < TOGETHER_MS;
    if (!is_known && !read_catalog(lookup, asks_all ? 0 : table, err))
        return false;
    const bool takes_all = is_known || asks_all;
    if (lookup->is_needed)
        decoder_set_table_keys(decoder, takes_all ? lookup->all : lookup->one);
    decoder_set_catalog(decoder,
                        with_told(lookup, takes_all ? &lookup->all_columns : &lookup->one_columns, table));
    return true;
}

void key_lookup_release(struct key_lookup *lookup) {
    arena_release(&lookup->all_arena);
    arena_release(&lookup->one_arena);
}
