/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_change.h - reads the change that stopped a sink from the slot, or from the archive that feeds it.
 * Nothing is consumed.
 */
#pragma once

#include "cdc/archive/archive_cursor.h"
#include "cdc/engine/stop_place.h"
#include "cdc/pq/session.h"
#include "decoder/decoder.h"

struct stopped_change {
    struct session source;
    PGresult *messages; /* holds the data that change points to */
    struct arena arena;
    struct decoder *decoder;
    bool is_archive;
    struct archive_cursor cursor; /* of an archive: its relations are those of the change */
    const struct change *change;
};

/*
 * ERROR_REFUSE if an engine reads the slot, or if the change is not in it. Release it also after a failure.
 */
MUST_CHECK bool stopped_change_read(struct stopped_change *stopped, const struct config *config,
                                    const struct stop_place *place, const atomic_bool *stop,
                                    struct error *err);
void stopped_change_release(struct stopped_change *stopped);
