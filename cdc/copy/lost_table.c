/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost_table.c - one query, by the name that the table has in the sink.
 */
#include "cdc/copy/lost_table.h"

#include "cdc/pq/result.h"
#include "cdc/pq/session.h"
#include "sinks/mapping/mapped_tables.h"
#include "sinks/sink.h"

static bool is_lost(struct session *target, const struct table *in_sink, bool *ret_lost, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relname = $2 and c.relkind in ('r', 'p')";
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const values[] = {in_sink->schema, in_sink->name};
    if (!session_query(target, SQL, 2, values,
                       &(const struct result_shape){"the query for the target's table", 0, 1, 0, 0}, &result,
                       err))
        return false;
    *ret_lost = PQntuples(result) == 0;
    return true;
}

static bool ask_target(const struct config_sink *sink, const struct table *table, const atomic_bool *stop,
                       bool *ret_lost, struct error *err) {
    struct session target = {0};
    struct session_options options = {.stop = stop};
    struct mapped_tables mapped AUTO(mapped_tables_release);
    mapped_tables_init(&mapped);
    if (sink->sink.mapping != NULL &&
        !mapped_tables_make(&mapped, sink->sink.mapping, sink->sink.name, table, 1, NULL, err))
        return false;
    sink->ops->admin->target(&sink->sink, &options);
    const bool asked = session_open(&target, &options, err) &&
                       is_lost(&target, mapped.count > 0 ? &mapped.tables[0] : table, ret_lost, err);
    session_close(&target);
    return asked;
}

bool lost_table_forget(const struct config_sink *sink, struct sink *handle, const struct table *table,
                       const atomic_bool *stop, bool *ret_lost, struct error *err) {
    *ret_lost = false;
    if (sink_admin(sink->ops, target) == NULL || sink->ops->chunk->remove == NULL)
        return true;
    if (!ask_target(sink, table, stop, ret_lost, err))
        return false;
    return !*ret_lost || sink->ops->chunk->remove(handle, table->oid, err);
}
