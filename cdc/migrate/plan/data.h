/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.h - rows that the target would refuse: they are counted at the source, and a query that lists them is
 * printed. No value is read.
 *
 * A data probe first asks which tables could have such rows (its sql), then counts them, one query for each.
 * The columns of sql's answer:
 *
 *     schema, table, the name of the column or constraint, a condition on the table t, and for duplicates
 *     the columns that must be unique, else NULL
 *
 * The texts are SQL, made by the server with every name quoted.
 */
#pragma once

#include "cdc/migrate/plan/plan.h"

struct data_probe {
    const char *code;
    enum severity severity;
    const char *what;  /* a template of probe.h, to which the number of rows is added */
    const char *sql;   /* at the source: $1 the OIDs of the relations that move, $2 what given answered */
    const char *given; /* a query at the target, which answers one value; NULL: needs no target */
};

extern const struct data_probe DATA_PROBES[]; /* ends with code NULL */

/* target NULL: the probes that need none. The findings are about the source. */
void data_run(struct plan *plan, struct session *target);
