/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink.h - the contract between the engine and the sinks, which store or publish changes.
 *
 * One thread, the sink's runner, makes every call of a handle:
 *
 *     open -> [copy.begin (copy.table copy.data* copy.table_end)* copy.end] -> (write | commit)* -> close
 *
 * open    connects, proves that it can write, and returns the position that is durable in the sink.
 * write   gets changes in commit order. It may apply them at once or buffer them. The changes belong to the
 *         caller again when it returns, so it copies what it keeps (but see sink_span.until). Nothing written
 *         may become visible before commit.
 * commit  makes everything written visible, together with the position, in one atomic step, and returns the
 *         position up to which nothing can be lost. Only that position is confirmed to the source. Between
 *         two commits there are only whole transactions (but see splits). It is also called with nothing
 *         written, to advance an idle pipeline's position. Committing a position that does not exist is a
 *         bug.
 * close   releases everything, also after a failed open. Without a commit before it, whatever was not
 *         committed is rolled back.
 *
 * After an error only close is called. A sink does not retry, does not log and never calls exit. The kind of
 * its error tells the engine what to do next: RETRY (reopen after a pause, indefinitely: server down,
 * deadlock, lock timeout, disk full), NEEDS_TEXT (its tables do not accept binary values), CONFIG (missing
 * rights or objects, found before a change needs them), REFUSE (fenced), DATA (a change cannot be applied:
 * names table, key columns, LSN, SQLSTATE and remedy, never a value), SYSTEM.
 *
 * The admin functions work on a handle that was never opened, disturb no running engine, and return soon
 * after the handle's stop flag is set.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/option.h"
#include "cdc/base/position.h"
#include "cdc/base/slice.h"
#include "decoder/change.h"
#include "sinks/check.h"
#include "sinks/chunk.h"
#include "sinks/comparison.h"
#include "sinks/conflict.h"
#include "sinks/dead.h"
#include "sinks/table.h"

/*
 * One key of a sink's section in the configuration file, other than name and type. Texts live as long as the
 * sink.
 */
struct sink_option {
    const char *key;
    const char *value;
};

struct ddl_rules;
struct mapping;
struct session_options;
struct sink_ops;
struct left_out_list;

struct sink_config {
    const char *pipeline;
    const char *application; /* application_name of the sink's sessions: pgcdc:NAME; NULL: pgcdc */
    const char *name;        /* unique in the pipeline */
    const char *stream;      /* the stream of changes in the pipeline; NULL: the slot's */
    /* the source's database, set by the engine before it opens the sink; NULL without an engine */
    const char *database;
    const struct mapping *mapping;  /* rules for its tables (sinks/mapping); NULL: none */
    struct left_out_list *left_out; /* what its rules have left out in this process; NULL without any */
    const struct ddl_rules
        *ddl; /* what it does when tables of the source are altered; NULL: its options say */
    const struct sink_ops *mapped; /* the operations behind the mapping; NULL without one */
    /* of a session at the source, for a mapping; NULL: there is none, because an archive is read */
    const struct session_options *source;
    const struct sink_option *options;
    size_t option_count;
    /* its tables were made for this copy, so that their keys may be built after the rows */
    bool has_new_tables;
};

/* The format of the bytes that copy.data gets, as COPY TO STDOUT writes them. */
enum copy_format {
    COPY_FORMAT_TEXT,
    COPY_FORMAT_BINARY,
};

/* A column of a relation at the source. */
struct sink_column {
    oid_t relation_oid; /* 0: none */
    char name[64];      /* PostgreSQL's NAMEDATALEN */
};

/* A text that the engine keeps for a sink in the state directory, beside its position. One thread uses it. */
struct sink_memory {
    /* Appends it; nothing when there is none. */
    bool (*read)(const struct sink_memory *memory, struct buffer *text, struct error *err);
    /* Replaces it, in one atomic step; it is durable then. */
    bool (*write)(const struct sink_memory *memory, struct slice text, struct error *err);
};

