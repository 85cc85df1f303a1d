/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_parts.h - which tables a sink with one writer takes in parts.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/*
 * Sets sink_takes_parts. A sink that appends takes any part. What another one has is replayed into tables,
 * whose other unique and exclusion constraints parts of different snapshots could break for a while. So a
 * table that has one at the source is one chunk.
 */
MUST_CHECK bool chunk_parts_find(struct session *source, const struct sink *sink, struct table *tables,
                                 size_t count, struct error *err);
