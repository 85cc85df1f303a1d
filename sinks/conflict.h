/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.h - the kinds of conflict, by the names that PostgreSQL 18 has for them. A sink may settle all but
 * the last.
 *
 * What PostgreSQL calls update_origin_differs and delete_origin_differs is none here: a row that somebody
 * else has changed, and that is still there under its key, is changed as the source says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum conflict_kind {
    CONFLICT_INSERT_EXISTS,             /* a row is inserted whose key is there already */
    CONFLICT_UPDATE_EXISTS,             /* a row gets a key that is there already */
    CONFLICT_UPDATE_MISSING,            /* the row to update is not there */
    CONFLICT_DELETE_MISSING,            /* the row to delete is not there */
    CONFLICT_MULTIPLE_UNIQUE_CONFLICTS, /* the new row clashes in more than one unique index */
};

#define CONFLICT_KINDS ((size_t) CONFLICT_MULTIPLE_UNIQUE_CONFLICTS + 1)

/* "update_missing" */
const char *conflict_kind_name(enum conflict_kind kind);

/* False when no kind has that name. */
bool conflict_kind_find(const char *name, enum conflict_kind *ret_kind);
