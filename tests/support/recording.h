/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recording.h - a recorded stream: (lsn:u64 size:u32 message)*, in network order, as tests/golden/record
 * writes it.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/cursor.h"
#include "cdc/base/lsn.h"

struct recording {
    char *bytes;
    struct cursor cursor;
};

/* Reads the whole file; false, and a word on standard error, when that cannot be. */
bool recording_open(struct recording *recording, const char *path);
void recording_close(struct recording *recording);

/* False at the end of the stream. A message that is cut off there comes as short as it is. */
bool recording_next(struct cursor *cursor, lsn_t *ret_lsn, struct slice *ret_message);
