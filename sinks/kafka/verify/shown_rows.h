/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shown_rows.h - the values that name rows for people, by the hashes of their keys.
 */
#pragma once

#include "sinks/kafka/verify/row_pass.h"

struct shown_rows {
    const struct topic_table *table;
    const struct row_sides *sides;
    const struct comparison_keys *keys; /* in any order */
    struct arena *arena;
    struct comparison_row *rows; /* one for each key */
};

/* Sets the values of each row that one of both sides has; a value has at most 1000 characters. */
MUST_CHECK bool shown_rows_read(const struct shown_rows *rows, struct error *err);
