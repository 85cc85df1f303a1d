/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_save.c - from the sinks' positions to the disk, and from there to the slot.
 *
 * Never in another order, and never past a step that failed: slot <= disk <= every sink. A disk that fails
 * stops the slot from advancing and nothing else: the sinks continue, and nothing is lost.
 */
#include <assert.h>
#include <stdio.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"

enum {
    /*
     * A checkpoint costs two fsyncs. On a journalling file system they stall other writers, including a
     * PostgreSQL server on the same disk. The slot may lag behind the sinks by this much.
     */
    DISK_INTERVAL_MS = 1000,
    DISK_RETRY_MS = 1000,
};

/* Collects the sinks' positions; false while a sink has none. */
static bool attempt_save_gather(struct attempt *attempt, struct checkpoint *checkpoint) {
    const struct config *config = attempt->pipeline->config;
    checkpoint->phase = CHECKPOINT_STREAMING;
    checkpoint->system_id = attempt->facts.identity.system_id;
    checkpoint->timeline = attempt->facts.identity.timeline;
    checkpoint->sink_count = attempt->runner_count;
    snprintf(checkpoint->slot, sizeof checkpoint->slot, "%s", attempt->reader->name);
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct checkpoint_sink *sink = &checkpoint->sinks[i];
        snprintf(sink->name, sizeof sink->name, "%s", config->sinks[i].sink.name);
        snprintf(sink->stream, sizeof sink->stream, "%s", sink_stream(&config->sinks[i].sink));
        sink->position = runner_position(&attempt->runners[i]);
        if (!position_exists(&sink->position))
            return false;
    }
    return true;
}

static bool differs(const struct checkpoint *a, const struct checkpoint *b) {
    if (a->phase != b->phase || a->sink_count != b->sink_count || a->timeline != b->timeline)
        return true;
    for (size_t i = 0; i < a->sink_count; i++)
        if (a->sinks[i].position.end_lsn != b->sinks[i].position.end_lsn ||
            a->sinks[i].position.index != b->sinks[i].position.index)
            return true;
    return false;
}

static void say_disk(struct attempt *attempt, const struct error *err) {
    if (err != NULL && !attempt->disk_fails)
        log_about(LOG_CHECKPOINT_NOT_WRITTEN, &(struct log_subject){.error = err},
                  "the checkpoint cannot be written, so the slot keeps its WAL until it can: %s", err->text);
    if (err == NULL && attempt->disk_fails)
        log_line(LOG_CHECKPOINT_WRITTEN_AGAIN, "the checkpoint can be written again");
    attempt->disk_fails = err != NULL;
    attempt->disk_error = err != NULL ? *err : (struct error){0};
}

void attempt_forget_failure(struct attempt *attempt) {
    struct pipeline *pipeline = attempt->pipeline;
    struct error err = {0};
    if (!pipeline->failure.exists)
        return;
    if (!failure_remove(pipeline->config->state, pipeline->config->name, &err))
        log_line(LOG_FAILURE_NOT_REMOVED, "the stored error cannot be removed from the state directory: %s",
                 err.text);
    pipeline->failure = (struct failure){0};
}

void attempt_save(struct attempt *attempt, bool at_once) {
    struct pipeline *pipeline = attempt->pipeline;
    struct checkpoint checkpoint = pipeline->checkpoint;
    if (!attempt_save_gather(attempt, &checkpoint))
        return;
    int64_t now_ms = clock_now_ms();
    if (!at_once &&
        now_ms - attempt->disk_tried_ms < (attempt->disk_fails ? DISK_RETRY_MS : DISK_INTERVAL_MS))
        return;
    if (differs(&checkpoint, &pipeline->checkpoint)) {
        struct error err = {0};
        attempt->disk_tried_ms = now_ms;
        bool written = checkpoint_write(pipeline->config->state, pipeline->config->name, &checkpoint, &err);
        say_disk(attempt, written ? NULL : &err);
        if (!written)
            return;
        pipeline->progressed = true;
        attempt_forget_failure(attempt);
        pipeline->checkpoint = checkpoint;
        attempt_debug_checkpoint(&checkpoint);
    }
    assert(pipeline->checkpoint.phase == CHECKPOINT_STREAMING);
    for (size_t i = 0; i < attempt->runner_count; i++)
        assert(checkpoint_confirmed_lsn(&checkpoint) <= runner_position(&attempt->runners[i]).end_lsn);
    FAULT_POINT("checkpoint-before-confirm");
    feed_confirm(&attempt->feed, checkpoint_confirmed_lsn(&checkpoint));
}
