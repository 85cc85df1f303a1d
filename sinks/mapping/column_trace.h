/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_trace.h - is a column of a definition the one that has a number in the catalog?
 *
 * A definition has names, the catalog numbers, but of a later moment. PostgreSQL gives no number again, a
 * dropped column does not come back, and a definition has its columns in the order of their numbers.
 */
#pragma once

#include <stdint.h>

#include "decoder/relation.h"

enum column_trace {
    COLUMN_IS,     /* in all histories that the catalog allows */
    COLUMN_IS_NOT, /* in none of them */
    COLUMN_MAY_BE,
};

/* Of the column at this index. relation->catalog is not NULL. */
enum column_trace column_trace(const struct relation *relation, uint32_t index, uint32_t number);

/* The number of the column at this index; 0: it is not certain. */
uint32_t column_trace_number(const struct relation *relation, uint32_t index);
