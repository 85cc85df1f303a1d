/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pq_pipeline.c - libpq's pipeline mode.
 *
 * libpq buffers without a limit what it cannot send; so after every SEND_BYTES we wait until the buffer is
 * sent. The wait also reads, so that the two sides cannot block each other with full buffers.
 */
#include "sinks/postgres/target/pq_pipeline.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"

#define ROOT_OF_NEGATIVE "2201F"
#define SEND_BYTES (256u * 1024u)
#define STATEMENT_BYTES 64u /* roughly the bytes of Bind, Describe and Execute without their parameters */

bool pq_pipeline_begin(struct pq_pipeline *pipeline, struct error *err) {
    assert(!pipeline->active);
    assert(pipeline->count == 0);
    if (PQenterPipelineMode(pipeline->session->conn) == 0)
        return session_error(pipeline->session, NULL, err);
    pipeline->active = true;
    pipeline->whole = false;
    pipeline->unsent_bytes = 0;
    pipeline->failure = (struct pq_pipeline_failure){0};
    return true;
}

/* Did COUNTS_ONE fail, and on how many rows? */
static bool has_counted(const struct error *err, uint64_t *ret_rows) {
    *ret_rows = strcmp(err->sqlstate, DIVISION_BY_ZERO) == 0 ? 0 : 2;
    return *ret_rows == 0 || strcmp(err->sqlstate, ROOT_OF_NEGATIVE) == 0;
}

static bool judge_failure(struct pq_pipeline *pipeline, const struct pq_pipeline_note *note, PGresult *result,
                          struct error *err) {
    struct pq_pipeline_failure failure = {.note = *note};
    session_error(pipeline->session, result, err);
    failure.is_count = note->counts_one && has_counted(err, &failure.rows);
    pipeline->failure = failure;
    return !failure.is_count ? false
                             : error_set(err, ERROR_DATA, "target: %s found, 1 expected",
                                         failure.rows == 0 ? "no row" : "more than one row");
}

/*
 * "Cached plan must not change result type", undefined column, undefined table: the table must be looked up
 * again.
 */
static bool is_other_shape(const char *sqlstate) {
    return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "42703") == 0 || strcmp(sqlstate, "42P01") == 0;
}

static bool table_has_changed(struct pq_pipeline *pipeline, const struct pq_pipeline_note *note,
                              struct error *err) {
    pipeline->failure = (struct pq_pipeline_failure){.note = *note};
    return error_set(err, ERROR_RETRY, "target: a table was changed there, so it is looked up again");
}

static bool judge_shape(struct pq_pipeline *pipeline, const struct pq_pipeline_note *note,
                        const PGresult *result, struct error *err) {
    static const uint64_t FACTOR = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t shape = 1;
    for (int i = 0; i < PQnfields(result); i++) {
        shape = (shape ^ PQftable(result, i)) * FACTOR;
        shape = (shape ^ PQftype(result, i)) * FACTOR;
        shape = (shape ^ (uint32_t) PQfmod(result, i)) * FACTOR;
    }
    shape |= 1;
    if (*note->shape == 0)
        *note->shape = shape;
    return *note->shape == shape || table_has_changed(pipeline, note, err);
}

/* Fails when the answer is not what the note expects; remembers only the first failure. */
static bool pq_pipeline_judge(struct pq_pipeline *pipeline, const struct pq_pipeline_note *note,
                              PGresult *result, struct error *err) {
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        return judge_failure(pipeline, note, result, err) ||
               (note->shape != NULL && is_other_shape(err->sqlstate) ? table_has_changed(pipeline, note, err)
                                                                     : false);
    if (note->shape != NULL)
        return judge_shape(pipeline, note, result, err);
    if (note->rows_expected == ROWS_ANY && note->tally == NULL)
        return true;
    uint64_t rows = strtoull(PQcmdTuples(result), NULL, 10);
    if (note->tally != NULL)
        *note->tally += rows;
    if (note->rows_expected == ROWS_ANY)
        return true;
    if (rows == note->rows_expected || (rows == 0 && note->may_miss))
        return true;
    pipeline->failure = (struct pq_pipeline_failure){.note = *note, .is_count = true, .rows = rows};
    return error_set(err, ERROR_DATA, "target: %s found, %" PRIu64 " expected",
                     amount_count(rows, "row").text, note->rows_expected);
}

/* The answer of one statement and the end mark that libpq returns after it. */
static bool take_answer(struct pq_pipeline *pipeline, const struct pq_pipeline_note *note, bool *good,
                        struct error *err) {
    for (;;) {
        PGresult *result AUTO_PGRESULT = NULL;
        if (!session_next_result(pipeline->session, &result, err))
            return false;
        if (result == NULL)
            return true;
        if (*good)
            *good = pq_pipeline_judge(pipeline, note, result, err);
    }
}

