/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follow_line.h - what is said while a migration follows its source: a line on a terminal, elsewhere a log
 * line every minute.
 */
#pragma once

#include "cdc/migrate/migrate.h"

struct follow_line {
    int64_t since_ms;
    int64_t said_ms;
};

/* Says how long it has followed, and what the engine has applied, when it is time to. */
void follow_line_show(struct follow_line *line, const struct migrate *migrate);

/* Ends the line of a terminal. */
void follow_line_end(const struct follow_line *line);
