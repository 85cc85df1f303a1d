/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps.c - the statements on pgcdc.migration.
 */
#include "cdc/migrate/steps/steps.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "cdc/migrate/steps/steps_table.h"
#include "cdc/pq/identifier.h"

static const char *const STATE_NAMES[] = {"none", "started", "done", "failed"};

const char *step_state_name(enum step_state state) {
    return STATE_NAMES[state];
}

static enum step_state state_of(const char *name) {
    for (size_t i = STEP_STARTED; i <= STEP_FAILED; i++)
        if (strcmp(name, STATE_NAMES[i]) == 0)
            return (enum step_state) i;
    return STEP_NONE;
}

bool steps_can(const struct config_sink *sink) {
    return sink_admin(sink->ops, target) != NULL && sink->sink.mapping == NULL;
}

static bool refuse_sink(const struct config_sink *sink, struct error *err) {
    if (sink->sink.mapping != NULL) {
        error_set(err, ERROR_CONFIG, "sink %s has a mapping, and a migration moves tables as they are",
                  sink->sink.name);
        return error_remedy(err, "move the database by a file without `mapping`");
    }
    error_set(err, ERROR_CONFIG,
              "sink %s is no PostgreSQL database, so it has no place for the steps of a migration",
              sink->sink.name);
    return error_remedy(err, "name another sink with --sink");
}

bool steps_open(struct steps *steps, const struct config *config, const struct config_sink *sink,
                const atomic_bool *stop, struct error *err) {
    struct session_options options = {.stop = stop};
    if (!steps_can(sink))
        return refuse_sink(sink, err);
    sink->ops->admin->target(&sink->sink, &options);
    *steps = (struct steps){.pipeline = config->name, .sink = sink->sink.name};
    return session_open(&steps->session, &options, err) &&
           steps_table_exists(&steps->session, &steps->exists, err);
}

void steps_close(struct steps *steps) {
    session_close(&steps->session);
}

/* ---- writing ---- */

static const char BEGIN[] =
    "insert into pgcdc.migration as m (pipeline, step, object, state, detail, started_at)"
    " values ($1, $2, $3, 'started', $4, pg_catalog.clock_timestamp())"
    " on conflict (pipeline, step, object) do update set state = 'started', ended_at = null,"
    " detail = coalesce(excluded.detail, m.detail)";

static const char END[] = "update pgcdc.migration m set state = $5, ended_at = pg_catalog.clock_timestamp(),"
                          " detail = coalesce($4, m.detail)"
                          " where pipeline = $1 and step = $2 and object = $3";

static bool write_end(struct session *session, const char *pipeline, const struct step *step,
                      struct error *err) {
    const char *const values[] = {pipeline, step->name, step->object, step->detail,
                                  step_state_name(step->state)};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, END, 5, values, &(const struct result_shape){"the end of a step", 0, 0, 0, 0},
                       &result, err))
        return false;
    if (strcmp(PQcmdTuples(result), "1") == 0)
        return true;
    return error_set(
        err, ERROR_REFUSE,
        "target: step %s%s%s of pipeline %s is no longer in pgcdc.migration: another process has "
        "removed it; run the command again",
        step->name, step->object[0] != '\0' ? " " : "", step->object, pipeline);
}

bool step_write(struct session *session, const char *pipeline, const struct step *step, struct error *err) {
    assert(step->state != STEP_NONE);
    if (step->state != STEP_STARTED)
        return write_end(session, pipeline, step, err);
    const char *const values[] = {pipeline, step->name, step->object, step->detail};
    return session_query(session, BEGIN, 4, values, NULL, NULL, err);
}

#define INSERT_DONE                                                                                          \
    "insert into pgcdc.migration as m (pipeline, step, object, state, detail, started_at, ended_at)"
#define OR_UPDATE                                                                                            \
    " on conflict (pipeline, step, object) do update"                                                        \
    " set state = 'done', detail = excluded.detail, ended_at = excluded.ended_at"

void step_append_done(struct buffer *sql, const char *pipeline, const struct step *step) {
    const char *const values[] = {pipeline, step->name, step->object, "done", step->detail};
    buffer_append_text(sql, INSERT_DONE " values (");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        literal_append(sql, slice_of(values[i]));
        buffer_append_text(sql, ", ");
    }
    buffer_append_text(sql, "pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp())" OR_UPDATE);
}

