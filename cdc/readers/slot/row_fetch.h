/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_fetch.h - fetches the large values that an INSERT lacks from the row itself.
 *
 * An update that makes a row enter the publication's row filter is sent as an INSERT, without the large
 * values that the update left alone. The source's row still has them as long as it is the very version that
 * the update wrote: its xmin is the transaction's xid. Otherwise the values are unknown.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "decoder/change.h"

struct row_fetch {
    struct session session; /* opened when it is first needed */
    const struct source_config *source;
    const atomic_bool *stop;
    bool binary; /* format of the stream's values */
};

/*
 * Fills in the values that change, a partial INSERT, lacks; they are allocated in arena. ERROR_RETRY while
 * the row cannot be read, ERROR_DATA when it is another version or cannot be found by its key. Waits for the
 * source, some seconds at most.
 */
MUST_CHECK bool row_fetch_complete(struct row_fetch *fetch, struct change *change, struct arena *arena,
                                   struct error *err);

void row_fetch_release(struct row_fetch *fetch);
