/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_repair.h - copies the ranges again in which rows differ.
 *
 * Each such range becomes a chunk of a copy (cdc/copy/README.md), which the engine replaces while changes are
 * applied; all other ranges of the table stay as they are. The plan in the target is the request, so a
 * repair that was begun is completed, whatever happens to this program: by the engine once it was told, by
 * its next start, or by the same command again, which tells it.
 */
#pragma once

#include "cdc/verify/verify.h"

struct verify_repair {
    const struct config *config;
    const struct config_sink *sink;
    const atomic_bool *stop;
    uint64_t rows_max; /* copy nothing when more rows differ; 0: no limit */
    size_t ranges;     /* that are to be copied again */
    uint64_t rows;     /* that differ, at least */
    size_t tables;
};

/* Counts what is to be copied. */
void verify_repair_count(struct verify_repair *repair, const struct verify *verify);

/*
 * Stores the chunks and waits until the engine has copied them. *ret_done: false when no engine runs, so that
 * its next start copies them.
 */
MUST_CHECK bool verify_repair_run(struct verify_repair *repair, struct verify *verify, struct arena *arena,
                                  bool *ret_done, struct error *err);

/* Tables whose copy was begun before, by a repair that was killed or another command. */
size_t verify_repair_count_begun(const struct verify *verify);

/* Tells the engine of those, and waits until it has copied them; see verify_repair_run. */
MUST_CHECK bool verify_repair_complete(struct verify_repair *repair, struct verify *verify,
                                       struct arena *arena, bool *ret_done, struct error *err);
