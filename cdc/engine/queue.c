/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - a ring under a mutex. A batch is thousands of rows, so the lock costs nothing.
 */
#include "cdc/engine/queue.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>

#include "cdc/base/clock.h"

void queue_init(struct queue *queue, int wake_fd) {
    *queue = (struct queue){.wake_fd = wake_fd};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct batch *take_first(struct queue *queue) {
    struct batch *batch = queue->batches[queue->first];
    queue->first = (queue->first + 1) % POOL_BATCHES;
    queue->count--;
    return batch;
}

void queue_release(struct queue *queue) {
    while (queue->count > 0)
        batch_unref(take_first(queue));
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
}

void queue_push(struct queue *queue, struct batch *batch) {
    pthread_mutex_lock(&queue->lock);
    assert(!queue->closed);
    assert(queue->count < POOL_BATCHES);
    queue->batches[(queue->first + queue->count) % POOL_BATCHES] = batch;
    queue->count++;
    atomic_store_explicit(&queue->hungry, false, memory_order_relaxed);
    pthread_mutex_unlock(&queue->lock);
    /* after the unlock, because the woken runner takes the lock first */
    pthread_cond_signal(&queue->changed);
}

/* The feed lets its batch grow while no runner waits, so it must learn that one does. */
static void become_hungry(struct queue *queue) {
    atomic_store_explicit(&queue->hungry, true, memory_order_relaxed);
    eventfd_write(queue->wake_fd, 1);
}

struct batch *queue_pop(struct queue *queue, int timeout_ms) {
    const struct timespec deadline = clock_deadline(timeout_ms);
    int waited = 0;
    pthread_mutex_lock(&queue->lock);
    if (queue->count == 0 && !queue->closed && !queue_is_hungry(queue))
        become_hungry(queue);
    while (queue->count == 0 && !queue->closed && !queue->woken && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&queue->changed, &queue->lock, &deadline);
    queue->woken = false;
    struct batch *batch = queue->count > 0 ? take_first(queue) : NULL;
    pthread_mutex_unlock(&queue->lock);
    return batch;
}

void queue_close(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

void queue_wake(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->woken = true;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

bool queue_is_empty(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    bool empty = queue->count == 0;
    pthread_mutex_unlock(&queue->lock);
    return empty;
}

bool queue_is_closed(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    bool closed = queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return closed;
}

bool queue_is_finished(struct queue *queue) {
    pthread_mutex_lock(&queue->lock);
    bool finished = queue->count == 0 && queue->closed;
    pthread_mutex_unlock(&queue->lock);
    return finished;
}
