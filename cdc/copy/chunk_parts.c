/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_parts.c - a constraint that contains the key's first column is never broken: a chunk has all rows of
 * a range of it.
 */
#include "cdc/copy/chunk_parts.h"

#include <stdio.h>

enum { OID_TEXT_MAX = 16 };

static const char *key_of(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].key_index == 1)
            return table->columns[i].name;
    return NULL;
}

static bool find_constraint(struct session *source, struct table *table, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_index i where i.indrelid = $1 and (i.indisunique or i.indisexclusion)"
        " and not exists (select from pg_catalog.pg_attribute a where a.attrelid = i.indrelid"
        " and a.attname = $2 and a.attnum = any (i.indkey)) limit 1";
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[OID_TEXT_MAX];
    const char *const values[] = {oid, key_of(table)};
    snprintf(oid, sizeof oid, "%u", table->oid);
    if (values[1] == NULL)
        return true;
    if (!session_query(source, SQL, 2, values,
                       &(const struct result_shape){"the query for constraints", 0, 1, 0, 0}, &result, err))
        return false;
    table->sink_takes_parts = PQntuples(result) == 0;
    return true;
}

bool chunk_parts_find(struct session *source, const struct sink *sink, struct table *tables, size_t count,
                      struct error *err) {
    for (size_t i = 0; i < count; i++) {
        tables[i].sink_takes_parts = true;
        if (sink_has_rows(sink->ops) && !find_constraint(source, &tables[i], err))
            return false;
    }
    return true;
}
