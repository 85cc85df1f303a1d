/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_sides.h - source and target, each in a snapshot, the target's just after the source's.
 *
 * Every transaction that the source's snapshot sees ends at or before source_lsn, and the target's snapshot
 * was taken as soon as its position had passed that. What differs then was changed in between, which is
 * milliseconds, or is a difference.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/pq/session.h"

struct verify_sides {
    struct session source;
    struct session target;
    const struct config *config;
    const struct sink_ops *ops; /* that have target */
    const struct sink_config *sink;
    const atomic_bool *stop;
    char application[64]; /* of the target's session: pgcdc:NAME verify */
    bool has_hash;        /* hashtextextended gives the same on both sides; else it is md5 */
    bool is_fed;          /* an engine reads the slot, so the target moves */
    lsn_t source_lsn;     /* of the snapshots in force or, after unpinning, of the last ones */
    lsn_t target_lsn;     /* 0: the target has no position */
};

/* Release it in any case. */
MUST_CHECK bool verify_sides_open(struct verify_sides *sides, const struct config *config,
                                  const struct config_sink *sink, const atomic_bool *stop, struct error *err);
void verify_sides_release(struct verify_sides *sides);

/*
 * Takes the two snapshots. Waits for the target as long as an engine reads the slot and the position moves;
 * where nobody reads it, the target is what it is.
 */
MUST_CHECK bool verify_sides_pin(struct verify_sides *sides, struct error *err);
MUST_CHECK bool verify_sides_unpin(struct verify_sides *sides, struct error *err);

/* The same question, each side in its own words and both at work at the same time; parameter may be NULL. */
struct verify_question {
    const char *source_sql;
    const char *target_sql;
    const char *parameter;
    struct result_shape shape;
};

struct verify_answers {
    PGresult *source;
    PGresult *target;
};

/* The caller releases the answers, also after a failure. */
MUST_CHECK bool verify_sides_ask(struct verify_sides *sides, const struct verify_question *question,
                                 struct verify_answers *ret_answers, struct error *err);

/* For AUTO(verify_answers_release). */
void verify_answers_release(struct verify_answers *answers);
