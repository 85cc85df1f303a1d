/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_debug.c - lines for --verbose: facts and positions, never a value, and never a dsn or a part of one
 * that did not connect.
 */
#include <inttypes.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"

static const char *action_text(enum start_action action) {
    switch (action) {
    case START_STREAM:
        return "continue from the sinks' positions";
    case START_NEW:
        return "create the slot";
    case START_COPY_AGAIN:
        return "drop the slot of a copy that was interrupted, and create it again";
    case START_ADOPT:
        return "adopt the slot";
    }
    return "";
}

static void debug_slot(const char *name, const struct slot_facts *slot) {
    if (slot->exists)
        log_line(LOG_SLOT_SEEN, "slot %s: confirmed to %s, WAL kept from %s, used by process %d%s", name,
                 lsn_format(slot->confirmed_lsn).text, lsn_format(slot->restart_lsn).text, slot->active_pid,
                 slot->is_lost ? ", lost" : "");
    else
        log_line(LOG_SLOT_SEEN, "slot %s: does not exist", name);
}

void attempt_debug_decision(const struct attempt *attempt, enum start_action action) {
    const struct pipeline *pipeline = attempt->pipeline;
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    if (attempt->facts.has_slot)
        debug_slot(attempt->reader->name, &attempt->facts.slot);
    for (size_t i = 0; i < attempt->runner_count; i++) {
        const struct sink_config *sink = &pipeline->config->sinks[i].sink;
        const struct position *position = &attempt->positions[i];
        const struct checkpoint_sink *on_disk = checkpoint_find(&pipeline->checkpoint, sink);
        log_sink(LOG_POSITION_SEEN, sink->name,
                 "at %s, %s into the transaction whose commit record begins at %s; on disk at %s",
                 lsn_format(position->end_lsn).text, amount_count(position->index, "change").text,
                 lsn_format(position->commit_lsn).text,
                 lsn_format(on_disk != NULL ? on_disk->position.end_lsn : 0).text);
    }
    log_line(LOG_START_DECIDED, "the start: %s", action_text(action));
}

void attempt_debug_checkpoint(const struct checkpoint *checkpoint) {
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    for (size_t i = 0; i < checkpoint->sink_count; i++)
        log_line(LOG_CHECKPOINT_WRITTEN, "checkpoint %" PRIu64 " is on disk: sink %s at %s",
                 checkpoint->generation, checkpoint->sinks[i].name,
                 lsn_format(checkpoint->sinks[i].position.end_lsn).text);
}
