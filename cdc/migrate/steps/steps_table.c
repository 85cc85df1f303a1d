/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps_table.c - looks first, so that a role without the right to create can use what an administrator made.
 */
#include "cdc/migrate/steps/steps_table.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

#define INSUFFICIENT_PRIVILEGE "42501"
#define REMEDY_BYTES_MAX 4096u

#define TABLE                                                                                                \
    "pgcdc.migration (pipeline text, step text, object text, state text not null, detail text,"              \
    " started_at timestamptz not null, ended_at timestamptz, primary key (pipeline, step, object))"

/* The advisory lock of pgcdc.position serializes processes that create the schema at the same time. */
static const char CREATE_LOCK[] = "select pg_catalog.pg_advisory_xact_lock(7165065, 1)";

static bool schema_exists(struct session *session, bool *ret_exists, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, "select from pg_catalog.pg_namespace where nspname = 'pgcdc'", 0, NULL,
                       &(const struct result_shape){"the query for schema pgcdc", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_exists = PQntuples(result) == 1;
    return true;
}

bool steps_table_exists(struct session *session, bool *ret_exists, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'pgcdc' and c.relname = 'migration'";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.migration", 0, 1, 0, 0}, &result,
                       err))
        return false;
    *ret_exists = PQntuples(result) == 1;
    return true;
}

/* A role as a person would write it in a statement. */
static bool explain_denied(const struct steps *steps, bool has_schema, struct error *err) {
    const PGconn *conn = steps->session.conn;
    struct buffer role AUTO(buffer_release) = {.bytes_max = REMEDY_BYTES_MAX};
    struct buffer database AUTO(buffer_release) = {.bytes_max = REMEDY_BYTES_MAX};
    identifier_append_printable(&role, slice_of(PQuser(conn)));
    identifier_append_printable(&database, slice_of(PQdb(conn)));
    if (buffer_text(&role) == NULL || buffer_text(&database) == NULL)
        return error_no_memory(err);
    error_wrap(err, "target: the steps of a migration are kept in pgcdc.migration");
    return has_schema
               ? error_remedy(
                     err,
                     "grant usage, create on schema pgcdc to %s; or, as an administrator: create table " TABLE
                     "; grant usage on schema pgcdc to %s; grant select, insert, update, delete on"
                     " pgcdc.migration to %s;",
                     role.data, role.data, role.data)
               : error_remedy(err, "grant create on database %s to %s;", database.data, role.data);
}

static bool create_in_transaction(struct steps *steps, bool has_schema, struct error *err) {
    struct session *session = &steps->session;
    return session_execute(session, "begin isolation level read committed", err) &&
           session_execute(session, CREATE_LOCK, err) &&
           (has_schema || session_execute(session, "create schema if not exists pgcdc", err)) &&
           session_execute(session, "create table if not exists " TABLE, err) &&
           session_execute(session, "commit", err);
}

bool steps_table_create(struct steps *steps, struct error *err) {
    bool has_schema = false;
    struct error ignored = {0};
    if (steps->exists)
        return true;
    if (!schema_exists(&steps->session, &has_schema, err))
        return false;
    steps->exists = create_in_transaction(steps, has_schema, err);
    if (steps->exists)
        return true;
    const bool is_denied = strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0;
    if (!session_execute(&steps->session, "rollback", &ignored))
        session_close(&steps->session);
    return is_denied && steps->session.conn != NULL ? explain_denied(steps, has_schema, err) : false;
}

static bool drop_locked(struct session *session, bool *ret_dropped, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    struct error ignored = {0};
    if (!session_execute(session, "lock table pgcdc.migration in share row exclusive mode", err) ||
        !session_query(session, "select from pgcdc.migration limit 1", 0, NULL,
                       &(const struct result_shape){"the query for steps", 0, 1, 0, 0}, &rows, err))
        return false;
    *ret_dropped = PQntuples(rows) == 0 && session_execute(session, "savepoint pgcdc", err) &&
                   session_execute(session, "drop table pgcdc.migration", &ignored);
    return PQntuples(rows) > 0 || *ret_dropped ||
           session_execute(session, "rollback to savepoint pgcdc", err);
}

bool steps_table_drop_if_empty(struct steps *steps, struct error *err) {
    bool is_dropped = false;
    if (!session_execute(&steps->session, "begin isolation level read committed", err) ||
        !drop_locked(&steps->session, &is_dropped, err) || !session_execute(&steps->session, "commit", err))
        return false;
    steps->exists = steps->exists && !is_dropped;
    return true;
}
