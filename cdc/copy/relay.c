/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.c - a bounded buffer for each copier, under one lock.
 */
#include "cdc/copy/relay.h"

#include <assert.h>
#include <stdlib.h>

#include "cdc/base/clock.h"

/* A row of the largest size that COPY can send. */
#define WAITING_BYTES_MAX ((size_t) 2 << 30)

struct relay_sink {
    struct sink sink;
    struct relay *relay;
    struct relay_chunk chunk;
};

static struct relay_sink *relay_of(struct sink *sink) {
    return (struct relay_sink *) sink;
}

void relay_init(struct relay *relay, void (*wake)(void *context), void *context) {
    pthread_condattr_t attributes;
    *relay = (struct relay){.wake = wake, .context = context};
    pthread_mutex_init(&relay->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&relay->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void relay_release(struct relay *relay) {
    pthread_cond_destroy(&relay->changed);
    pthread_mutex_destroy(&relay->lock);
}

void relay_close(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    relay->is_closed = true;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

/* ---- the copier's side ---- */

static void list_locked(struct relay *relay, struct relay_chunk *chunk) {
    struct relay_chunk **end = &relay->first;
    if (chunk->is_listed)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    *end = chunk;
    chunk->is_listed = true;
    atomic_fetch_add(&relay->ready_count, 1);
}

static void unlist_locked(struct relay *relay, struct relay_chunk *chunk) {
    struct relay_chunk **place = &relay->first;
    if (!chunk->is_listed)
        return;
    while (*place != chunk)
        place = &(*place)->next;
    *place = chunk->next;
    chunk->next = NULL;
    chunk->is_listed = false;
    atomic_fetch_sub(&relay->ready_count, 1);
}

/*
 * The runner may take the chunk. Waits until it has taken the rows, or written the whole chunk. wake takes a
 * mutex, so it is called without ours.
 */
static bool offer_locked(struct relay_sink *handle, struct error *err) {
    struct relay *relay = handle->relay;
    struct relay_chunk *chunk = &handle->chunk;
    list_locked(relay, chunk);
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
    relay->wake(relay->context);
    pthread_mutex_lock(&relay->lock);
    while (!relay->is_closed && !chunk->is_written && (chunk->is_finished || chunk->waiting.size > 0))
        pthread_cond_wait(&relay->changed, &relay->lock);
    return chunk->is_written || !relay->is_closed || error_set(err, ERROR_STOPPED, "stopped");
}

static bool relay_data(struct sink *sink, struct slice bytes, struct error *err) {
    struct relay_sink *handle = relay_of(sink);
    struct buffer *waiting = &handle->chunk.waiting;
    bool passed = true;
    pthread_mutex_lock(&handle->relay->lock);
    if (waiting->size > 0 && waiting->size + bytes.size > RELAY_BYTES)
        passed = offer_locked(handle, err);
    if (passed) {
        buffer_append_slice(waiting, bytes);
        passed = buffer_ok(waiting) || error_no_memory(err);
    }
    pthread_cond_broadcast(&handle->relay->changed);
    pthread_mutex_unlock(&handle->relay->lock);
    return passed;
}

static bool relay_can(const struct sink *sink, const char **ret_reason) {
    (void) sink;
    (void) ret_reason;
    return true;
}

static bool relay_open(struct sink *copier, const struct sink *sink, struct error *err) {
    (void) copier;
    (void) sink;
    (void) err;
    return true;
}

static bool relay_prepare(struct sink *copier, struct table *table, struct error *err) {
    (void) copier;
    (void) table;
    (void) err;
    return true;
}

static bool relay_begin(struct sink *copier, const struct table *table, const struct chunk *chunk,
                        enum copy_format format, struct error *err) {
    struct relay_sink *handle = relay_of(copier);
    (void) err;
    assert(format == COPY_FORMAT_TEXT && !handle->chunk.is_listed);
    struct buffer waiting = handle->chunk.waiting;
    buffer_reset(&waiting);
    handle->chunk = (struct relay_chunk){.table = table, .chunk = *chunk, .waiting = waiting};
    return true;
}

static bool relay_finish(struct sink *copier, const struct table *table, const struct chunk *chunk,
                         lsn_t read_lsn, uint64_t rows, struct error *err) {
    struct relay_sink *handle = relay_of(copier);
    if (table == NULL && !relay_begin(copier, NULL, chunk, COPY_FORMAT_TEXT, err))
        return false;
    pthread_mutex_lock(&handle->relay->lock);
    handle->chunk.chunk = *chunk;
    handle->chunk.read_lsn = read_lsn;
    handle->chunk.chunk.rows = rows;
    handle->chunk.is_finished = true;
    const bool passed = offer_locked(handle, err);
    pthread_mutex_unlock(&handle->relay->lock);
    return passed;
}

static bool relay_table_end(struct sink *copier, const struct table *table, struct error *err) {
    (void) copier;
    (void) table;
    (void) err;
    return true;
}

static bool relay_takes_text(struct sink *sink, const struct table *table) {
    (void) sink;
    (void) table;
    return false;
}

static void relay_sink_close(struct sink *sink) {
    struct relay_sink *handle = relay_of(sink);
    pthread_mutex_lock(&handle->relay->lock);
    while (handle->relay->taken == &handle->chunk)
        pthread_cond_wait(&handle->relay->changed, &handle->relay->lock);
    unlist_locked(handle->relay, &handle->chunk);
    pthread_mutex_unlock(&handle->relay->lock);
    buffer_release(&handle->chunk.waiting);
}

static const struct sink_copy_ops RELAY_COPY = {
    .accepts_binary = relay_takes_text,
    .data = relay_data,
};

static const struct sink_chunk_ops RELAY_CHUNK = {
    .can = relay_can,
    .open = relay_open,
    .prepare = relay_prepare,
    .begin = relay_begin,
    .end = relay_finish,
    .table_end = relay_table_end,
};

static const struct sink_ops RELAY = {
    .type = "relay",
    .size = sizeof(struct relay_sink),
    .takes_text_only = true,
    .close = relay_sink_close,
    .copy = &RELAY_COPY,
    .chunk = &RELAY_CHUNK,
};

struct sink *relay_sink_new(struct relay *relay, const struct sink_config *config, const atomic_bool *stop) {
    struct sink *sink = sink_new(&RELAY, config, stop);
    if (sink == NULL)
        return NULL;
    relay_of(sink)->relay = relay;
    buffer_init(&relay_of(sink)->chunk.waiting, WAITING_BYTES_MAX);
    return sink;
}

/* ---- the runner's side ---- */

struct relay_chunk *relay_next(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    struct relay_chunk *chunk = relay->first;
    relay->taken = chunk;
    pthread_mutex_unlock(&relay->lock);
    return chunk;
}

bool relay_take(struct relay *relay, struct relay_chunk *chunk, struct buffer *rows, int timeout_ms) {
    const struct timespec until = clock_deadline(timeout_ms);
    int failure = 0;
    assert(rows->size == 0);
    pthread_mutex_lock(&relay->lock);
    while (chunk->waiting.size == 0 && !chunk->is_finished && !relay->is_closed && failure == 0)
        failure = pthread_cond_timedwait(&relay->changed, &relay->lock, &until);
    const bool taken = chunk->waiting.size > 0 || chunk->is_finished;
    const struct buffer filled = chunk->waiting;
    chunk->waiting = *rows;
    *rows = filled;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
    return taken;
}

void relay_end(struct relay *relay, struct relay_chunk *chunk) {
    pthread_mutex_lock(&relay->lock);
    unlist_locked(relay, chunk);
    chunk->is_written = true;
    relay->taken = NULL;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}

void relay_let_go(struct relay *relay) {
    pthread_mutex_lock(&relay->lock);
    relay->taken = NULL;
    pthread_cond_broadcast(&relay->changed);
    pthread_mutex_unlock(&relay->lock);
}
