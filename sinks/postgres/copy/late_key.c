/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_key.c - finds, removes and builds them, by the target's catalog.
 *
 * A sorted build takes half of the time that the index takes row by row when keys come in no order, and
 * two thirds when they come in order. For a small table the two additional statements cost more than that.
 *
 * Measured with 1.5 million rows of 128 bytes in PostgreSQL 15, two copiers, chunks of 32 MB, the whole
 * copy: by random uuids, divided by pages, 14.1 s with the key from the start and 5.2 s with the key after
 * the rows; by bigints in order, divided by key, 5.3 s and 4.6 s.
 */
#include "sinks/postgres/copy/late_key.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_TEXT_MAX 24
#define KEY_LATER_BYTES "1048576"

#define OF_COPY " c.pipeline = $1 and c.sink = $2"

/* Made by this transaction; or for this copy by another session, when nothing is lost with it. */
#define IS_OURS                                                                                              \
    "(k.xmin = pg_catalog.pg_current_xact_id()::xid or ($4::bool and k.conislocal and k.coninhcount = 0"     \
    " and pg_catalog.pg_has_role(t.relowner, 'usage')"                                                       \
    " and exists (select from pg_catalog.pg_index i join pg_catalog.pg_class x on x.oid = i.indexrelid"      \
    " where i.indexrelid = k.conindid and not i.indisreplident and not i.indisclustered"                     \
    " and x.reloptions is null and x.reltablespace = 0)"                                                     \
    " and not exists (select from pg_catalog.pg_depend d where d.refobjid in (k.oid, k.conindid)"            \
    " and d.refclassid in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass)"           \
    " and d.objid <> k.conindid)"                                                                            \
    " and not exists (select from pg_catalog.pg_description e where e.objoid in (k.oid, k.conindid)"         \
    " and e.classoid in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_constraint'::regclass))))"

static const char PLAN[] =
    /* the statement of a table is the same for each of its chunks */
    "with late as (update pgcdc.chunk c set key_sql = pg_catalog.format('alter table %I.%I add constraint %I"
    " %s', n.nspname, t.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid))"
    " from pg_catalog.pg_constraint k join pg_catalog.pg_class t on t.oid = k.conrelid"
    " join pg_catalog.pg_namespace n on n.oid = t.relnamespace"
    " where" OF_COPY " and c.stream = $3 and c.schema_name = n.nspname and c.table_name = t.relname"
    " and t.relkind = 'r' and k.contype = 'p' and not k.condeferrable and " IS_OURS
    /* candidates are settled while they arrive, by their key */
    " and not exists (select from pg_catalog.pg_trigger g where g.tgrelid = t.oid and g.tgname in"
    " ('_pgcdc_settle_insert', '_pgcdc_order_insert'))"
    " and c.state = 'waits' and (c.method = 'pages' or c.bytes_estimate >= " KEY_LATER_BYTES
    " and not exists (select from pgcdc.chunk o where o.pipeline = c.pipeline and o.sink = c.sink"
    " and o.stream = c.stream and o.relation_oid = c.relation_oid and o.id <> c.id))"
    " returning pg_catalog.format('alter table %I.%I drop constraint %I', n.nspname, t.relname, k.conname) "
    "as sql)"
    " select pg_catalog.string_agg(distinct sql, '; ') from late";

#define BUILD                                                                                                \
    "select c.key_sql from pgcdc.chunk c join pg_catalog.pg_namespace n on n.nspname = c.schema_name"        \
    " join pg_catalog.pg_class t on t.relnamespace = n.oid and t.relname = c.table_name"                     \
    " where" OF_COPY " and c.key_sql is not null"                                                            \
    " and not exists (select from pg_catalog.pg_index i where i.indrelid = t.oid and i.indisprimary)"

bool late_key_plan(struct target *target, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const values[] = {target->row.pipeline, target->row.sink, target->row.stream,
                                  target->sink.config->has_new_tables ? "true" : "false"};
    if (!session_query(&target->session, PLAN, 4, values,
                       &(const struct result_shape){"the query for keys", 1, 1, 1, RESULT_NULL_ANYWHERE},
                       &result, err))
        return false;
    return PQgetisnull(result, 0, 0) != 0 || session_execute(&target->session, PQgetvalue(result, 0, 0), err);
}

bool late_key_build(struct target *target, uint32_t chunk_id, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char id[NUMBER_TEXT_MAX];
    const char *const values[] = {target->row.pipeline, target->row.sink, target->row.stream, id};
    snprintf(id, sizeof id, "%u", chunk_id);
    if (!session_query(&target->session, BUILD " and c.stream = $3 and c.id = $4", 4, values,
                       &(const struct result_shape){"the query for a key", 0, 1, 1, 0}, &result, err))
        return false;
    if (PQntuples(result) == 0 || session_execute(&target->session, PQgetvalue(result, 0, 0), err))
        return true;
    return error_wrap(err, "building the primary key on the target");
}

static bool try_build(struct session *session, const char *sql, struct error *err) {
    struct error ignored;
    if (!session_execute(session, "savepoint pgcdc_key", err))
        return false;
    return session_execute(session, sql, &ignored)
               ? session_execute(session, "release savepoint pgcdc_key", err)
               : session_execute(session, "rollback to savepoint pgcdc_key", err);
}

/* Of another chunk of the same table. */
static bool is_repeated(const PGresult *result, int row) {
    return row > 0 && strcmp(PQgetvalue(result, row, 0), PQgetvalue(result, row - 1, 0)) == 0;
}

bool late_key_restore(struct session *session, const char *pipeline, const char *sink, oid_t relation_oid,
                      struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[NUMBER_TEXT_MAX];
    const char *const values[] = {pipeline, sink, oid};
    snprintf(oid, sizeof oid, "%u", relation_oid);
    /* the chunk is locked before its table, as by a copier */
    if (!session_query(session,
                       BUILD " and c.state = 'waits' and $3::oid in (0, c.relation_oid) order by c.id for "
                             "update of c",
                       3, values,
                       &(const struct result_shape){"the query for keys", 0, RESULT_ROWS_ANY, 1, 0}, &result,
                       err))
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        if (!is_repeated(result, row) && !try_build(session, PQgetvalue(result, row, 0), err))
            return false;
    return true;
}
