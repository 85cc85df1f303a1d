/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published_tables.h - the source's tables that the pipeline takes, also before its first start.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"

/*
 * Those that the publication sends, or would send if `run` created it, and that source.tables takes. On an
 * ordinary session of the source; the list is in the arena.
 */
MUST_CHECK bool published_tables_read(struct session *source, const struct source_config *config,
                                      struct arena *arena, struct table_list *ret_list, struct error *err);
