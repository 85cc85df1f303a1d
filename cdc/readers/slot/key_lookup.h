/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_lookup.h - tells the decoder what the catalog says of a table's key, when its definition arrives.
 *
 * A definition arrives again after every change of its table, so the catalog must be read after that:
 * what was read before the definition's position does not count.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "decoder/decoder.h"

struct key_lookup {
    const struct source_config *source;
    const char *slot;
    const atomic_bool *stop; /* for queries on another connection */
    bool is_needed;          /* false: the server sends every column of a key */
    struct arena all_arena, one_arena;
    struct table_keys all, one; /* of all tables, and of the last table that was asked for alone */
    lsn_t all_lsn;              /* everything before it is before the reading of all; 0: not read yet */
    int64_t asked_ms;           /* when the catalog was read last */
};

void key_lookup_init(struct key_lookup *lookup, const struct source_config *source, const char *slot,
                     const atomic_bool *stop, int server_version);

/*
 * payload: a Relation message that arrived with lsn, before it is decoded. Waits for the source when the
 * catalog must be read.
 */
MUST_CHECK bool key_lookup_tell(struct key_lookup *lookup, struct decoder *decoder, lsn_t lsn,
                                struct slice payload, struct error *err);

/* Accepts a zeroed one. After it the decoder must not decode. */
void key_lookup_release(struct key_lookup *lookup);
