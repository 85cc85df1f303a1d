/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_facts.h - the source's tables, as its catalog has them, under the names that they have in a sink.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "decoder/catalog_table.h"
#include "sinks/mapping/rule.h"

/* Without those of another mode than merge, whose columns a sink does not follow. In arena. */
MUST_CHECK bool mapped_facts_tables(const struct mapping *mapping, const char *sink,
                                    const struct catalog_tables *tables, struct arena *arena,
                                    const struct catalog_tables **ret_tables, struct error *err);
