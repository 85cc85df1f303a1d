/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_keys.h - the keys of some of the rows that differ, for standard output only.
 *
 * A key is a row's value, so it is read only when an operator asks for it, and is never in a log, an error or
 * a state file. Rows of a table without a primary key are named by the replica identity; without that, by all
 * compared columns.
 */
#pragma once

#include <stdio.h>

#include "cdc/base/json_writer.h"
#include "cdc/verify/verify_table.h"

/*
 * Reads keys of the rows that differ until the table has count_max, in the current snapshots, which must be
 * those of the last comparison. Leaves out rows that have differed in fewer than streak_min rounds.
 */
MUST_CHECK bool verify_keys_read(struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                                 unsigned int streak_min, struct error *err);

/* A line for each row: "missing    (id)=(7)". */
void verify_keys_print(const struct verify_table *compared, FILE *out);

/* An array of {"row": "missing", "key": {"id": "7"}}. */
void verify_keys_put(const struct verify_table *compared, struct json_writer *json);
