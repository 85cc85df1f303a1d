/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_tally.h - how far the copy of a table in chunks is, for people and programs.
 *
 * Made from the map of a running copy (chunk_map_tally) or from the plan that a sink stores. A chunk that the
 * plan leaves as it is (chunk_is_kept) counts as none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/chunk.h"

struct chunk_tally {
    oid_t oid; /* of the table at the source */
    const char *schema, *table;
    uint64_t chunk_count;
    uint64_t chunks_done;
    uint64_t chunks_safe; /* of these: an interruption does not undo them */
    uint64_t chunks_read; /* that are being copied now */
    uint64_t rows;        /* in the sink, and on their way to it */
    uint64_t bytes;       /* moved by this engine */
    uint64_t bytes_done;  /* of bytes_estimate */
    uint64_t bytes_estimate;
};

struct chunk_tally_list {
    struct chunk_tally *tables;
    size_t count; /* 0: there is no plan */
};

void chunk_tally_add(struct chunk_tally *sum, const struct chunk_tally *tally);

/* A table for which the plan copies nothing is left out. Names are the plan's. */
MUST_CHECK bool chunk_tally_plan(const struct chunk_plan *plan, struct arena *arena,
                                 struct chunk_tally_list *ret_list, struct error *err);