/* What the engine has learned about the source; set before open, first_lsn before the first write. */
struct sink_facts {
    uint64_t system_id; /* of the source cluster */
    uint32_t timeline;  /* the source's */
    /* Of a sink that gets its first position without a copy: the place where its changes begin; else 0. */
    lsn_t first_lsn;
    const oid_t *gone; /* relations that neither side has any more: their changes are skipped */
    size_t gone_count;
    const struct sink_column *generated; /* columns that the source generates (PostgreSQL 18 can send them) */
    size_t generated_count;
    /* of a sink that asks_columns: the source's tables as they are at its start; set before learn */
    const struct catalog_tables *tables;
    const struct sink_memory *columns; /* of the rules of its mapping; NULL: nothing is kept */
    bool copies_again; /* the engine copies the tables that chunk.find_rewritten names */
};

/*
 * The object of a sink's ERROR_DATA, so that the engine can ask the source about it: a table that is missing
 * in the sink, by its OID at the source, or a column that the sink's table generates.
 */
struct sink_lack {
    oid_t relation_oid; /* 0: none */
    struct sink_column column;
};

struct sink {
    const struct sink_ops *ops;
    const struct sink_config *config;
    const atomic_bool *stop; /* set by another thread: stop waiting and return ERROR_STOPPED soon */
    struct sink_facts facts;
    struct sink_lack lack;
    /*
     * Lines about what the sink did to its tables with the changes written; the runner logs and empties it.
     */
    struct buffer news;
    bool wants_rows; /* set by write: chunk.find_rewritten names a table after the commit */
    size_t left_out; /* rows of the last write that a condition of the mapping has left out */
    /* Conflicts that the sink has settled and committed in this process; read by any thread. */
    atomic_ullong conflicts[CONFLICT_KINDS];
};

/* The changes of one write. */
struct sink_span {
    const struct change *changes;
    size_t count;
    /*
     * How many changes at the start are already stored: they belong to a split transaction. Only a sink that
     * reports on whole transactions uses them.
     */
    size_t present;
    /*
     * Not NULL: the next call is commit with this position, or close, and the changes stay valid until it
     * returns. So write may leave waiting for an answer, and its error, to that commit.
     */
    const struct position *until;
    /* The changes belong to one transaction, committed by itself: an error may name that transaction. */
    bool is_alone;
};

enum commit_wait {
    /* a crash of the sink's server may lose it, together with the position, unless *ret_durable reaches it */
    COMMIT_VISIBLE,
    COMMIT_DURABLE, /* a crash of either side loses nothing */
    COMMIT_ASK, /* commits nothing, allowed within a transaction: only returns how far commits are durable */
};

/* Changes that did not fit the sink and are kept aside (on_error: dead_letter). */
struct dead_count {
    uint64_t failed;
    uint64_t waiting; /* later ones of the same keys */
    uint64_t skipped; /* left out by an operator, of all times */
};

/* The state of a sink that is not open. */
struct sink_view {
    struct position position;           /* end_lsn 0: none */
    uint64_t conflicts[CONFLICT_KINDS]; /* all that were ever settled */
    struct dead_count dead;             /* dead letters that are there */
    int64_t age_ms;                     /* since the position was stored, by the sink's clock */
    uint64_t rejected;                  /* rows that on_clash and dedupe have set aside, of all pipelines */
    char rejected_tables[256];          /* "public.accounts 12", cut off where they are many */
};

/* In a sink that appends: the places (topics) that hold records before its first copy. */
struct sink_held {
    size_t count;
    char name[256]; /* the name of one of them; "" for none */
};

/*
 * Stores the bytes of COPY unchanged. Everything up to end, which stores the position, is one atomic step:
 * an interrupted copy leaves nothing and is repeated from the start.
 */
struct sink_copy_ops {
    /* Also sets left_to_sink of the tables' columns. */
    bool (*begin)(struct sink *sink, const struct table *tables, size_t count, struct error *err);
    /* Can the rows be sent in the binary format? Also false when a column's type differs in the sink. */
    bool (*accepts_binary)(struct sink *sink, const struct table *table);
    bool (*table)(struct sink *sink, const struct table *table, enum copy_format format, struct error *err);
    bool (*data)(struct sink *sink, struct slice bytes, struct error *err);
    bool (*table_end)(struct sink *sink, struct error *err);
    bool (*end)(struct sink *sink, const struct position *position, struct error *err);
};

