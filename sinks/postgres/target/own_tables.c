/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_tables.c - looks first, so that a role without the right to create can use what an administrator made.
 */
#include "sinks/postgres/target/own_tables.h"

#include <stdlib.h>
#include <string.h>

#define INSUFFICIENT_PRIVILEGE "42501"

bool own_tables_exist(struct session *session, const struct own_tables *tables, bool *ret_exist,
                      struct error *err) {
    static const char SQL[] =
        "select pg_catalog.count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
        " on n.oid = c.relnamespace where n.nspname = 'pgcdc' and c.relname = any ($1::pg_catalog.name[])";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 1, &tables->names,
                       &(const struct result_shape){"the query for its own tables", 1, 1, 1, 0}, &result,
                       err))
        return false;
    *ret_exist = strtoull(PQgetvalue(result, 0, 0), NULL, 10) == tables->count;
    return true;
}

bool own_tables_create(struct session *session, const struct own_tables *tables, bool *ret_denied,
                       struct error *err) {
    bool exist = false;
    *ret_denied = false;
    if (!own_tables_exist(session, tables, &exist, err))
        return false;
    if (exist || session_execute(session, tables->create_sql, err))
        return true;
    *ret_denied = strcmp(err->sqlstate, INSUFFICIENT_PRIVILEGE) == 0;
    return false;
}

static bool explain_denied(const struct own_tables *tables, const char *role, struct error *err) {
    if (tables->by_hand == NULL)
        return error_remedy(err, "%s: grant create on schema pgcdc to \"%s\"%s", tables->purpose, role,
                            tables->otherwise != NULL ? tables->otherwise : "");
    return error_remedy(
        err,
        "%s: grant create on schema pgcdc to \"%s\", or create it as an administrator: create "
        "table %s; grant select, insert, update, delete on %.*s to \"%s\"",
        tables->purpose, role, tables->by_hand, (int) strcspn(tables->by_hand, " "), tables->by_hand, role);
}

bool own_tables_need(struct session *session, const struct own_tables *tables, struct error *err) {
    bool denied = false;
    return own_tables_create(session, tables, &denied, err) ||
           (denied && explain_denied(tables, PQuser(session->conn), err));
}
