/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_shape.h - what a mode makes of a table: its columns, its key, and the relations that the sink gets.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/mapping/table_map.h"

/* Of one relation of the stream. */
struct mode_shape {
    enum row_mode mode;
    const struct relation *keyed; /* the mapped relation, with the source's key */
    const struct relation *rows;  /* of which the sink gets rows */
    /* Of history: the key, and what is set when a version ends. It is mapped from rows. */
    const struct relation *closes;
    int32_t at[MODE_COLUMNS]; /* the place of each column in rows; -1: it has none */
    const char *source_name;
    const char **fixed; /* of each column of rows: the text that it has in every row, or NULL */
};

/* The rule's columns and those of its mode, in arena. */
MUST_CHECK bool mode_shape_rule(struct rule *rule, struct arena *arena, struct error *err);

/* relation: as mapped. ERROR_CONFIG: the mode needs a key that finds rows. */
MUST_CHECK bool mode_shape_relation(const struct table_map *map, const struct relation *relation,
                                    const struct relation *source, struct arena *arena,
                                    struct mode_shape *ret_shape, struct error *err);

/* The key and NOT NULL of a mapped table, whose columns may be changed. ERROR_CONFIG: likewise. */
MUST_CHECK bool mode_shape_table(const struct table_map *map, const struct table *source, struct table *table,
                                 struct error *err);
