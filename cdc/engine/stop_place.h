/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop_place.h - where a stored failure says that a sink stopped: its transaction, and the change in it.
 *
 * The errors of sinks say it to people in their text: "sink NAME: ... change N of the transaction that
 * commits at LSN". That LSN is where the transaction ends, or where its commit record begins while the end
 * was not known. Transactions are told apart by the latter, which is stored besides: where one ends the
 * commit record of the next may begin.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/engine/failure.h"

struct stop_place {
    const struct config_sink *sink; /* NULL: no sink stopped */
    lsn_t commit_lsn; /* where the commit record of the transaction begins; 0: it is about none */
    lsn_t lsn;        /* as the text names the transaction; 0: it does not */
    bool has_index;
    uint64_t index; /* of the change */
};

void stop_place_read(const struct config *config, const struct failure *failure,
                     struct stop_place *ret_place);

/* The position of that sink as it is now; end_lsn 0: none. */
MUST_CHECK bool stop_place_position(const struct stop_place *place, const struct config *config,
                                    const atomic_bool *stop, struct position *ret_position,
                                    struct error *err);
