/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.c - when a batch is handed to the runners.
 *
 * A batch leaves when it is full, or when a runner waits and the batch contains a whole transaction. While
 * all runners are busy it keeps filling, so batches grow with the load.
 */
#include "cdc/engine/feed.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"

enum {
    IDLE_INTERVAL_MS = 2000,    /* an idle pipeline's position advances this often ... */
    IDLE_BYTES = 1024 * 1024,   /* ... or after this much WAL of other databases and tables, but */
    IDLE_INTERVAL_MIN_MS = 200, /* no more often than this */
    EAGER_INTERVAL_MS = 20,
    BATCH_AGE_MS = 5, /* under load, a batch is held this long before an idle runner gets it */
    BATCH_AGE_BEHIND_MS = 100,
    LATE_PART = 4, /* hold a batch for 1/LATE_PART of its commits' age, if that is at least 1 ms */
    WAIT_MAX_MS = 1000,
    DEBUG_INTERVAL_MS = 1000,
};

/* ---- batches ---- */

/* True when there is a batch to fill. */
static bool have_batch(struct feed *feed) {
    if (feed->batch == NULL)
        feed->batch = pool_take(&feed->pool);
    return feed->batch != NULL;
}

/* Logs one line a second at most. */
static void debug_batch(struct feed *feed, const struct batch *batch) {
    feed->handed_on++;
    if (!log_wants(LOG_LEVEL_DEBUG) || clock_now_ms() - feed->debugged_ms < DEBUG_INTERVAL_MS)
        return;
    feed->debugged_ms = clock_now_ms();
    log_line(LOG_BATCH_HANDED_ON,
             "batch %" PRIu64 ": %s, %zu of whole transactions, %zu bytes; nothing else before %s",
             feed->handed_on, amount_count(batch->change_count, "change").text, batch->whole_count,
             batch->arena.used_bytes, lsn_format(batch->caught_up_lsn).text);
}

/*
 * A batch that ends a transaction, or that carries an idle source's position, makes the sinks store a
 * position.
 */
static bool hand_on(struct feed *feed, struct error *err) {
    struct batch *batch = feed->batch;
    const struct reader_ops *ops = feed->reader->ops;
    const bool has_position = batch->whole_count > 0 || batch->caught_up_lsn != 0;
    if (has_position && ops->check_history != NULL && !ops->check_history(feed->reader, err))
        return false;
    if (!ledger_add(&feed->ledger, LEDGER_IN, batch->changes, batch->change_count, err))
        return false;
    feed->batch = NULL;
    debug_batch(feed, batch);
    feed->is_split = batch->change_count > batch->whole_count;
    batch_seal(batch, (unsigned) feed->options.runner_count);
    for (size_t i = 0; i < feed->options.runner_count; i++)
        queue_push(&feed->options.runners[i].queue, batch);
    return true;
}

static void discard_batch(struct feed *feed) {
    if (feed->batch != NULL)
        batch_discard(feed->batch);
    feed->batch = NULL;
}

static bool a_runner_waits(struct feed *feed) {
    for (size_t i = 0; i < feed->options.runner_count; i++)
        if (queue_is_hungry(&feed->options.runners[i].queue))
            return true;
    return false;
}

/* The end of the pipeline, or a barrier, waits for the next position, here or behind a buffer. */
static bool is_eager(const struct feed *feed) {
    const atomic_ullong *further = feed->options.upstream_wanted_lsn;
    if (further != NULL && atomic_load_explicit(further, memory_order_relaxed) > feed->caught_up_sent_lsn)
        return true;
    return feed->options.until_lsn > feed->caught_up_sent_lsn ||
           atomic_load_explicit(&feed->wanted_lsn, memory_order_relaxed) > feed->caught_up_sent_lsn;
}

/* An idle source's position goes with the data, or alone at intervals. */
static bool idle_is_due(const struct feed *feed, int64_t now_ms) {
    const struct reader *reader = feed->reader;
    if (reader->caught_up_lsn <= feed->caught_up_sent_lsn)
        return false;
    int64_t since_ms = now_ms - feed->caught_up_sent_ms;
    if (reader->is_urgent || feed->batch->change_count > 0)
        return true;
    if (is_eager(feed))
        return since_ms >= EAGER_INTERVAL_MS;
    return since_ms >= IDLE_INTERVAL_MS || (since_ms >= IDLE_INTERVAL_MIN_MS &&
                                            reader->caught_up_lsn - feed->caught_up_sent_lsn >= IDLE_BYTES);
}

