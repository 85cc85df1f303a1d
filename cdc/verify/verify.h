/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - is a target equal to the source, and at which LSN.
 *
 * While an engine of the pipeline runs on this machine, each part of a table is compared in two snapshots of
 * exactly the same transactions (verify_barrier.h), and each difference is one. Large tables are divided into
 * ranges of their keys, so no snapshot is kept for long.
 *
 * Otherwise there are rounds. The first round compares every table in one pair of snapshots. A row that
 * differs there was either changed between the two snapshots or is a difference, so later rounds, each in a
 * new pair, compare just those rows again. A row that was equal once is settled. A row that differs in
 * several rounds and changes on neither side is a difference, because the target has passed the LSN at which
 * the source's row had the same value. A row that changes in every round stays undecided.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/verify/verify_progress.h"
#include "cdc/verify/verify_step.h"
#include "cdc/verify/verify_table.h"

struct verify {
    const struct sink_config *sink;
    struct verify_table *tables; /* in the arena */
    size_t count;
    struct verify_sides sides;
    lsn_t first_lsn; /* the source's LSN in the first round */
    lsn_t last_lsn;  /* and in the last */
    lsn_t target_lsn;
    unsigned int rounds;
    struct verify_step step;
    struct verify_progress progress;
    bool keeps_progress;       /* in a file, until the comparison is complete */
    size_t proven_count;       /* ranges that were proven equal before an interruption */
    size_t barriers;           /* exact pairs of snapshots; 0: rounds */
    bool is_doubtful;          /* what differs may be a transaction that the source does not show yet */
    uint64_t rate_bytes;       /* see struct verify_options */
    size_t keys_max;           /* keys to read of each table's different rows; 0: none */
    enum verify_result result; /* keys of all tables together */
};

struct verify_options {
    const struct config_sink *sink;
    size_t keys_max;
    const char *const *tables; /* "schema.table"; only these */
    size_t table_count;        /* 0: all */
    const char *where_sql;     /* only rows for which it is true, on each side; or NULL */
    bool resumes;              /* goes on from what an interrupted comparison has proven */
    uint64_t rate_bytes;       /* a second, of the source's tables; 0: no limit */
    const atomic_bool *stop;
};

/*
 * Compares the tables of the pipeline's publication with those in the sink's database. False only if that was
 * not possible; release the report in any case. Its texts are in the arena and in the struct.
 */
MUST_CHECK bool verify_run(struct verify *verify, const struct config *config,
                           const struct verify_options *options, struct arena *arena, struct error *err);

/*
 * Opens both sides and divides the tables, for comparisons range by range (verify_step.h). *ret_usable: an
 * engine can give exact pairs of snapshots. Release the report in any case.
 */
MUST_CHECK bool verify_prepare(struct verify *verify, const struct config *config,
                               const struct verify_options *options, struct arena *arena, bool *ret_usable,
                               struct error *err);

void verify_release(struct verify *verify);
