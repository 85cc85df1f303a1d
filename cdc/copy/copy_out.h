/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_out.h - the rows of one source table, one message a row, as COPY TO STDOUT sends them.
 *
 * Inside the caller's transaction, which decides what is seen. One COPY at a time on a session.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* One message: a row in text, a row or the format's header or trailer in binary. libpq's memory. */
struct copy_message {
    char *data;
    size_t size;
};

/*
 * Starts COPY of the columns that are copied, and of the rows that the publication's row filter lets through.
 */
MUST_CHECK bool copy_out_start(struct session *source, const struct table *table, enum copy_format format,
                               struct error *err);

/*
 * The next message, which the caller frees with copy_out_free; data is NULL after the last one, when
 * *ret_rows says how many rows there were.
 */
MUST_CHECK bool copy_out_next(struct session *source, struct copy_message *ret_message, uint64_t *ret_rows,
                              struct error *err);

/* For AUTO(copy_out_free). Accepts a message without data. */
void copy_out_free(struct copy_message *message);
