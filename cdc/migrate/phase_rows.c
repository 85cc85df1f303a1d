/* SPDX-License-Identifier: Apache-2.0 */
/*
 * phase_rows.c - the pipeline of the migration, in this process.
 *
 * The pipeline needs no step of its own: it goes on from the positions of its sinks. A step only says that
 * the copy is complete, so that what follows it may begin.
 */
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/engine/control.h"
#include "cdc/migrate/follow_line.h"
#include "cdc/migrate/migrate.h"
#include "cdc/migrate/proof/proof.h"
#include "cdc/run/run.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum { WAIT_STEP_MS = 100 };

/* That of our sink, by its index in the configuration. */
static bool keep_ledger(struct migrate *migrate, const struct pipeline_result *result, struct error *err) {
    const size_t at = (size_t) (migrate->sink - migrate->config->sinks);
    return at >= result->ledger_count ||
           (migrate_reconnect(migrate, err) &&
            proof_store_run(&migrate->steps, migrate->config, &result->ledgers[at], err));
}

static bool run_until_caught_up(struct migrate *migrate, struct error *err) {
    const struct pipeline_options options = {.until_caught_up = true,
                                             .config = migrate->config,
                                             .stop = migrate->stop,
                                             .new_tables_of = migrate->sink->sink.name};
    struct pipeline_result result = {0};
    const struct config *failed = NULL;
    bool is_good = run_all(migrate->config, &options, &result, &failed, err);
    if (!is_good)
        migrate->failed = failed;
    else if (!result.reached)
        is_good = error_set(err, ERROR_STOPPED, "stopped");
    else
        is_good = keep_ledger(migrate, &result, err);
    pipeline_result_release(&result);
    return is_good;
}

bool phase_copy(struct migrate *migrate, struct error *err) {
    phase_plan_forget(migrate);
    return migrate_begin(migrate, "copy", err) && run_until_caught_up(migrate, err) &&
           migrate_done(migrate, "copy", NULL, err);
}

bool phase_follow(struct migrate *migrate, struct error *err) {
    return migrate_begin(migrate, "follow", err) && run_until_caught_up(migrate, err) &&
           migrate_done(migrate, "follow", NULL, err);
}

/* ---- in a thread ---- */

static void *run_follower(void *argument) {
    struct migrate_follower *follower = argument;
    follower->is_good =
        run_all(follower->config, &follower->options, &follower->result, &follower->failed, &follower->error);
    atomic_store(&follower->has_ended, true);
    return NULL;
}

static bool is_stopped(const struct migrate *migrate) {
    return atomic_load(migrate->stop) || atomic_load(&migrate->follower.has_ended);
}

static bool slot_is_read(struct session *source, const struct config *config, bool *ret_read,
                         struct error *err) {
    struct slot_facts slot = {0};
    if (!slot_read(source, config->source.slot, &slot, err))
        return false;
    *ret_read = slot.active_pid != 0;
    return true;
}

/* A comparison finds the engine by its socket and by its slot. */
static bool await_engine(struct migrate *migrate, struct session *source, struct error *err) {
    const struct config *part = config_part_of(migrate->config, migrate->sink);
    bool is_read = false;
    while (!is_stopped(migrate)) {
        int client = -1;
        if (!control_connect(part->state, part->name, &client, err) ||
            !slot_is_read(source, migrate->config, &is_read, err))
            return false;
        if (client >= 0)
            close(client);
        if (client >= 0 && is_read)
            return true;
        clock_pause_ms(WAIT_STEP_MS);
    }
    return error_set(err, ERROR_STOPPED, "stopped");
}

bool follower_start(struct migrate *migrate, struct error *err) {
    struct migrate_follower *follower = &migrate->follower;
    struct session source = {0};
    follower->options = (struct pipeline_options){.config = migrate->config, .stop = &follower->stop};
    follower->config = migrate->config;
    if (pthread_create(&follower->thread, NULL, run_follower, follower) != 0)
        return error_errno(err, "a thread for the pipeline");
    follower->runs = true;
    const bool is_good = source_open(&source, &migrate->config->source, migrate->stop, err) &&
                         await_engine(migrate, &source, err);
    session_close(&source);
    return is_good;
}

void follower_wait(struct migrate *migrate) {
    struct follow_line line = {0};
    while (!is_stopped(migrate)) {
        follow_line_show(&line, migrate);
        clock_pause_ms(WAIT_STEP_MS);
    }
    follow_line_end(&line);
}

bool follower_end(struct migrate *migrate, struct error *err) {
    struct migrate_follower *follower = &migrate->follower;
    if (!follower->runs)
        return true;
    atomic_store(&follower->stop, true);
    pthread_join(follower->thread, NULL);
    follower->runs = false;
    bool is_good = follower->is_good;
    if (!is_good) {
        *err = follower->error;
        migrate->failed = follower->failed;
    } else if (!atomic_load(migrate->stop)) {
        is_good = keep_ledger(migrate, &follower->result, err);
    }
    pipeline_result_release(&follower->result);
    return is_good;
}
