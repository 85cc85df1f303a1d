/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequences.h - the sequences of the source beside those of a target.
 *
 * Logical decoding does not send sequences. So the target's are set ahead of the source's: then the target
 * can be written to at any moment without a value that the source has used. A sequence is never set back.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/sequences/sequence_place.h"

enum sequence_state {
    SEQUENCE_EQUAL,
    SEQUENCE_AHEAD,
    SEQUENCE_BEHIND,
    SEQUENCE_MISSING,    /* at the target */
    SEQUENCE_UNREADABLE, /* our role may not read it at the source */
    SEQUENCE_LOCKED,     /* our role may not read or set it at the target */
    SEQUENCE_UNFIT,      /* the target's has another direction, or a range without the value to set */
};
enum { SEQUENCE_STATES = SEQUENCE_UNFIT + 1 };

/* "equal", "ahead", … */
const char *sequence_state_name(enum sequence_state state);

struct sequence {
    const char *schema;
    const char *name;
    struct sequence_range range; /* at the source */
    struct sequence_place source;
    struct sequence_range target_range;
    struct sequence_place target; /* unless it is missing or locked */
    enum sequence_state state;
};

struct sequence_list {
    struct sequence *items; /* ordered by schema and name */
    size_t count;
    size_t counts[SEQUENCE_STATES];
};

/* Which sequences of the source, and how far ahead. */
struct sequence_terms {
    const struct sequences_config *config;
    const char *publications; /* an array's text: source_config.publication_array */
};

/* Reads both sides and compares. Changes nothing. The list is in arena. */
MUST_CHECK bool sequences_compare(struct session *source, struct session *target,
                                  const struct sequence_terms *terms, struct arena *arena,
                                  struct sequence_list *ret_list, struct error *err);

/*
 * The same, then sets those ahead that are not by the headroom. ret_list: the state afterwards. ret_set: how
 * many were set. Any number of calls does no harm, and a kill between two sequences neither.
 */
MUST_CHECK bool sequences_advance(struct session *source, struct session *target,
                                  const struct sequence_terms *terms, struct arena *arena,
                                  struct sequence_list *ret_list, size_t *ret_set, struct error *err);

/* Appends "schema.name, …" of the sequences in a state, at most a dozen. */
void sequences_name(const struct sequence_list *list, enum sequence_state state, struct buffer *names);
