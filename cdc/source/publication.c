/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publication.c - CREATE PUBLICATION for the tables that the configuration names.
 *
 * A pattern is expanded to the tables that match now; a table created later must be added to the publication.
 * FOR ALL TABLES and FOR TABLES IN SCHEMA would include it but require a superuser.
 */
#include "cdc/source/publication.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/identity.h"
#include "cdc/source/scope.h"

#define SQL_BYTES_MAX (64u * 1024 * 1024)
#define NAMES_BYTES_MAX 600 /* names in an error; further ones are counted */

bool publication_exists(struct session *source, const struct source_config *config, bool *ret_exists,
                        struct error *err) {
    static const char MISSING[] = "select from unnest($1::name[]) named"
                                  " where named not in (select pubname from pg_catalog.pg_publication)";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, MISSING, 1, &config->publication_array,
                       &(const struct result_shape){"the query for publications", 0, RESULT_ROWS_ANY, 0, 0},
                       &result, err))
        return false;
    *ret_exists = PQntuples(result) == 0;
    return true;
}

/* The tables to publish, as SQL and as the text of an array of OIDs. */
struct wanted {
    struct buffer sql;
    struct buffer oids;
};

static void wanted_release(struct wanted *wanted) {
    buffer_release(&wanted->sql);
    buffer_release(&wanted->oids);
}

/* Leaves of a partition tree are sent through their root; unlogged tables cannot be published. */
static void append_tables(const struct source_config *config, const PGresult *candidates,
                          struct wanted *wanted) {
    const char *before = " for table ";
    buffer_append_text(&wanted->oids, "{");
    for (int row = 0; row < PQntuples(candidates); row++) {
        const char *schema = PQgetvalue(candidates, row, CANDIDATE_SCHEMA);
        const char *name = PQgetvalue(candidates, row, CANDIDATE_NAME);
        if (PQgetvalue(candidates, row, CANDIDATE_PERSISTENCE)[0] == 'u' ||
            !config_takes_table(config, schema, name))
            continue;
        buffer_printf(&wanted->oids, "%s%s", wanted->oids.size > 1 ? "," : "",
                      PQgetvalue(candidates, row, CANDIDATE_OID));
        if (config->table_count == 0)
            continue;
        buffer_append_text(&wanted->sql, before);
        identifier_append_qualified(&wanted->sql, slice_of(schema), slice_of(name));
        before = ", ";
    }
    buffer_append_text(&wanted->oids, "}");
}

static bool build(struct session *source, const struct source_config *config, struct wanted *wanted,
                  struct error *err) {
    PGresult *candidates AUTO_PGRESULT = NULL;
    if (!scope_read_candidates(source, config, &candidates, err) ||
        !scope_check_patterns(config, candidates, err))
        return false;
    buffer_append_text(&wanted->sql, "create publication ");
    identifier_append(&wanted->sql, slice_of(config->publications[0]));
    append_tables(config, candidates, wanted);
    buffer_append_text(&wanted->sql, config->table_count == 0 ? " for all tables" : "");
    buffer_append_text(&wanted->sql, " with (publish_via_partition_root = true)");
    return buffer_text(&wanted->sql) != NULL && buffer_text(&wanted->oids) != NULL ? true
                                                                                   : error_no_memory(err);
}

static bool mark(struct session *source, const char *publication, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 4096};
    buffer_append_text(&sql, "comment on publication ");
    identifier_append(&sql, slice_of(publication));
    buffer_append_text(&sql, " is '" PUBLICATION_MARK "'");
    return buffer_text(&sql) != NULL ? session_execute(source, sql.data, err) : error_no_memory(err);
}

