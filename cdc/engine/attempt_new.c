/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_new.c - a pipeline's first start.
 *
 * The checkpoint is in phase "copying" from before the slot is created until every sink has a position. A
 * kill in between leaves a slot that was never read and sinks without a position. The phase on disk proves
 * that the slot is ours, so the next start drops it and begins again.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/progress.h"
#include "cdc/engine/attempt.h"
#include "cdc/source/publication.h"
#include "cdc/source/scope.h"
#include "cdc/source/slot.h"
#include "cdc/source/target_identity.h"

#define DUPLICATE_OBJECT "42710"

static void log_blockers(const char *blockers) {
    log_line(LOG_LEVEL_WARNING, "creating the slot waits for %s", blockers);
}

/* Such tables were created after a publication for all tables, or published without a check. */
static bool warn_unusable(struct attempt *attempt, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = 4096};
    const struct source_config *source = &attempt->pipeline->config->source;
    if (!publication_name_unusable(&attempt->source, source, &names, err))
        return false;
    if (names.size > 0)
        log_line(LOG_LEVEL_WARNING,
                 "because of publication %s the source refuses updates and deletes of %s: no "
                 "usable replica identity; `pgcdc check` names the remedy",
                 source->publication, buffer_text(&names));
    return true;
}

bool attempt_check_scope(struct attempt *attempt, enum scope_moment moment, struct error *err) {
    char warning[SCOPE_WARNING_MAX] = "";
    struct pipeline *pipeline = attempt->pipeline;
    if (!scope_check(&attempt->source, &pipeline->config->source, moment, warning, err))
        return false;
    if (warning[0] != '\0' && strcmp(warning, pipeline->scope_warned) != 0)
        log_line(LOG_LEVEL_WARNING, "%s", warning);
    memcpy(pipeline->scope_warned, warning, sizeof warning);
    return warn_unusable(attempt, err);
}

static bool mark_copying(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    struct checkpoint *checkpoint = &pipeline->checkpoint;
    checkpoint->phase = CHECKPOINT_COPYING;
    checkpoint->system_id = attempt->identity.system_id;
    checkpoint->timeline = attempt->identity.timeline;
    checkpoint->sink_count = 0;
    snprintf(checkpoint->slot, sizeof checkpoint->slot, "%s", pipeline->config->source.slot);
    return checkpoint_write(pipeline->config->state, pipeline->config->name, checkpoint, err);
}

static void set_positions(struct attempt *attempt, lsn_t end_lsn) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        attempt->positions[i] = (struct position){.end_lsn = end_lsn,
                                                  .system_id = attempt->identity.system_id,
                                                  .timeline = attempt->identity.timeline};
}

void attempt_show_copy(struct attempt *attempt) {
    const struct snapshot_progress *copies[CHECKPOINT_SINKS_MAX];
    for (size_t i = 0; i < attempt->runner_count; i++)
        copies[i] = &attempt->runners[i].copy.progress;
    progress_print(&attempt->progress, copies, attempt->runner_count, clock_now_ms());
    attempt_note_activity(attempt, false);
}

/* Is the copy done in chunks while changes are applied? */
static bool copies_live(const struct attempt *attempt) {
    const struct pipeline *pipeline = attempt->pipeline;
    const char *reason = NULL;
    const char *sink = NULL;
    if (pipeline->config->copy.mode != COPY_MODE_LIVE)
        return false;
    if (attempt->identity.is_standby)
        reason = "a standby does not show which of its transactions are open";
    if (pipeline->options->until_lsn != 0)
        reason = "the run ends at an LSN, and chunks contain later changes";
    for (size_t i = 0; i < attempt->runner_count && reason == NULL; i++) {
        const struct sink *candidate = attempt->runners[i].sink;
        sink = candidate->config->name;
        if (candidate->ops->chunk == NULL)
            reason = "a sink of its type takes the copy in one step";
        else
            candidate->ops->chunk->can(candidate, &reason);
    }
    if (reason != NULL && sink != NULL)
        log_line(LOG_LEVEL_INFO, "the copy is simple, not live: sink %s: %s", sink, reason);
    else if (reason != NULL)
        log_line(LOG_LEVEL_INFO, "the copy is simple, not live: %s", reason);
    return reason == NULL;
}