/* What a sink knows of its table's columns, compared with those that the source's table has now. */
enum sink_columns { COLUMNS_FIT, COLUMNS_DIFFER, COLUMNS_UNKNOWN };

/*
 * A copy in chunks (chunk.h), while changes are written. The runner's handle stores the plan; copiers are
 * further handles, each used by one thread, which store the chunks:
 *
 *     copy.begin -> find_parts -> store;    load -> (write | define? note? commit)*
 *     open -> (has_columns? prepare (begin copy.data* end)* table_end?)* -> close
 *
 * A sink with one writer has mark instead of copiers:
 *
 *     store;    load -> (write | (write* mark)? note? commit)*;    load -> withdraw* extend? commit -> load
 */
struct sink_chunk_ops {
    /* On an open sink: can it copy in chunks? If not, *ret_reason says why; static text. */
    bool (*can)(const struct sink *sink, const char **ret_reason);
    /* After copy.begin: sets sink_takes_parts of the tables. */
    bool (*find_parts)(struct sink *sink, struct table *tables, size_t count, struct error *err);
    /* Ends what copy.begin began: stores the plan and the position in one atomic step. */
    bool (*store)(struct sink *sink, const struct chunk_plan *plan, const struct position *position,
                  struct error *err);
    /* After open: the stored plan, in arena. Copiers of an older engine cannot commit any more. */
    bool (*load)(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan, struct error *err);
    /* Stored, and carried out, with the next commit. */
    bool (*note)(struct sink *sink, const struct chunk_note *note, struct error *err);
    /*
     * Between two transactions: the source's table had these columns at lsn, which the stream has passed, and
     * no change since has brought others. The sink's table gets them, with the next commit. The relation has
     * the catalog, which is certain, and is valid until then.
     */
    bool (*define)(struct sink *sink, const struct relation *relation, lsn_t lsn, struct error *err);

    /*
     * Not NULL: the sink has one writer, so there are no copiers, and the functions after withdraw are NULL,
     * but for look. The runner writes the chunk's rows as CHANGE_READ, between two transactions, and then
     * calls mark: the chunk's snapshot is stored with the next commit. If the sink has the chunk already and
     * was told that it is dirty, it keeps the first snapshot; if the sink does not append, its rows are void
     * by then, and it waits. row_lsn and row_index: see struct chunk_plan.
     */
    bool (*mark)(struct sink *sink, const struct chunk *chunk, lsn_t read_lsn, lsn_t row_lsn,
                 uint64_t row_index, struct error *err);
    /*
     * Of a sink that has mark, NULL when no table can be added. After load: adds chunks to the plan, or
     * removes those of a table; stored with the next commit, and then comes load. extend sets the ids, and
     * leaves out tables that have chunks in the plan.
     */
    bool (*extend)(struct sink *sink, const struct chunk *chunks, size_t count, struct error *err);
    bool (*withdraw)(struct sink *sink, oid_t relation_oid, struct error *err);

