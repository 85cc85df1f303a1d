/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - `pgcdc report`: does a migration close, and if not, what is open.
 *
 * Made from the steps in the target (steps/, proof/), and from a comparison of both sides' sequences and
 * definitions that is made now. Changes nothing.
 */
#pragma once

#include <stdio.h>

#include "cdc/check/findings.h"
#include "cdc/migrate/globals/globals.h"
#include "cdc/migrate/proof/proof.h"
#include "cdc/migrate/schema/schema.h"
#include "cdc/sequences/sequences.h"

struct report_server {
    const char *where; /* "source", "target" */
    const char *database;
    char version[32]; /* "15.4"; "" if it cannot be reached */
};

/* A dead letter that `pgcdc dead skip` has left out. Texts in the report's arena. */
struct report_skipped {
    const char *sink;
    const char *table; /* quoted, schema.table */
    const char *id;
    const char *lsn;
    const char *change; /* its number in the transaction */
    const char *reason;
    const char *done_by;
    const char *at;
};

struct report {
    const struct config *config;
    const struct config_sink *sink;
    const char *pgcdc; /* its version */
    const atomic_bool *stop;
    int64_t made_us; /* by the target's clock, since 2000 */
    struct report_server servers[2];
    struct step_list steps;  /* as wholes, without those of objects */
    struct step_list states; /* of a cutover or of a way back, that are not done */
    struct proof proof;
    struct sequence_list sequences;
    bool has_sequences; /* false: they could not be compared */
    struct schema_comparison schema;
    bool has_schema;
    struct findings findings;       /* warnings of the plan */
    struct globals_roles roles;     /* that this program has made */
    const char *cutover;            /* the detail of its step, JSON; NULL: there was none */
    int64_t outage_ms;              /* of the cutover; -1: not known */
    struct report_skipped *skipped; /* of all sinks that keep a log of them */
    size_t skipped_count, skipped_capacity;
    struct buffer open; /* what does not close: a line for each */
    struct arena arena;
    struct steps at; /* the target */
    struct session source;
};

/* report: config, sink, pgcdc and stop are set. False: the target cannot be read. Release it in any case. */
MUST_CHECK bool report_make(struct report *report, struct error *err);
void report_release(struct report *report);

static inline bool report_closes(const struct report *report) {
    return report->open.size == 0;
}

/* report_findings.c: the plan's warnings, with what the configuration accepts now. */
MUST_CHECK bool report_read_findings(struct report *report, struct error *err);

/* report_skipped.c: what cannot be read now is open. */
MUST_CHECK bool report_read_skipped(struct report *report, struct error *err);

/* report_judge.c: fills open. */
MUST_CHECK bool report_judge(struct report *report, struct error *err);

/* "2026-11-30T08:00:00Z" of a time since 2000; "" for 0. */
struct report_time {
    char text[32];
};
struct report_time report_time(int64_t us);

/* An object {"report": …, "sha256": …}: the hash is that of the bytes of the report's value. */
MUST_CHECK bool report_print_json(struct report *report, FILE *file, struct error *err);
/* For people. */
MUST_CHECK bool report_print(struct report *report, FILE *file, struct error *err);
/* Its part of a report over several databases, without a hash. */
void report_print_part(const struct report *report, FILE *file);
void report_append_html(struct buffer *page, const struct report *report);
MUST_CHECK bool report_write_html(struct report *report, const char *path, struct error *err);

/* report_left_out.c: what the target lacks on purpose. The first puts two keys into the open map. */
enum { REPORT_ROWS_SHOWN_MAX = 5000 }; /* of a table of a page; a browser is slow with more */
void report_put_left_out(struct json_writer *json, const struct report *report);
void report_print_left_out(const struct report *report, FILE *file);
void report_append_left_out(struct buffer *page, const struct report *report);

/* report_json.c: the body, and its hash in hexadecimal. */
struct report_hash {
    char text[65];
};
/* Of any bytes, by the target's own sha256. */
MUST_CHECK bool report_hash_bytes(struct report *report, struct slice bytes, struct report_hash *ret_hash,
                                  struct error *err);
MUST_CHECK bool report_write_body(struct report *report, struct json_writer *json, struct buffer *body,
                                  struct report_hash *ret_hash, struct error *err);
