/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier_share.c - one snapshot for all chunks of a table.
 */
#include "cdc/copy/copier_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct copier_share *copier_share_of(const struct copier *copier) {
    return &copier->copiers->shares[copier->chunk->table - copier->copiers->map->tables];
}

bool copier_export_snapshot(struct copier *copier, struct copier_share *share, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&copier->source, "select pg_catalog.pg_export_snapshot()", 0, NULL,
                       &(const struct result_shape){"the export of a snapshot", 1, 1, 1, 0}, &result, err))
        return false;
    if (snprintf(share->name, sizeof share->name, "%s", PQgetvalue(result, 0, 0)) >= (int) sizeof share->name)
        return error_set(err, ERROR_PROTOCOL, "source: the name of an exported snapshot is too long");
    share->holder = copier->source; /* idle from now on, with the lock on the table */
    copier->source = (struct session){0};
    return copier_open_source(copier, err);
}

/* The import is proved. The holder's lock is on the table, so its definition is the one that was checked. */
bool copier_import_snapshot(struct copier *copier, struct error *err) {
    const struct copier_share *share = copier_share_of(copier);
    struct xid_snapshot snapshot = {0};
    char sql[128];
    snprintf(sql, sizeof sql, "set transaction snapshot '%s'", share->name);
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err))
        return false;
    if (share->name[0] != '\0' && !session_execute(&copier->source, sql, err)) {
        err->kind = ERROR_RETRY; /* the holder's session has ended */
        return false;
    }
    if (!copier_read_snapshot(copier, &snapshot, err))
        return false;
    xid_snapshot_release(&snapshot);
    if (share->name[0] != '\0' && strcmp(copier->snapshot, share->snapshot) != 0)
        return error_set(err, ERROR_RETRY, "source: the snapshot of table %s.%s was not imported",
                         copier->chunk->chunk.schema, copier->chunk->chunk.table);
    free(copier->snapshot);
    copier->snapshot = strdup(share->snapshot);
    copier->read_lsn = share->read_lsn;
    copier->read_ms = share->read_ms;
    return copier->snapshot != NULL ? true : error_no_memory(err);
}
