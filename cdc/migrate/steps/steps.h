/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps.h - what of a migration is done: rows of pgcdc.migration in the target.
 *
 * A row is one step of one pipeline, or the step for one object: (schema, index public.orders_pkey). It is
 * started, then done or failed. A step that is started and whose process is gone is begun again, so each step
 * must be right when its work was done already, wholly or in part.
 *
 * One thread at a time uses a struct steps. A thread with a session of its own calls step_write.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

enum step_state { STEP_NONE, STEP_STARTED, STEP_DONE, STEP_FAILED };

struct step {
    const char *name;      /* "schema" */
    const char *object;    /* "" if the step is not for one object */
    enum step_state state; /* STEP_NONE: there is no row */
    const char *detail;    /* a JSON object's text that the step defines, or NULL */
    int64_t started_us;    /* by the target's clock, since 2000; 0: no row */
    int64_t ended_us;      /* 0: it has not ended */
};

struct steps {
    struct session session; /* in the target's database; its end releases the lock */
    const char *pipeline;   /* lives as long as the configuration */
    const char *sink;
    bool exists; /* the table does */
};

/* Can the sink keep steps? Its target must be a PostgreSQL database. */
bool steps_can(const struct config_sink *sink);

/* Connects. Creates nothing: reading without a table finds no step. steps: zeroed. */
MUST_CHECK bool steps_open(struct steps *steps, const struct config *config, const struct config_sink *sink,
                           const atomic_bool *stop, struct error *err);

/*
 * Before anything is written: takes the pipeline's lock in the target, then creates the table if it is
 * missing. The lock is the session's: a process that dies loses it. ERROR_RUNNING: another process, which the
 * error names, has it. command: who has the lock, for that error: "pgcdc migrate".
 */
MUST_CHECK bool steps_lock(struct steps *steps, const char *command, struct error *err);

/* Accepts zeroed ones. Releases the lock. */
void steps_close(struct steps *steps);

/*
 * Started: a step that has a row keeps its first started_at, and loses its end. done and failed require that
 * it was started. detail NULL: that of the row stays.
 */
MUST_CHECK bool steps_begin(struct steps *steps, const char *name, const char *object, const char *detail,
                            struct error *err);
MUST_CHECK bool steps_done(struct steps *steps, const char *name, const char *object, const char *detail,
                           struct error *err);
MUST_CHECK bool steps_failed(struct steps *steps, const char *name, const char *object, const char *detail,
                             struct error *err);

/* The same in any session of the target, also within a transaction. state: started, done or failed. */
MUST_CHECK bool step_write(struct session *session, const char *pipeline, const struct step *step,
                           struct error *err);

/* The statement that writes one as done, for a script of others. */
void step_append_done(struct buffer *sql, const char *pipeline, const struct step *step);

/*
 * Many objects of one step that are done, in one statement: arrays' texts of their names and of their
 * details, one for each. In any session of the target, also within a transaction.
 */
MUST_CHECK bool step_write_done(struct session *session, const char *pipeline, const char *name,
                                const char *objects, const char *details, struct error *err);

/* Texts in arena. No row is no error. */
MUST_CHECK bool steps_read(struct steps *steps, const char *name, const char *object, struct arena *arena,
                           struct step *ret_step, struct error *err);

struct step_list {
    struct step *steps; /* by started_at, then by object */
    size_t count;
};

/* All objects of a step; name NULL: all steps. Texts in arena. */
MUST_CHECK bool steps_list(struct steps *steps, const char *name, struct arena *arena,
                           struct step_list *ret_list, struct error *err);

/* All objects of a step; name NULL: all steps of the pipeline, and the table if no row is left. */
MUST_CHECK bool steps_remove(struct steps *steps, const char *name, struct error *err);

/* "started", "done", "failed"; "none" */
const char *step_state_name(enum step_state state);
