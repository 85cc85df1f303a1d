/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - the target's tables follow the columns of the source's, in the target transaction of the change.
 *
 * What is certain is carried out by the sink's policy; what is not stops the sink, with what to do.
 */
#pragma once

#include "decoder/change.h"
#include "sinks/postgres/schema/known_tables.h"
#include "sinks/postgres/schema/schema_policy.h"
#include "sinks/postgres/target/target.h"

struct schema {
    struct target *target;
    struct schema_policy policy;
    bool is_on;            /* false: the role may not store what is known */
    bool settles_truncate; /* a TRUNCATE may be ignored, or is to stop the sink */
    struct known_tables known;
};

/* The session is open, and pgcdc.position exists. Release it also after a failure. */
MUST_CHECK bool schema_open(struct schema *schema, struct target *target, struct error *err);
/* Accepts a zeroed one. */
void schema_release(struct schema *schema);

/* Before the first write: notes the source's tables as they are now, where nothing is known of them. */
MUST_CHECK bool schema_learn(struct schema *schema, struct error *err);

/*
 * in_sink: as the sink gets it, by a mapping or not. Has the source's definition other columns than those
 * that are known, so that schema_follow must be called before the relation is used?
 */
bool schema_differs(const struct schema *schema, const struct relation *in_sink,
                    const struct transaction *transaction);

/*
 * Which of the relation's columns the target is to have none for, in ret_left_out, which is all false before.
 * Returns the target's table for which that holds, or 0: for none.
 */
oid_t schema_left_out(const struct schema *schema, const struct relation *in_sink, bool *ret_left_out);

/*
 * In the target transaction, not in a pipeline: alters the target's table so that it has the relation's
 * columns, and notes them. ERROR_DATA with the statement to run when it is not certain, not allowed or not
 * possible.
 */
MUST_CHECK bool schema_follow(struct schema *schema, const struct relation *of_change,
                              const struct transaction *transaction, struct error *err);
