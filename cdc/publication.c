/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.c - CREATE PUBLICATION for what the configuration names.
 *
 * A pattern is expanded to the tables that match now; a table created later has to be added to the publication.
 * FOR ALL TABLES and FOR TABLES IN SCHEMA would follow by themselves but need a superuser.
 */
#include "cdc/publication.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX (64u * 1024 * 1024)

bool publication_exists(struct session *source, const char *publication, bool *ret_exists,
                        struct error *err) {
    const char *parameters[] = {publication};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, "select from pg_catalog.pg_publication where pubname = $1", 1, parameters,
                       &result, err))
        return false;
    *ret_exists = PQntuples(result) == 1;
    return true;
}

static bool is_wanted(const struct source_config *config, const char *schema, const char *name) {
    for (size_t i = 0; i < config->table_count; i++)
        if (table_pattern_matches(&config->tables[i], schema, name))
            return true;
    return false;
}

/* Leaves of a partition tree go through their root; temporary, unlogged and system tables cannot be published. */
static bool append_tables(struct session *source, const struct source_config *config, struct buffer *sql,
                          struct error *err) {
    static const char SQL[] =
        "select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition"
        " and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast' order by 1, 2";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, SQL, 0, NULL, &result, err))
        return false;
    int count = 0;
    for (int row = 0; row < PQntuples(result); row++) {
        const char *schema = PQgetvalue(result, row, 0);
        const char *name = PQgetvalue(result, row, 1);
        if (!is_wanted(config, schema, name))
            continue;
        buffer_append_text(sql, count++ == 0 ? " for table " : ", ");
        identifier_append_qualified(sql, slice_of(schema), slice_of(name));
    }
    return count > 0 ? true : error_set(err, ERROR_CONFIG, "source.tables: no table of the source matches");
}

static bool build(struct session *source, const struct source_config *config, struct buffer *sql,
                  struct error *err) {
    buffer_append_text(sql, "create publication ");
    identifier_append(sql, slice_of(config->publication));
    if (config->table_count == 0)
        buffer_append_text(sql, " for all tables");
    else if (!append_tables(source, config, sql, err))
        return false;
    buffer_append_text(sql, " with (publish_via_partition_root = true)");
    return buffer_text(sql) != NULL ? true : error_no_memory(err);
}

static bool mark(struct session *source, const char *publication, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 4096};
    buffer_append_text(&sql, "comment on publication ");
    identifier_append(&sql, slice_of(publication));
    buffer_append_text(&sql, " is '" PUBLICATION_MARK "'");
    return buffer_text(&sql) != NULL ? session_execute(source, sql.data, err) : error_no_memory(err);
}

/* One transaction: a publication without its mark would never be dropped. */
static bool create(struct session *source, const struct source_config *config, const char *sql,
                   struct error *err) {
    struct error ignored;
    if (session_execute(source, "begin", err) && session_execute(source, sql, err) &&
        mark(source, config->publication, err) && session_execute(source, "commit", err)) {
        FAULT_POINT("publication-created");
        return true;
    }
    if (err->kind != ERROR_RETRY && !session_execute(source, "rollback", &ignored))
        return false;
    return false;
}

bool publication_ensure(struct session *source, const struct source_config *config, bool *ret_created,
                        struct error *err) {
    bool exists = false;
    if (!publication_exists(source, config->publication, &exists, err))
        return false;
    if (ret_created != NULL)
        *ret_created = !exists;
    if (exists)
        return true;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!build(source, config, &sql, err))
        return false;
    if (create(source, config, sql.data, err))
        return true;
    if (strcmp(err->sqlstate, "42501") == 0)
        error_wrap(
            err,
            "publication %s is missing and this role may not create it; let the tables' owner (a superuser for all "
            "tables) run: %.1200s;",
            config->publication, sql.data);
    return false;
}
