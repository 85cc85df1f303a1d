/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make.c - runs the statements of one object.
 */
#include "cdc/migrate/schema/make.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

#define BEGIN "begin; set local check_function_bodies = off"
#define SCRIPT_BYTES_MAX ((size_t) 1 << 30)
#define LOCK_KEYS "pg_catalog.hashtext('pgcdc schema'), pg_catalog.hashtext($1)"

static bool ask_lock(struct session *session, const char *sql, const char *pipeline, struct error *err) {
    return session_query(session, sql, 1, &pipeline, NULL, NULL, err);
}

bool make_begin(struct session *session, const char *pipeline, struct error *err) {
    return session_execute(session, BEGIN, err) &&
           ask_lock(session, "select pg_catalog.pg_advisory_xact_lock_shared(" LOCK_KEYS ")", pipeline, err);
}

bool make_await_earlier(struct session *session, const char *pipeline, struct error *err) {
    return ask_lock(session, "select pg_catalog.pg_advisory_xact_lock(" LOCK_KEYS ")", pipeline, err);
}

/* The kind of the error stays: the server's answer says whether another try can help. */
static bool explain_object(const struct object *object, struct error *err) {
    const char *state = err->sqlstate;
    error_wrap(err, "%s", object->key);
    if (strncmp(state, "23", 2) == 0)
        return error_remedy(err, "if the copy is not complete or the target is behind, run the command again "
                                 "once the pipeline has caught up; otherwise correct the rows at the source");
    if (strcmp(state, "42501") == 0)
        return error_remedy(err, "give the target's role that right, use a superuser for the schema, or set "
                                 "schema.owners and schema.grants to no");
    if (strcmp(state, "42601") == 0 || strcmp(state, "0A000") == 0)
        return error_remedy(err, "the target's version of PostgreSQL may not know this: change the object at "
                                 "the source, or make it in the target by hand, with the name that it has");
    if (strcmp(object->kind, "FUNCTION") == 0 && (strcmp(state, "58P01") == 0 || strcmp(state, "XX000") == 0))
        return error_remedy(err, "a function in C is part of a library: install it at the target's server, "
                                 "built for its version, or drop the function at the source");
    if (strcmp(state, "53200") == 0)
        return error_remedy(err,
                            "raise max_locks_per_transaction at the target: all that the copy needs is made "
                            "in one transaction, which locks each table and index");
    return err->kind == ERROR_CONFIG && err->remedy[0] == '\0'
               ? error_remedy(err,
                              "change the object at the source, or make it in the target by hand, with the "
                              "name that it has, then run the command again")
               : false;
}

bool make_object(struct session *session, const struct object *object, struct error *err) {
    if ((object->sql[0] == '\0' || session_execute(session, object->sql, err)) &&
        (object->owner_sql[0] == '\0' || session_execute(session, object->owner_sql, err)))
        return true;
    return err->kind == ERROR_STOPPED ? false : explain_object(object, err);
}

/* ---- in one round trip ---- */

/* A text of pg_dump may end with a comment. */
static void append_statement(struct buffer *script, const char *sql) {
    buffer_append_text(script, sql);
    buffer_append_text(script, sql[0] != '\0' ? "\n;\n" : "");
}

bool make_at_once(struct session *session, const char *pipeline, const struct object *object,
                  const char *last_sql, struct error *err) {
    struct buffer script AUTO(buffer_release) = {.bytes_max = SCRIPT_BYTES_MAX};
    append_statement(&script, BEGIN);
    buffer_append_text(&script,
                       "select pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtext('pgcdc schema'),"
                       " pg_catalog.hashtext(");
    literal_append(&script, slice_of(pipeline));
    buffer_append_text(&script, "));\n");
    append_statement(&script, object->sql);
    append_statement(&script, object->owner_sql);
    append_statement(&script, last_sql);
    if (buffer_text(&script) == NULL)
        return error_no_memory(err);
    if (session_execute(session, script.data, err))
        return true;
    return err->kind == ERROR_STOPPED ? false : explain_object(object, err);
}

/* ---- after a savepoint ---- */

/* A name that was not found, in a body that runs now: perhaps the source's search_path finds it. */
bool make_lacks_name(const struct error *err) {
    static const char *const STATES[] = {"42883", "42P01", "42704", "3F000"};
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
        if (strcmp(err->sqlstate, STATES[i]) == 0)
            return true;
    return false;
}

static bool make_with_path(struct session *session, const struct object *object, const char *search_path,
                           struct error *err) {
    return session_query(session, "select pg_catalog.set_config('search_path', $1, true)", 1,
                         (const char *const[]){search_path}, NULL, NULL, err) &&
           make_object(session, object, err) && session_execute(session, "set local search_path = ''", err);
}

static bool go_back(struct session *session, struct error *err) {
    return session_execute(session, "rollback to savepoint object", err);
}

/* The error that led here is the caller's; a session that cannot go back fails at its next statement. */
static bool give_up(struct session *session) {
    struct error ignored = {0};
    const bool is_back = go_back(session, &ignored);
    (void) is_back;
    return false;
}

bool make_object_safely(struct session *session, const struct object *object, const char *search_path,
                        struct error *err) {
    struct error first = {0};
    struct error second = {0};
    if (!session_execute(session, "savepoint object", err))
        return false;
    if (make_object(session, object, &first))
        return session_execute(session, "release savepoint object", err);
    *err = first;
    if (!make_lacks_name(&first))
        return give_up(session);
    if (!go_back(session, err))
        return false;
    if (make_with_path(session, object, search_path, &second))
        return session_execute(session, "release savepoint object", err);
    *err = make_lacks_name(&second) ? first : second;
    return give_up(session);
}

bool make_read_path(struct session *session, struct arena *arena, const char **ret_search_path,
                    struct error *err) {
    static const char SQL[] =
        "select coalesce((select pg_catalog.substr(c, 13) from pg_catalog.pg_db_role_setting s,"
        " pg_catalog.unnest(s.setconfig) c where s.setrole = 0 and c like 'search\\_path=%' and "
        "s.setdatabase in"
        " (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))"
        " order by s.setdatabase desc limit 1), '\"$user\", public')";
    PGresult *row AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for search_path", 1, 1, 1, 0}, &row, err))
        return false;
    *ret_search_path = arena_copy(arena, slice_of(PQgetvalue(row, 0, 0)));
    return *ret_search_path != NULL ? true : error_no_memory(err);
}
