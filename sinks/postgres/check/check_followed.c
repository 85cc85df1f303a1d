/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_followed.c - will the target's tables follow the source's columns, and what is missed if not.
 */
#include <string.h>

#include "sinks/postgres/check/check.h"

#define MISSED                                                                                               \
    "so a column that is renamed, or exchanged with another one, is not noticed, and one that the target "   \
    "lacks stops the pipeline"

static bool stops_always(const struct target_check *target) {
    static const char *const EVENTS[] = {"add_column", "drop_column", "rename_column", "widen_type"};
    bool stops = target->config->ddl == NULL;
    for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++) {
        const char *action = sink_config_find(target->config, EVENTS[i]);
        stops = stops && action != NULL && strcmp(action, "stop") == 0;
    }
    return stops;
}

static void note_options(const struct target_check *target) {
    sink_check_add(
        target->check, SINK_NOTE, "target_not_followed",
        "no table follows the source's columns, because add_column, drop_column, rename_column and "
        "widen_type are all stop; " MISSED);
    sink_check_fix(target->check, "nothing, if that is meant; else leave one of the options out, or say in "
                                  "ddl which tables follow");
}

static void note_rights(const struct target_check *target, bool exists) {
    sink_check_add(target->check, SINK_NOTE, "target_not_followed",
                   "no table follows the source's columns, because role %s may not %s pgcdc.columns; " MISSED,
                   target->role, exists ? "read and write" : "create");
    if (exists)
        sink_check_fix(target->check, "grant select, insert, update, delete on pgcdc.columns to %s;",
                       target->role);
    else
        sink_check_fix(target->check, "grant usage, create on schema pgcdc to %s;", target->role);
}

/* Where pgcdc.position is missing, the first run makes both, or check_position_table has said why not. */
bool target_check_followed(const struct target_check *target, struct error *err) {
    static const char SQL[] =
        "select c.oid is not null, case when c.oid is null then has_schema_privilege(n.oid, 'create') else"
        "  has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')"
        "  and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete') end"
        " from pg_namespace n join pg_class p on p.relnamespace = n.oid and p.relname = 'position'"
        " left join pg_class c on c.relnamespace = n.oid and c.relname = 'columns'"
        " where n.nspname = 'pgcdc' and has_schema_privilege(n.oid, 'usage')";
    PGresult *row AUTO_PGRESULT = NULL;
    if (stops_always(target)) {
        note_options(target);
        return true;
    }
    if (!session_query(target->session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.columns", 0, 1, 2, 0}, &row, err))
        return false;
    if (PQntuples(row) == 1 && !result_is_true(row, 0, 1))
        note_rights(target, result_is_true(row, 0, 0));
    return true;
}
