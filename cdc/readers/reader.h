/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the contract of readers, from which a pipeline gets its changes.
 *
 * A reader fills batches and answers its peer. The feed (engine/feed.h) owns the batches, decides when one
 * leaves, and does all waiting. One reader may follow another while the sinks stay open.
 *
 * A reader lives as long as its pipeline, and each attempt goes through it once:
 *
 *     open -> look -> (resume | creation) -> plan -> start -> (read* -> tend)* -> finish -> close
 *
 * The supervisor calls open to start: they say and do what a start needs, and may wait for the peer. Between
 * start and finish the feed's thread makes every call, in turns: it calls read while it has a batch, then
 * tend, then it waits for the events that tend asked for. After the feed and the runners have ended, the
 * supervisor calls close.
 *
 * A reader delivers whole transactions in commit order: Begin, its changes, Commit. A batch may end inside a
 * transaction. A change points into its batch's arena, or to relations that live until close.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/readers/batch.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum {
    BEHIND_US = 1000000, /* a commit older than this on arrival belongs to a backlog */
};

struct reader;
struct uncopied_moment;

/* What a start decides from. */
struct reader_facts {
    struct source_identity identity; /* whose positions they are, and where what exists now ends */
    bool has_slot;
    struct slot_facts slot; /* with has_slot only */
    lsn_t first_lsn;        /* without a slot, not 0: what ends at or before it can no longer be read */
    bool is_cut;   /* without a slot: nothing before first_lsn is there, also no copied rows */
    bool had_rows; /* with is_cut: what was before it existed, and is gone */
};

/* What was created for a new pipeline. */
struct reader_creation {
    lsn_t lsn;              /* the stream begins after it */
    char snapshot_name[64]; /* the rows as of that position, for the initial copy; valid until start */
    bool is_foreign;        /* of a failure: another session has just created it, and nothing is ours */
};

/* What the engine asks of the stream. */
struct reader_plan {
    lsn_t from_lsn; /* the smallest position of the sinks */
    /*
     * Delivers no transaction that ends after it; 0: no end. Once everything before it was delivered,
     * reader.end_lsn is until_lsn. If the commit record of a transaction contains until_lsn, it is the end of
     * the transaction before that one.
     */
    lsn_t until_lsn;
    bool until_whole;    /* the end is later, where the source's copy of its tables is not complete there */
    bool lacks_rows;     /* a sink gets its rows out of the reader's copies, and has not all of them */
    bool accepts_binary; /* values need not be text */
    bool accepts_bytes;  /* text need not be UTF-8 */
};

/*
 * The PostgreSQL server that makes the changes, for a reader that has it at hand. The engine then copies from
 * it, watches its catalog, and asks it about tables that a sink lacks.
 */
struct reader_catalog {
    struct session *session; /* idle; closed by start */
    const PGresult *sent;    /* scope_read_announced, set by plan */
    char *warned;            /* SCOPE_WARNING_MAX bytes: the last warning about tables that are not sent */
    /* tables of publications up to this moment were checked for rows without a copy */
    struct uncopied_moment *looked_at;
};

/* What the feed tells its reader in each turn. */
struct reader_tending {
    lsn_t durable_lsn; /* everything that ends at or before it is durable in every sink and on disk */
    int64_t now_ms;
    bool is_blocked; /* read is not called in this turn: no batch is free, or the pipeline stops */
    bool is_wanted;  /* a runner waits for the next change */
    bool is_prompt;  /* a barrier waits for the reader's caught_up_lsn to advance */
};

/* The events that a reader waits for. */
struct reader_wait {
    int fd; /* -1: none */
    short events;
    int timeout_ms; /* tend is called again after this time at the latest */
};

/* For a reader whose new pipeline creates something at the peer. */
struct reader_creation_ops {
    /* Creates what may remain when the rest fails. */
    bool (*prepare)(struct reader *reader, struct error *err);
    /*
     * The checkpoint says by now that a slot of this name is ours. again: one was left by an interrupted
     * copy, and is dropped first. copies: the initial copy follows, so there is a snapshot.
     */
    bool (*create)(struct reader *reader, bool again, bool copies, struct reader_creation *ret_creation,
                   struct error *err);
    /* Instead of prepare and create: continues from a slot that an operator has created. */
    bool (*adopt)(struct reader *reader, struct error *err);
    /* The run ends with an error, and no sink has a position: drops what create has created, if it did. */
    void (*abandon)(struct reader *reader);
};

