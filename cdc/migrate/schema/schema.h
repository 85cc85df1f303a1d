/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema.h - `pgcdc schema`: the definitions of the source's database, made and compared in a target.
 *
 * pg_dump describes both sides. Before the copy everything is made that the rows need, in one transaction;
 * after it the rest, object by object. Both can be repeated at any time: what exists already with the same
 * definition is left as it is. Nothing that exists is replaced; one that has another definition is an error.
 */
#pragma once

#include <stdatomic.h>
#include <stdio.h>

#include "cdc/base/arena.h"
#include "cdc/base/json_writer.h"
#include "cdc/config/config.h"
#include "cdc/migrate/steps/steps.h"

enum schema_stage {
    SCHEMA_BEFORE_COPY, /* schemas, types, functions, tables, views, primary keys, rights */
    SCHEMA_AFTER_COPY,  /* indexes, foreign keys, triggers, policies, materialized views' rows, statistics */
    SCHEMA_WHOLE,       /* both, one after the other */
};

struct schema_counts {
    size_t made;
    size_t present;  /* existed already */
    size_t left_out; /* tables that source.tables leaves out, and what needs them */
};

/*
 * The sink with that name, whose target is a database; name NULL: the only one that there is. ERROR_CONFIG:
 * there is no such sink, or more than one.
 */
MUST_CHECK bool schema_find_sink(const struct config *config, const char *name,
                                 const struct config_sink **ret_sink, struct error *err);

struct schema_task {
    const struct config *config;
    const struct config_sink *sink;
    enum schema_stage stage;
    struct steps *steps; /* open and locked, in the sink's target */
    const atomic_bool *stop;
};

/* What was described for the stage before the copy, for the stage after it in the same process. */
struct schema_kept;

/*
 * Makes what is missing. A kill at any moment leaves whole
 * objects, and the next call goes on. ERROR_CONFIG: something is missing that a person must provide (a role,
 * an extension, pg_dump), or the target has an object of another definition; nothing was changed then.
 * ERROR_RETRY: worth another try.
 * ret_kept: NULL, or the stage is the one before the copy; the caller forgets what it gets.
 */
MUST_CHECK bool schema_apply(const struct schema_task *task, struct schema_kept **ret_kept,
                             struct schema_counts *ret_counts, struct error *err);

/*
 * The stage after the copy. False also when the description is older than a minute: schema_apply makes
 * another one, and goes on.
 */
MUST_CHECK bool schema_apply_kept(struct schema_kept *kept, struct steps *steps,
                                  struct schema_counts *ret_counts, struct error *err);

/* Accepts NULL. */
void schema_forget(struct schema_kept *kept);

enum schema_fault { SCHEMA_MISSING, SCHEMA_DIFFERENT, SCHEMA_EXTRA };

struct schema_difference {
    enum schema_fault fault;
    const char *kind;   /* as pg_dump names it: "INDEX" */
    const char *schema; /* "": in no schema */
    const char *name;   /* of an object in a table: its table's name and its own */
};

struct schema_comparison {
    struct arena arena; /* owns all texts */
    const struct schema_difference *differences;
    size_t count;
    size_t counts[SCHEMA_EXTRA + 1];
    size_t objects; /* that were compared */
};

/*
 * Whether both sides have the same objects with the same definitions. Where a definition differs and the
 * servers' versions do too, the target says how it would write the source's: in a database of its own that is
 * removed again (needs CREATEDB). The caller releases *ret_comparison, also after an error.
 */
MUST_CHECK bool schema_compare(const struct config *config, const struct config_sink *sink,
                               const atomic_bool *stop, struct schema_comparison *ret_comparison,
                               struct error *err);

/* Accepts a zeroed one. */
void schema_comparison_release(struct schema_comparison *comparison);

void schema_print(const struct schema_comparison *comparison, FILE *file);

/* Keys of the open map: objects, missing, different, extra, differences. */
void schema_put(const struct schema_comparison *comparison, struct json_writer *json);
