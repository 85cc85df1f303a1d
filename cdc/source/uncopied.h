/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied.h - rows older than the publication of their table, in a pipeline whose initial copy is over: no
 * change carries them, so the target would never receive them.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/buffer.h"
#include "cdc/base/lsn.h"
#include "cdc/base/start_over.h"
#include "cdc/base/xid_snapshot.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "sinks/chunk.h"
#include "sinks/table.h"

/* The question about each table. Both sessions should have a lock_timeout. */
struct uncopied_question {
    struct session *source;
    struct session *target;
    const struct sink_config *sink; /* of the target, for its mapping */
    const char *publications;       /* an array's text */
    const char *since_xid;          /* only tables whose publication is not older; NULL: all */
    /*
     * For a target that is being written to: waits until it has everything up to lsn; false: not yet. NULL:
     * no engine writes to it.
     */
    bool (*reaches)(void *context, lsn_t lsn);
    void *context;
    bool is_open; /* set: a part could not be asked now; ask again later */
};

/*
 * Looks for a row that is older than the publication of its table, and for its key in the target. Reads the
 * oldest pages only and compares nothing: *ret_lacks false does not prove that all rows are present. A table
 * that cannot be asked (a lock, a missing right) is not reported as lacking.
 */
MUST_CHECK bool uncopied_look(struct uncopied_question *question, const struct table *table, bool *ret_lacks,
                              struct error *err);

/* Is its target a set of tables, which can be asked for a row? */
bool uncopied_can_ask(const struct config_sink *sink);

/* False if the sink's on_missing setting accepts tables that lack rows: then a lacking row stops nothing. */
bool uncopied_matters(const struct config_sink *sink);

/* The message, after the table's name, and its remedy. */
#define UNCOPIED_TEXT                                                                                        \
    "has rows that are older than its publication, and the target lacks them: a table that is added later, " \
    "or a partition that is attached, has no initial copy (whether it was published before, and its rows "   \
    "are still in the stream, cannot be known)"
#define UNCOPIED_REMEDY                                                                                      \
    START_OVER "; or, if these rows are not wanted or are copied in another way, set source.snapshot: never"

/* The remedy with the command that copies the table, where that is possible. */
void uncopied_append_remedy(struct buffer *remedy, const struct config *config, const struct session *source,
                            const struct table *table);

/* The tables of Postgres sinks that lack such rows, at most UNCOPIED_FOUND_MAX of them. */
enum { UNCOPIED_FOUND_MAX = 256 };

struct uncopied_found {
    const struct chunk_plan *plans; /* one per sink: tables in them are not looked for */
    oid_t oids[UNCOPIED_FOUND_MAX];
    size_t count;
};

/* Once, even if two sinks lack it; nothing when there is no room. */
void uncopied_found_add(struct uncopied_found *found, oid_t oid);

/* The caller sets found->plans. */
MUST_CHECK bool uncopied_find(const struct config *config, struct session *source, const atomic_bool *stop,
                              struct uncopied_found *found, struct error *err);

/* Are rows wanted that are older than their table's publication? */
bool uncopied_wants_rows(const struct config *config);

/* Tables that were published since a snapshot, and have a row that is older than that. */
struct uncopied_published {
    struct table_list tables; /* in the caller's arena */
    struct xid_snapshot now;  /* what was looked at; xmax 0: a table could not be asked. The caller's */
};

/*
 * For sinks that cannot be asked which rows they have. Within a transaction of the caller, REPEATABLE READ.
 * since: xmax 0: no table is new.
 */
MUST_CHECK bool uncopied_find_published(const struct config *config, struct session *source,
                                        const struct xid_snapshot *since, struct arena *arena,
                                        struct uncopied_published *ret_published, struct error *err);

/* ERROR_CONFIG about such a table, with the remedy. */
bool uncopied_refuse_published(const struct config *config, const struct table *table, struct error *err);

/* Of a table whose messages have no key. */
#define UNCOPIED_KEYLESS_REMEDY                                                                              \
    "take the table out with `pgcdc table remove`, delete its topic, and take it in again with `pgcdc "      \
    "table "                                                                                                 \
    "add`"

/* For a start that continues a pipeline: ERROR_CONFIG names the first such table of a Postgres sink. */
MUST_CHECK bool uncopied_refuse(const struct config *config, struct session *source, const atomic_bool *stop,
                                struct error *err);

/* The transaction of the source up to which publications were examined; xid "": none yet. */
struct uncopied_moment {
    char xid[24];
};

MUST_CHECK bool uncopied_moment_read(struct session *source, struct uncopied_moment *ret_moment,
                                     struct error *err);

/* The sinks of a running pipeline. reaches waits briefly until sink index has everything up to lsn. */
struct uncopied_sinks {
    bool (*reaches)(void *context, size_t index, lsn_t lsn);
    void *context;
};

/*
 * While the pipeline runs: the same for tables published since *moment, which advances once all were asked.
 * Sets a lock_timeout on the source's session.
 */
MUST_CHECK bool uncopied_refuse_newcomers(const struct config *config, struct session *source,
                                          const struct uncopied_sinks *sinks, struct uncopied_moment *moment,
                                          const atomic_bool *stop, struct error *err);
