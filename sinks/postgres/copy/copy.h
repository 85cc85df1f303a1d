/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.h - the initial copy: COPY bytes passed through in one target transaction, tables made where they are
 * missing.
 */
#pragma once

#include "sinks/postgres/target/target.h"

/* The sink contract's copy functions. */
bool postgres_copy_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err);
bool postgres_copy_accepts_binary(struct sink *sink, const struct table *table);
bool postgres_copy_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err);
bool postgres_copy_data(struct sink *sink, struct slice bytes, struct error *err);
bool postgres_copy_table_end(struct sink *sink, struct error *err);
bool postgres_copy_end(struct sink *sink, const struct position *position, struct error *err);

/* create.c: makes the schema, the user-defined types and the table when missing. In the open transaction. */
bool postgres_create_table(struct target *target, const struct table *table, struct error *err);
