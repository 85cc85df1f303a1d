/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_lookup.h - tells the decoder what the catalog says of a table's key and columns, when its definition
 * arrives.
 *
 * A definition arrives again after every change of its table, and that change may be one of the same
 * transaction. So the catalog must be read after the transaction's commit.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "cdc/readers/slot/told_columns.h"
#include "cdc/source/ddl_triggers.h"
#include "decoder/decoder.h"

struct key_lookup {
    const struct source_config *source;
    const char *slot;
    const atomic_bool *stop;         /* for queries on another connection */
    bool is_needed;                  /* of keys; false: the server sends every column of a key */
    bool has_followers;              /* a sink follows changes of the columns */
    const struct told_columns *told; /* by the source's triggers */
    struct ddl_triggers triggers;    /* when the catalog was read last */
    struct catalog_table described;  /* the table that is told next, with what its triggers say */
    struct arena all_arena, one_arena;
    struct table_keys all, one; /* of all tables, and of the last table that was asked for alone */
    struct catalog_tables all_columns, one_columns;
    lsn_t all_lsn;    /* all holds for transactions that commit before it; 0: not read yet */
    int64_t asked_ms; /* when the catalog was read last */
};

/* told: of the same stream; NULL: no sink follows changes of the columns. */
void key_lookup_init(struct key_lookup *lookup, const struct source_config *source, const char *slot,
                     const atomic_bool *stop, int server_version, const struct told_columns *told);

/*
 * payload: a Relation message of the transaction that commits at commit_lsn, before it is decoded. Waits for
 * the source when the catalog must be read.
 */
MUST_CHECK bool key_lookup_tell(struct key_lookup *lookup, struct decoder *decoder, lsn_t commit_lsn,
                                struct slice payload, struct error *err);

/* Accepts a zeroed one. After it the decoder must not decode. */
void key_lookup_release(struct key_lookup *lookup);
