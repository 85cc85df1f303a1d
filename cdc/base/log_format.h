/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_format.h - an entry of the log as one line, of text or of JSON. Pure.
 *
 * Texts may contain anything: what a terminal would obey is spelled out (visible.h), in JSON too, so both
 * forms say the same. A line is never longer than what a pipe takes whole.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "cdc/base/log_event.h"
#include "cdc/base/lsn.h"

enum {
    LOG_LINE_MAX = 4096,  /* PIPE_BUF: lines of several processes do not mix */
    LOG_TEXT_MAX = 4096,  /* of an entry's text, with its NUL */
    LOG_MOMENT_SIZE = 25, /* "2026-11-22T08:00:00.123Z" */
};

struct log_entry {
    enum log_event event;
    int64_t unix_us;
    const char *pipeline; /* NULL, as all that follow: none */
    const char *sink;
    const char *table; /* with its schema */
    lsn_t lsn;         /* 0: none */
    const char *sqlstate;
    const char *text;
    const char *fix;
    const char *command; /* the entry is for the person who typed this command; "": for one without a name */
};

/* Writes the line with its line feed, without a NUL, and returns its size. What does not fit is cut. */
size_t log_format_text(const struct log_entry *entry, char line[static LOG_LINE_MAX]);
size_t log_format_json(const struct log_entry *entry, char line[static LOG_LINE_MAX]);
