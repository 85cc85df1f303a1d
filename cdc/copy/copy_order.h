/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_order.h - in which order tables are copied: what a foreign key refers to before what refers to it.
 *
 * It matters to a target whose foreign keys act. A circle needs a deferrable constraint, which is made to
 * wait.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"

/* The same tables in another order, in arena; ordered by name where no foreign key says otherwise. */
MUST_CHECK bool copy_order(struct session *source, const struct table_list *list, struct arena *arena,
                           struct table_list *ret_ordered, struct error *err);
