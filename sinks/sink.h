/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - the contract between the engine and everything that takes changes.
 *
 * One thread, the sink's runner, makes every call:
 *
 *     open -> [copy_begin (copy_table copy_data* copy_table_end)* copy_end] -> (write | skip | flush | commit | settled)* -> close
 *
 * open   connects, proves that it can write, and returns the position that is durable there.
 * write  gets changes in commit order. It may apply at once or buffer; the changes are the caller's again when it
 *        returns, so it copies what it keeps (but see flush_follows). Nothing written may become visible before flush or
 *        commit.
 * flush  makes everything written, and the position, durable in one atomic step; true only when a crash of either
 *        side loses nothing. Between two flushes there are whole transactions only. Also called with nothing
 *        written, to carry an idle pipeline's position forward. Flushing a position that does not exist
 *        (copy_end's caller) is a bug.
 * commit is for sinks that can do it in two steps, so that readers need not wait for a disk: it makes everything written
 *        visible, and the position with it, in one atomic step; a crash of the other side may lose both, unless *ret_durable.
 *        settled says up to which position nothing can be lost any more, which is the only one that anybody else is told.
 *        A flush settles all that was committed before it, and so does the next open.
 * close  releases everything; also after a failed open, and without a flush: what was not flushed is undone.
 *
 * After an error nothing but close is called. A sink does not retry, does not log and never calls exit. The kind
 * of its error is the engine's next step: RETRY (reopen after a pause, for ever: server gone, deadlock, lock
 * timeout, disk full), CONFIG (rights, missing schema objects known before a change needs them), REFUSE (fenced),
 * DATA (a change does not fit: names table, key columns, LSN, SQLSTATE and remedy, never a value), SYSTEM.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/option.h"
#include "cdc/base/position.h"
#include "cdc/base/slice.h"
#include "decoder/change.h"
#include "sinks/conflict.h"
#include "sinks/table.h"

/* One key of a sink's section in the configuration file, beyond name and type. Texts live as long as the sink. */
struct sink_option {
    const char *key;
    const char *value;
};

struct sink_config {
    const char *pipeline;
    const char *application; /* what a server shows of our sessions: pgcdc:NAME; NULL: pgcdc */
    const char *name;        /* unique in the pipeline */
    const char
        *database; /* the source's, set by the engine before it opens the sink; NULL without an engine */
    const struct sink_option *options;
    size_t option_count;
};

/* How the rows of a copy are laid out in the bytes that copy_data gets: those of COPY TO STDOUT. */
enum copy_format {
    COPY_FORMAT_TEXT,
    COPY_FORMAT_BINARY,
};

/* A column of a relation at the source. */
struct sink_column {
    oid_t relation_oid; /* 0: none */
    char name[64];      /* PostgreSQL's NAMEDATALEN */
};

struct session;
struct session_options;

struct sink {
    const struct sink_ops *ops;
    const struct sink_config *config;
    /*
     * Set by the sink when it returns ERROR_RETRY because binary values do not fit its tables; the engine then asks
     * the source for text. By the engine, where the source cannot send binary. Kept over reopening.
     */
    bool needs_text;
    /*
     * Set by the sink when it returns ERROR_DATA because it has no such table: the relation's OID at the source. A table that
     * is gone there, too, the engine puts on the list of those whose changes the sink leaves out. Both kept over reopening.
     */
    oid_t missing_oid;
    const oid_t *gone;
    size_t gone_count;
    /*
     * Set by the sink when it returns ERROR_DATA because it generates a column by itself that the source sends values for.
     * When the source generates it, too (PostgreSQL 18 can send such a column), the engine lists what the source generates.
     */
    struct sink_column only_here;
    const struct sink_column *generated;
    size_t generated_count;
    /* Set by the engine: write and flush one transaction at a time, to find the one that does not fit. */
    bool careful;
    /*
     * Set by the engine during a write that ends with a whole transaction: the next call is flush or commit, with this
     * position, or close, and the changes stay until it returns. So an answer that write would wait for, and its error, may
     * be left to it. NULL: something else may come.
     */
    const struct position *flush_follows;
    /* Conflicts that it has settled and committed in this process; read by any thread. */
    atomic_ullong conflicts[CONFLICT_KINDS];
    /* Set by the engine from another thread: give up waiting and return ERROR_STOPPED soon. */
    atomic_bool stop;
    /* The same for a caller that has a flag of its own (check, status, drop); set before the first call, or NULL. */
    const atomic_bool *caller_stop;
};

/* What a sink holds, seen from outside. */
struct sink_view {
    struct position position;           /* end_lsn 0: none */
    uint64_t conflicts[CONFLICT_KINDS]; /* that it has settled, ever */
    int64_t age_ms;                     /* since it was stored, by the sink's own clock */
};

/* The places of a sink that appends (topics) which hold records before its first copy. */
struct sink_held {
    size_t count;
    char name[256]; /* of one of them; "" for none */
};

enum sink_severity {
    SINK_PROBLEM, /* run will fail, or lose something */
    SINK_WARNING, /* run works, and somebody may be surprised */
    SINK_NOTE,
};

