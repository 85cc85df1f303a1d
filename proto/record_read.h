/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_read.h - the reverse: from a record's bytes to the change.
 *
 * The relation has the columns that the record names, which for a DELETE may be only the key's. OIDs are
 * those of built-in types, else 0, and the relation's OID is 0; lsn is commit_lsn. Everything else is as it
 * was written.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "decoder/change.h"

struct record {
    struct change change;
    bool is_moved; /* the DELETE under the old key of a moved row; the UPDATE has the new key */
};

/*
 * Unpacks the record into arena; bytes are then no longer needed. ERROR_PROTOCOL for bytes that are not a
 * record, and for a record whose operation or kind of value is unknown.
 */
MUST_CHECK bool record_read(struct slice bytes, struct arena *arena, struct record *ret_record,
                            struct error *err);
