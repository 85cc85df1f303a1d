/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_parts.h - private to cdc/migrate/cutover: one cutover or rollback, and its parts.
 *
 * From and to: the side that the applications leave, and the one that they go to. The stream runs from one to
 * the other.
 */
#pragma once

#include "cdc/migrate/cutover/cutover.h"
#include "cdc/migrate/cutover/cutover_engine.h"
#include "cdc/migrate/cutover/cutover_place.h"
#include "cdc/source/catalog.h"

struct cutover {
    struct cutover_options options;
    const struct config *config;    /* of the file; its target has the rows */
    const struct config *stream;    /* config, or for a rollback the reversed one */
    const struct config *back;      /* the stream that is to be armed; it copies nothing */
    struct config *reversed;        /* owned; one of the two */
    struct config *kept;            /* owned: the file's once more, to be changed */
    const struct config_sink *sink; /* of the stream */
    const char *step;               /* CUTOVER_STEP or ROLLBACK_STEP */
    struct session from, to;
    struct session fence; /* holds the locks; closed: none */
    struct steps steps;
    struct cutover_engine engine;
    struct arena arena;
    struct table_list tables; /* that the stream has */
    atomic_bool stop;         /* of all sessions: the caller's, or the time is over */
    pthread_t watch;
    atomic_bool watch_ends;
    bool is_watched;
    atomic_llong deadline_ms; /* 0: none yet */
    int64_t fenced_ms;        /* clock when writers began to wait; 0: none waits */
    struct cutover_report *report;
};

static inline const char *cutover_side(const struct cutover *cutover, bool of_from) {
    return of_from == !cutover->options.is_rollback ? "source" : "target";
}

/* Sets the line of the report; it is also the log's. */
void cutover_tell(struct cutover *cutover, enum cutover_state state, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* What is left until the outage is too long, at most most_ms. */
int cutover_left_ms(const struct cutover *cutover, int most_ms);

/* ---- the states, each in its file ---- */

MUST_CHECK bool cutover_get_ready(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_fence(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_drain(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_set_sequences(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_verify(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_arm_back(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_seal(struct cutover *cutover, struct error *err);
MUST_CHECK bool cutover_flip(struct cutover *cutover, struct error *err);

/* ---- their parts ---- */

/* Rights, settings, and what would stay behind. */
MUST_CHECK bool cutover_check_demands(struct cutover *cutover, struct error *err);

/* The names of the stream's tables, quoted, as an array's text, in arena. */
MUST_CHECK bool cutover_list_tables(struct cutover *cutover, const char **ret_array, struct error *err);

/*
 * Everything that is committed at the source now is applied. *ret_ms: how long that took. Waits at most
 * timeout_ms.
 */
MUST_CHECK bool cutover_drain_now(struct cutover *cutover, int timeout_ms, int64_t *ret_ms,
                                  struct error *err);

/* The database takes writes by our own sessions only. Its row is written first. */
MUST_CHECK bool seal_database(struct cutover *cutover, bool of_from, struct error *err);
/* Unless it is not sealed by us. */
MUST_CHECK bool unseal_database(struct cutover *cutover, bool of_from, struct error *err);

/* Removes slot, publication, position and files of a stream that does not run. */
MUST_CHECK bool cutover_drop_stream(struct cutover *cutover, const struct config *config,
                                    struct session *source, struct error *err);

/* Has the slot of the way back a change? Then an application has written to the other side. */
MUST_CHECK bool cutover_is_written(struct cutover *cutover, bool *ret_written, struct error *err);

/* Drops a slot, waiting a moment for a session that is ending. No slot is fine. */
MUST_CHECK bool cutover_drop_slot(struct cutover *cutover, struct session *session, const char *slot,
                                  struct error *err);

/* Runs cutover.on_flip, at most timeout_ms. */
MUST_CHECK bool cutover_run_hook(struct cutover *cutover, int timeout_ms, struct error *err);

/* Everything as before the first state; the rows go last. Sessions are opened anew. */
MUST_CHECK bool cutover_undo(struct cutover *cutover, struct error *err);

/* cutover.c: configurations, sessions and rows, for all calls. Release it in any case. */
MUST_CHECK bool cutover_open(struct cutover *cutover, const struct config *config,
                             const struct cutover_options *options, struct error *err);
MUST_CHECK bool cutover_open_sides(struct cutover *cutover, const atomic_bool *stop, struct error *err);
void cutover_release(struct cutover *cutover);
