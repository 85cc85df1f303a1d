/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_place.h - where a sink stopped, according to the stored failure: the transaction, and the change in
 * it.
 *
 * Errors of sinks name the place in their text: "sink NAME: ... change N of the transaction that commits at
 * LSN". That LSN is the transaction's end, or the start of its commit record while the end was not known.
 * Only the start identifies a transaction, since the next commit record can start at the end; so the failure
 * stores the start in a field of its own.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/engine/failure.h"

struct stop_place {
    const struct config_sink *sink; /* NULL: no sink stopped */
    /* where the transaction's commit record begins; 0: the failure concerns no transaction */
    lsn_t commit_lsn;
    lsn_t lsn; /* the LSN in the text; 0: the text has none */
    bool has_index;
    uint64_t index; /* of the change */
};

void stop_place_read(const struct config *config, const struct failure *failure,
                     struct stop_place *ret_place);

/*
 * Whose state directory has the stop: with a buffer, the part of the first sink that a transaction stopped,
 * or of the first one; otherwise config.
 */
const struct config *stop_place_part(const struct config *config);

/* The sink's position as it is now; end_lsn 0: none. */
MUST_CHECK bool stop_place_position(const struct stop_place *place, const struct config *config,
                                    const atomic_bool *stop, struct position *ret_position,
                                    struct error *err);