static void note_idle(struct feed *feed, int64_t now_ms) {
    struct reader *reader = feed->reader;
    if (reader->in_transaction || !idle_is_due(feed, now_ms))
        return;
    feed->batch->caught_up_lsn = reader->caught_up_lsn;
    feed->caught_up_sent_lsn = reader->caught_up_lsn;
    feed->caught_up_sent_ms = now_ms;
    reader->is_urgent = false;
}

/*
 * How long a waiting runner lets a batch grow. A batch has a fixed cost at every station. When the server is
 * late its transactions arrive one by one, and a batch for each of them would keep everything late.
 */
static int batch_age_ms(const struct feed *feed) {
    const struct reader *reader = feed->reader;
    if (reader->is_flowing)
        return reader_is_behind(reader) ? BATCH_AGE_BEHIND_MS : BATCH_AGE_MS;
    int64_t late_ms = reader->commit_age_us / 1000 / LATE_PART;
    return late_ms < 0 ? 0 : late_ms > BATCH_AGE_MS ? BATCH_AGE_MS : (int) late_ms;
}

/* After the reader had nothing more. */
static bool offer_batch(struct feed *feed, int64_t now_ms, struct error *err) {
    if (!have_batch(feed))
        return true;
    note_idle(feed, now_ms);
    const struct batch *batch = feed->batch;
    if (batch->whole_count == 0 && batch->caught_up_lsn == 0)
        return true;
    if (batch->caught_up_lsn == 0 && now_ms - feed->batch_since_ms < batch_age_ms(feed))
        return true;
    return !a_runner_waits(feed) || hand_on(feed, err);
}

/* ---- waiting ---- */

/*
 * Milliseconds until the growing batch is old enough to leave; -1: there is no such batch. A runner that
 * becomes idle later wakes us.
 */
static int64_t batch_left_ms(const struct feed *feed, int64_t now_ms) {
    if (feed->batch == NULL || feed->batch->whole_count == 0)
        return -1;
    return feed->batch_since_ms + batch_age_ms(feed) - now_ms;
}

static int wait_ms(const struct feed *feed, int reader_ms, int64_t now_ms) {
    int64_t wait_ms = reader_ms < WAIT_MAX_MS ? reader_ms : WAIT_MAX_MS;
    const bool may_advance = feed->reader->caught_up_lsn > feed->caught_up_sent_lsn || is_eager(feed);
    if (may_advance && wait_ms > EAGER_INTERVAL_MS)
        wait_ms = EAGER_INTERVAL_MS;
    int64_t batch_ms = batch_left_ms(feed, now_ms);
    if (batch_ms > 0 && batch_ms < wait_ms)
        wait_ms = batch_ms;
    return wait_ms > 1 ? (int) wait_ms : 1;
}

static bool wait_events(struct feed *feed, const struct reader_wait *wait, struct error *err) {
    struct pollfd fds[] = {{.fd = feed->wake_fd, .events = POLLIN}, {.fd = wait->fd, .events = wait->events}};
    eventfd_t count;
    if (poll(fds, 2, wait_ms(feed, wait->timeout_ms, clock_now_ms())) < 0 && errno != EINTR)
        return error_errno(err, "poll");
    if ((fds[0].revents & POLLIN) != 0)
        eventfd_read(feed->wake_fd, &count);
    feed->reader->revents = fds[1].revents;
    return true;
}

/* Tends the reader, then waits for the events that it asked for. */
static bool tend_and_wait(struct feed *feed, struct reader_tending *tending, struct error *err) {
    struct reader_wait wait = {.fd = -1};
    tending->durable_lsn = atomic_load_explicit(&feed->durable_lsn, memory_order_acquire);
    return feed->reader->ops->tend(feed->reader, tending, &wait, err) && wait_events(feed, &wait, err);
}

/* ---- the thread ---- */

/* Reads until the reader has nothing more, or until no batch is free: *ret_blocked. */
static bool read_all(struct feed *feed, bool *ret_blocked, struct error *err) {
    struct reader *reader = feed->reader;
    for (bool drained = false; !drained;) {
        *ret_blocked = !have_batch(feed);
        if (*ret_blocked || reader_has_ended(reader))
            return true;
        const bool was_empty = feed->batch->change_count == 0;
        if (!reader->ops->read(reader, feed->batch, &drained, err))
            return false;
        if (was_empty && feed->batch->change_count > 0)
            feed->batch_since_ms = clock_now_ms();
        if (batch_is_full(feed->batch) && !hand_on(feed, err))
            return false;
    }
    return true;
}

/*
 * A sink that splits transactions has made parts durable before the Commit showed where the transaction ends.
 */
