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
#include "cdc/base/log.h"
#include "cdc/copy/progress.h"
#include "cdc/engine/attempt.h"
#include "cdc/source/target_identity.h"

static bool mark_copying(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    struct checkpoint *checkpoint = &pipeline->checkpoint;
    checkpoint->phase = CHECKPOINT_COPYING;
    checkpoint->system_id = attempt->facts.identity.system_id;
    checkpoint->timeline = attempt->facts.identity.timeline;
    checkpoint->sink_count = 0;
    snprintf(checkpoint->slot, sizeof checkpoint->slot, "%s", attempt->reader->name);
    return checkpoint_write(pipeline->config->state, pipeline->config->name, checkpoint, err);
}

static void set_positions(struct attempt *attempt, lsn_t end_lsn) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        attempt->positions[i] = (struct position){.end_lsn = end_lsn,
                                                  .system_id = attempt->facts.identity.system_id,
                                                  .timeline = attempt->facts.identity.timeline};
}

void attempt_show_copy(struct attempt *attempt) {
    struct snapshot_progress *copies[CHECKPOINT_SINKS_MAX];
    const int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < attempt->runner_count; i++)
        copies[i] = &attempt->runners[i].copy.progress;
    progress_update(&attempt->progress, copies, attempt->runner_count, now_ms);
    progress_print(&attempt->progress, now_ms);
    attempt_note_activity(attempt, false);
    if (attempt->pipeline->checkpoint.phase == CHECKPOINT_COPYING)
        attempt_show_live(attempt, LIVE_COPYING);
}

/* Is the copy done in chunks while changes are applied? */
static bool copies_live(const struct attempt *attempt) {
    const struct pipeline *pipeline = attempt->pipeline;
    const char *reason = NULL;
    const char *sink = NULL;
    if (pipeline->config->copy.mode != COPY_MODE_LIVE)
        return false;
    if (attempt->facts.identity.is_standby)
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
        log_line(LOG_COPY_IS_SIMPLE, "the copy is simple, not live: sink %s: %s", sink, reason);
    else if (reason != NULL)
        log_line(LOG_COPY_IS_SIMPLE, "the copy is simple, not live: %s", reason);
    return reason == NULL;
}

static struct runner_copy copy_of(const struct attempt *attempt, const struct reader_creation *creation,
                                  size_t i) {
    return (struct runner_copy){.config = attempt->pipeline->config,
                                .snapshot_name = creation->snapshot_name,
                                .text_only = attempt->pipeline->needs_text,
                                .position = attempt->positions[i]};
}

/* The chunks are copied later, while the stream runs. */
static bool plan_copy(struct attempt *attempt, const struct reader_creation *creation, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct runner_copy copy = copy_of(attempt, creation, i);
        runner_order_plan(&attempt->runners[i], &copy);
    }
    return attempt_wait_runners(attempt, RUNNER_OPENED, NULL, err);
}

static bool copy_rows(struct attempt *attempt, const struct reader_creation *creation, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct runner_copy copy = copy_of(attempt, creation, i);
        runner_order_copy(&attempt->runners[i], &copy);
    }
    progress_init(&attempt->progress);
    bool copied = attempt_wait_runners(attempt, RUNNER_OPENED, attempt_show_copy, err);
    progress_end(&attempt->progress);
    if (copied)
        log_about(LOG_COPY_COMPLETE, &(struct log_subject){.lsn = creation->lsn},
                  "the initial copy is complete as of %s", lsn_format(creation->lsn).text);
    else if (attempt_is_stopped(attempt))
        log_line(LOG_COPY_INTERRUPTED,
                 "the copy is stopped, and the sinks have nothing of it: the next start copies all "
                 "tables again (copy.mode: simple)");
    return copied;
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
    error_remedy(err, "correct the sink's dsn");
    return error_finding(err, "same_database");
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
        if (target_identity_is_source(&targets[i], &attempt->facts.identity))
            return refuse_own_source(&config->sinks[i], err);
        for (size_t before = 0; before < i; before++)
            if (target_identity_equal(&targets[before], &targets[i]))
                return refuse_twins(&config->sinks[before], &config->sinks[i], err);
    }
    return true;
}

