/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_values.h - the values of the columns that a mode adds.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "sinks/mapping/mode_shape.h"

/* What a row says of its change. */
struct mode_event {
    const struct change *change;
    char op;
    bool is_binary; /* the values of the row are, so these must be too: one COPY has one format */
};

/* Are the change's values in binary? */
bool mode_values_are_binary(const struct relation *relation, const struct change *change);

/* Sets all columns of the mode in a row of shape->rows. unchanged of MODE_UNCHANGED: null. */
MUST_CHECK bool mode_values_set(const struct mode_shape *shape, const struct mode_event *event,
                                struct value *values, struct arena *arena, struct error *err);

MUST_CHECK bool mode_values_time(const struct mode_event *event, struct arena *arena, struct value *ret_value,
                                 struct error *err);
struct value mode_values_flag(bool flag, bool is_binary);

/* The names of shape->rows' columns that are VALUE_UNCHANGED in values; null if none is. */
MUST_CHECK bool mode_values_unchanged(const struct mode_shape *shape, const struct value *values,
                                      bool is_binary, struct arena *arena, struct value *ret_value,
                                      struct error *err);

/* Of a row of COPY, the number-th of its table. */
MUST_CHECK bool mode_values_copied(const struct table_map *map, enum mode_column column, uint64_t number,
                                   struct arena *arena, struct value *ret_value, struct error *err);
