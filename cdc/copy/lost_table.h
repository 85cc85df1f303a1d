/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost_table.h - a table that is being copied, and that its sink has no more: an operator has dropped it.
 * What its plan calls copied is gone with it.
 */
#pragma once

#include "cdc/config/config.h"
#include "sinks/table.h"

/*
 * For commands. Removes the chunks of the table, if the sink's tables are those of a database and it is not
 * there. table: the source's. handle: of the sink, and not open.
 */
MUST_CHECK bool lost_table_forget(const struct config_sink *sink, struct sink *handle,
                                  const struct table *table, const atomic_bool *stop, bool *ret_lost,
                                  struct error *err);
