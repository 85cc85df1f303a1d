/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failover.h - a slot that survives the loss of its server: since PostgreSQL 17 a standby with
 * sync_replication_slots keeps a copy of each failover slot, and has it when it is promoted.
 *
 * The server sends such a slot's changes only after the standbys of synchronized_standby_slots have them. So
 * a target never has more than a standby that is promoted.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/source/slot.h"

/* Has the server failover slots, and can it create one? A standby cannot. */
bool failover_is_possible(const struct session *source);

/* Is the slot to be created as a failover slot? */
bool failover_is_wanted(const struct session *source, const struct source_config *config);

/*
 * Makes the existing slot what source.failover says; nothing if it is that already. On a replication session,
 * before the stream. ERROR_RETRY while another session uses the slot.
 */
MUST_CHECK bool failover_follow(struct session *replication, const struct source_config *config,
                                const struct slot_facts *slot, struct error *err);

/*
 * The entries of synchronized_standby_slots for which the server would wait, each with the reason, as
 * "a is not in use, b does not exist"; nothing before 17. On an ordinary session.
 */
MUST_CHECK bool failover_read_missing(struct session *source, struct buffer *text, struct error *err);

/* The same for the entries that the sender of this slot waits for now; nothing while it does not wait. */
MUST_CHECK bool failover_read_waits(struct session *source, const char *slot, struct buffer *text,
                                    struct error *err);
