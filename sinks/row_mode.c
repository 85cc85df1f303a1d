/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_mode.c - the table of columns.
 *
 * An LSN is a pg_lsn: 8 bytes, ordered as positions are, where texts are not.
 */
#include "sinks/row_mode.h"

#include <string.h>

static const struct mode_column_spec COLUMNS[MODE_COLUMNS] = {
    [MODE_LSN] = {MODE_NAME_LSN, "pg_lsn", "pg_lsn", 3220, false},
    [MODE_INDEX] = {MODE_NAME_INDEX, "bigint", "int8", 20, false},
    [MODE_OP] = {MODE_NAME_OP, "text", "text", 25, false},
    [MODE_COMMIT_TIME] = {MODE_NAME_COMMIT_TIME, "timestamp with time zone", "timestamptz", 1184, true},
    [MODE_DELETED] = {MODE_NAME_DELETED, "boolean", "bool", 16, false},
    [MODE_VALID_FROM] = {MODE_NAME_VALID_FROM, "timestamp with time zone", "timestamptz", 1184, false},
    [MODE_VALID_TO] = {MODE_NAME_VALID_TO, "timestamp with time zone", "timestamptz", 1184, true},
    [MODE_CURRENT] = {MODE_NAME_CURRENT, "boolean", "bool", 16, false},
    [MODE_UNCHANGED] = {MODE_NAME_UNCHANGED, "text[]", "_text", 1009, true},
    [MODE_SOURCE] = {MODE_NAME_SOURCE, "text", "text", 25, false},
};

#define BIT(column) (1u << (column))
#define EVERY_MODE (BIT(MODE_LSN) | BIT(MODE_INDEX) | BIT(MODE_OP) | BIT(MODE_SOURCE))

static const struct {
    const char *word;
    uint32_t columns;
} MODES[] = {
    [ROWS_MERGED] = {"merge", 0},
    [ROWS_APPENDED] = {"append", EVERY_MODE | BIT(MODE_COMMIT_TIME) | BIT(MODE_UNCHANGED)},
    [ROWS_SOFT_DELETE] = {"soft_delete", EVERY_MODE | BIT(MODE_COMMIT_TIME) | BIT(MODE_DELETED)},
    [ROWS_HISTORY] = {"history", EVERY_MODE | BIT(MODE_VALID_FROM) | BIT(MODE_VALID_TO) | BIT(MODE_CURRENT)},
};

const struct mode_column_spec *mode_column_spec(enum mode_column column) {
    return &COLUMNS[column];
}

bool row_mode_adds(enum row_mode mode, enum mode_column column) {
    return (MODES[mode].columns & BIT(column)) != 0;
}

const char *row_mode_word(enum row_mode mode) {
    return MODES[mode].word;
}

bool row_mode_owns(struct slice name) {
    for (size_t i = 0; i < MODE_COLUMNS; i++)
        if (slice_equal(name, slice_of(COLUMNS[i].name)))
            return true;
    return false;
}
