/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noted_names.h - rows of mode append name the columns that were not sent, and follow their renames.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

struct noted_names {
    struct buffer cases; /* " when 'old' then 'new'" */
    struct buffer old;   /* "'old', 'other'" */
};

void noted_names_init(struct noted_names *names);
void noted_names_release(struct noted_names *names);

/* to: NULL: the column is dropped. All changes are made at once, so that names can be exchanged. */
void noted_names_change(struct noted_names *names, struct slice from, const struct slice *to);

/* False: memory is exhausted. */
MUST_CHECK bool noted_names_ok(const struct noted_names *names);

/* The statement, after "; " if there is one before; nothing if no name changes. table: quoted. */
void noted_names_append(const struct noted_names *names, const char *table, struct buffer *sql);