static void tell_parts(const struct feed *feed) {
    for (size_t i = 0; i < feed->options.runner_count && feed->is_split; i++) {
        const struct sink *sink = feed->options.runners[i].sink;
        if (sink->ops->splits)
            log_sink(LOG_END_INSIDE_TRANSACTION, sink->config->name,
                     "%s is inside the commit record of a large transaction, of which the sink "
                     "may have a part already; the next run continues after that part",
                     lsn_format(feed->options.until_lsn).text);
    }
}

static void tell_end(struct feed *feed) {
    if (feed->end_told || !reader_has_ended(feed->reader))
        return;
    feed->end_told = true;
    if (atomic_load(&feed->reader->end_lsn) < feed->options.until_lsn)
        tell_parts(feed);
    eventfd_write(feed->event_fd, 1);
}

static bool read_once(struct feed *feed, struct error *err) {
    struct reader_tending tending = {0};
    if (!read_all(feed, &tending.is_blocked, err))
        return false;
    tell_end(feed);
    tending.now_ms = clock_now_ms();
    tending.is_blocked = tending.is_blocked || feed->end_told;
    if (!offer_batch(feed, tending.now_ms, err))
        return false;
    tending.is_wanted = a_runner_waits(feed) && batch_age_ms(feed) == 0;
    tending.is_prompt = is_eager(feed);
    return tend_and_wait(feed, &tending, err);
}

/* Reads no more, but keeps confirming until told to end. */
static bool confirm_once(struct feed *feed, struct error *err) {
    struct reader_tending tending = {.now_ms = clock_now_ms(), .is_blocked = true};
    return tend_and_wait(feed, &tending, err);
}

static bool feed_run(struct feed *feed, struct error *err) {
    while (atomic_load(&feed->wanted) == FEED_READING)
        if (!read_once(feed, err))
            return false;
    discard_batch(feed);
    atomic_store(&feed->state, FEED_DRAINING);
    eventfd_write(feed->event_fd, 1);
    while (atomic_load(&feed->wanted) == FEED_DRAINING)
        if (!confirm_once(feed, err))
            return false;
    return feed->reader->ops->finish(feed->reader, atomic_load(&feed->durable_lsn), err);
}

static void *feed_main(void *argument) {
    struct feed *feed = argument;
    bool good = feed_run(feed, &feed->error);
    discard_batch(feed);
    atomic_store(&feed->state, good ? FEED_ENDED : FEED_FAILED);
    eventfd_write(feed->event_fd, 1);
    return NULL;
}

/* ---- the supervisor's side ---- */

bool feed_init(struct feed *feed, int event_fd, struct error *err) {
    *feed = (struct feed){.event_fd = event_fd, .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    ledger_init(&feed->ledger);
    if (feed->wake_fd < 0)
        return error_errno(err, "eventfd");
    return pool_init(&feed->pool, feed->wake_fd, err);
}

bool feed_start(struct feed *feed, struct reader *reader, const struct feed_options *options,
                struct error *err) {
    assert(!feed->started);
    assert(options->runner_count > 0);
    feed->reader = reader;
    feed->options = *options;
    feed->caught_up_sent_lsn = options->start_lsn;
    int failure = pthread_create(&feed->thread, NULL, feed_main, feed);
    if (failure != 0)
        return error_set(err, ERROR_SYSTEM, "a thread for the feed: %s", strerror(failure));
    feed->started = true;
    return true;
}

void feed_confirm(struct feed *feed, lsn_t lsn) {
    lsn_t before_lsn = atomic_exchange_explicit(&feed->durable_lsn, lsn, memory_order_acq_rel);
    assert(before_lsn <= lsn);
    if (feed->started && lsn > before_lsn)
        eventfd_write(feed->wake_fd, 1);
}

void feed_want(struct feed *feed, lsn_t lsn) {
    atomic_store_explicit(&feed->wanted_lsn, lsn, memory_order_relaxed);
    eventfd_write(feed->wake_fd, 1);
}

static void want(struct feed *feed, enum feed_state state) {
    assert(state >= atomic_load(&feed->wanted));
    atomic_store(&feed->wanted, state);
    eventfd_write(feed->wake_fd, 1);
}

void feed_drain(struct feed *feed) {
    if (feed->started)
        want(feed, FEED_DRAINING);
}

void feed_end(struct feed *feed) {
    if (feed->started)
        want(feed, FEED_ENDED);
}

void feed_join(struct feed *feed) {
    if (!feed->started)
        return;
    pthread_join(feed->thread, NULL);
    feed->started = false;
}

void feed_release(struct feed *feed) {
    pool_release(&feed->pool);
    ledger_release(&feed->ledger);
    if (feed->wake_fd >= 0)
        close(feed->wake_fd);
    feed->wake_fd = -1;
}
