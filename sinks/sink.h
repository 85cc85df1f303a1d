/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - the contract between the engine and everything that takes changes.
 *
 * One thread, the sink's runner, makes every call of a handle:
 *
 *     open -> [copy.begin (copy.table copy.data* copy.table_end)* copy.end] -> (write | commit)* -> close
 *
 * open    connects, proves that it can write, and returns the position that is durable there.
 * write   gets changes in commit order. It may apply at once or buffer; the changes are the caller's again
 *         when it returns, so it copies what it keeps (but see sink_span.until). Nothing written may become
 *         visible before commit.
 * commit  makes everything written visible, and the position with it, in one atomic step, and says up to
 *         which position nothing can be lost any more. No other position is told to the source. Between two
 *         commits there are whole transactions only (but see splits). Also called with nothing written, to
 *         carry an idle pipeline's position forward. Committing a position that does not exist is a bug.
 * close   releases everything; also after a failed open, and without a commit: what was not committed is
 *         undone.
 *
 * After an error nothing but close is called. A sink does not retry, does not log and never calls exit. The
 * kind of its error is the engine's next step: RETRY (reopen after a pause, for ever: server gone, deadlock,
 * lock timeout, disk full), NEEDS_TEXT (its tables do not take binary values), CONFIG (rights, missing schema
 * objects known before a change needs them), REFUSE (fenced), DATA (a change does not fit: names table, key
 * columns, LSN, SQLSTATE and remedy, never a value), SYSTEM.
 *
 * What looks at a sink from outside (admin) works on a handle that was never opened, disturbs no engine, and
 * ends soon after the handle's stop flag is set.
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

/*
 * One key of a sink's section in the configuration file, beyond name and type. Texts live as long as the
 * sink.
 */
struct sink_option {
    const char *key;
    const char *value;
};

