/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_columns.h - the columns of tables as the source's event triggers tell them in the stream
 * (cdc/source/ddl_triggers.h).
 *
 * Such a message is at its place in its transaction, before the rows that the change allows. So the last one
 * says what the columns are until the next one comes, which the catalog, read later, may not show any more.
 * Nothing of it is kept beyond the session: what was told before it is not known.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "cdc/base/slice.h"
#include "cdc/source/ddl_triggers.h"
#include "decoder/catalog_table.h"

struct told_columns {
    bool is_on;        /* they are asked for */
    bool has_warned;   /* of one that cannot be read */
    struct map tables; /* struct told_table, by oid */
    struct arena arena;
};

void told_columns_init(struct told_columns *told, bool is_on);
/* Accepts a zeroed one. */
void told_columns_release(struct told_columns *told);

/*
 * payload: a Message message, of anyone, in the transaction xid, or 0 outside of one. *ret_own: it has the
 * triggers' prefix. One that cannot be read is no error, since everyone may write one: it makes all that was
 * told unknown.
 */
MUST_CHECK bool told_columns_take(struct told_columns *told, xid_t xid, struct slice payload, bool *ret_own,
                                  struct error *err);

/* NULL: nothing was told, or not by these triggers. It lives until the next message is taken. */
const struct catalog_table *told_columns_find(const struct told_columns *told, oid_t oid,
                                              const struct ddl_triggers *triggers);
