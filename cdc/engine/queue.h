/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - sealed batches between the feed and one runner.
 *
 * Bounded by the pool: a queue never holds more batches than the pool has. Ownership of a reference moves
 * with the pointer.
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
    bool woken;
    atomic_bool hungry; /* the runner found the queue empty and waits */
    int wake_fd;        /* an eventfd, written to when the queue becomes hungry; not owned */
};

void queue_init(struct queue *queue, int wake_fd);
/* Releases the batches that are still queued. */
void queue_release(struct queue *queue);

/* Feed's thread. */
void queue_push(struct queue *queue, struct batch *batch);

/*
 * The next batch. NULL at once when the queue is closed and empty, or when it is woken, or when none arrived
 * within timeout_ms. Runner's thread.
 */
struct batch *queue_pop(struct queue *queue, int timeout_ms);

/* No more batches will be pushed; those in the queue can still be popped. Any thread. */
void queue_close(struct queue *queue);

/* The pop that waits now, or else the next one, returns at once. Any thread. */
void queue_wake(struct queue *queue);

bool queue_is_empty(struct queue *queue);
bool queue_is_closed(struct queue *queue);
/* Closed and empty. */
bool queue_is_finished(struct queue *queue);

static inline bool queue_is_hungry(struct queue *queue) {
    return atomic_load_explicit(&queue->hungry, memory_order_relaxed);
}
