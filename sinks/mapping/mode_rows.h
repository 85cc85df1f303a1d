/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_rows.h - mapped changes as the mode of their table has them.
 *
 * append       each change becomes the INSERT of one row; of an update that changes the key, or has the whole
 *              old row: of two, d with the old row and u with the new one
 * soft_delete  a DELETE becomes an UPDATE that marks its row; an update of the key marks the old row and
 *              inserts the new one. A sink's INSERT into such a table revives a marked row of its key
 * history      INSERTs of versions, and UPDATEs that close the version that was current before the span. What
 *              closes a version of the same span is part of it. So each row is written once, and each key is
 *              closed once at most, and all closes come before all versions: a sink may apply them as sets
 *
 * An INSERT with values that are VALUE_UNCHANGED has old_values: the key of the row that has them. In a
 * history this is the current version of that key, which the INSERT ends too: nothing else closes it.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/map.h"
#include "decoder/change.h"
#include "sinks/mapping/mode_shape.h"

struct mode_rows {
    struct arena *arena; /* of one span */
    struct change *changes;
    size_t count;
    size_t most;             /* changes of the span */
    struct change *versions; /* of history, until the end of the span or a TRUNCATE */
    size_t version_count;
    struct map last;   /* the last version of each key among them */
    struct map shapes; /* struct mode_shape of each table that has versions, by its OID */
};

/* Accepts a zeroed one. */
void mode_rows_release(struct mode_rows *rows);

/* For a span of so many changes. Everything is in arena. */
MUST_CHECK bool mode_rows_begin(struct mode_rows *rows, const struct change *changes, size_t count,
                                struct arena *arena, struct error *err);

/* A change of a row, mapped to shape->keyed; or one that is no row's, with shape NULL. */
MUST_CHECK bool mode_rows_add(struct mode_rows *rows, const struct mode_shape *shape,
                              const struct change *change, struct error *err);

/* A TRUNCATE; shapes: of each of its relations. */
MUST_CHECK bool mode_rows_truncate(struct mode_rows *rows, const struct mode_shape *const *shapes,
                                   const struct change *change, struct error *err);

/* The span ends: rows->changes has all. */
void mode_rows_flush(struct mode_rows *rows);
