/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edit_store.h - for commands: stores an edit of the plan of a sink with one writer.
 *
 * The running engine stores it, which a command asks through NAME.control. When none runs, the command holds
 * the state directory's lock, opens the sink as a start does, which fences an engine that was killed, and
 * stores it there.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/copy/chunk_edit.h"
#include "cdc/pq/session.h"

struct edit_store {
    const struct config *config;
    const atomic_bool *stop;
    struct session *source; /* to see whether an engine on another machine uses the slot */
};

/* deliver of struct chunk_add; context: a struct edit_store. True: durable in the sink. Takes the edit. */
MUST_CHECK bool edit_store_deliver(void *context, const struct config_sink *sink, struct chunk_edit *edit,
                                   struct error *err);

/* A table is not published any more: when it is published again by itself, its rows are copied. */
MUST_CHECK bool edit_store_forget(const struct edit_store *store, oid_t relation_oid, struct error *err);
