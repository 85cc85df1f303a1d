/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence_side.h - private to cdc/sequences: the sequences of one database, and their values.
 */
#pragma once

#include "cdc/sequences/sequences.h"

struct sequence_entry {
    const char *schema;
    const char *name;
    struct sequence_range range;
    bool is_readable; /* our role may read it, and set it where that was asked */
    bool is_wanted;   /* by the caller, before sequence_side_read_places */
    struct sequence_place place;
};

struct sequence_side {
    struct sequence_entry *entries; /* ordered by the bytes of schema and name */
    size_t count;
};

/* The source's: those that the terms name. */
MUST_CHECK bool sequence_side_list_source(struct session *source, const struct sequence_terms *terms,
                                          struct arena *arena, struct sequence_side *ret_side,
                                          struct error *err);

/* The target's: all that are not the system's. */
MUST_CHECK bool sequence_side_list_target(struct session *target, struct arena *arena,
                                          struct sequence_side *ret_side, struct error *err);

/* Reads the places of the entries that are wanted and readable. */
MUST_CHECK bool sequence_side_read_places(struct session *session, struct sequence_side *side,
                                          struct error *err);
