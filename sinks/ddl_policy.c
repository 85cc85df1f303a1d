/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_policy.c - the events, and what may be said of each.
 */
#include "sinks/ddl_policy.h"

enum { WORDS_MAX = 4 };

static const struct {
    const char *key;
    const char *words[WORDS_MAX];
    enum ddl_action actions[WORDS_MAX]; /* of the words */
    enum ddl_action usual;
} EVENTS[DDL_EVENTS] = {
    [DDL_ADD_COLUMN] = {"add_column",
                        {"apply", "stop", "ignore"},
                        {DDL_APPLY, DDL_STOP, DDL_IGNORE},
                        DDL_APPLY},
    [DDL_DROP_COLUMN] = {"drop_column", {"apply", "stop", "keep"}, {DDL_APPLY, DDL_STOP, DDL_KEEP}, DDL_KEEP},
    [DDL_RENAME_COLUMN] = {"rename_column", {"apply", "stop"}, {DDL_APPLY, DDL_STOP}, DDL_APPLY},
    [DDL_WIDEN_TYPE] = {"widen_type", {"apply", "stop"}, {DDL_APPLY, DDL_STOP}, DDL_APPLY},
    [DDL_TRUNCATE] = {"truncate", {"apply", "stop", "ignore"}, {DDL_APPLY, DDL_STOP, DDL_IGNORE}, DDL_APPLY},
};

const char *ddl_event_key(enum ddl_event event) {
    return EVENTS[event].key;
}

const char *const *ddl_event_words(enum ddl_event event) {
    return EVENTS[event].words;
}

enum ddl_action ddl_event_action(enum ddl_event event, size_t word) {
    return EVENTS[event].actions[word];
}

enum ddl_action ddl_event_usual(enum ddl_event event) {
    return EVENTS[event].usual;
}
