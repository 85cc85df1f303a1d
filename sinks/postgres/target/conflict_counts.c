/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_counts.c - the statements on pgcdc.conflicts.
 */
#include "sinks/postgres/target/conflict_counts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/target/own_tables.h"
#include "sinks/postgres/target/pq_pipeline.h"

#define COUNT_TEXT_MAX 24
#define SQL_BYTES_MAX 65536u

#define TABLE                                                                                                \
    "pgcdc.conflicts (pipeline text, sink text, kind text, count bigint not null,"                           \
    " updated_at timestamptz not null, primary key (pipeline, sink, kind))"

/* The advisory lock of pgcdc.position serializes engines that create the table at the same time. */
static const char CREATE[] =
    "begin; select pg_catalog.pg_advisory_xact_lock(7165065, 1); create table if not exists " TABLE
    "; commit";

static const struct own_tables TABLES = {.names = "{conflicts}",
                                         .count = 1,
                                         .create_sql = CREATE,
                                         .purpose = "conflicts are counted in pgcdc.conflicts",
                                         .by_hand = TABLE};

static const char DELETE[] = "delete from pgcdc.conflicts where pipeline = $1 and sink = $2";

bool conflict_counts_open(struct session *session, struct error *err) {
    return own_tables_need(session, &TABLES, err);
}

/* One statement for all kinds. */
bool conflict_counts_send(const struct conflict_counts *counts, const struct sink_config *config,
                          struct pq_pipeline *pipeline, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t i = 0; i < CONFLICT_KINDS; i++) {
        if (counts->pending[i] == 0)
            continue;
        buffer_append_text(
            &sql, sql.size == 0
                      ? "insert into pgcdc.conflicts as c (pipeline, sink, kind, count, updated_at) values ("
                      : ", (");
        literal_append(&sql, slice_of(config->pipeline));
        buffer_append_text(&sql, ",");
        literal_append(&sql, slice_of(config->name));
        buffer_printf(&sql, ", '%s', %" PRIu64 ", pg_catalog.clock_timestamp())",
                      conflict_kind_name((enum conflict_kind) i), counts->pending[i]);
    }
    if (sql.size == 0)
        return true;
    buffer_append_text(&sql, " on conflict (pipeline, sink, kind) do update"
                             " set count = c.count + excluded.count, updated_at = excluded.updated_at");
    return buffer_text(&sql) != NULL ? pq_pipeline_query(pipeline, sql.data, ANY, err) : error_no_memory(err);
}

bool conflict_counts_look(const struct sink_config *config, struct session *session, uint64_t *ret_counts,
                          struct error *err) {
    static const char SQL[] = "select kind, count from pgcdc.conflicts where pipeline = $1 and sink = $2";
    PGresult *result AUTO_PGRESULT = NULL;
    bool exists = false;
    memset(ret_counts, 0, CONFLICT_KINDS * sizeof *ret_counts);
    if (!own_tables_exist(session, &TABLES, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!session_query(session, SQL, 2, (const char *const[]){config->pipeline, config->name},
                       &(const struct result_shape){"the query for conflicts", 0, RESULT_ROWS_ANY, 2, 0},
                       &result, err))
        return false;
    for (int row = 0; row < PQntuples(result); row++)
        for (size_t i = 0; i < CONFLICT_KINDS; i++)
            if (strcmp(PQgetvalue(result, row, 0), conflict_kind_name((enum conflict_kind) i)) == 0)
                ret_counts[i] = strtoull(PQgetvalue(result, row, 1), NULL, 10);
    return true;
}

static bool is_empty(struct session *session, bool *ret_empty, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, "select from pgcdc.conflicts limit 1", 0, NULL,
                       &(const struct result_shape){"the query for conflicts", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_empty = PQntuples(result) == 0;
    return true;
}

/* If the role does not own the table, it stays; that is no failure. */
static bool drop_if_empty(struct session *session, struct error *err) {
    bool empty = false;
    struct error ignored;
    if (!is_empty(session, &empty, err))
        return false;
    if (!empty || (session_execute(session, "savepoint pgcdc", err) &&
                   session_execute(session, "drop table pgcdc.conflicts", &ignored)))
        return true;
    return session_execute(session, "rollback to savepoint pgcdc", err);
}

bool conflict_counts_drop(const struct sink_config *config, struct session *session, struct error *err) {
    bool exists = false;
    if (!own_tables_exist(session, &TABLES, &exists, err))
        return false;
    if (!exists)
        return true;
    const char *const values[] = {config->pipeline, config->name};
    return session_execute(session, "begin isolation level read committed", err) &&
           session_execute(session, "lock table pgcdc.conflicts in share row exclusive mode", err) &&
           session_query(session, DELETE, 2, values, NULL, NULL, err) && drop_if_empty(session, err) &&
           session_execute(session, "commit", err);
}
