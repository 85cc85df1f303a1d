/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict.c - the names.
 */
#include "sinks/conflict.h"

const char *conflict_kind_name(enum conflict_kind kind) {
    static const char *const NAMES[CONFLICT_KINDS] = {
        [CONFLICT_INSERT_EXISTS] = "insert_exists",
        [CONFLICT_UPDATE_EXISTS] = "update_exists",
        [CONFLICT_UPDATE_MISSING] = "update_missing",
        [CONFLICT_DELETE_MISSING] = "delete_missing",
    };
    return NAMES[kind];
}
