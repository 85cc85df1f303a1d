/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_log.h - logs how many conflicts the sinks have settled: at most one line per sink and minute, and
 * one at the end.
 */
#pragma once

#include <stdbool.h>

#include "cdc/engine/checkpoint.h"
#include "sinks/sink.h"

struct conflict_log {
    int64_t logged_ms;
    unsigned long long logged[CHECKPOINT_SINKS_MAX]; /* all kinds together */
};

/*
 * Logs each sink whose count has grown, when a minute has passed or at the end of the run. sinks may contain
 * NULL.
 */
void conflict_log_say(struct conflict_log *log, struct sink *const *sinks, size_t count, bool at_end);
