/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings.h - the findings of `pgcdc check`, in the order in which they were found.
 */
#pragma once

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

enum severity {
    SEVERITY_PROBLEM, /* run will refuse, fail, or lose something */
    SEVERITY_WARNING, /* run works, but the result may surprise */
    SEVERITY_NOTE,
    SEVERITY_COUNT,
};

struct finding {
    struct finding *next;
    enum severity severity;
    const char *code;  /* a stable word for scripts: "wal_level"; static */
    const char *where; /* "source", "state", "sink warehouse" */
    const char *what;
    const char *fix;            /* "" if nothing is to be done; see findings_fix */
    bool is_accepted;           /* see findings_accept */
    const char *object;         /* the object it is about, quoted; NULL: none */
    size_t object_count;        /* including those of the group */
    struct finding *alike;      /* the next of a group with the same cause */
    struct finding *last_alike; /* of the first of a group */
};

struct findings {
    struct arena arena;
    const char *where; /* of the next findings; must live as long as the findings */
    struct finding *first;
    struct finding *last;
    size_t counts[SEVERITY_COUNT]; /* without what is accepted */
    size_t accepted_count;
    bool has_entries; /* findings can be accepted, so the output says whether one is */
    bool failed;      /* a finding did not fit into memory */
};

void findings_init(struct findings *findings);
void findings_release(struct findings *findings);

/* Adds a finding with the formatted text "what", which must not contain a secret or a row's value. */
void findings_add(struct findings *findings, enum severity severity, const char *code, const char *format,
                  ...) PRINTF_LIKE(4, 5);

void findings_add_values(struct findings *findings, enum severity severity, const char *code,
                         const char *format, va_list values);

/*
 * Sets the fix of the last finding. A line that begins with an SQL keyword and ends in ";", apart from a
 * comment ("  -- ..."), is a statement, ready for psql where the finding was made. Any other line is a step
 * for people.
 */
void findings_fix(struct findings *findings, const char *format, ...) PRINTF_LIKE(2, 3);
void findings_fix_values(struct findings *findings, const char *format, va_list values);

/* Sets the object of the last finding: a name that "what" and the fix contain literally. Copies it. */
void findings_object(struct findings *findings, const char *object);

/*
 * findings_accept.c: accepts the warnings that the entry names: "code:object", with the object as findings
 * print it or without its quotes, "code:*" for every object, or "code" for a finding about no object. Returns
 * their number. Before findings_group.
 */
size_t findings_accept(struct findings *findings, const char *entry);

/* Removes the findings about that side ("source"), or about all that begin with it ("sink "). */
void findings_drop(struct findings *findings, const char *where);

/* findings_group.c: merges findings with one cause. No finding may be added afterwards. */
void findings_group(struct findings *findings);

/* Adds an error's text, with its remedy as the fix. */
void findings_add_error(struct findings *findings, enum severity severity, const char *code,
                        const struct error *error);

/*
 * Prints the fixes of one side, for psql: where is "source", "sink NAME", or "sink " for all. Steps are
 * comments.
 */
void findings_print_sql(const struct findings *findings, const char *where, FILE *file);

struct json_writer;

/* Puts the fields pipeline, ready, problems, warnings and findings into the open map. */
void findings_put_json(struct json_writer *json, const struct findings *findings, const char *pipeline);

/* Print the findings for people, and as one line of JSON. */
void findings_print(const struct findings *findings, const char *pipeline, FILE *file);
MUST_CHECK bool findings_print_json(const struct findings *findings, const char *pipeline, FILE *file,
                                    struct error *err);
