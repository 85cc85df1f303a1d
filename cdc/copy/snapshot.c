/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.c - imports the snapshot, locks the tables, copies one after the other.
 *
 * Locks protect against what MVCC does not: TRUNCATE, and an ALTER TABLE that rewrites, make a table look
 * empty to an older snapshot, and a rewrite sends nothing to the slot. So every table is locked against both
 * (ACCESS SHARE) before the first row is read. A rewrite between the slot's creation and the lock is detected
 * by the table's file: the snapshot still has the previous one. The copy then starts over with a new slot.
 */
#include "cdc/copy/snapshot.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/amount.h"
#include "cdc/base/arena.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/copy/chunk_map.h"
#include "cdc/copy/copy_order.h"
#include "cdc/copy/empty_tables.h"
#include "cdc/copy/held.h"
#include "cdc/copy/pin.h"
#include "cdc/copy/snapshot_table.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/catalog.h"
#include "cdc/source/own_tables.h"
#include "cdc/source/source.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    CATALOG_BYTES_MAX = 512 * 1024 * 1024,
    SQL_BYTES_MAX = 64 * 1024 * 1024,
};

struct snapshot {
    struct session source;
    struct arena arena;
    struct table_list list;
    struct pin pin;
    struct snapshot_move move;
};

static void snapshot_release(struct snapshot *snapshot) {
    session_close(&snapshot->source);
    arena_release(&snapshot->arena);
    pin_release(&snapshot->pin);
    copy_bytes_release(&snapshot->move.bytes);
    snapshot_rows_free(snapshot->move.rows);
    heap_trim(); /* a large catalog's memory is not needed again */
}

/* ---- the tables ---- */

static void append_names(struct buffer *sql, const struct table_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct table *table = &list->tables[i];
        buffer_append_text(sql, i > 0 ? ", " : "");
        buffer_append_text(sql, table->kind == 'p' ? "" : "only ");
        identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    }
}

static bool lock_tables(struct snapshot *snapshot, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "lock table ");
    append_names(&sql, &snapshot->list);
    buffer_append_text(&sql, " in access share mode");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (session_execute(&snapshot->source, sql.data, err))
        return true;
    if (strcmp(err->sqlstate, "42P01") == 0) /* dropped or renamed since the slot was created */
        err->kind = ERROR_RETRY;
    if (strcmp(err->sqlstate, "53200") == 0) { /* a retry does not make room for the locks */
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "locking %s; raise max_locks_per_transaction on the source",
                          amount_count(snapshot->list.count, "table").text);
    }
    if (strcmp(err->sqlstate, "42501") == 0)
        return false; /* a right that is missing at the source has nothing to do with locking */
    return error_wrap(err, "locking the published tables against DDL");
}

static bool append_oids(struct buffer *oids, const struct table_list *list) {
    buffer_append_text(oids, "{");
    for (size_t i = 0; i < list->count; i++)
        buffer_printf(oids, i > 0 ? ",%u" : "%u", list->tables[i].oid);
    buffer_append_text(oids, "}");
    return buffer_text(oids) != NULL;
}

static bool find_changed(struct snapshot *snapshot, const char *sql, const char *publications,
                         const char *what, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!append_oids(&oids, &snapshot->list))
        return error_no_memory(err);
    const char *const parameters[] = {oids.data, publications};
    if (!session_query(&snapshot->source, sql, publications != NULL ? 2 : 1, parameters,
                       &(const struct result_shape){"the query for changed tables", 0, 1, 1, 0}, &result,
                       err))
        return false;
    if (PQntuples(result) == 0)
        return true;
    return error_set(
        err, ERROR_RETRY,
        "table %s was %s since the slot was created, so the copy must start over with a new slot",
        PQgetvalue(result, 0, 0), what);
}

/*
 * pg_class is read in the snapshot; pg_relation_filenode, to_regclass and pg_get_publication_tables answer
 * for now.
 */
static bool check_unchanged(struct snapshot *snapshot, const char *publications, struct error *err) {
    static const char REWRITTEN[] =
        "select c.oid::regclass from unnest($1::oid[]) t (oid) cross join lateral"
        " (select t.oid union select p.relid from pg_partition_tree(t.oid) p) part (oid)"
        " join pg_class c on c.oid = part.oid join pg_namespace n on n.oid = c.relnamespace"
        " where (c.relfilenode <> 0 and c.relfilenode is distinct from pg_relation_filenode(c.oid))"
        " or to_regclass(format('%I.%I', n.nspname, c.relname)) is distinct from c.oid limit 1";
    static const char PUBLISHED[] =
        "select t.relid::regclass from unnest($2::name[]) named,"
        " lateral pg_get_publication_tables(named::text) t"
        " where not t.relid = any($1::oid[]) and not exists (select from"
        "  pg_partition_ancestors(t.relid) a where a.relid = any($1::oid[])) and not exists (select from "
        "pg_class c"
        "  join pg_namespace n on n.oid = c.relnamespace where c.oid = t.relid and " IS_OWN_TABLE(
            "n", "c") ") limit 1";
    return find_changed(snapshot, REWRITTEN, NULL, "rewritten, truncated or replaced", err) &&
           find_changed(snapshot, PUBLISHED, publications, "created or published", err);
}

static void announce(const struct table_list *list, struct snapshot_progress *progress) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += list->tables[i].bytes_estimate;
    atomic_store(&progress->bytes_estimate, bytes);
    atomic_store(&progress->table_count, (unsigned int) list->count);
}

