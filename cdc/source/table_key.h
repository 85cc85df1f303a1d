/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_key.h - what the catalog says of the keys of all tables.
 *
 * Before 18 no generated column is sent, so a Relation message may show a part of the key as if it were the
 * key. From 18 on the server refuses updates and deletes of such tables.
 *
 * The catalog is of now, and the changes that wait are older. A row of the catalog is from before them when
 * its xmin is before the catalog_xmin of the slot. That one is the oldest transaction that ran at some
 * position not after the next change, or that ran beside the transaction of that change, which would then
 * hold a lock on the table: no older transaction can alter the table after the change.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/decoder.h"

/* Are keys needed for a source of this version? */
bool table_keys_are_needed(int server_version);

/*
 * In arena: the keys of one table, or of all tables of the database when table is 0. *ret_lsn: they hold for
 * the changes of transactions that commit before it. slot: the one that the changes come from.
 */
MUST_CHECK bool table_keys_read(struct session *source, const char *slot, oid_t table, struct arena *arena,
                                struct table_keys *ret_keys, lsn_t *ret_lsn, struct error *err);
