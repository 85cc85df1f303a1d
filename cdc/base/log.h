/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per decision, to standard error. Only cdc/ logs; libraries return errors.
 *
 *     2026-11-22T08:00:00.123Z info  shop: created slot shop at 0/16B3748
 *     {"ts":"2026-11-22T08:00:00.123Z","level":"info","event":"slot_created","pipeline":"shop",…}
 *
 * The caller makes sure that no line contains a secret or a row's value. Any thread may log; a line is
 * written by one write(2). A line that repeats is counted and written once a minute (log_repeat.h).
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/log_event.h"
#include "cdc/base/lsn.h"

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* What a line is about, for JSON's keys; what is not known is left out. */
struct log_subject {
    const char *sink;
    const char *schema, *table;
    lsn_t lsn;
    const struct error
        *error;      /* its SQLSTATE, its transaction's LSN and its remedy, which follows the text */
    const char *key; /* lines with one key are repetitions; NULL: lines with one text are */
};

/* ---- how ---- */

/* Before other threads exist. "text", "json"; false: neither. */
void log_set_format(enum log_format format);
MUST_CHECK bool log_format_parse(const char *name, enum log_format *ret_format);

/* In a running process too: by any thread, at any time. Of lines below least none is written. */
void log_set_level(enum log_level least);
enum log_level log_level(void);

/* May progress be drawn on standard error? It is a terminal, and the lines are for people. */
bool log_may_draw(void);

/* Before other threads exist: the lines from now on are those of this pipeline. Not copied; NULL: of none. */
void log_begin(const char *pipeline);

/* Writes what was counted and is due. An engine calls it a few times a second; any thread may. */
void log_tick(void);

/* The same for everything that was counted. The last that a process does with its log. */
void log_end(void);

/* Would a line of that level be written? For lines whose content is expensive to compute. */
bool log_wants(enum log_level level);

/* ---- lines ---- */

void log_line(enum log_event event, const char *format, ...) PRINTF_LIKE(2, 3);
/* "text; remedy", or with a sink "sink NAME: text; remedy" */
void log_about(enum log_event event, const struct log_subject *subject, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same of a sink and nothing else. */
void log_sink(enum log_event event, const char *sink, const char *format, ...) PRINTF_LIKE(3, 4);

/* The error that ends a command: its text and its remedy. The event follows from the error's kind. */
void log_failure(const struct error *error);

/*
 * What a command says to the person who typed it: in text without time and level, "pgcdc drop: text", or
 * "pgcdc: text" when command is NULL.
 */
void log_command(enum log_event event, const char *command, const char *format, ...) PRINTF_LIKE(3, 4);
void log_command_failure(const char *command, const struct error *error);