/* Nothing at the source is ours, so the phase on disk must not say that something is. */
static bool forget_copying(struct pipeline *pipeline, struct error *err) {
    struct error creation = *err;
    if (!checkpoint_remove(pipeline->config->state, pipeline->config->name, err))
        return false;
    pipeline->checkpoint = (struct checkpoint){0};
    *err = creation;
    return false;
}

static bool create_at_source(struct attempt *attempt, bool again, bool copies, struct error *err) {
    struct reader *reader = attempt->reader;
    const struct reader_creation_ops *ops = reader->ops->creation;
    struct reader_creation creation = {0};
    const bool lives = copies && copies_live(attempt);
    if (!ops->prepare(reader, err) || !mark_copying(attempt, err) || !attempt_note_published(attempt, err))
        return false;
    if (!ops->create(reader, again, copies, &creation, err))
        return creation.is_foreign ? forget_copying(attempt->pipeline, err) : false;
    set_positions(attempt, creation.lsn);
    return !copies || (lives ? plan_copy(attempt, &creation, err) : copy_rows(attempt, &creation, err));
}

/* The rows of a copy were there, and are not any more; or they were never there. */
static bool refuse_cut(const struct attempt *attempt, struct error *err) {
    const bool had_rows = attempt->facts.had_rows;
    error_set(err, ERROR_REFUSE, "%s %s begins at %s: %s", attempt->reader->ops->name,
              attempt->pipeline->config->source.archive, lsn_format(attempt->facts.first_lsn).text,
              had_rows ? "the rows and changes before it are gone"
                       : "the pipeline that writes it copied no rows (source.snapshot: never)");
    return error_remedy(err,
                        "%sfill the target's tables with the rows as of that position, and set "
                        "source.snapshot: never",
                        had_rows ? "restore its earlier segments from a copy; or " : "");
}

/* The target has the rows as of that position, says who asks for it. */
static bool begin_at(struct attempt *attempt, lsn_t from_lsn, struct error *err) {
    if (from_lsn < attempt->facts.first_lsn) {
        error_set(err, ERROR_CONFIG, "--from %s: %s %s begins at %s", lsn_format(from_lsn).text,
                  attempt->reader->ops->name, attempt->pipeline->config->source.archive,
                  lsn_format(attempt->facts.first_lsn).text);
        return error_remedy(err, "give a later position");
    }
    set_positions(attempt, from_lsn);
    return true;
}

bool attempt_create(struct attempt *attempt, bool again, struct error *err) {
    const struct reader *reader = attempt->reader;
    const bool copies = attempt->pipeline->config->source.snapshot == SNAPSHOT_INITIAL;
    if (!refuse_databases(attempt, err))
        return false;
    attempt->store_positions = reader->ops->creation == NULL || !copies;
    if (reader->ops->creation != NULL)
        return create_at_source(attempt, again, copies, err);
    assert(attempt->facts.first_lsn != 0);
    if (attempt->pipeline->options->from_lsn != 0)
        return begin_at(attempt, attempt->pipeline->options->from_lsn, err);
    if (copies && attempt->facts.is_cut)
        return refuse_cut(attempt, err);
    set_positions(attempt, attempt->facts.first_lsn);
    if (reader->ops->is_whole != NULL && attempt->facts.first_lsn == POSITION_BEGINNING)
        for (size_t i = 0; i < attempt->runner_count; i++)
            attempt->positions[i].commit_lsn = POSITION_BEGINNING;
    return true;
}

static bool a_sink_has_position(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (position_exists(&attempt->runners[i].position))
            return true;
    return false;
}

void attempt_abandon_new(struct attempt *attempt) {
    struct reader *reader = attempt->reader;
    if (reader->ops->creation != NULL && !a_sink_has_position(attempt))
        reader->ops->creation->abandon(reader);
}

bool attempt_adopt(struct attempt *attempt, lsn_t confirmed_lsn, struct error *err) {
    assert(confirmed_lsn != 0);
    if (!refuse_databases(attempt, err) || !attempt->reader->ops->creation->adopt(attempt->reader, err))
        return false;
    set_positions(attempt, confirmed_lsn);
    attempt->store_positions = true;
    return true;
}