bool step_write_done(struct session *session, const char *pipeline, const char *name, const char *objects,
                     const char *details, struct error *err) {
    static const char DONE[] = INSERT_DONE
        " select $1, $2, o, 'done', d, pg_catalog.clock_timestamp(), pg_catalog.clock_timestamp()"
        " from rows from (pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[])) u (o, d)" OR_UPDATE;
    return session_query(session, DONE, 4, (const char *const[]){pipeline, name, objects, details}, NULL,
                         NULL, err);
}

static bool write_own(struct steps *steps, const struct step *step, struct error *err) {
    assert(steps->exists);
    return step_write(&steps->session, steps->pipeline, step, err);
}

bool steps_begin(struct steps *steps, const char *name, const char *object, const char *detail,
                 struct error *err) {
    const struct step step = {.name = name, .object = object, .state = STEP_STARTED, .detail = detail};
    return write_own(steps, &step, err);
}

bool steps_done(struct steps *steps, const char *name, const char *object, const char *detail,
                struct error *err) {
    const struct step step = {.name = name, .object = object, .state = STEP_DONE, .detail = detail};
    return write_own(steps, &step, err);
}

bool steps_failed(struct steps *steps, const char *name, const char *object, const char *detail,
                  struct error *err) {
    const struct step step = {.name = name, .object = object, .state = STEP_FAILED, .detail = detail};
    return write_own(steps, &step, err);
}

/* ---- reading ---- */

enum { NAME, OBJECT, STATE, DETAIL, STARTED, ENDED, FIELDS };

#define SINCE_2000(COLUMN) "(extract(epoch from " COLUMN " - '2000-01-01 00:00:00+00') * 1000000)::bigint"

/* $2 and $3: NULL for any */
static const char READ[] = "select step, object, state, detail, " SINCE_2000("started_at") ", " SINCE_2000(
    "ended_at") " from pgcdc.migration where pipeline = $1 and ($2::text is null or step = $2)"
                " and ($3::text is null or object = $3) order by started_at, object";

static bool keep_text(struct arena *arena, const PGresult *rows, int row, int column, const char **ret_text) {
    *ret_text = NULL;
    if (PQgetisnull(rows, row, column))
        return true;
    *ret_text = arena_copy(arena, slice_of(PQgetvalue(rows, row, column)));
    return *ret_text != NULL;
}

static bool read_row(struct arena *arena, const PGresult *rows, int row, struct step *ret_step) {
    ret_step->state = state_of(PQgetvalue(rows, row, STATE));
    ret_step->started_us = strtoll(PQgetvalue(rows, row, STARTED), NULL, 10);
    ret_step->ended_us = strtoll(PQgetvalue(rows, row, ENDED), NULL, 10);
    return keep_text(arena, rows, row, NAME, &ret_step->name) &&
           keep_text(arena, rows, row, OBJECT, &ret_step->object) &&
           keep_text(arena, rows, row, DETAIL, &ret_step->detail);
}

static bool read_rows(struct steps *steps, const char *name, const char *object, struct arena *arena,
                      struct step_list *ret_list, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    *ret_list = (struct step_list){0};
    if (!steps->exists)
        return true;
    if (!session_query(&steps->session, READ, 3, (const char *const[]){steps->pipeline, name, object},
                       &(const struct result_shape){"the query for the steps", 0, RESULT_ROWS_ANY, FIELDS,
                                                    1u << DETAIL | 1u << ENDED},
                       &rows, err))
        return false;
    const size_t count = (size_t) PQntuples(rows);
    struct step *list = arena_alloc_zero(arena, (count + 1) * sizeof *list);
    if (list == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!read_row(arena, rows, (int) i, &list[i]))
            return error_no_memory(err);
    *ret_list = (struct step_list){.steps = list, .count = count};
    return true;
}

bool steps_read(struct steps *steps, const char *name, const char *object, struct arena *arena,
                struct step *ret_step, struct error *err) {
    struct step_list list;
    if (!read_rows(steps, name, object, arena, &list, err))
        return false;
    *ret_step = list.count > 0 ? list.steps[0] : (struct step){.name = name, .object = object};
    return true;
}

bool steps_list(struct steps *steps, const char *name, struct arena *arena, struct step_list *ret_list,
                struct error *err) {
    return read_rows(steps, name, NULL, arena, ret_list, err);
}

bool steps_remove(struct steps *steps, const char *name, struct error *err) {
    static const char DELETE[] =
        "delete from pgcdc.migration where pipeline = $1 and ($2::text is null or step = $2)";
    if (!steps->exists)
        return true;
    if (!session_query(&steps->session, DELETE, 2, (const char *const[]){steps->pipeline, name}, NULL, NULL,
                       err))
        return false;
    FAULT_POINT("steps-removed");
    return name != NULL || steps_table_drop_if_empty(steps, err);
}
