/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_policy.h - what a sink that alters tables does when those of the source are altered, by tables.
 */
#pragma once

#include <stddef.h>

struct mapping;

enum ddl_event {
    DDL_ADD_COLUMN,
    DDL_DROP_COLUMN,
    DDL_RENAME_COLUMN,
    DDL_WIDEN_TYPE,
    DDL_EVENTS,
};

enum ddl_action {
    DDL_UNSAID, /* the sink's own option decides */
    DDL_APPLY,
    DDL_KEEP, /* the target's column stays, and new rows have NULL in it */
    DDL_STOP,
};

struct ddl_rule {
    enum ddl_action actions[DDL_EVENTS];
};

/* Read-only once read. */
struct ddl_rules {
    const struct mapping
        *tables; /* match and sinks of each rule; the first that matches a table is its rule */
    const struct ddl_rule *rules; /* of the same index */
};
