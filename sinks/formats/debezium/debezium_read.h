/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_read.h - a message of debezium-json, read back: its key, and its envelope as a change.
 *
 * With and without inline schemas. A value's text is its JSON without blanks, so a string has its quotes.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/formats/format.h"

/* See read of struct format_ops. */
MUST_CHECK bool debezium_read(struct slice key, struct slice value, struct arena *arena,
                              struct format_reading *ret_reading, struct error *err);

/*
 * A copied row belongs to no transaction: it is one less than the LSN at which it was read, as in protobuf.
 */
static inline lsn_t debezium_read_row_lsn(lsn_t lsn) {
    return lsn - 1;
}
