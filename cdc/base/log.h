/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line per decision, to standard error. Only cdc/ logs; libraries return errors.
 *
 * "2026-11-22T08:00:00.123Z info  shop: text". The caller makes sure that no line contains a secret or a
 * row's value. Any thread may log; a line is written by one write(2).
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Set once in main before threads start. name may be NULL; it is not copied. */
void log_init(enum log_level least, const char *name);

/* In a running process too: by any thread, at any time. */
void log_set_level(enum log_level least);
enum log_level log_level(void);

/* "error", "warning", "info", "debug". log_level_parse: false: no such level. */
const char *log_level_name(enum log_level level);
MUST_CHECK bool log_level_parse(const char *name, enum log_level *ret_level);

/* Would a line of that level be written? For lines whose content is expensive to compute. */
bool log_wants(enum log_level level);

void log_line(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);
