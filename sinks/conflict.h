/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.h - the kinds of conflict that a sink may settle by itself, by the names that PostgreSQL 18 has for them.
 */
#pragma once

#include <stddef.h>

enum conflict_kind {
    CONFLICT_INSERT_EXISTS,  /* a row is inserted whose key is there already */
    CONFLICT_UPDATE_EXISTS,  /* a row gets a key that is there already */
    CONFLICT_UPDATE_MISSING, /* the row to update is not there */
    CONFLICT_DELETE_MISSING, /* the row to delete is not there */
};

#define CONFLICT_KINDS ((size_t) CONFLICT_DELETE_MISSING + 1)

/* "update_missing" */
const char *conflict_kind_name(enum conflict_kind kind);
