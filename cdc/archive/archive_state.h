/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_state.h - where a copy in chunks is not complete in an archive.
 *
 * From the plan of the copy to its end the archive has not all rows of some tables, and not all changes of
 * rows that a later chunk has. A replay from the beginning gets everything in the end; one that begins or
 * ends in between does not.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct archive_state {
    bool is_whole;   /* everything is there, at the position that was asked about */
    lsn_t whole_lsn; /* if not: where the copy is complete; 0: nowhere yet */
    bool has_later;  /* likewise: the archive has changes after that position */
};

MUST_CHECK bool archive_state_find(const char *directory, lsn_t lsn, struct archive_state *ret_state,
                                   struct error *err);

/*
 * ERROR_CONFIG when a replay cannot begin or end there. option: --from or --until, for the message.
 */
MUST_CHECK bool archive_state_check(const char *directory, const char *option, lsn_t lsn, struct error *err);
