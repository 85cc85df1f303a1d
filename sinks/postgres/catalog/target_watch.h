/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_watch.h - once a minute: was a table of the target changed in a way that its columns do not show?
 *
 * Triggers, rules and UNLOGGED decide how changes are applied, or that they are not. apply_look asks for
 * columns and types only.
 */
#pragma once

#include <stdint.h>

#include "cdc/pq/session.h"

struct target_watch {
    int64_t asked_ms; /* 0: never */
    char digest[33];  /* of all tables then */
};

/*
 * Outside a transaction and a pipeline. *ret_changed: something is other than when it was asked last; false
 * the first time and when it is not yet time to ask.
 */
MUST_CHECK bool target_watch_ask(struct target_watch *watch, struct session *session, bool *ret_changed,
                                 struct error *err);
