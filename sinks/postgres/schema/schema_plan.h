/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_plan.h - the statements that bring a table of the target from the known columns to a definition's.
 *
 * The target may be ahead: what an operator has done there already is left out.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/pq/session.h"
#include "decoder/relation.h"
#include "sinks/postgres/schema/known_tables.h"
#include "sinks/postgres/schema/noted_names.h"
#include "sinks/postgres/schema/plan_columns.h"
#include "sinks/postgres/schema/schema_policy.h"

struct schema_plan {
    const struct relation *relation; /* the source's */
    const struct relation *in_sink;  /* the same, or what a mapping makes of it: the target's names */
    const struct known_table *known;
    const uint32_t *numbers; /* of the relation's columns */
    const struct schema_policy *policy;
    const char *table;       /* the target's, quoted: the one to alter */
    bool may_copy;           /* the rows can be copied again */
    const PGresult *columns; /* the target's */
    const PGresult *shapes;  /* its types: type_shape.h */
    bool *leaves;            /* of each of the target's columns: it is dropped, or gets another name */
    bool *ignores;           /* of each of the relation's columns: the target is to have none */

    /* The results. */
    struct buffer sql;        /* statements, with "; " between them; empty: there is nothing to do */
    struct buffer news;       /* what they do, a line each */
    struct noted_names noted; /* columns with another name */
    bool lacks_type;          /* of a new column, because the source has changed it again: what is refused */
    bool lacks_name;          /* what is refused is about a name that another column of the target has */
    bool lacks_rule;          /* what is refused is about a rule of the mapping */
    bool needs_copy;          /* the rows from before have values that only the source knows */
    const char *refused;      /* why the sink may not do this by itself, or NULL */
    char column[64];          /* to which that applies */
};

/* Fills the results. The caller releases the buffers and leaves. */
MUST_CHECK bool schema_plan_make(struct schema_plan *plan, struct error *err);
void schema_plan_release(struct schema_plan *plan);

/* Is the column still the target's own although the source has dropped it? After schema_plan_make. */
bool schema_plan_keeps(const struct schema_plan *plan, const struct known_column *column);

/* The sink's column of the definition's column i; NULL: a rule drops it, or the target is to have none. */
const struct column *schema_plan_in_sink(const struct schema_plan *plan, uint32_t i);

const struct known_column *schema_plan_known(const struct known_table *known, uint32_t number);