struct reader_ops {
    const char *name;
    size_t size; /* of the reader's own struct, which begins with struct reader */
    /* Sets name, connects to the peer and reads the facts. Leaves nothing there when it is closed again. */
    bool (*open)(struct reader *reader, struct reader_facts *ret_facts, struct error *err);
    /* Reads the facts again: the sinks are open now, so no other engine moves them any more. */
    bool (*look)(struct reader *reader, struct reader_facts *ret_facts, struct error *err);
    /* Optional: where the peer's history left an earlier timeline; 0: it is the current one. */
    bool (*fork_lsn)(struct reader *reader, uint32_t timeline, lsn_t *ret_fork_lsn, struct error *err);
    /*
     * Of a reader that has copies in chunks among the changes: was one complete at this position? If not, a
     * sink that took its rows from elsewhere cannot go on there. *ret_whole_lsn: where it is; 0: nowhere yet.
     */
    bool (*is_whole)(struct reader *reader, lsn_t lsn, bool *ret_is_whole, lsn_t *ret_whole_lsn,
                     struct error *err);
    /*
     * Optional. Every sink has a position: is everything there that reading on requires? is_copying: the
     * initial copy goes on, so rows may be missing.
     */
    bool (*resume)(struct reader *reader, bool is_copying, struct error *err);
    const struct reader_creation_ops *creation; /* NULL: a new pipeline begins at first_lsn, without a copy */
    /* Optional. Asks the peer what it will send; sets catalog->sent and is_binary. */
    bool (*plan)(struct reader *reader, const struct reader_plan *plan, struct error *err);
    /* Starts the stream of changes. */
    bool (*start)(struct reader *reader, const struct reader_plan *plan, struct error *err);
    /*
     * Appends to batch, which is not full, until it is full or the reader has nothing more: *ret_drained.
     * Never waits for its peer. After an error the batch is discarded.
     */
    bool (*read)(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err);
    /*
     * Optional. Called before a batch with a position leaves: was everything that was delivered on the
     * timeline that positions name? ERROR_RETRY when it was not.
     */
    bool (*check_history)(struct reader *reader, struct error *err);
    /* Sends confirmations and answers, and checks that the peer is alive. Never waits. */
    bool (*tend)(struct reader *reader, const struct reader_tending *tending, struct reader_wait *ret_wait,
                 struct error *err);
    /* Sends the last confirmation and closes the stream. May wait some seconds. */
    bool (*finish)(struct reader *reader, lsn_t durable_lsn, struct error *err);
    /*
     * Releases everything but what the next open wants to know; also what changes point to. Also called after
     * a failed open, or without one.
     */
    void (*close)(struct reader *reader);
};

struct reader {
    const struct reader_ops *ops;
    const struct config *config;
    const atomic_bool *stop; /* for everything that waits before the stream has started */

    /* Set between reader_reset and feed_start, by the engine or the reader. */
    const char *name; /* what it reads, as messages and the checkpoint have it: the slot's name */
    struct reader_catalog *catalog; /* NULL: there is no server to ask */
    bool is_binary;                 /* values may be in binary */
    int definition_fd;              /* an eventfd, to write to when a definition arrives; 0: none */
    bool has_streamed;              /* an attempt of this process has read it; the next open keeps it */

    /* Written by the feed's thread, read by any. */
    atomic_ullong received_lsn; /* the last position that the peer named */
    /*
     * Not 0 once no more changes will come: the position of a sink that has everything that was asked for.
     * See until_lsn in struct reader_plan.
     */
    atomic_ullong end_lsn;
    /* Set before end_lsn: rows of a chunk are at that place, and so many of them; see struct position. */
    atomic_ullong end_index;

    /* Used by the feed's thread only. The reader updates them in read and tend. */
    /* outside a transaction: everything that ends at or before it was delivered; 0: not known */
    lsn_t caught_up_lsn;
    bool is_urgent;      /* the peer waits until caught_up_lsn is durable; the feed resets it */
    bool in_transaction; /* the Commit of the open transaction was not delivered yet */
    bool is_flowing;     /* changes arrive one after the other */
    /* of the last transaction on arrival; measured with two clocks, so it may be negative */
    int64_t commit_age_us;
    short revents; /* result of the last wait; the feed sets it */
};

/*
 * A new, closed reader of the type, or of the configuration's type when ops is NULL. NULL when memory is
 * exhausted. config and stop outlive it. reader_free accepts NULL, but no open reader.
 */
MUST_CHECK struct reader *reader_new(const struct reader_ops *ops, const struct config *config,
                                     const atomic_bool *stop);
void reader_free(struct reader *reader);

/* Before open: forgets what the attempt before has set. */
void reader_reset(struct reader *reader);

static inline bool reader_has_ended(const struct reader *reader) {
    return atomic_load_explicit(&reader->end_lsn, memory_order_relaxed) != 0;
}

static inline bool reader_is_behind(const struct reader *reader) {
    return reader->commit_age_us > BEHIND_US;
}
