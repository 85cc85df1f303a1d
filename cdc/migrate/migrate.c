/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.c - the order of the phases, and what is said about them.
 */
#include "cdc/migrate/migrate.h"

#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/migrate/schema/schema.h"
#include "cdc/migrate/globals/globals.h"

#define BLOCK_BYTES 65536
#define ARENA_BYTES_MAX ((size_t) 1 << 30)

enum {
    RECONNECT_PAUSE_MS = 1000,
    /* A server notices only soon that a process was killed, or that a connection is lost. */
    KILLED_MS = 5000,
    LOST_MS = 60000,
    LOCK_STEP_MS = 200,
};

/* ---- steps ---- */

/* Waits at most wait_ms for the lock. */
static bool open_locked(struct migrate *migrate, int64_t wait_ms, struct error *err) {
    const int64_t until_ms = clock_now_ms() + wait_ms;
    if (!steps_open(&migrate->steps, migrate->config, migrate->sink, migrate->stop, err))
        return false;
    while (!steps_lock(&migrate->steps, "pgcdc migrate", err)) {
        if (err->kind != ERROR_RUNNING || atomic_load(migrate->stop) || clock_now_ms() >= until_ms)
            return false;
        clock_pause_ms(LOCK_STEP_MS);
    }
    *err = (struct error){0};
    return true;
}

bool migrate_reconnect(struct migrate *migrate, struct error *err) {
    static const char PING[] = "select 1";
    while (migrate->steps.session.conn == NULL || !session_execute(&migrate->steps.session, PING, err)) {
        steps_close(&migrate->steps);
        if (open_locked(migrate, LOST_MS, err))
            return true;
        if (err->kind != ERROR_RETRY || atomic_load(migrate->stop))
            return false;
        steps_close(&migrate->steps);
        clock_pause_ms(RECONNECT_PAUSE_MS);
    }
    return true;
}

bool migrate_begin(struct migrate *migrate, const char *step, struct error *err) {
    if (!migrate_reconnect(migrate, err) || !steps_begin(&migrate->steps, step, "", NULL, err))
        return false;
    FAULT_POINT("migrate-begun");
    return true;
}

bool migrate_done(struct migrate *migrate, const char *step, const char *detail, struct error *err) {
    FAULT_POINT("migrate-worked");
    if (!migrate_reconnect(migrate, err) || !steps_done(&migrate->steps, step, "", detail, err))
        return false;
    FAULT_POINT("migrate-done");
    return true;
}

bool migrate_is_done(struct migrate *migrate, const char *step, bool *ret_done, struct error *err) {
    struct step row;
    if (!migrate_reconnect(migrate, err) ||
        !steps_read(&migrate->steps, step, "", &migrate->arena, &row, err))
        return false;
    *ret_done = row.state == STEP_DONE;
    return true;
}

/* ---- phases ---- */

struct phase {
    const char *name;
    const char *what;
    bool (*run)(struct migrate *migrate, struct error *err);
    bool is_repeated; /* also when it was done: it is true of its moment only */
};

static const struct phase PHASES[] = {
    {"plan", "what moves, and what is against it", phase_plan, true},
    {"schema", "what the rows need is made at the target", phase_schema, false},
    {"copy", "the rows are copied", phase_copy, false},
    {"indexes", "indexes, foreign keys and the rest of the schema are made", phase_indexes, false},
    {"sequences", "those of the target are set ahead", phase_sequences, true},
    {"follow", "the changes are applied, up to the source's end", phase_follow, true},
};

enum { PHASES_COUNT = sizeof PHASES / sizeof *PHASES };

/* Ends with the phase of that name. */
static bool is_last(const struct migrate *migrate, const struct phase *phase) {
    return (migrate->end == MIGRATE_COPIED && strcmp(phase->name, "copy") == 0) ||
           (migrate->end == MIGRATE_CAUGHT_UP && strcmp(phase->name, "follow") == 0);
}

static bool run_phase(struct migrate *migrate, const struct phase *phase, struct error *err) {
    const int64_t since_ms = clock_now_ms();
    bool is_done = false;
    if (!migrate_is_done(migrate, phase->name, &is_done, err))
        return false;
    if (is_done && !phase->is_repeated) {
        log_line(LOG_MIGRATE_STEP_KNOWN, "migrate: %s was done before", phase->name);
        return true;
    }
    log_line(LOG_MIGRATE_STEP, "migrate: step %td of %d, %s: %s", phase - PHASES + 1, PHASES_COUNT + 1,
             phase->name, phase->what);
    if (!phase->run(migrate, err))
        return false;
    if (migrate->problem_count == 0)
        log_line(LOG_MIGRATE_STEP_DONE, "migrate: %s is done, in %s", phase->name,
                 amount_duration(clock_now_ms() - since_ms).text);
    return true;
}

/* A comparison is of its moment: who asks for it gets a new one. */
static bool needs_verify(struct migrate *migrate, bool *ret_needed, struct error *err) {
    bool is_done = false;
    if (!migrate_is_done(migrate, "verify", &is_done, err))
        return false;
    *ret_needed = !is_done || migrate->end == MIGRATE_VERIFIED;
    return true;
}

static bool run_verify(struct migrate *migrate, struct error *err) {
    bool is_needed = false;
    if (!needs_verify(migrate, &is_needed, err))
        return false;
    if (!is_needed) {
        log_line(LOG_MIGRATE_STEP_KNOWN,
                 "migrate: verify was done before; pgcdc migrate --until verified repeats it");
        return true;
    }
    log_line(LOG_MIGRATE_STEP, "migrate: step %d of %d, verify: both sides are compared", PHASES_COUNT + 1,
             PHASES_COUNT + 1);
    return phase_verify(migrate, err);
}

/* To the process that works on the next database then, if there is one. */
static void say_following(const struct migrate *migrate) {
    if (migrate->following_fd > 0 && write(migrate->following_fd, "f", 1) < 0)
        log_line(LOG_DATABASES_LOST, "migrate: the process for the other databases is gone");
}

/* The pipeline runs while both sides are compared, and on, unless the comparison was the end. */
static bool verify_and_follow(struct migrate *migrate, struct error *err) {
    struct error ending = {0};
    bool is_good = follower_start(migrate, err) && run_verify(migrate, err);
    migrate->has_ended = is_good && !migrate->is_different && migrate->end == MIGRATE_VERIFIED;
    if (is_good && !migrate->is_different && migrate->end == MIGRATE_STOPPED) {
        log_line(LOG_MIGRATE_FOLLOWS, "migrate: following the source until it is stopped");
        say_following(migrate);
        follower_wait(migrate);
    }
    if (follower_end(migrate, &ending))
        return is_good;
    *err = ending; /* why the pipeline ended is why the comparison failed */
    return false;
}

bool migrate_run(struct migrate *migrate, struct error *err) {
    arena_init(&migrate->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (!globals_make(migrate->config, migrate->sink, migrate->stop, err) ||
        !open_locked(migrate, KILLED_MS, err))
        return false;
    for (size_t i = 0; i < PHASES_COUNT; i++) {
        if (!run_phase(migrate, &PHASES[i], err))
            return false;
        migrate->has_ended = migrate->problem_count == 0 && is_last(migrate, &PHASES[i]);
        if (migrate->has_ended || migrate->problem_count > 0)
            return true;
    }
    return verify_and_follow(migrate, err);
}

void migrate_release(struct migrate *migrate) {
    phase_plan_forget(migrate);
    schema_forget(migrate->schema);
    steps_close(&migrate->steps);
    arena_release(&migrate->arena);
}
