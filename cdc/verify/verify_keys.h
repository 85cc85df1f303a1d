/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_keys.h - which rows differ: the keys of some of them, for standard output alone.
 *
 * A key is a row's value, so it is fetched only when an operator asks for it, and is never in a log, an error
 * or a state file. A table without a key names its rows by its replica identity, and without that by all that
 * is compared.
 */
#pragma once

#include <stdio.h>

#include "cdc/print/json_writer.h"
#include "cdc/verify/verify_table.h"

/*
 * Fetches the keys of count_max of the rows that differ at most, in the snapshots in force, which must be
 * those of the last comparison. Rows whose difference is younger than streak_min rounds are left out.
 */
MUST_CHECK bool verify_keys_read(struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                                 unsigned int streak_min, struct error *err);

/* A line for each: "missing    (id)=(7)". */
void verify_keys_print(const struct verify_table *compared, FILE *out);

/* An array of {"row": "missing", "key": {"id": "7"}}. */
void verify_keys_put(const struct verify_table *compared, struct json_writer *json);