static struct runner_copy copy_of(const struct attempt *attempt, const struct slot_creation *slot, size_t i) {
    return (struct runner_copy){.config = attempt->pipeline->config,
                                .snapshot_name = slot->snapshot_name,
                                .text_only = attempt->pipeline->needs_text,
                                .position = attempt->positions[i]};
}

/* The chunks are copied later, while the stream runs. */
static bool plan_copy(struct attempt *attempt, const struct slot_creation *slot, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct runner_copy copy = copy_of(attempt, slot, i);
        runner_order_plan(&attempt->runners[i], &copy);
    }
    return attempt_wait_runners(attempt, RUNNER_OPENED, NULL, err);
}

static bool copy_rows(struct attempt *attempt, const struct slot_creation *slot, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct runner_copy copy = copy_of(attempt, slot, i);
        runner_order_copy(&attempt->runners[i], &copy);
    }
    progress_init(&attempt->progress);
    bool copied = attempt_wait_runners(attempt, RUNNER_OPENED, attempt_show_copy, err);
    progress_end(&attempt->progress);
    if (copied)
        log_line(LOG_LEVEL_INFO, "the initial copy is complete as of %s",
                 lsn_format(slot->consistent_lsn).text);
    return copied;
}

/* The slot did not exist a moment ago, so this is not the slot that the phase on disk refers to. */
static bool refuse_foreign_slot(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    if (strcmp(err->sqlstate, DUPLICATE_OBJECT) != 0)
        return false;
    if (!checkpoint_remove(pipeline->config->state, pipeline->config->name, err))
        return false;
    pipeline->checkpoint = (struct checkpoint){0};
    error_set(err, ERROR_REFUSE, "slot %s was created by another session while this pipeline started",
              pipeline->config->source.slot);
    return error_remedy(err, "drop that slot, or give source.slot another name");
}

static bool read_target(const struct attempt *attempt, const struct config_sink *sink,
                        struct target_identity *ret_identity, struct error *err) {
    struct session_options options = {.stop = attempt->pipeline->options->stop};
    struct session target = {0};
    *ret_identity = (struct target_identity){0};
    if (sink_admin(sink->ops, target) == NULL)
        return true;
    sink->ops->admin->target(&sink->sink, &options);
    bool asked = session_open(&target, &options, err) && target_identity_read(&target, ret_identity, err);
    session_close(&target);
    return asked;
}

/* A pipeline into its own source would replicate its own changes. */
static bool refuse_own_source(const struct config_sink *sink, struct error *err) {
    error_set(err, ERROR_CONFIG,
              "sink %s is the source's own database: each change would come back as a change",
              sink->sink.name);
    return error_remedy(err, "correct the sink's dsn");
}

static bool refuse_twins(const struct config_sink *a, const struct config_sink *b, struct error *err) {
    error_set(err, ERROR_CONFIG, "sinks %s and %s are the same database, and each would apply every change",
              a->sink.name, b->sink.name);
    return error_remedy(err, "correct the dsn of one of them, or leave it out");
}

/* Compares databases, not host names. Two sinks in one database would overwrite each other's rows. */
static bool refuse_databases(const struct attempt *attempt, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    struct target_identity targets[CHECKPOINT_SINKS_MAX];
    for (size_t i = 0; i < config->sink_count; i++) {
        if (!read_target(attempt, &config->sinks[i], &targets[i], err))
            return false;
        if (target_identity_is_source(&targets[i], &attempt->identity))
            return refuse_own_source(&config->sinks[i], err);
        for (size_t before = 0; before < i; before++)
            if (target_identity_equal(&targets[before], &targets[i]))
                return refuse_twins(&config->sinks[before], &config->sinks[i], err);
    }
    return true;
}

