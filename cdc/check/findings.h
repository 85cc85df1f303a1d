/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.h - what `pgcdc check` has found, in the order in which it was found.
 */
#pragma once

#include <stdatomic.h>
#include <stdio.h>

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

enum severity {
    SEVERITY_PROBLEM, /* run will refuse, fail, or lose something */
    SEVERITY_WARNING, /* run works, and somebody may be surprised */
    SEVERITY_NOTE,
    SEVERITY_COUNT,
};

struct finding {
    struct finding *next;
    enum severity severity;
    const char *code;  /* a stable word for scripts: "wal_level"; static */
    const char *where; /* "source", "state", "sink warehouse" */
    const char *what;
    const char *fix;            /* "" when there is nothing to do; see findings_fix */
    const char *object;         /* quoted, that this is about; NULL: none */
    size_t object_count;        /* with those of the group */
    struct finding *alike;      /* the next of a group of one cause */
    struct finding *last_alike; /* of a group's head */
};

struct findings {
    struct arena arena;
    const char *where; /* of what is found next; lives as long as the findings */
    struct finding *first;
    struct finding *last;
    size_t counts[SEVERITY_COUNT];
    bool failed; /* a finding did not fit into memory */
};

void findings_init(struct findings *findings);
void findings_release(struct findings *findings);

/* One more, "what" formatted; no secret and no row's value in it. */
void findings_add(struct findings *findings, enum severity severity, const char *code, const char *format,
                  ...) PRINTF_LIKE(4, 5);

/*
 * What to do about the one that was added last. A line that begins with a word of SQL and ends in ";", a
 * comment
 * ("  -- ...") aside, is a statement, ready for psql at the place where it was found; any other line is a
 *     step for people.
 */
void findings_fix(struct findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);

/* What the one that was added last is about: a quoted name that stands in "what" and in the fix as it is. */
void findings_object(struct findings *findings, const char *object);

/* findings_group.c: makes one finding of those with one cause. Nothing is added after that. */
void findings_group(struct findings *findings);

/* An error's text and its remedy. */
void findings_add_error(struct findings *findings, enum severity severity, const char *code,
                        const struct error *error);

/* The fixes of one side, for psql: where is "source", "sink NAME", or "sink " for all. Steps are comments. */
void findings_print_sql(const struct findings *findings, const char *where, FILE *file);

/* For people, and the same as one line of JSON. */
void findings_print(const struct findings *findings, const char *pipeline, FILE *file);
MUST_CHECK bool findings_print_json(const struct findings *findings, const char *pipeline, FILE *file,
                                    struct error *err);