    /* Opens a copier of an open sink. */
    bool (*open)(struct sink *copier, const struct sink *sink, struct error *err);
    /*
     * NULL, as define: the sink's tables do not follow the columns. Before prepare, of the source's table,
     * which sends all its columns: are those the columns of the sink's table? Unless they are, chunks of it
     * wait for a change or for define.
     */
    bool (*has_columns)(struct sink *copier, const struct table *table, enum sink_columns *ret_answer,
                        struct error *err);
    /* The chunks that follow are of this table. Sets left_to_sink and sink_takes_binary of its columns. */
    bool (*prepare)(struct sink *copier, struct table *table, struct error *err);
    /*
     * Removes all rows of the table, and makes all its chunks wait, in one atomic step. table is NULL when
     * the source has no such table any more. ERROR_REFUSE: see begin.
     */
    bool (*empty)(struct sink *copier, const struct table *table, const struct chunk *chunk,
                  struct error *err);
    /* Removes the rows of a dirty chunk. ERROR_REFUSE: another engine has taken over. */
    bool (*begin)(struct sink *copier, const struct table *table, const struct chunk *chunk,
                  enum copy_format format, struct error *err);
    /*
     * The chunk's rows, its snapshot (chunk->snapshot) and read_lsn become durable in one atomic step. table
     * is NULL when there was no begin, because the source has no such table any more.
     */
    bool (*end)(struct sink *copier, const struct table *table, const struct chunk *chunk, lsn_t read_lsn,
                uint64_t rows, struct error *err);
    /* All chunks of the table are copied. */
    bool (*table_end)(struct sink *copier, const struct table *table, struct error *err);

    /*
     * For commands, on a handle that was never opened, while an engine may run: add_begin -> add -> close;
     * all but look are NULL when no table can be added.
     * add_begin creates missing tables and sets sink_takes_parts; unless replaces, it refuses one with rows.
     * add stores the chunks, whose ids it sets. Without add nothing remains.
     */
    bool (*add_begin)(struct sink *sink, struct table *tables, size_t count, bool replaces,
                      struct error *err);
    bool (*add)(struct sink *sink, struct chunk *chunks, size_t count, struct error *err);
    /* Likewise: the chunks of all tables that are being copied; and removes those of a table. */
    bool (*look)(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan, struct error *err);
    bool (*remove)(struct sink *sink, oid_t relation_oid, struct error *err);
    /*
     * Likewise, or NULL: tables of the source, at most max, whose rows it has written anew since the sink got
     * them, by the catalog's answer, so that values may have changed that no change carries.
     */
    bool (*find_rewritten)(struct sink *sink, const struct catalog_tables *tables, oid_t *ret_oids,
                           size_t max, size_t *ret_count, struct error *err);
};

/* Functions for the commands; each may be NULL. The sink is not open; for find_held it may be. */
struct sink_admin_ops {
    /* Reads the stored position. Creates nothing. */
    bool (*look)(struct sink *sink, struct sink_view *ret_view, struct error *err);
    /*
     * Reports everything that would prevent the sink from working. Changes nothing. False: the check itself
     * failed.
     */
    bool (*check)(struct sink *sink, const struct sink_check *check, struct error *err);
    /* Removes everything that the sink stores about the pipeline, including the position. */
    bool (*drop)(struct sink *sink, struct error *err);
    /*
     * For a sink that appends: do the places for these tables' rows already hold records? Before a copy.
     */
    bool (*find_held)(struct sink *sink, const struct table *tables, size_t count, struct sink_held *ret_held,
                      struct error *err);
    /*
     * For a sink whose target is tables of a PostgreSQL database: the connection options with which others
     * open sessions of their own, to see which database it is and whether it has a row. Sets the fields that
     * the sink's options determine and no others.
     */
    void (*target)(const struct sink_config *config, struct session_options *ret_options);
    /*
     * For a sink whose contents can be compared with the source's tables. It compares with what the rules of
     * config->mapping make of a row. The caller closes it.
     */
    bool (*compare)(const struct sink_config *config, const struct comparison_terms *terms,
                    struct comparison **ret_comparison, struct error *err);
    /* For a sink that keeps dead letters. Its handles have the operations behind a mapping. */
    const struct sink_dead_ops *dead;
};

