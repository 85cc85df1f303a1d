/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_policy.h - what a sink that alters tables does when those of the source are altered or emptied, by
 * tables.
 */
#pragma once

#include <stddef.h>

struct mapping;

enum ddl_event {
    DDL_ADD_COLUMN,
    DDL_DROP_COLUMN,
    DDL_RENAME_COLUMN,
    DDL_WIDEN_TYPE,
    DDL_TRUNCATE, /* the only one that is not about columns */
    DDL_EVENTS,
};

enum ddl_action {
    DDL_UNSAID, /* the sink's own option decides */
    DDL_APPLY,
    DDL_STOP,
    DDL_KEEP,   /* the target's column stays, and new rows have NULL in it */
    DDL_IGNORE, /* the target stays as it is */
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

/* "add_column": the option of a sink, and the key of a rule. */
const char *ddl_event_key(enum ddl_event event);

/* The values of that option, NULL after the last. */
const char *const *ddl_event_words(enum ddl_event event);

/* What the word of that index means. */
enum ddl_action ddl_event_action(enum ddl_event event, size_t word);

/* Where no option says it. */
enum ddl_action ddl_event_usual(enum ddl_event event);