bool attempt_create(struct attempt *attempt, bool again, struct error *err) {
    const struct config *config = attempt->pipeline->config;
    const bool copies = config->source.snapshot == SNAPSHOT_INITIAL;
    const bool lives = copies && copies_live(attempt);
    bool created = false;
    if (!refuse_databases(attempt, err))
        return false;
    if (!publication_ensure(&attempt->source, &config->source, &created, err))
        return false;
    if (created)
        log_line(LOG_LEVEL_INFO, "created publication %s", config->source.publication);
    else if (!attempt_check_scope(attempt, SCOPE_NEW, err))
        return false;
    if (!mark_copying(attempt, err) || (again && !slot_drop(&attempt->source, config->source.slot, err)))
        return false;
    if (!uncopied_moment_read(&attempt->source, &attempt->pipeline->looked_at, err))
        return false;
    FAULT_POINT("slot-before-create");
    struct slot_creation slot;
    if (!slot_create(&attempt->replication, &attempt->source, config->source.slot, copies, log_blockers,
                     &slot, err))
        return refuse_foreign_slot(attempt, err);
    attempt->pipeline->has_own_slot = true;
    attempt->pipeline->own_slot_lsn = slot.consistent_lsn;
    log_line(LOG_LEVEL_INFO, "created slot %s at %s", config->source.slot,
             lsn_format(slot.consistent_lsn).text);
    /* A standby may have been promoted while it created the slot. */
    if (!standby_check_timeline(&attempt->standby, attempt->identity.timeline, err))
        return false;
    set_positions(attempt, slot.consistent_lsn);
    attempt->store_positions = !copies;
    if (copies && !(lives ? plan_copy(attempt, &slot, err) : copy_rows(attempt, &slot, err)))
        return false;
    attempt->pipeline->has_own_slot = false;
    return true;
}

static bool a_sink_has_position(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (position_exists(&attempt->runners[i].position))
            return true;
    return false;
}

/* The slot's confirmed position proves that it is the one that we created, and that it was never read. */
void attempt_drop_own_slot(struct attempt *attempt) {
    struct pipeline *pipeline = attempt->pipeline;
    const char *name = pipeline->config->source.slot;
    struct slot_facts slot = {0};
    struct error err = {0};
    if (!pipeline->has_own_slot || a_sink_has_position(attempt))
        return;
    session_close(&attempt->replication);
    bool known = slot_read(&attempt->source, name, &slot, &err);
    if (known && !slot.exists)
        return;
    if (known && slot.active_pid == 0 && slot.confirmed_lsn == pipeline->own_slot_lsn &&
        slot_drop(&attempt->source, name, &err))
        log_line(LOG_LEVEL_INFO, "dropped slot %s, which this run had created", name);
    else
        log_line(LOG_LEVEL_WARNING,
                 "slot %s remains and keeps WAL until the next run, or until `pgcdc drop` removes it", name);
}

bool attempt_adopt(struct attempt *attempt, lsn_t confirmed_lsn, struct error *err) {
    assert(confirmed_lsn != 0);
    bool exists = false;
    const struct source_config *source = &attempt->pipeline->config->source;
    if (!refuse_databases(attempt, err))
        return false;
    if (!publication_exists(&attempt->source, source, &exists, err))
        return false;
    if (exists && !attempt_check_scope(attempt, SCOPE_NEW, err))
        return false;
    if (!exists)
        return error_set(err, ERROR_REFUSE,
                         "slot %s exists but publication %s does not, and one created now would be newer "
                         "than the slot; correct "
                         "source.publication, or drop the slot",
                         source->slot, source->publication);
    set_positions(attempt, confirmed_lsn);
    attempt->store_positions = true;
    return true;
}
