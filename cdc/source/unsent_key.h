/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unsent_key.h - tables and partitions whose replica identity has a column that the server does not send.
 *
 * Before 18 no generated column is sent, so a Relation message shows a part of the key as if it were the key.
 * From 18 on the server refuses updates and deletes of such tables.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/decoder.h"

/* In arena. Covers the whole database. */
MUST_CHECK bool unsent_key_read(struct session *source, struct arena *arena, struct unsent_keys *ret_keys,
                                struct error *err);
