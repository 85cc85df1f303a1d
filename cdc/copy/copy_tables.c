/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_tables.c - a tally of each map.
 */
#include "cdc/copy/copy_tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/visible.h"
#include "cdc/copy/chunk_map.h"

static void add_table(const struct chunk_tally *tally, size_t sink, struct copy_tables *tables) {
    char raw[SNAPSHOT_TABLE_MAX];
    if (tally->chunk_count == 0)
        return;
    if (tables->count == COPY_TABLES_MAX) {
        tables->more_count++;
        return;
    }
    struct copy_table *table = &tables->tables[tables->count++];
    *table = (struct copy_table){.sink = sink,
                                 .chunk_count = tally->chunk_count,
                                 .chunks_done = tally->chunks_done,
                                 .chunks_read = tally->chunks_read,
                                 .rows = tally->rows,
                                 .bytes_done = tally->bytes_done,
                                 .bytes_estimate = tally->bytes_estimate};
    snprintf(raw, sizeof raw, "%s.%s", tally->schema, tally->table);
    visible_write(table->name, sizeof table->name, slice_of(raw));
}

static void add_map(struct chunk_map *map, size_t sink, struct copy_tables *tables) {
    struct chunk_tally *tallies = calloc(map->table_count, sizeof *tallies);
    if (tallies == NULL)
        return;
    chunk_map_tally(map, tallies);
    for (size_t i = 0; i < map->table_count; i++)
        add_table(&tallies[i], sink, tables);
    free(tallies);
}

/* True: one of the copies goes on. */
static bool copy_watch_share(struct copy_watch *watch, struct snapshot_progress *const *copies,
                             size_t count) {
    bool goes_on = false;
    for (size_t i = 0; i < count && i < COPY_WATCH_MAX; i++) {
        struct chunk_map *map = snapshot_progress_share(copies[i]);
        if (map == NULL)
            continue;
        chunk_map_free(watch->maps[i]);
        watch->maps[i] = map;
        goes_on = true;
    }
    return goes_on;
}

void copy_watch_look(struct copy_watch *watch, struct snapshot_progress *const *copies, size_t count,
                     struct copy_tables *tables) {
    const bool goes_on = copy_watch_share(watch, copies, count);
    bool is_empty = true;
    for (size_t i = 0; i < COPY_WATCH_MAX; i++)
        is_empty = is_empty && watch->maps[i] == NULL;
    if (is_empty)
        return;
    tables->count = tables->more_count = 0;
    for (size_t i = 0; i < COPY_WATCH_MAX; i++)
        if (watch->maps[i] != NULL)
            add_map(watch->maps[i], i, tables);
    if (!goes_on)
        copy_watch_end(watch);
}

void copy_watch_end(struct copy_watch *watch) {
    for (size_t i = 0; i < COPY_WATCH_MAX; i++) {
        chunk_map_free(watch->maps[i]);
        watch->maps[i] = NULL;
    }
}
