/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_rows.h - the rows that remain when the events of a table of mode append are carried out.
 *
 * As SQL over the events since the last TRUNCATE. With a key the last event of each key says which row
 * remains; values that it does not have, because they were not sent, are those of the last event before that
 * has them, also when the row had another key then. Without a key the rows of all events remain, less those
 * that were deleted, which are known with all their values: each row of the query counts as many as its
 * weight says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buffer.h"

#define LOG_ROWS_WEIGHT "_pgcdc_weight"

struct log_rows {
    const char *from;         /* the events: a table, ready to use */
    const char *owned_sql;    /* a condition; NULL: all events are the table's */
    const char *const *names; /* the columns that are wanted */
    const bool *in_key;       /* of each: part of what identifies a row */
    size_t count;
    bool is_keyed;
};

/* Appends a query in parentheses, with an alias. */
void log_rows_append(struct buffer *sql, const struct log_rows *log);
