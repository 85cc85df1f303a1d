/* SPDX-License-Identifier: Apache-2.0 */
/*
 * normalise.c - the source's definitions, as the target would write them.
 *
 * Two versions write the same view in different words. Only the target itself knows its own, so the objects
 * are made, empty, in a database beside the real one. It has the pipeline's name: the next comparison removes
 * what a kill has left.
 */
#include "cdc/base/log.h"
#include "cdc/migrate/schema/make.h"
#include "cdc/migrate/schema/sides.h"
#include "cdc/pq/identifier.h"

enum { NAME_BYTES_MAX = 64, SQL_BYTES_MAX = 4096 };

static void scratch_name(const struct sides *sides, char name[NAME_BYTES_MAX]) {
    snprintf(name, NAME_BYTES_MAX, "pgcdc_schema_%s", sides->config->name);
}

/* Two comparisons of one pipeline take turns; the session's end releases the lock. */
static bool scratch_claim(struct sides *sides, struct error *err) {
    return session_query(&sides->target,
                         "select pg_catalog.pg_advisory_lock(pg_catalog.hashtext('pgcdc schema words'),"
                         " pg_catalog.hashtext($1))",
                         1, (const char *const[]){sides->config->name}, NULL, NULL, err);
}

static bool scratch_drop(struct sides *sides, const char *name, struct error *err) {
    char sql[SQL_BYTES_MAX];
    snprintf(sql, sizeof sql, "drop database if exists \"%s\" with (force)", name);
    return session_execute(&sides->target, sql, err);
}

static bool scratch_create(struct sides *sides, const char *name, struct error *err) {
    static const char LOCALE[] = "select pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype"
                                 " from pg_catalog.pg_database where datname = pg_catalog.current_database()";
    PGresult *row AUTO_PGRESULT = NULL;
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, SQL_BYTES_MAX);
    if (!session_query(&sides->target, LOCALE, 0, NULL,
                       &(const struct result_shape){"the query for the locale", 1, 1, 3, 0}, &row, err))
        return false;
    static const char *const WORDS[] = {" template template0 encoding ", " lc_collate ", " lc_ctype "};
    buffer_printf(&sql, "create database \"%s\"", name);
    for (int i = 0; i < 3; i++) {
        buffer_append_text(&sql, WORDS[i]);
        literal_append(&sql, slice_of(PQgetvalue(row, 0, i)));
    }
    const char *text = buffer_text(&sql);
    if (text == NULL)
        return error_no_memory(err);
    if (session_execute(&sides->target, text, err))
        return true;
    error_wrap(err, "a database in which the target writes the source's definitions in its own words");
    return error_remedy(err, "let the target's role create it: alter role ... createdb");
}

/* What the target's version does not accept is noted, and so is what needs that. */
static bool make_scratch(struct sides *sides, struct session *session, struct object *object,
                         struct error *err) {
    struct error answer = {0};
    object->is_refused = !make_object_safely(session, object, sides->search_path, &answer);
    if (!object->is_refused || answer.sqlstate[0] != '\0')
        return true;
    *err = answer;
    return false;
}

static bool make_all(struct sides *sides, struct session *session, struct error *err) {
    if (!make_read_path(&sides->source, &sides->arena, &sides->search_path, err) ||
        !make_begin(session, sides->config->name, err))
        return false;
    for (enum object_pass pass = PASS_MAIN; pass < PASSES; pass++)
        for (size_t i = 0; i < sides->at_source.count; i++) {
            struct object *object = &sides->at_source.objects[i];
            if (object->pass == pass && pass != PASS_STATISTICS && !object->is_left_out &&
                !make_scratch(sides, session, object, err))
                return false;
        }
    return session_execute(session, "commit", err);
}

static bool fill_scratch(struct sides *sides, const char *name, struct object_list *ret_list,
                         struct error *err) {
    struct session session = {0};
    struct toc toc;
    const bool is_filled = sides_connect(sides, name, &session, err) && make_all(sides, &session, err) &&
                           describer_read(&sides->describer, &session, name, &toc, err) &&
                           object_list_make(&toc, sides->config, &sides->arena, ret_list, err);
    session_close(&session);
    return is_filled;
}

bool sides_normalise(struct sides *sides, struct object_list *ret_list, struct error *err) {
    char name[NAME_BYTES_MAX];
    struct error ignored = {0};
    scratch_name(sides, name);
    *ret_list = (struct object_list){0};
    if (!scratch_claim(sides, err) || !scratch_drop(sides, name, err) || !scratch_create(sides, name, err))
        return false;
    const bool is_filled = fill_scratch(sides, name, ret_list, err);
    /* What stays, the next comparison removes. */
    if (!scratch_drop(sides, name, &ignored) && is_filled)
        log_about(LOG_SCRATCH_REMAINS, &(struct log_subject){.error = &ignored},
                  "database %s of the target was not removed: %s", name, ignored.text);
    return is_filled;
}
