/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.h - what the target has for the change that stopped a sink, and the kind of conflict.
 *
 * Holds values of rows: for standard output, never for a log, an error or a state file.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "decoder/change.h"
#include "sinks/sink.h"

struct named_value {
    struct slice name;
    struct slice text;
    bool is_null;
};

struct named_values {
    struct named_value *items;
    size_t count;
};

/* A unique or exclusion constraint of the target with which another row conflicts with the new row. */
struct why_clash {
    struct slice constraint;
    bool is_exclusion;
    struct named_values row; /* the other row's key */
};

struct why {
    bool is_asked;           /* the sink's target has tables that can be queried */
    struct named_values key; /* of the row that was searched for; for an insert, the new row's */
    bool is_known;           /* the target answered */
    bool exists;             /* the target has a row with that key */
    struct why_clash *clashes;
    size_t clash_count;
    struct slice *unasked; /* constraints that may also conflict; the target does not answer for them */
    size_t unasked_count;
    const char *kind; /* PostgreSQL's name for it; NULL: no conflict seen */
};

/* For a row change to a sink whose target cannot be queried: the key only. */
MUST_CHECK bool why_take_key(struct why *why, const struct change *change, struct arena *arena,
                             struct error *err);

/*
 * For a row change. If the target cannot answer, is_known stays false. The texts are in the arena or the
 * change.
 */
MUST_CHECK bool why_ask(struct why *why, const struct change *change, const struct sink *sink,
                        struct arena *arena, struct error *err);
