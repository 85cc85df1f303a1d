/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.c - the names of the kinds of conflict.
 */
#include "sinks/conflict.h"

#include <string.h>

const char *conflict_kind_name(enum conflict_kind kind) {
    static const char *const NAMES[CONFLICT_KINDS] = {
        [CONFLICT_INSERT_EXISTS] = "insert_exists",
        [CONFLICT_UPDATE_EXISTS] = "update_exists",
        [CONFLICT_UPDATE_MISSING] = "update_missing",
        [CONFLICT_DELETE_MISSING] = "delete_missing",
        [CONFLICT_UPDATE_ORIGIN_DIFFERS] = "update_origin_differs",
        [CONFLICT_DELETE_ORIGIN_DIFFERS] = "delete_origin_differs",
        [CONFLICT_TRUNCATE_IGNORED] = "truncate_ignored",
        [CONFLICT_MULTIPLE_UNIQUE_CONFLICTS] = "multiple_unique_conflicts",
    };
    return NAMES[kind];
}

bool conflict_kind_find(const char *name, enum conflict_kind *ret_kind) {
    for (size_t i = 0; i < CONFLICT_KINDS; i++) {
        if (strcmp(conflict_kind_name((enum conflict_kind) i), name) != 0)
            continue;
        *ret_kind = (enum conflict_kind) i;
        return true;
    }
    return false;
}
