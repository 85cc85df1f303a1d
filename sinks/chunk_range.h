/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_range.h - the rows of a chunk, as a condition in SQL.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/chunk.h"

/* Appends " and column >= low and column < high", without the bounds that the chunk does not have. */
void chunk_range_append(struct buffer *sql, const struct chunk *chunk);

/*
 * The same by the source's order, on either side: in the target the column may have another type or
 * collation.
 */
void chunk_range_append_ordered(struct buffer *sql, const struct chunk *chunk);
