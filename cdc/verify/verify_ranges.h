/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_ranges.h - divides large tables into ranges of their keys, which are compared one by one.
 *
 * The division is that of a copy in chunks (cdc/copy/chunk_plan.h). A table is divided only if the target's
 * column has the same order and can have each bound.
 */
#pragma once

#include "cdc/verify/verify_table.h"

/*
 * Only tables that are undecided; the others stay whole, and all of them when chunk_bytes is 0. source:
 * outside of a transaction.
 */
MUST_CHECK bool verify_ranges_make(struct session *source, struct verify_table *tables, size_t count,
                                   uint64_t chunk_bytes, struct arena *arena, struct error *err);
