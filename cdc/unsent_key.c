/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsent_key.c - asks the catalog for keys with generated columns.
 */
#include "cdc/unsent_key.h"

#include <limits.h>
#include <stdlib.h>

#include "cdc/pq/result.h"

static const char GENERATED[] =
    "select c.oid from pg_class c join pg_index i on i.indrelid = c.oid"
    " where case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end"
    " and exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated <> ''"
    "  and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))";

bool unsent_key_read(struct session *source, struct arena *arena, struct oid_list *ret_oids,
                     struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    static const struct result_shape SHAPE = {
        "source", "the query for keys with generated columns", 0, INT_MAX, 1, 0};
    *ret_oids = (struct oid_list){0};
    if (source->server_version >= 180000)
        return true;
    if (!session_query(source, GENERATED, 0, NULL, &rows, err) || !result_check(rows, &SHAPE, err))
        return error_wrap(err, "reading the keys with generated columns");
    size_t count = (size_t) PQntuples(rows);
    oid_t *oids = arena_alloc(arena, (count + 1) * sizeof *oids);
    if (oids == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        oids[i] = (oid_t) strtoul(PQgetvalue(rows, (int) i, 0), NULL, 10);
    *ret_oids = (struct oid_list){.oids = oids, .count = count};
    return true;
}