/* What `pgcdc check` shall know, and whom a sink tells what it has found. */
struct sink_check {
    const struct table *tables; /* that are published */
    size_t table_count;
    bool expects_copy;
    /* code: a stable word for scripts. fix: what to do about it, or "". No secret in either. */
    void (*report)(void *context, enum sink_severity severity, const char *code, const char *what,
                   const char *fix);
    void *context;
};

struct sink_ops {
    const char *type; /* as the configuration names it */
    const struct option_spec *options; /* its keys, besides name and type */
    size_t size; /* of the sink's own struct, which begins with struct sink */
    /* It stores its position together with the data: exactly once. False: the disk checkpoint is its position, at
     * least once. */
    bool stores_position;
    bool takes_text_only; /* values must come as text: VALUE_BINARY is never written */
    bool appends;         /* a copy adds to what is there: a second one is there twice */
    bool
        takes_bytes; /* text need not be UTF-8: from a source of encoding SQL_ASCII it comes as it is stored */
    /*
     * Optional: are the values of the options right, as far as they tell without a server or a file? ERROR_CONFIG, with the
     * option that is not: the configuration's file and line are put before it.
     */
    bool (*validate)(const struct sink_config *config, struct error *err);
    /*
     * Optional: the target is tables of a PostgreSQL database, and this is how somebody else's session gets there who looks at
     * them (check, verify). Sets what the sink's options say and leaves the rest.
     */
    void (*target)(const struct sink_config *config, struct session_options *ret_options);
    /* With target: the position that the snapshot of such a session sees; 0: none. */
    bool (*target_lsn)(struct session *session, const struct sink_config *config, lsn_t *ret_lsn,
                       struct error *err);
    /* Optional: is this option's value a password, a key or another secret? Of dsn the engine knows it. */
    bool (*is_secret)(const char *key);
    bool (*open)(struct sink *sink, struct position *ret_position, struct error *err);
    bool (*write)(struct sink *sink, const struct change *changes, size_t count, struct error *err);
    /*
     * Optional: a change of a transaction that was split, which by the position is there already. Comes between the
     * transaction's Begin and the first change that is not there, for a sink that says something about the whole.
     */
    bool (*skip)(struct sink *sink, const struct change *change, struct error *err);
    /*
     * Optional, of a sink that appends: where the rows of these tables will go, are there records already? Called between
     * open and the copy's first write. Its error is only told: the copy goes on.
     */
    bool (*find_held)(struct sink *sink, const struct table *tables, size_t count, struct sink_held *ret_held,
                      struct error *err);
    bool (*flush)(struct sink *sink, const struct position *position, struct error *err);
    /* Optional, both or none. settled costs a round trip at most, and may be asked in the middle of a transaction. */
    bool (*commit)(struct sink *sink, const struct position *position, bool *ret_durable, struct error *err);
    bool (*settled)(struct sink *sink, struct position *ret_position, struct error *err);
    void (*close)(struct sink *sink);
    /*
     * Optional, all or none: takes the bytes of COPY as they are. Without them the engine turns the rows into
     * CHANGE_READ changes and writes those. Everything up to copy_end, which stores the position, is one atomic step:
     * an interrupted copy leaves nothing and starts over. copy_begin sets left_to_sink of the tables' columns.
     */
    bool (*copy_begin)(struct sink *sink, const struct table *tables, size_t count, struct error *err);
    /* May the rows come in the binary format? False also when a column's type differs there. */
    bool (*copy_accepts_binary)(struct sink *sink, const struct table *table);
    bool (*copy_table)(struct sink *sink, const struct table *table, enum copy_format format,
                       struct error *err);
    bool (*copy_data)(struct sink *sink, struct slice bytes, struct error *err);
    bool (*copy_table_end)(struct sink *sink, struct error *err);
    bool (*copy_end)(struct sink *sink, const struct position *position, struct error *err);
    /*
     * Optional: the position as it is there now, for `pgcdc status`. Disturbs no engine and creates nothing. Works on a
     * sink that was never opened.
     */
    bool (*look)(struct sink *sink, struct sink_view *ret_view, struct error *err);
    /*
     * Optional: everything that would keep it from working, for `pgcdc check`. Changes nothing and disturbs no engine.
     * Works on a sink that was never opened. False: it could not be found out.
     */
    bool (*check)(struct sink *sink, const struct sink_check *check, struct error *err);
    /*
     * Optional: forget the pipeline, position and all, for `pgcdc drop`. Works on a sink that was never opened.
     */
    bool (*drop)(struct sink *sink, struct error *err);
};

/* The value of key, or NULL. */
const char *sink_config_find(const struct sink_config *config, const char *key);

/* The registry: the operations of a type, or NULL; every type in turn, NULL after the last. */
const struct sink_ops *sink_ops_find(const char *type);
const struct sink_ops *sink_ops_at(size_t index);

/* A closed sink, or NULL when memory is exhausted. config must outlive it. sink_free accepts NULL, not an open one. */
MUST_CHECK struct sink *sink_new(const struct sink_ops *ops, const struct sink_config *config);
void sink_free(struct sink *sink);

/* The flag that a sink's waits look at. */
static inline const atomic_bool *sink_stop(const struct sink *sink) {
    return sink->caller_stop != NULL ? sink->caller_stop : &sink->stop;
}
