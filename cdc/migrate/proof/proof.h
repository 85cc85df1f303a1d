/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proof.h - what a comparison has proven and what the runs have counted, kept as steps in the target.
 *
 *     (verify, "")          the comparison as a whole: result, LSNs
 *     (verify, s.t)         a table: rows and hash of both sides, the LSN, equal or not
 *     (ledger, s.t)         what came in for a table, and where it went, in all runs that ended orderly
 *     (left_out, [sink, s.t, rule])  rows that a condition of the mapping left out of a sink, likewise
 *
 * A report is made from these rows, so that the source may be gone by then.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/engine/ledger.h"
#include "cdc/migrate/steps/steps.h"
#include "cdc/verify/verify.h"

#define PROOF_VERIFY "verify"
#define PROOF_LEDGER "ledger"
#define PROOF_LEFT_OUT "left_out"

/*
 * Replaces the former comparison by this one, in one transaction. Narrowed counts as equal where the sink
 * allows narrowing. The step is done if all tables are equal, else failed.
 */
MUST_CHECK bool proof_store_verify(struct steps *steps, const struct config_sink *sink,
                                   const struct verify *verify, struct error *err);

/*
 * Adds the counts of a run to those that are stored, in one transaction: the ledger, and what conditions of
 * all sinks of the configuration left out. The latter begin at 0 again once they are stored. No thread of the
 * run is left.
 */
MUST_CHECK bool proof_store_run(struct steps *steps, const struct config *config, const struct ledger *ledger,
                                struct error *err);

/* One table. Texts in the arena that it was read into. */
struct proof_table {
    const char *name;   /* quoted, schema.table */
    const char *result; /* "equal", … ; NULL: never compared */
    bool is_equal;
    uint64_t source_rows, target_rows;
    const char *source_hash, *target_hash; /* 16 hexadecimal digits; "" if never compared */
    const char *lsn;
    bool is_counted;               /* the ledger has it: changes came in */
    uint64_t counts[LEDGER_SIDES]; /* by enum ledger_side */
};

/* Rows that a condition left out. */
struct proof_left_out {
    const char *sink;
    const char *table; /* schema.table at the source */
    const char *rule;  /* its match */
    uint64_t changes;  /* of the stream */
    uint64_t copied;   /* rows of copies; those of a part that was copied again count again */
};

struct proof {
    bool is_compared; /* there was a comparison, and it was stored whole */
    int64_t compared_us;
    const char *lsn;            /* "" */
    struct proof_table *tables; /* by name */
    size_t count;
    struct proof_left_out *left_out; /* by sink, table, rule */
    size_t left_out_count;
};

MUST_CHECK bool proof_read(struct steps *steps, struct arena *arena, struct proof *ret_proof,
                           struct error *err);

/* Did as many changes come in as went somewhere? */
bool proof_table_closes(const struct proof_table *table);

/* Every table is equal, and every ledger closes. If not, appends why, a line for each reason. */
bool proof_closes(const struct proof *proof, struct buffer *why);
