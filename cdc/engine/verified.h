/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verified.h - which tables, and which ranges of their keys, were proven equal, and when: files of the state
 * directory, for each sink.
 *
 *     NAME.SINK.verify      what an interrupted `pgcdc verify` had compared
 *     NAME.SINK.verified    what continuous verification has found so far
 *
 * A file is written whole and renamed, never synced: what a crash loses is compared again. It contains the
 * bounds of ranges, which are values of keys.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

#define VERIFIED_BY_COMMAND "verify"
#define VERIFIED_CONTINUOUSLY "verified"

enum verified_state { VERIFIED_UNKNOWN, VERIFIED_EQUAL, VERIFIED_DIFFERENT };

struct verified_range {
    const char *low, *high; /* see struct chunk */
    enum verified_state state;
    lsn_t lsn;     /* of the last comparison */
    int64_t at_us; /* likewise, since 1970; 0: never */
    uint64_t source_rows, target_rows, narrowed_rows;
    int64_t source_hash, target_hash;   /* of these rows; see sinks/difference.h */
    uint64_t missing, extra, different; /* rows */
    int64_t tried_us;                   /* not in the file: of the last try that proved nothing */
};

struct verified_table {
    oid_t oid; /* at the source */
    const char *schema, *name;
    const char *column;  /* that divides it; "" when it is one range */
    uint64_t definition; /* a hash of what was compared, and between which databases */
    int64_t equal_us;    /* all of it was proven equal then or later; 0: never */
    lsn_t equal_lsn;     /* likewise */
    struct verified_range *ranges;
    size_t range_count; /* at least 1 */
};

struct verified {
    struct verified_table *tables;
    size_t count;
};

/* What cannot be read counts as missing. The rest is in arena. */
void verified_read(const char *directory, const char *pipeline, const char *sink, const char *kind,
                   struct arena *arena, struct verified *ret_verified);

MUST_CHECK bool verified_write(const char *directory, const char *pipeline, const char *sink,
                               const char *kind, const struct verified *verified, struct error *err);

/* True also when there is no file. */
MUST_CHECK bool verified_remove(const char *directory, const char *pipeline, const char *sink,
                                const char *kind, struct error *err);

const struct verified_table *verified_find(const struct verified *verified, oid_t oid);

/* How many ranges of the table are in the state. */
size_t verified_count(const struct verified_table *table, enum verified_state state);

/* The rows that differ, of all ranges that do. */
struct verified_range verified_sum(const struct verified_table *table);

/* When every range is equal: sets equal_us and equal_lsn to those of the range that was compared first. */
void verified_conclude(struct verified_table *table);
