/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - which of the source's objects the target has already.
 */
#pragma once

#include "cdc/migrate/schema/sides.h"
#include "cdc/migrate/steps/steps.h"

/* The step of pgcdc.migration that has a row for each object that pgcdc made. */
#define OBJECT_STEP "object"

/*
 * Sets the state of each of the source's objects that is not left out to waiting or done. ERROR_CONFIG: the
 * target has one of another definition.
 */
MUST_CHECK bool settle_objects(struct sides *sides, struct steps *steps, struct error *err);

/* Every difference of the two lists, the source's in the target's words; in sides' arena. */
struct settle_pair {
    const struct object *at_source; /* NULL: only the target has it */
    const struct object *at_target; /* NULL: only the source */
};

MUST_CHECK bool settle_compare(struct sides *sides, struct settle_pair **ret_pairs, size_t *ret_count,
                               struct error *err);

/* The statement that writes the object's row, for the script that makes it. */
void settle_append(struct buffer *sql, const char *pipeline, const struct object *object);

/* In the transaction that made the objects: their rows. */
MUST_CHECK bool settle_write(struct session *session, const char *pipeline,
                             const struct object *const *objects, size_t count, struct error *err);
