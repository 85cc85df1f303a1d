/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - what changes target tables; the parts of the Postgres sink that apply share it.
 *
 * apply.c       finds the tables of a span of changes and decides how it is applied
 * apply_rows.c  one statement a change, in the source's order: always right
 * apply_sets.c  the net effect on each row, a few statements a table: fast, and equal to it or undone
 * explain.c     what an operator is told of a change that does not fit
 */
#pragma once

#include "decoder/oid_map.h"
#include "sinks/postgres/pipeline.h"
#include "sinks/postgres/postgres.h"
#include "sinks/postgres/statement.h"
#include "sinks/postgres/target_table.h"

/* Changes in the source's order and the table of each, NULL for what is no row. */
struct span {
    const struct change *changes;
    struct target_table *const *tables;
    size_t count;
};

struct apply {
    struct postgres_sink *sink;
    enum trigger_role role;
    struct arena catalog;         /* target tables; kept until close */
    struct oid_map lookup;        /* the source's OID -> struct target_table of its latest definition */
    struct target_table **tables; /* of the span that is being applied */
    size_t table_capacity;
    struct statements statements;
    struct pipeline pipeline;
};

/* NULL when memory is exhausted. sink's session is open. apply_free accepts NULL. */
MUST_CHECK struct apply *apply_new(struct postgres_sink *sink, enum trigger_role role);
void apply_free(struct apply *apply);

/* Applies the changes in the target transaction, which it begins when there is none. */
MUST_CHECK bool apply_changes(struct apply *apply, const struct change *changes, size_t count,
                              struct error *err);

/* The table of a relation that the span names; it has been found. */
struct target_table *apply_table(const struct apply *apply, const struct relation *relation);

/* apply_rows.c: every change of the span for which only is NULL or its table's own. In the target transaction. */
MUST_CHECK bool apply_rows(struct apply *apply, const struct span *span, struct error *err);

/* The values by which an update or delete finds its row: the old ones, or the new ones when the key is the same. */
MUST_CHECK bool change_key(const struct target_table *table, const struct change *change,
                           const struct value **ret_values, struct error *err);

/* ERROR_RETRY, asking for text, when a value's binary form is not that of its column. */
MUST_CHECK bool change_check_binary(struct apply *apply, const struct target_table *table,
                                    const struct change *change, struct error *err);

/* explain.c: puts change, table and remedy around *err; returns false. failure may be NULL. */
bool explain_failure(const struct target_table *table, const struct change *change,
                     const struct pipeline_failure *failure, struct error *err);
