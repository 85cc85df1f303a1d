/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_mode.h - how a table's rows are kept, and the columns that each mode adds.
 *
 * One set of names for all types of sinks. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/slice.h"
#include "decoder/relation.h"

enum mode_column {
    MODE_LSN,         /* pg_lsn: the commit that wrote the row; 0/0: the copy */
    MODE_INDEX,       /* bigint: the number of the change in its transaction; of a copied row: of the row */
    MODE_OP,          /* text: c, u, d, t; r for a copied row */
    MODE_COMMIT_TIME, /* timestamptz; null for a copied row */
    MODE_DELETED,     /* boolean */
    MODE_VALID_FROM,  /* timestamptz: its commit; -infinity for a copied row, which is older than is known */
    MODE_VALID_TO,    /* timestamptz: the commit of the next change; null while it is current */
    MODE_CURRENT,     /* boolean */
    MODE_UNCHANGED,   /* text[]: the columns of an update that were not sent, because they did not change */
    MODE_SOURCE,      /* text: schema.table at the source */
    MODE_COLUMNS,
};

/* The names with which statements are written. */
#define MODE_NAME_PREFIX "_pgcdc_"
#define MODE_NAME_LSN "_pgcdc_lsn"
#define MODE_NAME_INDEX "_pgcdc_index"
#define MODE_NAME_OP "_pgcdc_op"
#define MODE_NAME_COMMIT_TIME "_pgcdc_commit_time"
#define MODE_NAME_DELETED "_pgcdc_deleted"
#define MODE_NAME_VALID_FROM "_pgcdc_valid_from"
#define MODE_NAME_VALID_TO "_pgcdc_valid_to"
#define MODE_NAME_CURRENT "_pgcdc_current"
#define MODE_NAME_UNCHANGED "_pgcdc_unchanged"
#define MODE_NAME_SOURCE "_pgcdc_source"

struct mode_column_spec {
    const char *name;
    const char *type_sql;
    const char *type_name; /* pg_type.typname */
    oid_t type_oid;
    bool is_nullable;
};

const struct mode_column_spec *mode_column_spec(enum mode_column column);

/* Has a table of this mode the column? */
bool row_mode_adds(enum row_mode mode, enum mode_column column);

/* "history", as in the file. */
const char *row_mode_word(enum row_mode mode);

/* Is it the name of a column that a mode adds? */
bool row_mode_owns(struct slice name);
