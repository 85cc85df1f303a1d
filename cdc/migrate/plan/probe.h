/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - findings that one query makes: each row of its answer is one finding.
 *
 * The texts are templates. {2} is column 2 as it is, from 1; {2i} as an identifier; {2q} columns 2 and 3 as a
 * qualified name; {2s} as an SQL literal. Identifiers can be pasted into psql, whatever is in them.
 */
#pragma once

#include "cdc/migrate/plan/plan.h"

struct probe {
    const char *code;
    enum severity severity;
    int version_min;    /* of the server that is asked, as 150000; 0: any */
    int columns;        /* of the answer */
    const char *object; /* what the finding is about, or NULL */
    const char *what;
    const char *fix;   /* "": none; see findings_fix */
    const char *sql;   /* at the source $1 is an array of the OIDs of what moves, $2 of the file's slots */
    const char *given; /* of a probe of the target: a query at the source, whose one value is $1 of sql */
};

extern const struct probe SOURCE_PROBES[]; /* ends with code NULL, as all of them */
extern const struct probe TABLE_PROBES[];  /* of the source, too */
extern const struct probe TARGET_PROBES[];
extern const struct probe RECORD_PROBES[]; /* of the source, for a sink that is no database */

/* Probes that cannot be done become findings. findings.where is set; target: NULL for the source's. */
void probe_run(struct plan *plan, struct session *target, const struct probe *probes);

/* The template with the values of the row, in check's arena; exported for its test. */
const char *probe_text(struct plan *plan, const char *template, const PGresult *rows, int row);
