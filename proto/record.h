/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - a change as consumers read it: the bytes of change.proto's Change and Key.
 *
 * Written in one pass from the change's values into a buffer, after one walk that says how much room it takes
 * at most. No object stands for a record and nothing is allocated but the buffer. Fields come in the order of
 * their numbers, so that the bytes are those which protobuf-c packs. Pure; any thread.
 *
 * Values must be in text. One that its type's output function does not print is ERROR_PROTOCOL, and so is a
 * binary one; a name that is not UTF-8, and a record above protobuf's 2 GiB, are ERROR_DATA. Each names
 * table, column and LSN, and never the value. After an error the buffer is as it was; it may have grown.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/change.h"

/*
 * Appends the Change of a row change, or of a truncate for its relation number relation_index (0 for rows).
 */
MUST_CHECK bool record_write(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                             struct error *err);

/* Does the change's row have a key? Not with replica identity full or nothing, nor without a primary key. */
bool record_has_key(const struct relation *relation);

/* An update that changed the key of a table that has one. */
bool record_is_move(const struct change *change);

/* The DELETE that tells a move to the old key (Change.moved_to). */
MUST_CHECK bool record_write_moved(const struct change *change, struct buffer *buffer, struct error *err);

/* Appends the Key: the row's, or of a truncate its relation's. The row of an update has its new one. */
MUST_CHECK bool record_write_key(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                                 struct error *err);

/* The key that a move left. */
MUST_CHECK bool record_write_old_key(const struct change *change, struct buffer *buffer, struct error *err);
