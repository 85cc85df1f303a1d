/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.h - `pgcdc migrate`: a database moves from the plan to the proof, in phases.
 *
 *     plan -> schema -> copy -> indexes -> sequences -> follow -> verify
 *
 * Each phase is a step in the target (steps/steps.h). A phase that is killed is done again by the next run,
 * which begins where it was: each is right when its work was done already, wholly or in part. The pipeline
 * keeps its own positions.
 */
#pragma once

#include <pthread.h>

#include "cdc/engine/pipeline.h"
#include "cdc/migrate/steps/steps.h"

enum migrate_end {
    MIGRATE_STOPPED, /* none: it follows until it is stopped */
    MIGRATE_COPIED,
    MIGRATE_CAUGHT_UP,
    MIGRATE_VERIFIED,
};

/* The pipeline in a thread of its own, while both sides are compared. */
struct migrate_follower {
    struct pipeline_options options;
    struct pipeline_result result;
    const struct config *config; /* the migration's */
    const struct config *failed;
    struct error error;
    atomic_bool stop;
    atomic_bool has_ended;
    bool is_good;
    bool runs;
    pthread_t thread;
};

struct migrate {
    struct config *config;
    const struct config_sink *sink; /* the target */
    enum migrate_end end;
    const atomic_bool *stop;
    int following_fd;   /* a byte is written there when it only follows; 0: none */
    struct steps steps; /* open, locked */
    struct arena arena;
    struct schema_kept *schema; /* what its first stage has described in this process, or NULL */
    struct migrate_plan *plan;  /* of this process, until the copy begins; NULL: there is none */
    struct migrate_follower follower;
    const struct config *failed; /* whose error it is, when the pipeline failed; else NULL */
    size_t problem_count;        /* of the plan; they are printed */
    bool is_different;           /* the comparison found that both sides are not equal; it is printed */
    bool has_ended;              /* the requested end is reached */
};

/*
 * Goes on from where the migration is. False also when it was stopped before its end (ERROR_STOPPED). A plan
 * with problems and a comparison that differs are no errors: see the fields. migrate: config, sink, end and
 * stop are set. Release it in any case.
 */
MUST_CHECK bool migrate_run(struct migrate *migrate, struct error *err);
void migrate_release(struct migrate *migrate);

/* A step is written also when the connection was lost: it is opened, and the lock taken, again. */
MUST_CHECK bool migrate_begin(struct migrate *migrate, const char *step, struct error *err);
MUST_CHECK bool migrate_done(struct migrate *migrate, const char *step, const char *detail,
                             struct error *err);
MUST_CHECK bool migrate_is_done(struct migrate *migrate, const char *step, bool *ret_done, struct error *err);

/* Opens the session and takes the lock again, if the connection is lost. Waits for the target. */
MUST_CHECK bool migrate_reconnect(struct migrate *migrate, struct error *err);

/* ---- the phases ---- */

/* phase_plan.c: sets problem_count. What is found is the step's detail. */
MUST_CHECK bool phase_plan(struct migrate *migrate, struct error *err);
/* The same once the schema is made. */
MUST_CHECK bool phase_plan_again(struct migrate *migrate, struct error *err);
/* Ends the sessions of a plan. */
void phase_plan_forget(struct migrate *migrate);

/* phase_schema.c: what the rows need, and what follows them. */
MUST_CHECK bool phase_schema(struct migrate *migrate, struct error *err);
MUST_CHECK bool phase_indexes(struct migrate *migrate, struct error *err);

/* phase_sequences.c: unless the configuration says that none follow. */
MUST_CHECK bool phase_sequences(struct migrate *migrate, struct error *err);

/* phase_rows.c: the pipeline runs until the copy is complete, and until it has caught up. */
MUST_CHECK bool phase_copy(struct migrate *migrate, struct error *err);
MUST_CHECK bool phase_follow(struct migrate *migrate, struct error *err);

/* Beside the phases that follow; end: stops the pipeline and waits for it, and keeps its ledger. */
MUST_CHECK bool follower_start(struct migrate *migrate, struct error *err);
void follower_wait(struct migrate *migrate);
MUST_CHECK bool follower_end(struct migrate *migrate, struct error *err);

/* phase_verify.c: while the pipeline runs. Sets is_different. */
MUST_CHECK bool phase_verify(struct migrate *migrate, struct error *err);
