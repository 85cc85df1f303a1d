/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_log.c - logs counts and kinds, never a value.
 */
#include "cdc/engine/conflict_log.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"

enum { INTERVAL_MS = 60000, TEXT_MAX = 512 };

static unsigned long long describe(struct sink *sink, char *text) {
    unsigned long long sum = 0;
    size_t size = 0;
    for (size_t i = 0; i < CONFLICT_KINDS; i++) {
        unsigned long long count = atomic_load_explicit(&sink->conflicts[i], memory_order_relaxed);
        if (count > 0)
            size += (size_t) snprintf(text + size, TEXT_MAX - size, "%s%llu %s", sum > 0 ? ", " : "", count,
                                      conflict_kind_name((enum conflict_kind) i));
        sum += count;
    }
    return sum;
}

void conflict_log_say(struct conflict_log *log, struct sink *const *sinks, size_t count, bool at_end) {
    const int64_t now_ms = clock_now_ms();
    if (!at_end && log->logged_ms != 0 && now_ms - log->logged_ms < INTERVAL_MS)
        return;
    for (size_t i = 0; i < count; i++) {
        char text[TEXT_MAX] = "";
        const unsigned long long sum = sinks[i] != NULL ? describe(sinks[i], text) : 0;
        if (sum == log->logged[i])
            continue;
        log->logged[i] = sum;
        log->logged_ms = now_ms;
        log_line(LOG_CONFLICTS_SETTLED, "sink %s has settled %s since the start: %s", sinks[i]->config->name,
                 amount_count(sum, "conflict").text, text);
    }
}
