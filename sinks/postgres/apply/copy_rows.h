/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_rows.h - writes rows known to be new with COPY, in the format in which their values were received.
 */
#pragma once

#include "decoder/change.h"
#include "sinks/postgres/apply/copy_in.h"
#include "sinks/postgres/catalog/target_table.h"

MUST_CHECK bool copy_rows_begin(struct copy_in *copy, const struct target_table *table, bool is_binary,
                                struct error *err);

/* values: a whole row of the relation, all of one format. */
MUST_CHECK bool copy_rows_add(struct copy_in *copy, const struct target_table *table,
                              const struct value *values, bool is_binary, struct error *err);

MUST_CHECK bool copy_rows_end(struct copy_in *copy, bool is_binary, uint64_t *ret_rows, struct error *err);