struct sink_config {
    const char *pipeline;
    const char *application; /* what a server shows of our sessions: pgcdc:NAME; NULL: pgcdc */
    const char *name;        /* unique in the pipeline */
    /* the source's, set by the engine before it opens the sink; NULL without an engine */
    const char *database;
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

/* What the engine has learned of the source, for the sinks; set before open. */
struct sink_facts {
    const oid_t *gone; /* relations that neither side has any more: their changes are left out */
    size_t gone_count;
    const struct sink_column *generated; /* columns that the source generates (PostgreSQL 18 can send them) */
    size_t generated_count;
};

/*
 * What an ERROR_DATA of a sink is about, so that the engine can ask the source: a table that the sink lacks,
 * by its OID at the source, or a column that it generates by itself.
 */
struct sink_lack {
    oid_t relation_oid; /* 0: none */
    struct sink_column column;
};

struct sink {
    const struct sink_ops *ops;
    const struct sink_config *config;
    const atomic_bool *stop; /* set from another thread: give up waiting and return ERROR_STOPPED soon */
    struct sink_facts facts;
    struct sink_lack lack;
    /* Conflicts that it has settled and committed in this process; read by any thread. */
    atomic_ullong conflicts[CONFLICT_KINDS];
};

/* Changes of one write. */
struct sink_span {
    const struct change *changes;
    size_t count;
    /*
     * The first so many are of a transaction that was split, and are there already: nothing is to be done but
     * by a sink that says something about the whole.
     */
    size_t present;
    /*
     * The next call is commit with this position, or close, and the changes stay until it returns. So an
     * answer that write would wait for, and its error, may be left to it. NULL: something else may come.
     */
    const struct position *until;
    /*
     * They are of one transaction, before and after which a commit comes: an error may say all that it knows
     * of it.
     */
    bool is_alone;
};

enum commit_wait {
    /* a crash of the other side may lose it, position and all, unless *ret_durable is as far */
    COMMIT_VISIBLE,
    COMMIT_DURABLE, /* a crash of either side loses nothing */
    COMMIT_ASK,     /* commits nothing, also in a transaction: how far is durable what was committed? */
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

/*
 * Takes the bytes of COPY as they are. Everything up to end, which stores the position, is one atomic step:
 * an interrupted copy leaves nothing and starts over.
 */
struct sink_copy_ops {
    /* Sets left_to_sink of the tables' columns. */
    bool (*begin)(struct sink *sink, const struct table *tables, size_t count, struct error *err);
    /* May the rows come in the binary format? False also when a column's type differs there. */
    bool (*accepts_binary)(struct sink *sink, const struct table *table);
    bool (*table)(struct sink *sink, const struct table *table, enum copy_format format, struct error *err);
    bool (*data)(struct sink *sink, struct slice bytes, struct error *err);
    bool (*table_end)(struct sink *sink, struct error *err);
    bool (*end)(struct sink *sink, const struct position *position, struct error *err);
};

/* From outside; each may be NULL. The sink was never opened, but for find_held. */
struct sink_admin_ops {
    /* The position as it is there now. Creates nothing. */
    bool (*look)(struct sink *sink, struct sink_view *ret_view, struct error *err);
    /* Everything that would keep it from working. Changes nothing. False: it could not be found out. */
    bool (*check)(struct sink *sink, const struct sink_check *check, struct error *err);
    /* Forgets the pipeline, position and all. */
    bool (*drop)(struct sink *sink, struct error *err);
    /*
     * Of a sink that appends: where the rows of these tables will go, are there records already? Called
     * between open and the copy's first write. Its error is only told: the copy goes on.
     */
    bool (*find_held)(struct sink *sink, const struct table *tables, size_t count, struct sink_held *ret_held,
                      struct error *err);
    /*
     * The target is tables of a PostgreSQL database, and this is how somebody else's session gets there who
     * looks at them (check, verify). Sets what the sink's options say and leaves the rest.
     */
    void (*target)(const struct sink_config *config, struct session_options *ret_options);
    /* With target: the position that the snapshot of such a session sees; 0: none. */
    bool (*target_lsn)(struct session *session, const struct sink_config *config, lsn_t *ret_lsn,
                       struct error *err);
};

struct sink_ops {
    const char *type;                  /* as the configuration names it */
    const struct option_spec *options; /* its keys, besides name and type */
    size_t size;                       /* of the sink's own struct, which begins with struct sink */
    /*
     * It stores its position together with the data: exactly once. False: the disk checkpoint is its
     * position, at least once.
     */
    bool stores_position;
    bool takes_text_only; /* values must come as text: VALUE_BINARY is never written */
    bool appends;         /* a copy adds to what is there: a second one is there twice */
    bool splits;          /* write may commit a part of a large transaction, whose position says so */
    /* text need not be UTF-8: from a source of encoding SQL_ASCII it comes as it is stored */
    bool takes_bytes;
    /*
     * Optional: are the values of the options right, as far as they tell without a server or a file?
     * ERROR_CONFIG, with the option that is not: the configuration's file and line are put before it.
     */
    bool (*validate)(const struct sink_config *config, struct error *err);
    /* Optional: is this option's value a password, a key or another secret? Of dsn the engine knows it. */
    bool (*is_secret)(const char *key);
    bool (*open)(struct sink *sink, struct position *ret_position, struct error *err);
    bool (*write)(struct sink *sink, const struct sink_span *span, struct error *err);
    /* position: NULL with COMMIT_ASK, which costs a round trip at most. *ret_durable never goes back. */
    bool (*commit)(struct sink *sink, const struct position *position, enum commit_wait wait,
                   struct position *ret_durable, struct error *err);
    void (*close)(struct sink *sink);
    const struct sink_copy_ops *copy;   /* NULL: the engine writes the copied rows as CHANGE_READ changes */
    const struct sink_admin_ops *admin; /* NULL: it knows nothing of its own */
};

/* The value of key, or NULL. */
const char *sink_config_find(const struct sink_config *config, const char *key);

/* The registry: the operations of a type, or NULL; every type in turn, NULL after the last. */
const struct sink_ops *sink_ops_find(const char *type);
const struct sink_ops *sink_ops_at(size_t index);

/*
 * A closed sink, or NULL when memory is exhausted. config and stop must outlive it. sink_free accepts NULL,
 * not an open one.
 */
MUST_CHECK struct sink *sink_new(const struct sink_ops *ops, const struct sink_config *config,
                                 const atomic_bool *stop);
void sink_free(struct sink *sink);

/* The function of that name among those for people, or NULL: sink_admin(ops, look). */
#define sink_admin(ops, name) ((ops)->admin != NULL ? (ops)->admin->name : NULL)
