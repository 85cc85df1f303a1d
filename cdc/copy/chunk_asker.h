/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_asker.h - asks the source in which chunks keys are whose order only it knows.
 *
 * Before the filter gets the changes of a batch, their keys in tables of CHUNK_BY_SOURCE go to the source,
 * all in one query, which compares them with the bounds of the chunks by the column's type and collation. A
 * key without an answer is an error of the filter.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/config/config.h"
#include "cdc/copy/chunk_filter.h"

struct chunk_asker;

/* NULL when memory is exhausted. The arguments outlive it. */
MUST_CHECK struct chunk_asker *chunk_asker_new(const struct source_config *config,
                                               struct chunk_filter *filter, const atomic_bool *stop);
void chunk_asker_free(struct chunk_asker *asker);

/*
 * Gives the filter the places of the keys in these changes, at most as many as the filter takes. Waits for
 * the source, when there are such keys.
 */
MUST_CHECK bool chunk_asker_ask(struct chunk_asker *asker, const struct change *changes, size_t count,
                                struct error *err);
