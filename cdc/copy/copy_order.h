/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_order.h - the order in which tables are copied: a referenced table before those that refer to it.
 *
 * It matters to a target that enforces foreign keys during the copy. A circle needs a deferrable constraint,
 * which is deferred.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"

/* Reorders the tables, in arena; by name where no foreign key decides. */
MUST_CHECK bool copy_order(struct session *source, const struct table_list *list, struct arena *arena,
                           struct table_list *ret_ordered, struct error *err);
