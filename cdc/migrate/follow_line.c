/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow_line.c - the numbers are those of the engine's activity file.
 */
#include "cdc/migrate/follow_line.h"

#include <stdio.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/activity.h"

enum { TERMINAL_INTERVAL_MS = 1000, LOG_INTERVAL_MS = 60000, FOLLOW_LINE_MAX = 256 };

static void write_line(const struct follow_line *line, const struct migrate *migrate,
                       char text[FOLLOW_LINE_MAX]) {
    const struct config *part = config_part_of(migrate->config, migrate->sink);
    struct activity activity;
    activity_read(part->state, part->name, &activity);
    const struct activity_sink *sink = activity_find(&activity, migrate->sink->sink.name);
    snprintf(text, FOLLOW_LINE_MAX, "migrate: following for %s, %s in %s",
             amount_duration(clock_now_ms() - line->since_ms).text,
             amount_count(sink != NULL ? sink->changes : 0, "change").text,
             amount_count(sink != NULL ? sink->transactions : 0, "transaction").text);
}

void follow_line_show(struct follow_line *line, const struct migrate *migrate) {
    const bool is_terminal = log_may_draw();
    const int64_t now_ms = clock_now_ms();
    char text[FOLLOW_LINE_MAX];
    if (line->since_ms == 0)
        line->since_ms = line->said_ms = now_ms;
    if (now_ms - line->said_ms < (is_terminal ? TERMINAL_INTERVAL_MS : FAULT_INTERVAL_MS(LOG_INTERVAL_MS)))
        return;
    line->said_ms = now_ms;
    write_line(line, migrate, text);
    if (is_terminal)
        fprintf(stderr, "\033[2K%s\r", text); /* the next log line is written over it */
    else
        log_line(LOG_PROGRESS, "%s", text);
}

void follow_line_end(const struct follow_line *line) {
    if (line->since_ms != 0 && log_may_draw())
        fputs("\033[2K\r", stderr);
}
