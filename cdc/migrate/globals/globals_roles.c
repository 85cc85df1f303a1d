/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_roles.c - the roles that the target lacks, in one transaction with their steps.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/globals/globals_parts.h"

enum { OBJECT, SHOWN, SECRET };

static const char LOCK[] =
    "begin isolation level read committed; select pg_catalog.pg_advisory_xact_lock(7165065, 2)";

/* The server's log and its statistics of statements would keep a hash; only a superuser can say so. */
static bool hide_statements(struct globals *globals, struct error *err) {
    static const char SUPER[] = "select from pg_roles where rolname = current_user and rolsuper";
    static const char HIDE[] =
        "set local log_statement = 'none'; set local log_min_duration_statement = -1;"
        " set local log_min_error_statement = panic; set local pg_stat_statements.track_utility = off";
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&globals->steps.session, SUPER, 0, NULL,
                       &(const struct result_shape){"the rights of the target's role", 0, 1, 0, 0}, &rows,
                       err))
        return false;
    return PQntuples(rows) == 0 || session_execute(&globals->steps.session, HIDE, err);
}

static bool is_role(const PGresult *statements, int row) {
    return strncmp(PQgetvalue(statements, row, SHOWN), "create role", strlen("create role")) == 0;
}

static bool note_role(struct globals *globals, const PGresult *statements, int row, struct error *err) {
    const bool has_password = !PQgetisnull(statements, row, SECRET);
    struct step step = {.name = GLOBALS_STEP,
                        .object = PQgetvalue(statements, row, OBJECT),
                        .state = STEP_STARTED,
                        .detail = has_password ? "{\"has_password\":true}" : "{\"has_password\":false}"};
    if (!step_write(&globals->steps.session, globals->server.name, &step, err))
        return false;
    step.state = STEP_DONE;
    globals->role_count++;
    return step_write(&globals->steps.session, globals->server.name, &step, err);
}

static bool note_roles(struct globals *globals, const PGresult *statements, struct error *err) {
    for (int row = 0; row < PQntuples(statements); row++)
        if (is_role(statements, row) && !note_role(globals, statements, row, err))
            return false;
    return true;
}

static void say_roles(const PGresult *statements) {
    for (int row = 0; row < PQntuples(statements); row++)
        if (is_role(statements, row))
            log_line(LOG_OBJECT_MADE, "migrate: %s is made at the target%s",
                     PQgetvalue(statements, row, OBJECT),
                     PQgetisnull(statements, row, SECRET) ? "" : ", with its password");
}

static bool make_in_transaction(struct globals *globals, const char *described, PGresult **ret_statements,
                                struct error *err) {
    struct session *session = &globals->steps.session;
    if (!session_execute(session, LOCK, err) || !hide_statements(globals, err) ||
        !session_query(session, GLOBALS_ROLES_SQL, 1, &described,
                       &(const struct result_shape){"the query for missing roles", 0, RESULT_ROWS_ANY, 6,
                                                    RESULT_NULL_ANYWHERE},
                       ret_statements, err) ||
        !globals_apply(globals, *ret_statements, err))
        return false;
    FAULT_POINT("globals-roles-made");
    if (!note_roles(globals, *ret_statements, err))
        return false;
    FAULT_POINT("globals-roles-noted");
    return session_execute(session, "commit", err);
}

bool globals_make_roles(struct globals *globals, struct error *err) {
    PGresult *statements AUTO_PGRESULT = NULL;
    const char *described = NULL;
    if (!globals_describe_roles(globals, &described, err))
        return false;
    const bool is_made = make_in_transaction(globals, described, &statements, err);
    explicit_bzero((char *) (uintptr_t) described, strlen(described)); /* it may contain hashes */
    if (!is_made && statements != NULL && err->kind == ERROR_CONFIG)
        globals_say(statements);
    if (!is_made)
        return false;
    FAULT_POINT("globals-roles-committed");
    say_roles(statements);
    return true;
}
