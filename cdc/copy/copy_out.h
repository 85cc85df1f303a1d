/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_out.h - the rows of one source table, one message per row, as COPY TO STDOUT sends them.
 *
 * Runs inside the caller's transaction, whose snapshot decides which rows are visible. One COPY at a time per
 * session.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* One message: a row in text format, or a row, the header or the trailer in binary format. libpq's memory. */
struct copy_message {
    char *data;
    size_t size;
};

/*
 * Starts COPY of the columns that are copied and the rows that pass the publication's row filter. chunk: only
 * the rows in its range; or NULL.
 */
MUST_CHECK bool copy_out_start(struct session *source, const struct table *table, const struct chunk *chunk,
                               enum copy_format format, struct error *err);

/* Likewise, any so many of these rows, in text format. */
MUST_CHECK bool copy_out_start_sample(struct session *source, const struct table *table, uint64_t rows_max,
                                      struct error *err);

/*
 * The next message, which the caller frees with copy_out_free. data is NULL after the last one, and *ret_rows
 * is then the number of rows.
 */
MUST_CHECK bool copy_out_next(struct session *source, struct copy_message *ret_message, uint64_t *ret_rows,
                              struct error *err);

/* For AUTO(copy_out_free). Accepts a message without data. */
void copy_out_free(struct copy_message *message);
