/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead.h - dead letters for commands: changes that did not fit a sink and are kept beside its rows.
 *
 * On a handle that was never opened, while an engine may run.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "decoder/change.h"

struct sink;

struct dead_letter {
    const char *id; /* a number */
    const char *schema;
    const char *table;
    const char *lsn;      /* the transaction's commit record */
    const char *change;   /* its number in the transaction */
    bool failed;          /* false: it waits behind one that has */
    const char *sqlstate; /* "" unless it failed, like those that follow */
    const char *reason;
    const char *remedy;
    const char *at;           /* when it was set aside, by the sink's clock */
    const struct change *row; /* NULL unless values are wanted */
};

/* Which letters. */
struct dead_wanted {
    const char *table; /* schema and name; NULL: of all */
    const char *id;    /* this one, and those that share a key with it; NULL: all */
    bool with_values;
};

struct dead_result {
    uint64_t settled; /* letters that are no more */
    uint64_t failed;  /* of those tried: letters that failed again */
    uint64_t waiting; /* letters that wait for those */
};

/* A letter that `dead skip` has left out for good. */
struct dead_skipped {
    const char *id;
    const char *schema;
    const char *table;
    const char *lsn;
    const char *change;
    const char *reason; /* that of the operator */
    const char *done_by;
    const char *at;
};

typedef bool dead_skipped_fn(void *context, const struct dead_skipped *skipped, struct error *err);
typedef bool dead_letter_fn(void *context, const struct dead_letter *letter, struct error *err);

struct sink_dead_ops {
    /* In the source's order. */
    bool (*list)(struct sink *sink, const struct dead_wanted *wanted, dead_letter_fn *take, void *context,
                 struct error *err);
    /* Applies them, in the source's order. What fails again stays, with those of its keys that follow. */
    bool (*retry)(struct sink *sink, const struct dead_wanted *wanted, const char *done_by,
                  struct dead_result *ret_result, struct error *err);
    /*
     * Leaves out the letter wanted->id; with_waiting: also those of its keys that follow. ERROR_CONFIG when
     * there is none.
     */
    bool (*skip)(struct sink *sink, const struct dead_wanted *wanted, bool with_waiting, const char *reason,
                 const char *done_by, struct dead_result *ret_result, struct error *err);
    /* Those that were skipped, in the order in which that was done. NULL: the sink keeps no log of them. */
    bool (*list_skipped)(struct sink *sink, dead_skipped_fn *take, void *context, struct error *err);
};
