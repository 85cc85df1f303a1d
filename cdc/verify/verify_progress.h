/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_progress.h - which ranges of which tables were proven equal, kept on disk (cdc/engine/verified.h).
 *
 * A range stays proven only for the same definitions, conditions and databases: all of that is in a table's
 * hash. The ranges of a table are those of the file as long as it fits, so that what was proven still says
 * something when the table has grown.
 */
#pragma once

#include "cdc/engine/verified.h"
#include "cdc/verify/verify_table.h"

struct verify_progress {
    const char *kind;         /* of the file; NULL: none is kept */
    struct verified verified; /* in the order of the tables */
    const struct config *config;
    const char *sink;
    size_t kept_count, range_count; /* ranges that the file had, of all */
    bool is_changed;
    bool cannot_write; /* it was said */
    int64_t written_ms;
};

/*
 * After verify_ranges_make. reads: goes on from the file; else begins a new one. divides_anew: a table that
 * is now divided into many more ranges begins again.
 */
MUST_CHECK bool verify_progress_open(struct verify_progress *progress, struct verify_table *tables,
                                     size_t count, struct verify_sides *sides, bool reads, bool divides_anew,
                                     struct arena *arena, struct error *err);

/* The current range was compared; counts are what it added. */
void verify_progress_note(struct verify_progress *progress, size_t table, const struct verify_table *compared,
                          const struct verified_range *counts);

/* Writes the file when it is due, or now when at_once. A failure is logged once. */
void verify_progress_save(struct verify_progress *progress, bool at_once);
