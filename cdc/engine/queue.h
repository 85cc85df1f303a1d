/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - sealed batches on their way from the stream thread to one runner.
 *
 * Bounded by the pool: a queue never holds more batches than there are. Ownership of a reference moves with
 * the pointer.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/readers/batch.h"

struct queue {
    pthread_mutex_t lock; /* guards everything but hungry */
    pthread_cond_t changed;
    struct batch *batches[POOL_BATCHES];
    size_t first;
    size_t count;
    bool closed;
    atomic_bool hungry; /* the runner found it empty and waits */
    int wake_fd;        /* an eventfd that becoming hungry writes to; not owned */
};

void queue_init(struct queue *queue, int wake_fd);
/* Gives back what is still in it. */
void queue_release(struct queue *queue);

/* Stream thread. */
void queue_push(struct queue *queue, struct batch *batch);

/*
 * The next batch; NULL at once when it is closed and empty, or when nothing came in timeout_ms. Runner
 * thread.
 */
struct batch *queue_pop(struct queue *queue, int timeout_ms);

/* No more will be pushed; what is in it can still be popped. Any thread. */
void queue_close(struct queue *queue);

bool queue_is_empty(struct queue *queue);
/* Closed and empty. */
bool queue_is_finished(struct queue *queue);

static inline bool queue_is_hungry(struct queue *queue) {
    return atomic_load_explicit(&queue->hungry, memory_order_relaxed);
}
