/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_apply.c - runs the statements that the target lacks.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/log.h"
#include "cdc/migrate/globals/globals_parts.h"
#include "cdc/pq/identifier.h"

enum { STATEMENT_BYTES_MAX = 1 << 20 };
enum { OBJECT, SHOWN, SECRET, LIST, VALUE, LEFT_OUT };

/* The server's text, and no part of the statement that is secret. */
static bool explain_statement(const char *statement, struct error *err) {
    if (err->kind == ERROR_RETRY || err->kind == ERROR_STOPPED)
        return false;
    struct error cause = *err;
    error_set(err, ERROR_CONFIG, "%s: %s", statement, cause.text);
    memcpy(err->sqlstate, cause.sqlstate, sizeof err->sqlstate);
    return error_remedy(err,
                        "run the statements that are printed above there as an administrator, with the "
                        "passwords that you give, or give sinks.dsn a role that may, then run the command "
                        "again");
}

bool globals_execute(struct globals *globals, const char *statement, const char *secret, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = STATEMENT_BYTES_MAX};
    buffer_printf(&sql, "%s%s", statement, secret);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const bool is_done = session_execute(&globals->steps.session, sql.data, err);
    explicit_bzero(sql.data, sql.size);
    return is_done || explain_statement(statement, err);
}

/* For the transaction; the statement takes it from there. */
static bool set_list(struct globals *globals, const char *name, const char *value, struct error *err) {
    static const char SQL[] = "select pg_catalog.set_config($1, $2, true)";
    return session_query(&globals->steps.session, SQL, 2, (const char *const[]){name, value}, NULL, NULL,
                         err) ||
           explain_statement(name, err);
}

static bool apply_row(struct globals *globals, const PGresult *statements, int row, struct error *err) {
    const char *value = PQgetvalue(statements, row, VALUE);
    if (!PQgetisnull(statements, row, LEFT_OUT)) {
        log_line(LOG_OBJECT_LEFT_OUT, "migrate: %s is left out: %s", PQgetvalue(statements, row, OBJECT),
                 PQgetvalue(statements, row, LEFT_OUT));
        return true;
    }
    return (PQgetisnull(statements, row, LIST) ||
            set_list(globals, PQgetvalue(statements, row, LIST), value, err)) &&
           globals_execute(globals, PQgetvalue(statements, row, SHOWN), PQgetvalue(statements, row, SECRET),
                           err);
}

static void say_statement(const PGresult *statements, int row) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = STATEMENT_BYTES_MAX};
    if (!PQgetisnull(statements, row, LIST)) {
        buffer_append_text(&text, "select pg_catalog.set_config(");
        literal_append(&text, slice_of(PQgetvalue(statements, row, LIST)));
        buffer_append_text(&text, ", ");
        literal_append(&text, slice_of(PQgetvalue(statements, row, VALUE)));
        buffer_append_text(&text, ", false); ");
    }
    buffer_append_text(&text, PQgetvalue(statements, row, SHOWN));
    if (buffer_text(&text) != NULL)
        log_line(LOG_STATEMENT_PRINTED, "migrate: statement for the target: %s;", text.data);
}

void globals_say(const PGresult *statements) {
    for (int row = 0; row < PQntuples(statements); row++)
        if (PQgetisnull(statements, row, LEFT_OUT))
            say_statement(statements, row);
}

bool globals_apply(struct globals *globals, const PGresult *statements, struct error *err) {
    for (int row = 0; row < PQntuples(statements); row++)
        if (!apply_row(globals, statements, row, err))
            return false;
    return true;
}
