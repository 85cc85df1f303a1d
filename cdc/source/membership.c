/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.c - asks the catalog, and alters the publication.
 */
#include "cdc/source/membership.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/pq/identifier.h"
#include "cdc/source/publication.h"

#define SQL_BYTES_MAX 65536u

/* A partition is sent as its root when the root is published. */
static const char SQL[] =
    "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence,"
    " exists (select from pg_catalog.unnest($2::name[]) p, lateral"
    "  pg_catalog.pg_get_publication_tables(p::text) t where t.relid = c.oid),"
    " exists (select from pg_catalog.pg_publication where pubname = any ($2::name[]) and puballtables)%s,"
    " pg_catalog.array_length($2::name[], 1) = 1 and coalesce((select pg_catalog.obj_description(oid,"
    "  'pg_publication') = '" PUBLICATION_MARK "' from pg_catalog.pg_publication where pubname = any"
    "  ($2::name[])), false), c.relispartition"
    " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " where c.oid = pg_catalog.to_regclass($1)";

static const char OF_SCHEMA[] =
    " or exists (select from pg_catalog.pg_publication_namespace s join pg_catalog.pg_publication b"
    " on b.oid = s.pnpubid where b.pubname = any ($2::name[]) and s.pnnspid = c.relnamespace)";

static bool refuse_kind(const char *name, const PGresult *result, struct error *err) {
    const char kind = PQgetvalue(result, 0, 3)[0];
    if (kind != 'r' && kind != 'p')
        return error_set(err, ERROR_CONFIG, "%s is not a table, and only tables are replicated", name);
    if (PQgetvalue(result, 0, 4)[0] != 'p')
        return error_set(err, ERROR_CONFIG,
                         "table %s is unlogged or temporary, so PostgreSQL does not replicate it", name);
    return true;
}

bool membership_read(struct session *source, const struct source_config *config, const char *name,
                     struct arena *arena, struct membership *ret_membership, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char sql[2048];
    const char *const values[] = {name, config->publication_array};
    snprintf(sql, sizeof sql, SQL, source->server_version >= 150000 ? OF_SCHEMA : "");
    if (!session_query(source, sql, 2, values,
                       &(const struct result_shape){"the query for a table", 0, 1, 9, 0}, &result, err)) {
        if (strcmp(err->sqlstate, "42602") != 0 && strcmp(err->sqlstate, "42601") != 0)
            return false;
        return error_set(err, ERROR_CONFIG, "%s is not a table's name: schema.table, as in SQL", name);
    }
    if (PQntuples(result) == 0) {
        error_set(err, ERROR_CONFIG, "the source has no table %s", name);
        return error_remedy(err, "give schema.table as in SQL, with double quotes where a name needs them");
    }
    *ret_membership = (struct membership){.oid = (oid_t) strtoul(PQgetvalue(result, 0, 0), NULL, 10),
                                          .schema = arena_copy(arena, slice_of(PQgetvalue(result, 0, 1))),
                                          .name = arena_copy(arena, slice_of(PQgetvalue(result, 0, 2))),
                                          .is_published = PQgetvalue(result, 0, 5)[0] == 't',
                                          .is_for_all = PQgetvalue(result, 0, 6)[0] == 't',
                                          .is_ours = PQgetvalue(result, 0, 7)[0] == 't'};
    if (ret_membership->schema == NULL || ret_membership->name == NULL)
        return error_no_memory(err);
    return refuse_kind(name, result, err);
}

void membership_append_sql(struct buffer *sql, const struct source_config *config,
                           const struct membership *membership, bool adds) {
    buffer_append_text(sql, "alter publication ");
    identifier_append(sql, slice_of(config->publications[0]));
    buffer_append_text(sql, adds ? " add table " : " drop table ");
    identifier_append_qualified(sql, slice_of(membership->schema), slice_of(membership->name));
}

bool membership_change(struct session *source, const struct source_config *config,
                       const struct membership *membership, bool adds, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    membership_append_sql(&sql, config, membership, adds);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (session_execute(source, sql.data, err))
        return true;
    if (strcmp(err->sqlstate, "42501") == 0)
        return error_remedy(err, "let the owner of the publication and the table run: %.800s", sql.data);
    return false;
}