static bool take_sync(struct pq_pipeline *pipeline, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_next_result(pipeline->session, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC)
        return session_error(pipeline->session, result, err);
    return true;
}

/* Sends a sync; reads and checks every answer up to here. */
static bool synchronise(struct pq_pipeline *pipeline, struct error *err) {
    size_t count = pipeline->count;
    bool good = true;
    pipeline->count = 0;
    pipeline->unsent_bytes = 0;
    if (PQpipelineSync(pipeline->session->conn) == 0)
        return session_error(pipeline->session, NULL, err);
    for (size_t i = 0; i < count; i++)
        if (!take_answer(pipeline, &pipeline->notes[i], &good, err))
            return false;
    struct error broken;
    if (!take_sync(pipeline, good ? err : &broken))
        return false;
    return good;
}

static bool leave(struct pq_pipeline *pipeline, struct error *err) {
    pipeline->active = false;
    if (PQexitPipelineMode(pipeline->session->conn) == 0)
        return session_error(pipeline->session, NULL, err);
    return true;
}

bool pq_pipeline_finish(struct pq_pipeline *pipeline, struct error *err) {
    assert(pipeline->active);
    bool good = synchronise(pipeline, err);
    struct error broken;
    return leave(pipeline, good ? err : &broken) && good;
}

/* Called before a statement is sent, so that there is room for its note. */
static bool make_room(struct pq_pipeline *pipeline, struct error *err) {
    assert(pipeline->active);
    struct error broken;
    if (pipeline->count == PIPELINE_COMMANDS_MAX && pipeline->whole)
        return error_set(err, ERROR_SYSTEM, "target: too many statements for a transaction of one pipeline");
    if (pipeline->count == PIPELINE_COMMANDS_MAX && !synchronise(pipeline, err)) {
        (void) leave(pipeline, &broken);
        return false;
    }
    if (pipeline->unsent_bytes < SEND_BYTES)
        return true;
    pipeline->unsent_bytes = 0;
    return session_flush(pipeline->session, err);
}

static bool note_sent(struct pq_pipeline *pipeline, int sent, size_t bytes, struct pq_pipeline_note note,
                      struct error *err) {
    if (sent == 0)
        return session_error(pipeline->session, NULL, err);
    pipeline->notes[pipeline->count++] = note;
    pipeline->unsent_bytes += bytes + STATEMENT_BYTES;
    return true;
}

bool pq_pipeline_query(struct pq_pipeline *pipeline, const char *sql, struct pq_pipeline_note note,
                       struct error *err) {
    if (!make_room(pipeline, err))
        return false;
    int sent = PQsendQueryParams(pipeline->session->conn, sql, 0, NULL, NULL, NULL, NULL, 0);
    return note_sent(pipeline, sent, 0, note, err);
}

bool pq_pipeline_drop_prepared(struct pq_pipeline *pipeline, struct error *err) {
    pipeline->drops++;
    return pq_pipeline_query(pipeline, "deallocate all", (struct pq_pipeline_note){.rows_expected = ROWS_ANY},
                             err);
}

bool pq_pipeline_prepare(struct pq_pipeline *pipeline, const char *name, const char *sql, int count,
                         const oid_t *types, struct pq_pipeline_note note, struct error *err) {
    if (!make_room(pipeline, err))
        return false;
    int sent = PQsendPrepare(pipeline->session->conn, name, sql, count, types);
    return note_sent(pipeline, sent, 0, note, err);
}

static size_t parameter_bytes(const struct pq_pipeline_parameters *parameters) {
    size_t bytes = 0;
    for (int i = 0; i < parameters->count; i++)
        bytes +=
            6 +
            (parameters->values[i] == NULL || parameters->sizes == NULL ? 0 : (size_t) parameters->sizes[i]);
    return bytes;
}

bool pq_pipeline_execute(struct pq_pipeline *pipeline, const char *name,
                         const struct pq_pipeline_parameters *parameters, struct pq_pipeline_note note,
                         struct error *err) {
    if (!make_room(pipeline, err))
        return false;
    int sent = PQsendQueryPrepared(pipeline->session->conn, name, parameters->count, parameters->values,
                                   parameters->sizes, parameters->formats, 0);
    return note_sent(pipeline, sent, parameter_bytes(parameters), note, err);
}

bool pq_pipeline_describe(struct pq_pipeline *pipeline, const char *name, struct pq_pipeline_note note,
                          struct error *err) {
    assert(note.shape != NULL);
    if (!make_room(pipeline, err))
        return false;
    return note_sent(pipeline, PQsendDescribePrepared(pipeline->session->conn, name), 0, note, err);
}
