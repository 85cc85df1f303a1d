/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger.h - what came in for each table, and where each change went.
 *
 * Row changes, and each table of a TRUNCATE, are counted where a batch reaches its runner, and once more
 * wherever the runner is done with one. When a batch is done, both must be equal. A change that the engine
 * loses on its way shows as a table that does not close, and the run stops with exit code 4.
 *
 * A ledger belongs to one thread. It begins with an attempt.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "cdc/engine/table_counts.h"
#include "decoder/change.h"

enum ledger_side {
    LEDGER_IN,      /* of a batch */
    LEDGER_WRITTEN, /* given to the sink, which has taken it */
    LEDGER_COPIED,  /* left out: a chunk of a copy contains it, or will */
    LEDGER_PRESENT, /* the sink had it when the attempt began */
    LEDGER_SKIPPED, /* `pgcdc skip` */
};

enum { LEDGER_SIDES = LEDGER_SKIPPED + 1 };

struct ledger_table {
    oid_t oid; /* at the source */
    const char *schema;
    const char *name;
    uint64_t counts[LEDGER_SIDES];
    /* Of a ledger that tells: written since the last time that it was told. */
    uint64_t untold[TABLE_OPS];
    bool is_untold;
    struct ledger_table *next_untold;
    struct table_count *told;
};

struct ledger {
    struct arena arena;
    struct map map; /* struct ledger_table */
    struct ledger_table **tables;
    size_t count, capacity;
    uint64_t totals[LEDGER_SIDES];
    struct ledger_table *last;  /* of the last change */
    struct table_counts *tells; /* what was written is told there; NULL: nowhere */
    struct ledger_table *untold;
};

void ledger_init(struct ledger *ledger);
void ledger_release(struct ledger *ledger);

/* Adds the changes to a side. A few instructions a change while the table stays the same. */
MUST_CHECK bool ledger_add(struct ledger *ledger, enum ledger_side side, const struct change *changes,
                           size_t count, struct error *err);

/* Takes them away again. They were added before. */
void ledger_subtract(struct ledger *ledger, enum ledger_side side, const struct change *changes,
                     size_t count);

/* What was written is committed. */
void ledger_tell(struct ledger *ledger);

/* Between two batches. ERROR_DIFFERENT names a table that does not close. */
MUST_CHECK bool ledger_check(const struct ledger *ledger, struct error *err);

/* Did as many changes come in as another ledger has? ERROR_DIFFERENT names a table. */
MUST_CHECK bool ledger_check_against(const struct ledger *ledger, const struct ledger *sent,
                                     struct error *err);

/* NULL: no change of the table was counted. */
const struct ledger_table *ledger_find(const struct ledger *ledger, oid_t oid);
