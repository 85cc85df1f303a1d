/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_divider.h - the column by which a table can be divided into chunks.
 *
 * That is the first column of its primary key, if it identifies rows in the stream and its order is known.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/pq/session.h"
#include "sinks/chunk.h"
#include "sinks/table.h"

/* The fields of struct chunk that are the same for all chunks of the table; in arena. */
MUST_CHECK bool chunk_divider_find(struct session *source, const struct table *table, struct arena *arena,
                                   struct chunk *chunk, struct error *err);
