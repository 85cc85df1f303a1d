/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier_columns.c - waits until the sink's table has the columns of the source's.
 */
#include "cdc/copy/copier_work.h"

#include "cdc/source/catalog_columns.h"

enum { BLOCK_BYTES = 16 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 16 << 20)

/*
 * What the table's columns are at read_lsn. No transaction that alters the table is open, since it is locked,
 * and each that altered it before has its commit in the WAL that is flushed.
 */
static bool read_columns(struct copier *copier, const struct copier_table *known, struct arena *arena,
                         struct catalog_tables *ret_columns, struct error *err) {
    const char *slot = copier->copiers->config->source.slot;
    struct xid_snapshot snapshot = {0};
    lsn_t lsn = 0;
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err) ||
        !copier_lock_table(copier, known->table, err) || !copier_read_snapshot(copier, &snapshot, err))
        return false;
    xid_snapshot_release(&snapshot);
    return copier_check_definition(copier, known, err) &&
           catalog_columns_read(&copier->source, slot, known->table->oid, arena, ret_columns, &lsn, err) &&
           copier_wait_flushed(copier, err) && copier_read_flush_lsn(copier, &copier->read_lsn, err) &&
           session_execute(&copier->source, "rollback", err);
}

/* *ret_asked: the runner tells the sink. False: the sink does not follow this table. */
static bool ask_columns(struct copier *copier, const struct copier_table *known, bool *ret_asked,
                        struct error *err) {
    struct awaited_columns *awaited = copier->copiers->awaited;
    struct catalog_tables columns = {0};
    struct arena arena AUTO(arena_release);
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    *ret_asked = true;
    if (awaited_columns_has(awaited, known->table->oid))
        return true;
    if (!read_columns(copier, known, &arena, &columns, err))
        return false;
    *ret_asked = columns.count == 1 && !columns.tables[0].sends_part;
    if (!*ret_asked)
        return true;
    if (!awaited_columns_add(awaited, known->table, &columns.tables[0],
                             copier_record_end(copier, copier->read_lsn), err))
        return false;
    copier->copiers->wake(copier->copiers->context);
    return true;
}

/* Rows are read while the sink's table has the columns that the source's has. */
bool copier_check_columns(struct copier *copier, const struct copier_table *known, struct error *err) {
    const struct sink_chunk_ops *ops = copier->sink->ops->chunk;
    enum sink_columns answer = COLUMNS_FIT;
    bool asked = false;
    if (copier->copiers->awaited == NULL)
        return true;
    if (!ops->has_columns(copier->sink, known->table, &answer, err))
        return false;
    /* what was told and is not known then is no table for the sink, which says so */
    if (answer == COLUMNS_FIT ||
        (answer == COLUMNS_UNKNOWN && awaited_columns_is_told(copier->copiers->awaited, known->table->oid)))
        return true;
    if (!ask_columns(copier, known, &asked, err))
        return false;
    copier->awaits = asked;
    return !asked || error_set(err, ERROR_RETRY, "the sink's table %s.%s has other columns",
                               known->table->schema, known->table->name);
}
