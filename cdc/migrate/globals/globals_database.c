/* SPDX-License-Identifier: Apache-2.0 */
/*
 * globals_database.c - the target's database, when it is missing there.
 *
 * CREATE DATABASE is no part of a transaction, so a step says before it that the database is ours. What is
 * set in it and the rights on it follow; a database that was there keeps its own.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/globals/globals_parts.h"

enum { OBJECT, SHOWN };

/* A provider that the target's version does not know; what it says itself would be a syntax error. */
static bool check_provider(const struct globals *globals, const PGresult *statements, struct error *err) {
    const int version = globals->steps.session.server_version;
    const char *sql = PQgetvalue(statements, 0, SHOWN);
    const bool is_icu = strstr(sql, " locale_provider icu ") != NULL;
    const bool is_builtin = strstr(sql, " locale_provider builtin ") != NULL;
    if ((!is_icu || version >= 150000) && (!is_builtin || version >= 170000))
        return true;
    error_set(err, ERROR_CONFIG, "the target's version cannot have a database with the locale provider %s",
              is_icu ? "icu" : "builtin");
    return error_remedy(err, "make the database there by hand, with a locale that sorts as you need, then "
                             "run the command again");
}

static bool query_statements(struct globals *globals, const char *described, PGresult **ret_statements,
                             struct error *err) {
    return session_query(&globals->steps.session, GLOBALS_DATABASE_SQL, 1, &described,
                         &(const struct result_shape){"the query for the database", 0, RESULT_ROWS_ANY, 6,
                                                      RESULT_NULL_ANYWHERE},
                         ret_statements, err);
}

static bool is_create(const PGresult *statements) {
    static const char CREATE[] = "create database";
    return PQntuples(statements) > 0 &&
           strncmp(PQgetvalue(statements, 0, SHOWN), CREATE, strlen(CREATE)) == 0;
}

static bool create(struct globals *globals, const PGresult *statements, const char *object,
                   struct error *err) {
    if (!steps_begin(&globals->steps, GLOBALS_STEP, object, NULL, err))
        return false;
    FAULT_POINT("globals-database-begun");
    if (!check_provider(globals, statements, err) ||
        !globals_execute(globals, PQgetvalue(statements, 0, SHOWN), "", err))
        return false;
    FAULT_POINT("globals-database-made");
    log_line(LOG_OBJECT_MADE, "migrate: %s is made at the target", object);
    return true;
}

/* With the step's end in one transaction. */
static bool set_up(struct globals *globals, const char *described, const char *object, struct error *err) {
    PGresult *statements AUTO_PGRESULT = NULL;
    if (!session_execute(&globals->steps.session, "begin isolation level read committed", err) ||
        !query_statements(globals, described, &statements, err))
        return false;
    if (is_create(statements))
        return error_set(err, ERROR_RETRY, "target: %s was dropped again", object);
    if (!globals_apply(globals, statements, err) ||
        !steps_done(&globals->steps, GLOBALS_STEP, object, NULL, err))
        return false;
    FAULT_POINT("globals-database-set");
    return session_execute(&globals->steps.session, "commit", err);
}

/* Who runs the statements runs all of them; when the database is there then, the step is over. */
static void leave_to_administrator(struct globals *globals, const PGresult *statements, const char *object) {
    struct error ignored = {0};
    globals_say(statements);
    if (!session_execute(&globals->steps.session, "rollback", &ignored) ||
        !steps_failed(&globals->steps, GLOBALS_STEP, object, NULL, &ignored))
        log_about(LOG_OBJECT_FAILED, &(struct log_subject){.error = &ignored}, "migrate: %s: %s", object,
                  ignored.text);
}

static const char *name_step(struct globals *globals) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = 256};
    buffer_printf(&text, "database %s", globals->config->database->target);
    return buffer_ok(&text) ? arena_copy(&globals->arena, buffer_slice(&text)) : NULL;
}

bool globals_make_database(struct globals *globals, struct error *err) {
    PGresult *statements AUTO_PGRESULT = NULL;
    const char *described = NULL;
    const char *object = name_step(globals);
    struct step step = {0};
    if (object == NULL)
        return error_no_memory(err);
    if (!globals_describe_database(globals, &described, err) ||
        !query_statements(globals, described, &statements, err) ||
        !steps_read(&globals->steps, GLOBALS_STEP, object, &globals->arena, &step, err))
        return false;
    const bool is_missing = is_create(statements);
    if (!is_missing && step.state != STEP_STARTED)
        return true; /* done, not ours, or left to an administrator */
    if ((!is_missing || create(globals, statements, object, err)) && set_up(globals, described, object, err))
        return true;
    if (err->kind == ERROR_CONFIG)
        leave_to_administrator(globals, statements, object);
    return false;
}