static bool snapshot_prepare(struct snapshot *snapshot, const struct config *config,
                             const char *snapshot_name, const atomic_bool *stop, struct error *err) {
    const char *publications = config->source.publication_array;
    struct table_list by_name;
    if (!source_open(&snapshot->source, &config->source, stop, err) ||
        (snapshot->move.sink->ops->takes_bytes && !session_take_bytes(&snapshot->source, err)) ||
        !pin_import(&snapshot->pin, snapshot_name, err) ||
        !catalog_read_tables(&snapshot->source, publications, &snapshot->arena, &by_name, err) ||
        !copy_order(&snapshot->source, &by_name, &snapshot->arena, &snapshot->list, err))
        return false;
    if (snapshot->list.count > 0 && !lock_tables(snapshot, err))
        return false;
    return check_unchanged(snapshot, publications, err);
}

/* ---- progress ---- */

struct chunk_map *snapshot_progress_share(struct snapshot_progress *progress) {
    pthread_mutex_lock(&progress->map_lock);
    struct chunk_map *map = progress->map != NULL ? chunk_map_share(progress->map) : NULL;
    pthread_mutex_unlock(&progress->map_lock);
    return map;
}

void snapshot_progress_name(struct snapshot_progress *progress, const struct table *table) {
    union {
        char text[SNAPSHOT_TABLE_MAX];
        unsigned long long words[SNAPSHOT_TABLE_MAX / sizeof(unsigned long long)];
    } name = {0};
    char raw[SNAPSHOT_TABLE_MAX];
    /* the name is displayed on a terminal */
    if (table != NULL) {
        snprintf(raw, sizeof raw, "%s.%s", table->schema, table->name);
        visible_write(name.text, sizeof name.text, slice_of(raw));
    }
    for (size_t i = 0; i < sizeof name.words / sizeof name.words[0]; i++)
        atomic_store_explicit(&progress->table[i], name.words[i], memory_order_relaxed);
}

void snapshot_progress_table(const struct snapshot_progress *progress, char ret_table[SNAPSHOT_TABLE_MAX]) {
    for (size_t i = 0; i < SNAPSHOT_TABLE_MAX / sizeof(unsigned long long); i++) {
        unsigned long long word = atomic_load_explicit(&progress->table[i], memory_order_relaxed);
        memcpy(ret_table + i * sizeof word, &word, sizeof word);
    }
    ret_table[SNAPSHOT_TABLE_MAX - 1] = '\0';
}

/* ---- the copy ---- */

/* Asks about the next tables. */
static bool find_empty(struct snapshot *snapshot, size_t first, bool *is_empty, struct error *err) {
    const size_t left = snapshot->list.count - first;
    return empty_tables_find(&snapshot->source, snapshot->list.tables + first,
                             left < EMPTY_TABLES_MAX ? left : EMPTY_TABLES_MAX, UINT64_MAX, is_empty, err);
}

static bool move_tables(struct snapshot *snapshot, struct error *err) {
    bool is_empty[EMPTY_TABLES_MAX] = {0};
    bool asks = snapshot->move.rows == NULL;
    for (size_t i = 0; i < snapshot->list.count; i++) {
        const struct table *table = &snapshot->list.tables[i];
        if (asks && i % EMPTY_TABLES_MAX == 0 && !find_empty(snapshot, i, is_empty, err))
            return false;
        snapshot_progress_name(snapshot->move.progress, table);
        if (is_empty[i % EMPTY_TABLES_MAX])
            snapshot_skip_table(&snapshot->move, table);
        else if (!snapshot_move_table(&snapshot->move, table, err))
            return false;
        FAULT_POINT("snapshot-table-moved");
    }
    snapshot_progress_name(snapshot->move.progress, NULL);
    return pin_prove(&snapshot->pin, err);
}

/* For a sink that accepts the bytes of COPY. */
static bool copy_bytes(struct snapshot *snapshot, struct sink *sink, const struct position *position,
                       struct error *err) {
    return sink->ops->copy->begin(sink, snapshot->list.tables, snapshot->list.count, err) &&
           move_tables(snapshot, err) && sink->ops->copy->end(sink, position, err);
}

/* For any other sink: rows as changes. */
static bool copy_changes(struct snapshot *snapshot, struct sink *sink, const struct position *position,
                         struct error *err) {
    snapshot->move.rows = snapshot_rows_new(sink, position);
    if (snapshot->move.rows == NULL)
        return error_no_memory(err);
    held_tell(sink, snapshot->list.tables, snapshot->list.count);
    struct position durable = {0};
    return move_tables(snapshot, err) && sink->ops->commit(sink, position, COMMIT_DURABLE, &durable, err);
}

bool snapshot_copy(const struct config *config, const char *snapshot_name, struct sink *sink, bool text_only,
                   const struct position *position, struct snapshot_progress *progress,
                   const atomic_bool *stop, struct error *err) {
    struct snapshot snapshot AUTO(snapshot_release) = {
        .pin = {.source = &snapshot.source},
        .move = {.source = &snapshot.source, .sink = sink, .text_only = text_only, .progress = progress},
    };
    assert(position_exists(position));
    copy_bytes_init(&snapshot.move.bytes, sink);
    arena_init(&snapshot.arena, BLOCK_BYTES, CATALOG_BYTES_MAX);
    if (!snapshot_prepare(&snapshot, config, snapshot_name, stop, err))
        return false;
    announce(&snapshot.list, progress);
    FAULT_POINT("snapshot-pinned");
    return sink->ops->copy != NULL ? copy_bytes(&snapshot, sink, position, err)
                                   : copy_changes(&snapshot, sink, position, err);
}
