/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the rows of chunks on their way from the copiers to the runner.
 *
 * A sink that has one writer, as a Kafka sink has, cannot give each copier a handle of its own. So a copier
 * gets a handle of the relay, which has the functions of a sink and passes the rows on. The runner takes them
 * between two transactions and writes them as CHANGE_READ changes, chunk by chunk. A copier reads ahead until
 * RELAY_BYTES are waiting.
 *
 * Neither side waits for the other beyond relay_close.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/base/buffer.h"
#include "sinks/sink.h"

#define RELAY_BYTES ((size_t) 4 << 20)

struct relay {
    pthread_mutex_t lock; /* guards everything below, and the chunks in the list */
    pthread_cond_t changed;
    struct relay_chunk *first;       /* in the order in which they became ready */
    const struct relay_chunk *taken; /* by the runner: its copier stays until the runner lets it go */
    bool is_closed;
    atomic_uint ready_count;
    void (*wake)(void *context); /* a chunk became ready; any thread */
    void *context;
};

/* A chunk that the runner may write. It belongs to its copier, which waits for relay_end. */
struct relay_chunk {
    const struct table *table; /* NULL: the source has no such table any more */
    struct chunk chunk;        /* its snapshot and read_lsn are set once it is finished */
    lsn_t read_lsn;
    struct buffer waiting; /* whole rows, each with its newline */
    bool is_listed;
    bool is_finished; /* no rows follow */
    bool is_written;
    struct relay_chunk *next;
};

void relay_init(struct relay *relay, void (*wake)(void *context), void *context);
/* After all handles are freed. */
void relay_release(struct relay *relay);
/* Every call that waits returns; from then on nothing is passed. */
void relay_close(struct relay *relay);

/* A handle for one copier; NULL when memory is exhausted. See sink_new. */
MUST_CHECK struct sink *relay_sink_new(struct relay *relay, const struct sink_config *config,
                                       const atomic_bool *stop);

/* ---- the runner ---- */

static inline bool relay_is_ready(struct relay *relay) {
    return atomic_load_explicit(&relay->ready_count, memory_order_relaxed) > 0;
}

/* The chunk that has waited longest, or NULL. It stays valid until relay_end or relay_let_go. */
struct relay_chunk *relay_next(struct relay *relay);

/*
 * Waits for more rows, at most timeout_ms, and exchanges them for the empty rows. False: none came. When it
 * returns true without rows, the chunk is finished.
 */
bool relay_take(struct relay *relay, struct relay_chunk *chunk, struct buffer *rows, int timeout_ms);

/* The chunk is durable in the sink. */
void relay_end(struct relay *relay, struct relay_chunk *chunk);

/* The runner gives the chunk up. */
void relay_let_go(struct relay *relay);
