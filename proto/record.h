/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - a change as consumers read it: the bytes of change.proto's Change and Key.
 *
 * One walk over the change's values determines an upper bound of the size, then one pass writes them into a
 * buffer. A record has no object, and only the buffer is allocated. Fields are in the order of their numbers,
 * so that the bytes equal those that protobuf-c packs. Pure; any thread.
 *
 * Values must be in text. ERROR_PROTOCOL for a value that its type's output function does not print, and for
 * a binary one. ERROR_DATA for a name that is not UTF-8, and for a record above protobuf's 2 GiB. Each error
 * names table, column and LSN, never the value. After an error the buffer's content is unchanged; it may have
 * grown.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/change.h"

/* Appends the Change of a row, or of a truncate for its relation number relation_index (0 for rows). */
MUST_CHECK bool record_write(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                             struct error *err);

/*
 * Does the change's row have a key? Not with replica identity full or nothing, and not without a primary key.
 */
bool record_has_key(const struct relation *relation);

/* An update that changes the key, in a table that has one. */
bool record_is_move(const struct change *change);

/* Appends the DELETE under the old key, which names the new one (Change.moved_to). */
MUST_CHECK bool record_write_moved(const struct change *change, struct buffer *buffer, struct error *err);

/* Appends the Key of the row, or of a truncate's relation. For an update it is the new row's key. */
MUST_CHECK bool record_write_key(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                                 struct error *err);

/* Appends the row's old key. */
MUST_CHECK bool record_write_old_key(const struct change *change, struct buffer *buffer, struct error *err);
