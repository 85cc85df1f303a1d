/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.h - what the target has for a change that stopped a sink, and which kind of conflict that is.
 *
 * It holds values of rows: for standard output, never for a log, an error or a state file.
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

/* A unique index of the target in which another row has the new row's values. */
struct why_clash {
    struct slice constraint;
    struct named_values row; /* its key */
};

struct why {
    bool is_asked;           /* the sink's target is tables that can be asked */
    struct named_values key; /* of the row that is looked for; of an insert, the new row's */
    bool is_known;           /* what the target has */
    bool exists;             /* a row of that key */
    struct why_clash *clashes;
    size_t clash_count;
    struct slice *unasked; /* constraints that may be in its way, too, and are not asked for a row */
    size_t unasked_count;
    const char *kind; /* as PostgreSQL names it; NULL: none is seen */
};

/* For a change of a row to a sink whose target cannot be asked: the key alone. */
MUST_CHECK bool why_take_key(struct why *why, const struct change *change, struct arena *arena,
                             struct error *err);

/*
 * For a change of a row. A target that cannot answer the question leaves it not known. The texts are in the
 * arena or the change.
 */
MUST_CHECK bool why_ask(struct why *why, const struct change *change, const struct sink *sink,
                        struct arena *arena, struct error *err);
