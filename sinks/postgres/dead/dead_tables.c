/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_tables.c - the statements on whole tables.
 */
#include "sinks/postgres/dead/dead_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "sinks/postgres/target/own_tables.h"

#define SQL_BYTES_MAX ((size_t) 16 << 20)

#define TABLES_SQL                                                                                           \
    "create table if not exists pgcdc.dead (pipeline text, sink text, stream text,"                          \
    " id bigint generated always as identity, lsn pg_catalog.pg_lsn not null, change bigint not null,"       \
    " relation_oid oid not null, table_schema text not null, table_name text not null, state text not null," \
    " key_columns bytea, keys bytea[] not null, sqlstate text, reason text, remedy text,"                    \
    " record bytea not null, at timestamptz not null default pg_catalog.clock_timestamp(),"                  \
    " primary key (pipeline, sink, stream, id));"                                                            \
    " create table if not exists pgcdc.dead_log (pipeline text, sink text, stream text,"                     \
    " id bigint generated always as identity, action text not null, letter bigint not null,"                 \
    " lsn pg_catalog.pg_lsn not null, change bigint not null, table_schema text not null,"                   \
    " table_name text not null, reason text, done_by text not null,"                                         \
    " at timestamptz not null default pg_catalog.clock_timestamp(),"                                         \
    " primary key (pipeline, sink, stream, id))"

/* The advisory lock of pgcdc.position serializes engines that create tables at the same time. */
static const char CREATE[] =
    "begin; select pg_catalog.pg_advisory_xact_lock(7165065, 1); " TABLES_SQL "; commit";

static const struct own_tables TABLES = {.names = "{dead,dead_log}",
                                         .count = 2,
                                         .create_sql = CREATE,
                                         .purpose = "on_error: dead_letter keeps changes in pgcdc.dead",
                                         .otherwise = " for the first start"};

bool dead_tables_exist(struct session *session, bool *ret_exist, struct error *err) {
    return own_tables_exist(session, &TABLES, ret_exist, err);
}

bool dead_tables_create(struct session *session, struct error *err) {
    return own_tables_need(session, &TABLES, err);
}

bool dead_tables_count(const struct sink_config *config, struct session *session,
                       struct dead_count *ret_count, struct error *err) {
    static const char SQL[] =
        "select pg_catalog.count(*) filter (where state = 'failed'), pg_catalog.count(*),"
        " (select pg_catalog.count(*) from pgcdc.dead_log where pipeline = $1 and sink = $2"
        " and action = 'skipped') from pgcdc.dead where pipeline = $1 and sink = $2";
    const char *const values[] = {config->pipeline, config->name};
    PGresult *result AUTO_PGRESULT = NULL;
    bool exist = false;
    *ret_count = (struct dead_count){0};
    if (!dead_tables_exist(session, &exist, err))
        return false;
    if (!exist)
        return true;
    if (!session_query(session, SQL, 2, values,
                       &(const struct result_shape){"the count of dead letters", 1, 1, 3, 0}, &result, err))
        return false;
    ret_count->failed = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    ret_count->waiting = strtoull(PQgetvalue(result, 0, 1), NULL, 10) - ret_count->failed;
    ret_count->skipped = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
    return true;
}

static bool both_are_empty(struct session *session, bool *ret_empty, struct error *err) {
    static const char SQL[] =
        "select not exists (select from pgcdc.dead) and not exists (select from pgcdc.dead_log)";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for dead letters", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_empty = result_is_true(result, 0, 0);
    return true;
}

/* If the role does not own the tables, they stay; that is no failure. */
static bool drop_empty(struct session *session, struct error *err) {
    struct error ignored;
    bool empty = false;
    if (!both_are_empty(session, &empty, err))
        return false;
    if (!empty || (session_execute(session, "savepoint pgcdc", err) &&
                   session_execute(session, "drop table pgcdc.dead, pgcdc.dead_log", &ignored)))
        return true;
    return session_execute(session, "rollback to savepoint pgcdc", err);
}

bool dead_tables_drop(const struct sink_config *config, struct session *session, struct error *err) {
    static const char LETTERS[] = "delete from pgcdc.dead where pipeline = $1 and sink = $2";
    static const char LOG[] = "delete from pgcdc.dead_log where pipeline = $1 and sink = $2";
    const char *const values[] = {config->pipeline, config->name};
    bool exist = false;
    if (!dead_tables_exist(session, &exist, err))
        return false;
    return !exist ||
           (session_execute(session, "begin isolation level read committed", err) &&
            session_execute(session, "lock table pgcdc.dead, pgcdc.dead_log in share row exclusive mode",
                            err) &&
            session_query(session, LETTERS, 2, values, NULL, NULL, err) &&
            session_query(session, LOG, 2, values, NULL, NULL, err) && drop_empty(session, err) &&
            session_execute(session, "commit", err));
}

bool dead_tables_refuse(const struct sink_config *config, struct session *session, const struct chunk *chunks,
                        size_t count, struct error *err) {
    static const char SQL[] =
        "select table_schema, table_name from pgcdc.dead where pipeline = $1 and sink = $2"
        " and relation_oid = any ($3::oid[]) limit 1";
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    bool exist = false;
    if (!dead_tables_exist(session, &exist, err))
        return false;
    if (!exist || count == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || chunks[i].relation_oid != chunks[i - 1].relation_oid)
            buffer_printf(&oids, i > 0 ? ",%u" : "{%u", chunks[i].relation_oid);
    buffer_append_text(&oids, "}");
    if (buffer_text(&oids) == NULL)
        return error_no_memory(err);
    const char *const values[] = {config->pipeline, config->name, oids.data};
    if (!session_query(session, SQL, 3, values,
                       &(const struct result_shape){"the query for dead letters", 0, 1, 2, 0}, &result, err))
        return false;
    if (PQntuples(result) == 0)
        return true;
    error_set(
        err, ERROR_REFUSE,
        "sink %s has dead letters of table %s.%s, which would be older than its rows once these are copied",
        config->name, PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1));
    return error_remedy(err, "settle them with `pgcdc dead retry` or `pgcdc dead skip` first");
}

/* An engine that adds letters holds the lock; one that knows of these sees the new row of the log. */
bool dead_tables_empty(const struct sink_config *config, struct session *session, oid_t relation_oid,
                       struct error *err) {
    static const char LOCK[] = "select from pgcdc.position p where pipeline = $1 and sink = $2 and exists"
                               " (select from pgcdc.dead d where d.pipeline = $1 and d.sink = $2"
                               " and d.relation_oid = $3::oid) for update of p";
    static const char SQL[] =
        "with gone as (delete from pgcdc.dead where pipeline = $1 and sink = $2 and relation_oid = $3::oid"
        " returning *) insert into pgcdc.dead_log (pipeline, sink, stream, action, letter, lsn, change,"
        " table_schema, table_name, reason, done_by) select pipeline, sink, stream, 'emptied', id, lsn,"
        " change, table_schema, table_name, null, 'pgcdc run' from gone";
    char oid[16];
    const char *const values[] = {config->pipeline, config->name, oid};
    bool exist = false;
    snprintf(oid, sizeof oid, "%u", relation_oid);
    return dead_tables_exist(session, &exist, err) &&
           (!exist || (session_query(session, LOCK, 3, values, NULL, NULL, err) &&
                       session_query(session, SQL, 3, values, NULL, NULL, err)));
}
