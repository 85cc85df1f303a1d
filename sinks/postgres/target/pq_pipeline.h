/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pq_pipeline.h - many statements to the target in one round trip, every answer checked.
 *
 *     pq_pipeline_begin -> (pq_pipeline_query | pq_pipeline_prepare | pq_pipeline_execute)* -> pq_pipeline_finish
 *
 * The server stops at the first statement that fails and skips the rest, so nothing after a failure can
 * happen, COMMIT included. The note of a statement is kept until its answer arrives, so that an error can
 * name the change. When the list of notes is full, the pipeline syncs by itself and continues, unless it is
 * whole.
 *
 * COPY cannot run in a pipeline.
 */
#pragma once

#include <stdint.h>

#include "cdc/pq/session.h"
#include "decoder/change.h"

struct target_table;

#define ROWS_ANY UINT64_MAX /* the number of rows does not matter */

/*
 * The select list of a statement that fails on the server unless it counts exactly one row, so that what
 * follows it, COMMIT included, does not happen. Division by zero: no row; root of a negative number:
 * several.
 */
#define DIVISION_BY_ZERO "22012"
#define COUNTS_ONE "1 / pg_catalog.count(*), pg_catalog.sqrt(1 - pg_catalog.count(*))"

/* What a statement is for and what its answer must be. */
struct pq_pipeline_note {
    uint64_t rows_expected;      /* the command tag's count must be this, or ROWS_ANY */
    bool may_miss;               /* 0 rows are accepted too */
    bool counts_one;             /* the statement selects COUNTS_ONE */
    bool is_position;            /* the lock or the store of the position row */
    uint64_t *tally;             /* not NULL: the count is added to it */
    uint64_t *shape;             /* the answer describes columns; see pq_pipeline_describe */
    struct target_table *table;  /* or NULL */
    const struct change *change; /* or NULL */
};

struct pq_pipeline_parameters {
    int count;
    const char *const *values;
    const int *sizes;
    const int *formats; /* 0: text, which ends in NUL, 1: binary */
};

#define PIPELINE_COMMANDS_MAX 4096

/* The statement whose answer was not the expected one; otherwise all zero. */
struct pq_pipeline_failure {
    struct pq_pipeline_note note;
    bool is_count; /* the statement succeeded, on another number of rows */
    uint64_t rows; /* 2: or more, where the server counts them */
};

struct pq_pipeline {
    struct session *session;
    bool active;         /* between begin and finish; a failed statement may also have ended it */
    bool whole;          /* has no BEGIN, so a sync commits, which only its end may do; set after begin */
    uint64_t drops;      /* how often all prepared statements were dropped */
    size_t unsent_bytes; /* roughly the bytes given to libpq since the last PQflush */
    size_t count;
    struct pq_pipeline_note notes[PIPELINE_COMMANDS_MAX];
    struct pq_pipeline_failure failure; /* of the last pq_pipeline_finish that failed */
};

MUST_CHECK bool pq_pipeline_begin(struct pq_pipeline *pipeline, struct error *err);

/* A statement without parameters whose text the server parses each time. */
MUST_CHECK bool pq_pipeline_query(struct pq_pipeline *pipeline, const char *sql, struct pq_pipeline_note note,
                                  struct error *err);

/* Drops every prepared statement of the session. Owners of prepared statements compare pipeline->drops. */
MUST_CHECK bool pq_pipeline_drop_prepared(struct pq_pipeline *pipeline, struct error *err);

MUST_CHECK bool pq_pipeline_prepare(struct pq_pipeline *pipeline, const char *name, const char *sql,
                                    int count, const oid_t *types, struct pq_pipeline_note note,
                                    struct error *err);

MUST_CHECK bool pq_pipeline_execute(struct pq_pipeline *pipeline, const char *name,
                                    const struct pq_pipeline_parameters *parameters,
                                    struct pq_pipeline_note note, struct error *err);

/*
 * Asks what a prepared statement returns: columns, types and modifiers. Stores a digest of them in
 * *note.shape when that is 0; if it differs later, the table was changed and the failure is ERROR_RETRY. The
 * server keeps the table locked until the transaction ends.
 */
MUST_CHECK bool pq_pipeline_describe(struct pq_pipeline *pipeline, const char *name,
                                     struct pq_pipeline_note note, struct error *err);

/*
 * Waits for every answer and leaves pipeline mode. False: the connection is lost, or pipeline->failure names
 * the statement that failed; *err is then the server's error, or ERROR_DATA for a wrong number of rows.
 */
MUST_CHECK bool pq_pipeline_finish(struct pq_pipeline *pipeline, struct error *err);
