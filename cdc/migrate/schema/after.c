/* SPDX-License-Identifier: Apache-2.0 */
/*
 * after.c - the stage after the copy.
 *
 * Each object is one transaction of one of several connections, with its row in pgcdc.migration.
 */
#include "cdc/migrate/schema/after.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/schema/analyzed.h"
#include "cdc/migrate/schema/make.h"
#include "cdc/migrate/schema/settle.h"
#include "cdc/migrate/schema/work.h"
#include "cdc/pq/identifier.h"

enum {
    TRIES = 5, /* after a deadlock with the pipeline's own changes */
    WORKERS_MAX = 64,
    ROW_BYTES_MAX = 4 << 20,
};

struct after {
    struct sides *sides;
    const char *pipeline;
    const char *search_path; /* of the source's database */
    struct work work;
};

/* ---- one object ---- */

static bool try_at_once(const struct after *after, struct session *session, const struct object *object,
                        struct error *err) {
    struct buffer row AUTO(buffer_release) = {.bytes_max = ROW_BYTES_MAX};
    settle_append(&row, after->pipeline, object);
    return buffer_text(&row) != NULL ? make_at_once(session, after->pipeline, object, row.data, err)
                                     : error_no_memory(err);
}

static bool try_object(const struct after *after, struct session *session, const struct object *object,
                       struct error *err) {
    if (try_at_once(after, session, object, err))
        return true;
    if (!make_lacks_name(err) || !session_execute(session, "rollback", err))
        return false;
    *err = (struct error){0};
    return make_begin(session, after->pipeline, err) &&
           make_object_safely(session, object, after->search_path, err) &&
           settle_write(session, after->pipeline, &object, 1, err);
}

static bool commit_object(struct session *session, struct error *err) {
    FAULT_POINT("schema-object-commit");
    if (!session_execute(session, "commit", err))
        return false;
    FAULT_POINT("schema-object-done");
    return true;
}

static bool is_passing(const struct error *err) {
    return strcmp(err->sqlstate, "40P01") == 0 || strcmp(err->sqlstate, "40001") == 0 ||
           strcmp(err->sqlstate, "55P03") == 0;
}

static bool make_one(const struct after *after, struct session *session, const struct object *object,
                     struct error *err) {
    for (int tries = 1;; tries++) {
        struct error error = {0};
        struct error ignored = {0};
        if (try_object(after, session, object, &error))
            return commit_object(session, err);
        if (tries == TRIES || !is_passing(&error) || !session_execute(session, "rollback", &ignored)) {
            *err = error;
            return false;
        }
    }
}

/* ---- workers ---- */

static void make_objects(struct after *after, struct session *session) {
    struct object *object;
    while ((object = work_take(&after->work)) != NULL) {
        struct error err = {0};
        if (make_one(after, session, object, &err)) {
            log_sink(LOG_OBJECT_BUILT, after->sides->sink->sink.name, "made %s", object->key);
            work_done(&after->work, object);
        } else {
            work_fail(&after->work, object, &err);
        }
    }
}

static void *after_main(void *argument) {
    struct after *after = argument;
    struct session session = {0};
    struct error err = {0};
    if (sides_connect(after->sides, NULL, &session, &err) && session_notice_our_end(&session, &err))
        make_objects(after, &session);
    else
        work_fail(&after->work, NULL, &err);
    session_close(&session);
    return NULL;
}

static bool run_workers(struct after *after, struct error *err) {
    pthread_t threads[WORKERS_MAX];
    const size_t jobs = after->sides->config->schema.jobs;
    const size_t wanted = after->work.count < jobs ? after->work.count : jobs;
    size_t count = 0;
    int failure = 0;
    while (count < wanted && failure == 0) {
        failure = pthread_create(&threads[count], NULL, after_main, after);
        count += failure == 0;
    }
    if (failure != 0) {
        struct error error = {0};
        error_set(&error, ERROR_SYSTEM, "a thread for an index: %s", strerror(failure));
        work_fail(&after->work, NULL, &error);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    if (after->work.has_failed)
        *err = after->work.error;
    return !after->work.has_failed;
}

/* ---- what an interrupted CREATE INDEX CONCURRENTLY left ---- */

static bool drop_invalid(struct sides *sides, const struct object *object, struct error *err) {
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, 4096);
    buffer_append_text(&sql, "drop index if exists ");
    identifier_append_qualified(&sql, slice_of(object->schema), slice_of(object->name));
    const char *text = buffer_text(&sql);
    log_sink(LOG_OBJECT_MADE_AGAIN, sides->sink->sink.name,
             "%s is not valid at the target and is built again", object->key);
    return text != NULL ? session_execute(&sides->target, text, err) : error_no_memory(err);
}

static bool drop_invalid_indexes(struct sides *sides, struct error *err) {
    static const char SQL[] = "select n.nspname::text, c.relname::text from pg_catalog.pg_index i"
                              " join pg_catalog.pg_class c on c.oid = i.indexrelid"
                              " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where not "
                              "i.indisvalid and c.relkind = 'i'";
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&sides->target, SQL, 0, NULL,
                       &(const struct result_shape){"the query for indexes", 0, RESULT_ROWS_ANY, 2, 0}, &rows,
                       err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        const struct object like = {
            .kind = "INDEX", .schema = PQgetvalue(rows, row, 0), .name = PQgetvalue(rows, row, 1)};
        const struct object *object = object_list_find(&sides->at_source, &like);
        if (object != NULL && object->state == OBJECT_WAITING && !drop_invalid(sides, object, err))
            return false;
    }
    return true;
}

/* ---- sizes ---- */

static bool take_sizes(struct sides *sides, struct error *err) {
    static const char SQL[] =
        "select n.nspname::text, c.relname::text, r.relname || ' ' || c.relname,"
        " (c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint)::text"
        " from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
        " join pg_catalog.pg_class r on r.oid = i.indrelid"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relpages > 0";
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&sides->source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for sizes", 0, RESULT_ROWS_ANY, 4, 0}, &rows,
                       err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++) {
        const char *schema = PQgetvalue(rows, row, 0);
        const struct object index = {.kind = "INDEX", .schema = schema, .name = PQgetvalue(rows, row, 1)};
        const struct object constraint = {
            .kind = "CONSTRAINT", .schema = schema, .name = PQgetvalue(rows, row, 2)};
        struct object *object = object_list_find(&sides->at_source, &index);
        object = object != NULL ? object : object_list_find(&sides->at_source, &constraint);
        if (object != NULL)
            object->bytes = strtoll(PQgetvalue(rows, row, 3), NULL, 10);
    }
    return true;
}

bool after_make(struct sides *sides, const struct steps *steps, size_t *made, struct error *err) {
    struct after after = {.sides = sides, .pipeline = steps->pipeline};
    if (!make_read_path(&sides->source, &sides->arena, &after.search_path, err) ||
        !drop_invalid_indexes(sides, err) || !take_sizes(sides, err) || !analyzed_skip(sides, err) ||
        !work_init(&after.work, &sides->at_source, &sides->arena, err))
        return false;
    const bool is_made = run_workers(&after, err);
    *made += after.work.count - after.work.left;
    work_release(&after.work);
    return is_made;
}
