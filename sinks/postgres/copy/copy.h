/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - the initial copy: passes COPY's bytes through in one target transaction and creates missing
 * tables.
 */
#pragma once

#include "sinks/postgres/target/target.h"

/* The functions of struct sink_copy_ops. */
bool postgres_copy_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err);
bool postgres_copy_accepts_binary(struct sink *sink, const struct table *table);
bool postgres_copy_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err);
bool postgres_copy_data(struct sink *sink, struct slice bytes, struct error *err);
bool postgres_copy_table_end(struct sink *sink, struct error *err);
bool postgres_copy_end(struct sink *sink, const struct position *position, struct error *err);

/* The same for tables that may hold rows, which the chunks replace. */
bool postgres_copy_begin_again(struct sink *sink, const struct table *tables, size_t count,
                               struct error *err);

/* Begins the transaction of a copy or a chunk. */
bool postgres_copy_start(struct target *target, struct error *err);

/* Can the rows be stored as they are? Sets left_to_sink and sink_takes_binary of the columns. */
bool postgres_copy_check(struct target *target, const struct table *table, struct error *err);

/* Ends the COPY of target->copied. */
bool postgres_copy_finish(struct target *target, struct error *err);

/* Without statistics the first changes would scan a new table completely. */
bool postgres_analyze(struct session *target, const struct table *table, struct error *err);

/*
 * create.c: creates the schema, the user-defined types and the table when missing, in the open transaction.
 */
bool postgres_create_table(struct target *target, const struct table *table, struct error *err);
