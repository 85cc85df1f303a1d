/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_moment.h - which transactions of an archive had committed at a time.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

/*
 * The end of the last transaction before the first one that committed later than time_us, since 2000; at the
 * latest the archive's position. Clocks may go back, so a transaction after that one may be earlier: the
 * order of commits counts. 0: the archive begins later. ERROR_CONFIG when it has no segments.
 */
MUST_CHECK bool archive_find_moment(const char *directory, int64_t time_us, const atomic_bool *stop,
                                    lsn_t *ret_lsn, struct error *err);
