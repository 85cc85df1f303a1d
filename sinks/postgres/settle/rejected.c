/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rejected.c - the table is written by the functions that settle_sql.h describes.
 */
#include "sinks/postgres/settle/rejected.h"

#include <stdio.h>
#include <stdlib.h>

#include "sinks/postgres/target/own_tables.h"

#define TABLE                                                                                                \
    "pgcdc.rejected (schema_name text, table_name text, key jsonb, source text, reason text not null, row "  \
    "jsonb not null,"                                                                                        \
    " commit_lsn pg_lsn, commit_index bigint, commit_time timestamptz,"                                      \
    " rejected_at timestamptz not null default pg_catalog.clock_timestamp(),"                                \
    " primary key (schema_name, table_name, key, source))"

/* In the transaction of the caller, who holds the advisory lock of pgcdc.position. */
static const char CREATE[] = "create table if not exists " TABLE;

static const struct own_tables TABLES = {.names = "{rejected}",
                                         .count = 1,
                                         .create_sql = CREATE,
                                         .purpose =
                                             "rows that on_clash and dedupe set aside are in pgcdc.rejected",
                                         .by_hand = TABLE};

bool rejected_open(struct session *session, struct error *err) {
    return own_tables_need(session, &TABLES, err);
}

bool rejected_look(struct session *session, struct sink_view *view, struct error *err) {
    static const char SQL[] =
        "select coalesce(pg_catalog.sum(n), 0)::bigint, coalesce(pg_catalog.string_agg(name || ' ' || n, ', "
        "' "
        "order by n desc, name), '') from (select schema_name || '.' || table_name as name, "
        "pg_catalog.count(*) as n from pgcdc.rejected group by 1) t";
    PGresult *result AUTO_PGRESULT = NULL;
    bool exists = false;
    if (!own_tables_exist(session, &TABLES, &exists, err))
        return false;
    if (!exists)
        return true;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for rejected rows", 1, 1, 2, 0}, &result, err))
        return false;
    view->rejected = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    snprintf(view->rejected_tables, sizeof view->rejected_tables, "%s", PQgetvalue(result, 0, 1));
    return true;
}
