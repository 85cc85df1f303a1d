/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied.h - rows that were there before their table was published to a pipeline that had its copy already: no change
 * brings them, so the target would lack them for ever.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/config.h"
#include "cdc/pq/session.h"
#include "sinks/table.h"

/*
 * Looks for a row that is older than the publication of its table, and for its key in the target. A look at the oldest
 * pages, not a comparison: false in *ret_lacks does not prove that all rows are there. What cannot be asked (a lock, a right
 * that is missing) is not lacking. Both sessions should have a lock_timeout.
 */
MUST_CHECK bool uncopied_look(struct session *source, struct session *target, const char *publications,
                              const struct table *table, bool *ret_lacks, struct error *err);

/* What is said of it, after the table's name, and what to do. */
#define UNCOPIED_TEXT                                                                                           \
    "has rows that are older than its publication, and the target lacks them: a table that is added later has " \
    "no initial copy (whether it was published before, and they are still on their way, cannot be known)"
#define UNCOPIED_REMEDY                                                                                      \
    "run `pgcdc drop`, empty the target's tables, and start over with a new copy; or, when these rows are "  \
    "not wanted or come in another way, set source.snapshot: never"

/* For a start that goes on: ERROR_CONFIG names the first such table of a Postgres sink. */
MUST_CHECK bool uncopied_refuse(const struct config *config, const atomic_bool *stop, struct error *err);
