/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what a sink's own check gets, and how it reports its findings, for `pgcdc check`.
 *
 * The caller has read the source; the sink compares with it what it holds itself. Nothing is changed on
 * either side. No text contains a secret or a row's value.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "sinks/table.h"

struct session;

enum sink_severity {
    SINK_PROBLEM, /* run will fail or lose data */
    SINK_WARNING, /* run works, with a consequence that the operator should know */
    SINK_NOTE,
};

/* The caller's functions. context is sink_check.context. */
struct sink_check_ops {
    /* code: a stable word for scripts, static. */
    void (*add)(void *context, enum sink_severity severity, const char *code, const char *format,
                va_list values);
    /* The remedy of the finding that was added last: SQL for the sink's server, or steps for people. */
    void (*fix)(void *context, const char *format, va_list values);
    /* A name that text and fix of the last finding contain: findings that differ in it are one. Copied. */
    void (*object)(void *context, const char *object);
    /*
     * The finding that was added last is a gap: this column of the sink's table is missing, gets no value, or
     * has a type that does not hold all values. May be NULL.
     */
    void (*gap)(void *context, const struct table *table, const char *column);
    /* Adds the finding that all of the table is copied from one snapshot, because it has what reason says. */
    void (*long_copy)(void *context, const struct table *table, const char *reason);
    /* The tables in the order in which they are copied. */
    bool (*order)(void *context, const struct table **ret_tables, struct error *err);
};

struct sink_check {
    const struct table *tables; /* the published tables */
    size_t table_count;
    bool expects_copy;          /* run will copy the existing rows */
    bool is_refused;            /* run will refuse to continue, so what it would find missing is not known */
    bool leaves_out_replicated; /* the source sends no changes that were replicated to it */
    uint64_t long_copy_bytes;   /* long_copy is for larger tables only; UINT64_MAX: for none */
    const char *source_encoding;
    struct session *source; /* to ask its catalog; NULL: it cannot be reached */
    struct session *target; /* of the sink's target (admin.target); NULL: it has none, or see source */
    bool target_is_source;  /* the target is the source's own database, which is a finding already */
    struct arena *arena;    /* lives as long as the findings */
    const struct sink_check_ops *ops;
    void *context;
};

/* Add a finding, its remedy and its object. */
void sink_check_add(const struct sink_check *check, enum sink_severity severity, const char *code,
                    const char *format, ...) PRINTF_LIKE(4, 5);
void sink_check_fix(const struct sink_check *check, const char *format, ...) PRINTF_LIKE(2, 3);
void sink_check_object(const struct sink_check *check, const char *object);
void sink_check_gap(const struct sink_check *check, const struct table *table, const char *column);
