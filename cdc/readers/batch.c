/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c - batches and their pool.
 */
#include "cdc/readers/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#define ARENA_BLOCK_BYTES (256u * 1024)
/* PostgreSQL limits a message to 1 GB; the old and the new tuple of one change can be in one message. */
#define ARENA_BYTES_MAX (UINT64_C(3) * 1024 * 1024 * 1024)

bool batch_init(struct batch *batch, struct error *err) {
    *batch = (struct batch){.state = BATCH_FILLING};
    arena_init(&batch->arena, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    batch->changes = malloc(BATCH_CHANGES_MAX * sizeof *batch->changes);
    return batch->changes != NULL ? true : error_no_memory(err);
}

void batch_release(struct batch *batch) {
    arena_release(&batch->arena);
    free(batch->changes);
    batch->changes = NULL;
}

void batch_empty(struct batch *batch) {
    arena_reset(&batch->arena);
    batch->change_count = 0;
    batch->whole_count = 0;
    batch->signal_count = 0;
    batch->caught_up_lsn = 0;
}

bool pool_init(struct pool *pool, int wake_fd, struct error *err) {
    *pool = (struct pool){.wake_fd = wake_fd};
    pthread_mutex_init(&pool->lock, NULL);
    for (size_t i = 0; i < POOL_BATCHES; i++) {
        struct batch *batch = &pool->batches[i];
        const bool good = batch_init(batch, err);
        batch->pool = pool;
        batch->state = BATCH_FREE;
        if (!good)
            return false;
        pool->free[pool->free_count++] = batch;
    }
    return true;
}

void pool_release(struct pool *pool) {
    for (size_t i = 0; i < POOL_BATCHES; i++) {
        assert(pool->batches[i].state == BATCH_FREE);
        batch_release(&pool->batches[i]);
    }
    pthread_mutex_destroy(&pool->lock);
}

struct batch *pool_take(struct pool *pool) {
    pthread_mutex_lock(&pool->lock);
    struct batch *batch = pool->free_count > 0 ? pool->free[--pool->free_count] : NULL;
    pool->wanted = batch == NULL;
    pthread_mutex_unlock(&pool->lock);
    if (batch == NULL)
        return NULL;
    assert(batch->state == BATCH_FREE);
    batch->state = BATCH_FILLING;
    return batch;
}

static void pool_give(struct pool *pool, struct batch *batch) {
    batch_empty(batch);
    batch->state = BATCH_FREE;
    pthread_mutex_lock(&pool->lock);
    pool->free[pool->free_count++] = batch;
    const bool wanted = pool->wanted;
    pool->wanted = false;
    pthread_mutex_unlock(&pool->lock);
    if (wanted)
        eventfd_write(pool->wake_fd, 1);
}

void batch_append(struct batch *batch, const struct change *change) {
    assert(batch->state == BATCH_FILLING);
    assert(batch->change_count < BATCH_CHANGES_MAX);
    batch->changes[batch->change_count++] = *change;
    batch->caught_up_lsn = 0;
    if (change->kind == CHANGE_COMMIT || change->transaction == NULL)
        batch->whole_count = batch->change_count;
}

void batch_signal(struct batch *batch, const struct batch_signal *signal) {
    assert(batch->state == BATCH_FILLING);
    assert(batch->signal_count < BATCH_SIGNALS_MAX);
    batch->signals[batch->signal_count++] = *signal;
}

void batch_cut(struct batch *batch) {
    assert(batch->state == BATCH_FILLING);
    assert(batch->whole_count <= batch->change_count);
    batch->change_count = batch->whole_count;
}

void batch_seal(struct batch *batch, unsigned references) {
    assert(batch->state == BATCH_FILLING);
    assert(references > 0);
    batch->state = BATCH_SEALED;
    atomic_store_explicit(&batch->references, references, memory_order_release);
}

void batch_unref(struct batch *batch) {
    assert(batch->state == BATCH_SEALED);
    if (atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) == 1)
        pool_give(batch->pool, batch);
}

void batch_discard(struct batch *batch) {
    assert(batch->state == BATCH_FILLING);
    pool_give(batch->pool, batch);
}
