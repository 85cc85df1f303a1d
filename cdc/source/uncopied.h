/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied.h - rows that were there before their table was published to a pipeline that had its copy already:
 * no change brings them, so the target would lack them for ever.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/lsn.h"
#include "cdc/base/start_over.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "sinks/table.h"

/* What is asked of each table. Both sessions should have a lock_timeout. */
struct uncopied_question {
    struct session *source;
    struct session *target;
    const char *publications; /* an array's text */
    const char *since_xid;    /* only of tables whose publication is not older; NULL: of all */
    /*
     * For a target that is written to: waits until it has all up to lsn; false: not yet. NULL: nobody writes
     * to it.
     */
    bool (*reaches)(void *context, lsn_t lsn);
    void *context;
    bool is_open; /* set: something could not be asked now, but later */
};

/*
 * Looks for a row that is older than the publication of its table, and for its key in the target. A look at
 * the oldest pages, not a comparison: false in *ret_lacks does not prove that all rows are there. What cannot
 * be asked (a lock, a right that is missing) is not lacking.
 */
MUST_CHECK bool uncopied_look(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                              struct error *err);

/* False where the sink's on_missing says that its tables may lack rows: then nobody is stopped for one. */
bool uncopied_matters(const struct config_sink *sink);

/* What is said of it, after the table's name, and what to do. */
#define UNCOPIED_TEXT                                                                                        \
    "has rows that are older than its publication, and the target lacks them: a table that is added later "  \
    "has "                                                                                                   \
    "no initial copy (whether it was published before, and they are still on their way, cannot be known)"
#define UNCOPIED_REMEDY                                                                                      \
    START_OVER "; or, when these rows are not wanted or come in another way, set source.snapshot: never"

/* For a start that goes on: ERROR_CONFIG names the first such table of a Postgres sink. */
MUST_CHECK bool uncopied_refuse(const struct config *config, const atomic_bool *stop, struct error *err);

/* Up to which transaction of the source publications were looked at; xid "": none yet. */
struct uncopied_moment {
    char xid[24];
};

MUST_CHECK bool uncopied_moment_read(struct session *source, struct uncopied_moment *ret_moment,
                                     struct error *err);

/* The sinks of a pipeline that runs. reaches waits for a moment until sink index has all up to lsn. */
struct uncopied_sinks {
    bool (*reaches)(void *context, size_t index, lsn_t lsn);
    void *context;
};

/*
 * While it runs: the same of tables that were published since *moment, which moves on when all was asked.
 * Sets a lock_timeout for the source's session.
 */
MUST_CHECK bool uncopied_refuse_newcomers(const struct config *config, struct session *source,
                                          const struct uncopied_sinks *sinks, struct uncopied_moment *moment,
                                          const atomic_bool *stop, struct error *err);
