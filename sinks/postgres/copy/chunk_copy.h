/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_copy.h - the copiers of a Postgres sink: each chunk is a target transaction of its own.
 */
#pragma once

#include "sinks/postgres/target/target.h"

/* Functions of struct sink_chunk_ops. */

/*
 * A unique or exclusion constraint without the key's first column may be violated for a while when parts of
 * the table are from different snapshots.
 */
bool chunk_copy_find_parts(struct sink *sink, struct table *tables, size_t count, struct error *err);

bool chunk_copy_has_columns(struct sink *copier, const struct table *table, enum sink_columns *ret_answer,
                            struct error *err);
bool chunk_copy_prepare(struct sink *copier, struct table *table, struct error *err);
bool chunk_copy_empty(struct sink *copier, const struct table *table, const struct chunk *chunk,
                      struct error *err);
bool chunk_copy_begin(struct sink *copier, const struct table *table, const struct chunk *chunk,
                      enum copy_format format, struct error *err);
bool chunk_copy_end(struct sink *copier, const struct table *table, const struct chunk *chunk, lsn_t read_lsn,
                    uint64_t rows, struct error *err);
bool chunk_copy_table_end(struct sink *copier, const struct table *table, struct error *err);
