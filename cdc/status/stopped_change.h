/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_change.h - reads the change that stopped a sink from the slot. Peeking consumes nothing.
 */
#pragma once

#include "cdc/engine/stop_place.h"
#include "cdc/pq/session.h"
#include "decoder/decoder.h"

struct stopped_change {
    struct session source;
    PGresult *messages; /* holds the data that change points to */
    struct arena arena;
    struct decoder *decoder;
    const struct change *change;
};

/*
 * ERROR_REFUSE if an engine reads the slot, or if the change is not in it. Release it also after a failure.
 */
MUST_CHECK bool stopped_change_read(struct stopped_change *stopped, const struct source_config *source,
                                    const struct stop_place *place, const atomic_bool *stop,
                                    struct error *err);
void stopped_change_release(struct stopped_change *stopped);
