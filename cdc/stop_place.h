/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_place.h - where a stored failure says that a sink stopped: its transaction, and the change in it.
 *
 * The errors of sinks say it in their text: "sink NAME: ... change N of the transaction that commits at LSN".
 */
#pragma once

#include "cdc/config.h"
#include "cdc/failure.h"

struct stop_place {
    const struct config_sink *sink; /* NULL: no sink stopped */
    lsn_t lsn;                      /* of the transaction; 0: none is named */
    bool has_index;
    uint64_t index; /* of the change */
};

void stop_place_read(const struct config *config, const struct failure *failure,
                     struct stop_place *ret_place);

/* The position of that sink as it is now; end_lsn 0: none. */
MUST_CHECK bool stop_place_position(const struct stop_place *place, const struct config *config,
                                    const atomic_bool *stop, struct position *ret_position,
                                    struct error *err);
