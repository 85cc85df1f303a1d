/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pin.h - a session of the source whose transaction uses the snapshot that the slot's creation exported.
 *
 * The exporting session must stay open and idle until then.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/pq/session.h"

struct pin {
    struct session *source; /* open */
    struct buffer text;     /* pg_current_snapshot() right after the import */
};

/*
 * Begins a transaction with the snapshot, and proves that the session keeps it. ERROR_RETRY when the snapshot
 * is gone: retry with a new slot.
 */
MUST_CHECK bool pin_import(struct pin *pin, const char *snapshot_name, struct error *err);

/* Proves that the session still has it. */
MUST_CHECK bool pin_prove(struct pin *pin, struct error *err);

void pin_release(struct pin *pin);
