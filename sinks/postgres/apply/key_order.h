/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_order.h - rows of a set in the order of their keys.
 *
 * The target then finds them, and writes them into its index, page by page, and rows that are written
 * together lie together. It is the order of the keys' bytes, so nearly the index's order: only speed depends
 * on it. Any thread.
 */
#pragma once

#include "sinks/postgres/apply/effect_index.h"

/* Of one table; arena: for this call. */
MUST_CHECK bool key_order_sort(const struct effect **effects, uint32_t count, struct arena *arena,
                               struct error *err);
