/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_numbers.h - the number that each column of a definition has at the source.
 *
 * PostgreSQL counts the columns that a table ever had and gives no number again; a definition has its
 * columns in the order of their numbers, and a dropped column does not come back. So the columns that were
 * known, those that exist now, and how many the definition has leave few possibilities; mostly one. Names
 * prove little: they can change at any time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decoder/relation.h"
#include "sinks/postgres/schema/known_tables.h"

/*
 * ret_numbers: room for RELATION_COLUMNS_MAX. False: the definition fits more than one history, or none that
 * the catalog shows. known: an earlier state; NULL: nothing is known. relation->catalog is not NULL.
 */
bool column_numbers_find(const struct relation *relation, const struct known_table *known,
                         uint32_t *ret_numbers);
