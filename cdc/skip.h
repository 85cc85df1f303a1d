/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.h - the one transaction that an operator wants left out of a sink: NAME.SINK.skip in the state directory.
 *
 * The LSN is the one that the stop printed: where the transaction ends, or where its commit record begins when the end was not
 * known yet. The next transaction's commit record may begin where one ends, so the sink's position is kept, too: it says which of the two
 * is meant, and that a transaction which the sink is past is never looked for again. So the file may stay after a kill.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "decoder/change.h"

struct skip {
    lsn_t lsn;        /* 0: nothing is left out */
    lsn_t behind_lsn; /* the sink's position when it was asked for */
};

/* No file, or none that is whole, is nothing. */
void skip_read(const char *directory, const char *pipeline, const char *sink, struct skip *ret_skip);

/* Atomic and durable. */
MUST_CHECK bool skip_write(const char *directory, const char *pipeline, const char *sink,
                           const struct skip *skip, struct error *err);

/* True when there is none. */
MUST_CHECK bool skip_remove(const char *directory, const char *pipeline, const char *sink, struct error *err);

/* May the transaction still come to a sink that is there? */
bool skip_is_ahead(const struct skip *skip, const struct position *position);

/* Has another transaction ended there, or behind it? Then it is not looked for any more. */
bool skip_is_passed(const struct skip *skip, lsn_t end_lsn);

/* Is it this one? Of a skip that is ahead. */
bool skip_is(const struct skip *skip, const struct transaction *transaction);