struct sink_ops {
    const char *type;                  /* its name in the configuration */
    const struct option_spec *options; /* its keys, without name and type */
    size_t size;                       /* of the sink's own struct, which begins with struct sink */
    /*
     * True: it stores its position together with the data, so delivery is exactly once. False: the disk
     * checkpoint is its position, so delivery is at least once.
     */
    bool stores_position;
    bool takes_text_only; /* values must be text: VALUE_BINARY is never written */
    bool appends;         /* a copy adds to existing rows: a second copy duplicates them */
    bool keeps_modes;     /* its rows can be kept in every mode (row_mode.h) */
    bool is_single;       /* it owns something of the process: a pipeline has one at most */
    bool splits;          /* write may commit a part of a large transaction; its position then says so */
    bool follows_columns; /* it changes its tables as the source's change */
    bool asks_columns;    /* it needs relation.catalog and facts.tables */
    /* Optional: does it need relation.catalog with these options? Without asks_columns. */
    bool (*wants_numbers)(const struct sink_config *config);
    /* text need not be UTF-8: from a source with encoding SQL_ASCII it is sent as stored */
    bool takes_bytes;
    /*
     * Optional: checks the options' values without a server or a file. ERROR_CONFIG names the wrong option;
     * the caller adds the configuration's file and line.
     */
    bool (*validate)(const struct sink_config *config, struct error *err);
    /*
     * Optional: is this option's value a password, a key or another secret? The engine itself treats dsn as
     * one.
     */
    bool (*is_secret)(const char *key);
    bool (*open)(struct sink *sink, struct position *ret_position, struct error *err);
    /* Optional: all facts are set, and writes may follow. Called once after open. */
    bool (*learn)(struct sink *sink, struct error *err);
    bool (*write)(struct sink *sink, const struct sink_span *span, struct error *err);
    /* position: NULL with COMMIT_ASK, which costs at most one round trip. *ret_durable never decreases. */
    bool (*commit)(struct sink *sink, const struct position *position, enum commit_wait wait,
                   struct position *ret_durable, struct error *err);
    void (*close)(struct sink *sink);
    const struct sink_copy_ops *copy;   /* NULL: the engine writes the copied rows as CHANGE_READ changes */
    const struct sink_chunk_ops *chunk; /* NULL: the copy is one step; else copy or chunk.mark is not NULL */
    const struct sink_admin_ops *admin; /* NULL: the sink has no such functions */
};

/* The value of key, or NULL. */
const char *sink_config_find(const struct sink_config *config, const char *key);

/* The name of the stream; "" for the slot's. */
static inline const char *sink_stream(const struct sink_config *config) {
    return config->stream != NULL ? config->stream : "";
}

/*
 * The registry: the operations of a type, or NULL if unknown; the operations by index, NULL after the last.
 */
const struct sink_ops *sink_ops_find(const char *type);
const struct sink_ops *sink_ops_at(size_t index);

/*
 * A new, closed sink, or NULL when memory is exhausted. config and stop must outlive it. sink_free accepts
 * NULL, but no open sink.
 */
MUST_CHECK struct sink *sink_new(const struct sink_ops *ops, const struct sink_config *config,
                                 const atomic_bool *stop);
void sink_free(struct sink *sink);

/*
 * The stored position, through a handle that is made for this. A sink that stores none is not asked:
 * *ret_view is zeroed.
 */
MUST_CHECK bool sink_look(const struct sink_ops *ops, const struct sink_config *config,
                          const atomic_bool *stop, struct sink_view *ret_view, struct error *err);

/*
 * Does it hold rows, which are read in parts and can be replaced? A sink that appends has records instead.
 */
static inline bool sink_has_rows(const struct sink_ops *ops) {
    return !ops->appends;
}

/* Has it one writer, which writes the chunks of a copy too? */
static inline bool sink_is_relayed(const struct sink_ops *ops) {
    return ops->chunk != NULL && ops->chunk->mark != NULL;
}

/* Can a table be added, and copied, while an engine runs? */
static inline bool sink_adds_tables(const struct sink_ops *ops) {
    return ops->chunk != NULL && (ops->chunk->add != NULL || ops->chunk->extend != NULL);
}

/* Is the source's catalog asked about each definition? */
static inline bool sink_asks_columns(const struct sink_ops *ops, const struct sink_config *config) {
    return ops->asks_columns || (ops->wants_numbers != NULL && ops->wants_numbers(config));
}

/* An admin function, or NULL: sink_admin(ops, look). */
#define sink_admin(ops, name) ((ops)->admin != NULL ? (ops)->admin->name : NULL)
