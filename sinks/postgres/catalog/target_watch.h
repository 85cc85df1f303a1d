/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_watch.h - asks once a minute whether a table of the target was changed in a way that its columns do
 * not show.
 *
 * Triggers, rules and UNLOGGED decide whether and how changes are applied. apply_look compares only columns
 * and types.
 */
#pragma once

#include <stdint.h>

#include "cdc/pq/session.h"

struct target_watch {
    int64_t asked_ms; /* 0: never */
    char digest[33];  /* of all tables at that time */
};

/*
 * Outside a transaction and a pipeline. *ret_changed: something differs from the last query; false the first
 * time and when the minute is not over.
 */
MUST_CHECK bool target_watch_ask(struct target_watch *watch, struct session *session, bool *ret_changed,
                                 struct error *err);
