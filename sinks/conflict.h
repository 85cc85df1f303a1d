/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.h - the kinds of conflict, with PostgreSQL 18's names. A sink may settle all but the last.
 *
 * truncate_ignored is a kind of pgcdc: a policy has left the target's rows where the source has none.
 * update_origin_differs and delete_origin_differs stop nothing: a row that another session changed, and that
 * still exists under its key, gets the source's change. They are counted where the sink is told to look.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum conflict_kind {
    CONFLICT_INSERT_EXISTS,             /* an inserted row's key already exists */
    CONFLICT_UPDATE_EXISTS,             /* an update changes a key to one that already exists */
    CONFLICT_UPDATE_MISSING,            /* the row to update is missing */
    CONFLICT_DELETE_MISSING,            /* the row to delete is missing */
    CONFLICT_UPDATE_ORIGIN_DIFFERS,     /* the row to update was changed by another session of the target */
    CONFLICT_DELETE_ORIGIN_DIFFERS,     /* the row to delete was */
    CONFLICT_TRUNCATE_IGNORED,          /* a table was truncated at the source, and keeps its rows */
    CONFLICT_MULTIPLE_UNIQUE_CONFLICTS, /* the new row clashes in more than one unique index */
};

#define CONFLICT_KINDS ((size_t) CONFLICT_MULTIPLE_UNIQUE_CONFLICTS + 1)

/* "update_missing" */
const char *conflict_kind_name(enum conflict_kind kind);

/* False when no kind has that name. */
bool conflict_kind_find(const char *name, enum conflict_kind *ret_kind);
