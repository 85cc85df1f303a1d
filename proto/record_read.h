/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_read.h - the way back: from a record's bytes to the change.
 *
 * The relation has the columns that the record names, which of a DELETE may be the key's alone. OIDs are
 * those of built-in types, else 0, and the relation's is 0; lsn is commit_lsn. Everything else is as it was
 * written.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "decoder/change.h"

struct record {
    struct change change;
    bool is_moved; /* a DELETE that tells a move to the old key; the UPDATE stands under the new one */
};

/*
 * Takes the record apart into arena; bytes are the caller's again. ERROR_PROTOCOL for what is no record, and
 * for one whose operation or value this program does not know.
 */
MUST_CHECK bool record_read(struct slice bytes, struct arena *arena, struct record *ret_record,
                            struct error *err);
