/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_in.h - COPY FROM STDIN into the target, in pieces, without holding more than one.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/session.h"

struct copy_in {
    struct session *session;
    struct buffer buffer; /* not yet given to libpq */
};

void copy_in_init(struct copy_in *copy, struct session *session);
void copy_in_release(struct copy_in *copy);

/* sql is a COPY ... FROM STDIN. */
MUST_CHECK bool copy_in_begin(struct copy_in *copy, const char *sql, struct error *err);

/* Sends the buffer when it holds at least one piece. */
MUST_CHECK bool copy_in_push(struct copy_in *copy, struct error *err);

/* Sends the buffer, then bytes without copying them into it. */
MUST_CHECK bool copy_in_send(struct copy_in *copy, struct slice bytes, struct error *err);

/* Ends the COPY. *ret_rows: how many rows the server stored. */
MUST_CHECK bool copy_in_end(struct copy_in *copy, uint64_t *ret_rows, struct error *err);
