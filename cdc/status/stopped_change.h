/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_change.h - the change that stopped a sink, out of the slot, which keeps it: peeking consumes
 * nothing.
 */
#pragma once

#include "cdc/engine/stop_place.h"
#include "cdc/pq/session.h"
#include "decoder/decoder.h"

struct stopped_change {
    struct session source;
    PGresult *messages; /* what the change points into */
    struct arena arena;
    struct decoder *decoder;
    const struct change *change;
};

/* No engine may read the slot: ERROR_REFUSE. Not there: ERROR_REFUSE. Release it in any case. */
MUST_CHECK bool stopped_change_read(struct stopped_change *stopped, const struct source_config *source,
                                    const struct stop_place *place, const atomic_bool *stop,
                                    struct error *err);
void stopped_change_release(struct stopped_change *stopped);
