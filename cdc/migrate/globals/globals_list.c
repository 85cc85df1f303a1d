/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_list.c - the roles that were made, and whether they have a password now.
 */
#include <stdlib.h>

#include "cdc/migrate/globals/globals_parts.h"

/* Where pg_authid cannot be read, what the step says: whether it was made with a password. */
#define LIST(PASSWORD)                                                                                       \
    "select substr(m.object, 6), coalesce(r.rolcanlogin, false), coalesce(" PASSWORD                         \
    ", (m.detail::json ->> 'has_password')::bool, false) from pgcdc.migration m left join pg_roles r on"     \
    " r.rolname = substr(m.object, 6) where m.pipeline = $1 and m.step = 'globals'"                          \
    " and starts_with(m.object, 'role ') order by 1"

static bool query_roles(struct globals *globals, PGresult **ret_rows, struct error *err) {
    static const char MAY[] = "select pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'select')";
    static const char READ[] =
        LIST("(select a.rolpassword is not null from pg_authid a where a.oid = r.oid)");
    static const char GUESS[] = LIST("null::bool");
    PGresult *rows AUTO_PGRESULT = NULL;
    const char *pipeline = globals->server.name;
    if (!session_query(&globals->steps.session, MAY, 0, NULL,
                       &(const struct result_shape){"the right to read passwords", 1, 1, 1, 0}, &rows, err))
        return false;
    return session_query(
        &globals->steps.session, result_is_true(rows, 0, 0) ? READ : GUESS, 1, &pipeline,
        &(const struct result_shape){"the query for the roles that were made", 0, RESULT_ROWS_ANY, 3, 0},
        ret_rows, err);
}

static bool take_roles(const PGresult *rows, struct arena *arena, struct globals_roles *roles,
                       struct error *err) {
    roles->items = arena_alloc_zero(arena, ((size_t) PQntuples(rows) + 1) * sizeof *roles->items);
    if (roles->items == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++) {
        struct globals_role *role = &roles->items[roles->count++];
        role->name = arena_copy(arena, slice_of(PQgetvalue(rows, row, 0)));
        role->lacks_password = result_is_true(rows, row, 1) && !result_is_true(rows, row, 2);
        if (role->name == NULL)
            return error_no_memory(err);
    }
    return true;
}

bool globals_list_roles(const struct config *config, const struct config_sink *sink, const atomic_bool *stop,
                        struct arena *arena, struct globals_roles *ret_roles, struct error *err) {
    struct globals globals = {.config = config, .sink = sink, .stop = stop};
    PGresult *rows AUTO_PGRESULT = NULL;
    *ret_roles = (struct globals_roles){0};
    if (!config->migrate.makes_roles)
        return true;
    const bool is_read = globals_open(&globals, err) &&
                         (!globals.steps.exists ||
                          (query_roles(&globals, &rows, err) && take_roles(rows, arena, ret_roles, err)));
    globals_release(&globals);
    return is_read;
}