/* One transaction: a publication without its comment would never be dropped. */
static bool publication_create(struct session *source, const struct source_config *config, const char *sql,
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

static void append_names(const PGresult *rows, struct buffer *names) {
    for (int row = 0; row < PQntuples(rows); row++) {
        if (names->size > NAMES_BYTES_MAX) {
            buffer_printf(names, " and %d more", PQntuples(rows) - row);
            return;
        }
        buffer_append_text(names, row == 0 ? "" : ", ");
        identifier_append_qualified(names, slice_of(PQgetvalue(rows, row, IDENTITY_SCHEMA)),
                                    slice_of(PQgetvalue(rows, row, IDENTITY_NAME)));
    }
}

/* Once such a table is published, the source refuses the application's own updates and deletes of it. */
static bool refuse_unusable(struct session *source, const struct source_config *config, const char *oids,
                            struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    struct buffer names AUTO(buffer_release) = {.bytes_max = 4 * NAMES_BYTES_MAX};
    if (!identity_find_unusable(source, oids, "{}", &rows, err))
        return false;
    if (PQntuples(rows) == 0)
        return true;
    append_names(rows, &names);
    const char *text = buffer_text(&names);
    error_set(
        err, ERROR_CONFIG,
        "publication %s is not created, because the source would then refuse updates and deletes of these "
        "tables, which have no usable replica identity: %s",
        config->publication, text != NULL ? text : "?");
    return error_remedy(
        err, "give each a primary key or another replica identity (pgcdc check prints the SQL for each), "
             "list only other tables in source.tables, or create the publication yourself with publish = "
             "'insert'");
}

static const char *shortened(const char *sql) {
    return strlen(sql) > 800 ? "... (pgcdc check prints all of it)" : "";
}

/* sql: creates it; NULL when its tables need a replica identity first. */
static bool refuse_given(const struct source_config *config, const char *sql, struct error *err) {
    if (config->publication_count > 1) {
        error_set(err, ERROR_CONFIG, "source.publications: one of %s does not exist at the source",
                  config->publication);
        return error_remedy(err, "create it, or correct the name");
    }
    error_set(err, ERROR_CONFIG,
              "source.publication: %s does not exist at the source, and pgcdc creates only one that the "
              "file does not name",
              config->publication);
    if (sql == NULL)
        return error_remedy(err,
                            "correct the name, or create it as pgcdc check says: some of its tables need "
                            "a replica identity first");
    return error_remedy(err, "correct the name, or, at the source: %.800s%s", sql, shortened(sql));
}

static bool refuse_standby(const struct source_config *config, const char *sql, struct error *err) {
    error_set(err, ERROR_CONFIG, "publication %s does not exist, and a standby cannot create it",
              config->publication);
    return error_remedy(err, "at its primary: %.800s%s", sql, shortened(sql));
}

static bool refuse_rights(const struct source_config *config, const char *sql, struct error *err) {
    if (strcmp(err->sqlstate, "42501") != 0)
        return false;
    error_wrap(err, "publication %s is missing, and this role may not create it", config->publication);
    return error_remedy(err, "let the tables' owner (a superuser for all tables) run: %.800s%s", sql,
                        shortened(sql));
}

bool publication_ensure(struct session *source, const struct source_config *config, bool *ret_created,
                        struct error *err) {
    bool exists = false;
    struct wanted wanted AUTO(wanted_release) = {.sql = {.bytes_max = SQL_BYTES_MAX},
                                                 .oids = {.bytes_max = SQL_BYTES_MAX}};
    if (!publication_exists(source, config, &exists, err))
        return false;
    if (ret_created != NULL)
        *ret_created = !exists;
    if (exists)
        return true;
    if (!build(source, config, &wanted, err))
        return false;
    bool needs_identity = false;
    if (config->publication_is_given)
        return identity_is_lacking(source, wanted.oids.data, &needs_identity, err) &&
               refuse_given(config, needs_identity ? NULL : wanted.sql.data, err);
    if (!refuse_unusable(source, config, wanted.oids.data, err))
        return false;
    if (session_is_standby(source))
        return refuse_standby(config, wanted.sql.data, err);
    return publication_create(source, config, wanted.sql.data, err) ||
           refuse_rights(config, wanted.sql.data, err);
}

bool publication_name_unusable(struct session *source, const struct source_config *config,
                               struct buffer *names, struct error *err) {
    static const char SQL[] =
        "select coalesce(array_agg(c.oid), '{}') from pg_publication_tables p"
        " join pg_publication b on b.pubname = p.pubname and (b.pubupdate or b.pubdelete)"
        " join pg_namespace n on n.nspname = p.schemaname"
        " join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename where p.pubname = "
        "any($1::name[])";
    PGresult *oids AUTO_PGRESULT = NULL;
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(source, SQL, 1, &config->publication_array,
                       &(const struct result_shape){"the query for published tables", 1, 1, 1, 0}, &oids,
                       err) ||
        !identity_find_unusable(source, PQgetvalue(oids, 0, 0), config->publication_array, &rows, err))
        return false;
    append_names(rows, names);
    return true;
}
