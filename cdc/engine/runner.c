/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - one sink's thread.
 */
#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/runner_parts.h"
#include "cdc/engine/signals.h"

enum {
    QUEUE_WAIT_MS = 1000,
    REST_MAX_US = 500,    /* upper bound on the latency that is added to let transactions accumulate */
    SETTLE_PAUSE_MS = 20, /* nothing arrived for this long, so waiting for a flush delays no change */
    HOLD_STEP_MS = 50,    /* how soon a stop is noticed at a barrier */
};

/* ---- state ---- */

static bool edge_is_legal(enum runner_state from, enum runner_state to) {
    switch (to) {
    case RUNNER_OPENING:
        return false;
    case RUNNER_OPENED:
        return from == RUNNER_OPENING || from == RUNNER_COPYING;
    case RUNNER_COPYING:
    case RUNNER_RUNNING:
        return from == RUNNER_OPENED;
    case RUNNER_STOPPED:
        return from == RUNNER_OPENED || from == RUNNER_RUNNING;
    case RUNNER_FAILED:
        return from != RUNNER_STOPPED && from != RUNNER_FAILED;
    }
    return false;
}

static void move_locked(struct runner *runner, enum runner_state state) {
    assert(edge_is_legal(runner->state, state));
    runner->state = state;
    eventfd_write(runner->event_fd, 1);
}

static void move(struct runner *runner, enum runner_state state) {
    pthread_mutex_lock(&runner->lock);
    move_locked(runner, state);
    pthread_mutex_unlock(&runner->lock);
}

void runner_publish(struct runner *runner, const struct position *position) {
    pthread_mutex_lock(&runner->lock);
    assert(position->end_lsn >= runner->position.end_lsn);
    runner->position = *position;
    pthread_mutex_unlock(&runner->lock);
    eventfd_write(runner->event_fd, 1);
}

/* ---- batches ---- */

/*
 * Only one transaction was written and not yet committed, so an error concerns that transaction even when the
 * sink does not name it.
 */
static bool name_transaction(const struct change *change, struct error *err) {
    if (err->kind != ERROR_DATA || err->commit_lsn != 0 || change->transaction == NULL)
        return false;
    error_transaction(err, change->transaction->commit_lsn);
    return error_wrap(err, "the transaction that commits at %s",
                      lsn_format(transaction_named_lsn(change->transaction)).text);
}

/* One transaction at a time: a commit after each, which must be durable. */
static bool take_carefully(struct runner *runner, const struct change *changes, size_t count,
                           struct error *err) {
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind != CHANGE_COMMIT)
            continue;
        if (!runner_write(runner, changes + first, i + 1 - first, NULL, err))
            return name_transaction(&changes[i], err);
        if (runner->group.open && !runner_end_group(runner, err))
            return name_transaction(&changes[i], err);
        first = i + 1;
    }
    return runner_write(runner, changes + first, count - first, NULL, err) ||
           name_transaction(&changes[count - 1], err);
}

bool runner_take(struct runner *runner, const struct part *part, struct error *err) {
    const size_t whole = part->whole_count;
    if (part->count == 0)
        return true;
    if (runner->careful)
        return take_carefully(runner, part->changes, part->count, err);
    if (!runner_write(runner, part->changes, whole, part->ending, err))
        return false;
    if (whole == part->count)
        return true;
    if (runner->group.open && !runner->in_transaction && !runner_end_group(runner, err))
        return false;
    return runner_write(runner, part->changes + whole, part->count - whole, NULL, err);
}

/* Of a batch, a part that ends before the batch does, or the rest. */
static bool take_slice(struct runner *runner, const struct change *changes, size_t count, struct error *err) {
    if (!ledger_add(&runner->ledger, LEDGER_IN, changes, count, err))
        return false;
    const struct part part = {
        .changes = changes, .count = count, .whole_count = part_count_whole(changes, count)};
    return runner->filter != NULL ? runner_take_filtered(runner, changes, count, err)
                                  : runner_take(runner, &part, err);
}

static bool take_whole(struct runner *runner, const struct batch *batch, bool is_last, struct error *err) {
    const struct part all = {.changes = batch->changes,
                             .count = batch->change_count,
                             .whole_count = batch->whole_count,
                             .ending = is_last || batch->whole_count < batch->change_count ? batch : NULL};
    if (!ledger_add(&runner->ledger, LEDGER_IN, batch->changes, batch->change_count, err))
        return false;
    if (FAULT_LOSES("runner-loses-batch"))
        return true;
    return runner->filter != NULL ? runner_take_filtered(runner, batch->changes, batch->change_count, err)
                                  : runner_take(runner, &all, err);
}

/* is_there: see barrier_reach. */
static bool meet_barrier(struct runner *runner, bool is_there, struct error *err) {
    if (!barrier_is_wanted(&runner->barrier) || runner->in_transaction)
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    for (; barrier_reach(&runner->barrier, runner->written.end_lsn, is_there); is_there = false)
        while (barrier_wait(&runner->barrier, HOLD_STEP_MS))
            if (atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue))
                barrier_end(&runner->barrier);
    return true;
}

/*
 * Holds between two transactions for as long as an operator wants, with everything before it durable. The
 * copiers finish the chunks that they have begun, and a plan can be edited. False without an error: the run
 * ends, and what waits is sent again.
 */
static bool keep_pause(struct runner *runner, struct error *err) {
    while (pause_holds(runner->pause, runner->written.end_lsn)) {
        if (atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue)) {
            runner->gives_up = true;
            return false;
        }
        if (!meet_barrier(runner, false, err) || !runner_watch_copy(runner, err))
            return false;
        clock_pause_ms(HOLD_STEP_MS);
    }
    return true;
}

static bool meet_pause(struct runner *runner, struct error *err) {
    if (!pause_is_wanted(runner->pause) || runner->in_transaction ||
        !pause_holds(runner->pause, runner->written.end_lsn))
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    if (!runner_is_settled(runner) && !runner_commit(runner, COMMIT_DURABLE, err))
        return false;
    FAULT_POINT("runner-paused");
    const bool was_busy = atomic_load_explicit(&runner->metrics->is_busy, memory_order_relaxed);
    atomic_store_explicit(&runner->metrics->is_open, false, memory_order_relaxed);
    atomic_store_explicit(&runner->metrics->is_busy, false, memory_order_relaxed);
    pause_tell(runner->pause, runner->written.end_lsn);
    log_sink(LOG_PAUSED, runner->sink->config->name, "paused at %s",
             lsn_format(runner->written.end_lsn).text);
    const bool goes_on = keep_pause(runner, err);
    pause_leave(runner->pause);
    atomic_store_explicit(&runner->metrics->is_busy, was_busy, memory_order_relaxed);
    if (goes_on)
        log_sink(LOG_RESUMED, runner->sink->config->name, "resumed at %s",
                 lsn_format(runner->written.end_lsn).text);
    return goes_on;
}

static size_t end_of_transaction(const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == CHANGE_COMMIT)
            return i + 1;
    return count;
}

static bool has_signal(const struct runner *runner, const struct batch_signal *signal) {
    return signal->commit_lsn != 0 ? position_has_begin(&runner->start, signal->commit_lsn)
                                   : position_has_message(&runner->start, signal->lsn);
}

/*
 * Requests among the changes, of transactions that the sink does not have. Those behind a pause wait for its
 * end, as the changes there do. next: the first one that is not obeyed yet.
 */
static bool obey_signals(struct runner *runner, const struct batch *batch, size_t *next, struct error *err) {
    for (; *next < batch->signal_count && runner->pause != NULL; (*next)++) {
        const struct batch_signal *signal = &batch->signals[*next];
        if (pause_is_wanted(runner->pause) && signal->commit_lsn != atomic_load(&runner->pause->after_lsn))
            return true;
        if (!has_signal(runner, signal) && !signals_obey(runner->pause, signal, err))
            return false;
    }
    return true;
}

/* The next place between two transactions, if a pause may hold there. *ret_taken: changes before it. */
static bool take_until_pause(struct runner *runner, const struct batch *batch, size_t *ret_taken,
                             struct error *err) {
    size_t signal = 0;
    *ret_taken = 0;
    if (!obey_signals(runner, batch, &signal, err))
        return false;
    while (pause_is_wanted(runner->pause)) {
        if (!meet_pause(runner, err) || !obey_signals(runner, batch, &signal, err))
            return false;
        const struct change *changes = batch->changes + *ret_taken;
        const size_t rest = batch->change_count - *ret_taken;
        const size_t room = end_of_transaction(changes, rest);
        if (room == rest || !pause_is_wanted(runner->pause))
            return true;
        if (!take_slice(runner, changes, room, err))
            return false;
        *ret_taken += room;
    }
    return true;
}

static bool take_changes(struct runner *runner, const struct batch *batch, bool is_last, struct error *err) {
    size_t first = 0;
    if (!take_until_pause(runner, batch, &first, err))
        return false;
    while (barrier_is_wanted(&runner->barrier)) {
        const struct change *changes = batch->changes + first;
        const size_t rest = batch->change_count - first;
        const size_t room = barrier_room(&runner->barrier, changes, rest, runner->in_transaction);
        if (room == rest)
            break;
        if (!take_slice(runner, changes, room, err) || !meet_barrier(runner, true, err))
            return false;
        first += room;
    }
    return first == 0 ? take_whole(runner, batch, is_last, err)
                      : take_slice(runner, batch->changes + first, batch->change_count - first, err);
}

static bool take_batch(struct runner *runner, const struct batch *batch, struct error *err) {
    const bool is_last = queue_is_empty(&runner->queue);
    FAULT_POINT("runner-batch");
    if (!take_changes(runner, batch, is_last, err) || !ledger_check(&runner->ledger, err))
        return false;
    if (batch->caught_up_lsn > runner->written.end_lsn && !runner->in_transaction) {
        runner->written = position_after(&runner->written, batch->caught_up_lsn);
        runner->group.open = true;
    }
    if (!runner->group.open || runner->in_transaction)
        return true;
    if (!is_last && !queue_is_empty(&runner->queue) && !runner_group_is_large(runner))
        return true;
    return runner_end_group(runner, err);
}

/* ---- the loop ---- */

/* No batch arrived for a while. */
static bool use_pause(struct runner *runner, struct error *err) {
    if (runner_is_settled(runner))
        return true;
    return runner->in_transaction ? runner_settle(runner, err) : runner_commit(runner, COMMIT_DURABLE, err);
}

/*
 * A group has a fixed cost. After a group, wait as long as it took (at most REST_MAX_US) so that the next
 * group holds more transactions. Otherwise a fast sink would commit them one by one and slow down everything
 * on a busy machine. A transaction that arrives after a pause does not wait.
 */
static void runner_rest(struct runner *runner, int64_t took_us) {
    if (!runner->group.open && queue_is_empty(&runner->queue))
        clock_pause_us(took_us < REST_MAX_US ? took_us : REST_MAX_US);
}

static bool take_next(struct runner *runner, struct error *err) {
    struct batch *batch =
        queue_pop(&runner->queue, runner_is_settled(runner) ? QUEUE_WAIT_MS : SETTLE_PAUSE_MS);
    if (batch == NULL)
        return meet_pause(runner, err) && meet_barrier(runner, false, err) && use_pause(runner, err) &&
               runner_watch_copy(runner, err);
    int64_t since_us = clock_now_us();
    atomic_store_explicit(&runner->metrics->is_busy, true, memory_order_relaxed);
    bool taken = take_batch(runner, batch, err);
    atomic_store_explicit(&runner->metrics->is_open, runner->group.open, memory_order_relaxed);
    atomic_store_explicit(&runner->metrics->is_busy, false, memory_order_relaxed);
    int64_t took_us = clock_now_us() - since_us;
    runner->stream_us += took_us;
    if (!taken) {
        runner->failed_batch = batch;
        return false;
    }
    batch_unref(batch);
    if (!meet_barrier(runner, false, err) || !runner_settle(runner, err) || !runner_watch_copy(runner, err))
        return false;
    runner_rest(runner, took_us);
    return true;
}

/* Whole transactions become durable. An incomplete transaction is left to close, which rolls it back. */
static bool end_batches(struct runner *runner, struct error *err) {
    if (runner->in_transaction)
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    return runner_is_settled(runner) || runner_commit(runner, COMMIT_DURABLE, err);
}

/* Until the queue is closed and empty. */
static bool run_batches(struct runner *runner, struct error *err) {
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    if (!runner_reload_plan(runner, err))
        return false;
    while (!queue_is_finished(&runner->queue)) {
        if (atomic_load_explicit(&runner->stop, memory_order_relaxed))
            return true;
        if (!take_next(runner, err))
            return runner->gives_up;
    }
    runner->is_done = true;
    return end_batches(runner, err);
}

/* ---- orders ---- */

static enum runner_order wait_order(struct runner *runner) {
    pthread_mutex_lock(&runner->lock);
    while (runner->order == ORDER_NONE)
        pthread_cond_wait(&runner->ordered, &runner->lock);
    enum runner_order order = runner->order;
    runner->order = ORDER_NONE;
    if (order == ORDER_COPY || order == ORDER_PLAN)
        move_locked(runner, RUNNER_COPYING);
    if (order == ORDER_RUN)
        move_locked(runner, RUNNER_RUNNING);
    pthread_mutex_unlock(&runner->lock);
    return order;
}

static bool obey_plan(struct runner *runner, struct error *err) {
    struct runner_copy *copy = &runner->copy;
    if (!copiers_plan(copy->config, copy->snapshot_name, runner->sink, &copy->position, &runner->stop, err) ||
        !runner_load_plan(runner, err))
        return false;
    runner->has_planned = true;
    runner_publish(runner, &copy->position);
    move(runner, RUNNER_OPENED);
    return true;
}

static bool obey_copy(struct runner *runner, struct error *err) {
    struct runner_copy *copy = &runner->copy;
    if (!snapshot_copy(copy->config, copy->snapshot_name, runner->sink, copy->text_only, &copy->position,
                       &copy->progress, &runner->stop, err))
        return false;
    FAULT_POINT("runner-copied");
    runner_publish(runner, &copy->position);
    move(runner, RUNNER_OPENED);
    return true;
}

/*
 * The order's fields become this thread's own: the supervisor sets them only with ORDER_RUN, and no second
 * one follows.
 */
static bool obey_run(struct runner *runner, struct error *err) {
    const struct runner_run *run = &runner->run;
    runner->start = run->position;
    runner->written = run->position;
    runner->committed = run->store ? (struct position){0} : run->position;
    runner->group.open = run->store;
    atomic_store_explicit(&runner->metrics->written_lsn, runner->written.end_lsn, memory_order_relaxed);
    atomic_store_explicit(&runner->metrics->visible_lsn, runner->committed.end_lsn, memory_order_relaxed);
    runner->skip = run->skip;
    if (run->next_xid != 0 && !applied_xids_init(&runner->barrier.applied, run->next_xid))
        return error_no_memory(err);
    if (runner->sink->ops->learn != NULL && !runner->sink->ops->learn(runner->sink, err))
        return false;
    return runner_start_copiers(runner, err) && run_batches(runner, err);
}

static bool obey(struct runner *runner, struct error *err) {
    for (;;) {
        switch (wait_order(runner)) {
        case ORDER_COPY:
            if (!obey_copy(runner, err))
                return false;
            break;
        case ORDER_PLAN:
            if (!obey_plan(runner, err))
                return false;
            break;
        case ORDER_RUN:
            return obey_run(runner, err);
        case ORDER_QUIT:
        case ORDER_NONE:
            return true;
        }
    }
}

static bool open_sink(struct runner *runner, struct error *err) {
    struct position position = {0};
    if (!runner->sink->ops->open(runner->sink, &position, err) || !runner_load_plan(runner, err))
        return false;
    pthread_mutex_lock(&runner->lock);
    runner->position = position;
    move_locked(runner, RUNNER_OPENED);
    pthread_mutex_unlock(&runner->lock);
    return true;
}

static void *runner_main(void *argument) {
    struct runner *runner = argument;
    struct error error = {0};
    bool good = open_sink(runner, &error) && obey(runner, &error);
    runner_forget_copy(runner);
    runner->sink->ops->close(runner->sink);
    if (runner->failed_batch != NULL)
        batch_unref(runner->failed_batch);
    pthread_mutex_lock(&runner->lock);
    if (!good)
        runner->error = error;
    move_locked(runner, good ? RUNNER_STOPPED : RUNNER_FAILED);
    pthread_mutex_unlock(&runner->lock);
    return NULL;
}

/* ---- the supervisor's side ---- */

bool runner_start(struct runner *runner, struct sink *sink, struct sink_metrics *metrics, struct pause *pause,
                  int event_fd, int wake_fd, lsn_t careful_until_lsn, struct error *err) {
    *runner = (struct runner){.sink = sink,
                              .metrics = metrics,
                              .pause = pause,
                              .event_fd = event_fd,
                              .careful_until_lsn = careful_until_lsn};
    runner->careful = careful_until_lsn != 0;
    pthread_mutex_init(&runner->copy.progress.map_lock, NULL);
    sink->stop = &runner->stop;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->ordered, NULL);
    ledger_init(&runner->ledger);
    runner->ledger.tells = metrics->tables;
    queue_init(&runner->queue, wake_fd);
    barrier_init(&runner->barrier, event_fd);
    int failure = pthread_create(&runner->thread, NULL, runner_main, runner);
    if (failure != 0)
        return error_set(err, ERROR_SYSTEM, "a thread for sink %s: %s", sink->config->name,
                         strerror(failure));
    runner->started = true;
    return true;
}

enum runner_state runner_state(struct runner *runner) {
    pthread_mutex_lock(&runner->lock);
    enum runner_state state = runner->state;
    pthread_mutex_unlock(&runner->lock);
    return state;
}

bool runner_has_order(struct runner *runner) {
    pthread_mutex_lock(&runner->lock);
    bool has = runner->order != ORDER_NONE;
    pthread_mutex_unlock(&runner->lock);
    return has;
}

struct position runner_position(struct runner *runner) {
    pthread_mutex_lock(&runner->lock);
    struct position position = runner->position;
    pthread_mutex_unlock(&runner->lock);
    return position;
}

static void give_order_locked(struct runner *runner, enum runner_order order) {
    runner->order = order;
    pthread_cond_signal(&runner->ordered);
}

static void order_copy(struct runner *runner, const struct runner_copy *copy, enum runner_order order) {
    pthread_mutex_lock(&runner->lock);
    assert(runner->state == RUNNER_OPENED);
    runner->copy.config = copy->config;
    runner->copy.snapshot_name = copy->snapshot_name;
    runner->copy.text_only = copy->text_only;
    runner->copy.position = copy->position;
    give_order_locked(runner, order);
    pthread_mutex_unlock(&runner->lock);
}

void runner_order_copy(struct runner *runner, const struct runner_copy *copy) {
    order_copy(runner, copy, ORDER_COPY);
}

void runner_order_plan(struct runner *runner, const struct runner_copy *copy) {
    order_copy(runner, copy, ORDER_PLAN);
}

void runner_reload(struct runner *runner) {
    atomic_fetch_add(&runner->reload_number, 1);
}

void runner_edit(struct runner *runner, struct chunk_edit *edit) {
    pthread_mutex_lock(&runner->lock);
    struct chunk_edit **end = &runner->edits;
    while (*end != NULL)
        end = &(*end)->next;
    *end = edit;
    pthread_mutex_unlock(&runner->lock);
    runner_reload(runner);
}

bool runner_has_reloaded(struct runner *runner) {
    return atomic_load(&runner->reloaded_number) == atomic_load(&runner->reload_number);
}

void runner_hold(struct runner *runner) {
    barrier_hold(&runner->barrier);
    queue_wake(&runner->queue);
}

void runner_order_run(struct runner *runner, const struct runner_run *run) {
    pthread_mutex_lock(&runner->lock);
    assert(runner->state == RUNNER_OPENED);
    runner->run = *run;
    if (!run->store)
        runner->position = run->position;
    give_order_locked(runner, ORDER_RUN);
    pthread_mutex_unlock(&runner->lock);
}

void runner_stop(struct runner *runner, bool now) {
    if (!runner->started)
        return;
    if (now)
        atomic_store(&runner->stop, true);
    queue_close(&runner->queue);
    pthread_mutex_lock(&runner->lock);
    give_order_locked(runner, ORDER_QUIT);
    pthread_mutex_unlock(&runner->lock);
}

void runner_join(struct runner *runner) {
    if (!runner->started)
        return;
    pthread_join(runner->thread, NULL);
    queue_release(&runner->queue);
    barrier_release(&runner->barrier);
    pthread_cond_destroy(&runner->ordered);
    pthread_mutex_destroy(&runner->lock);
    pthread_mutex_destroy(&runner->copy.progress.map_lock);
    chunk_edit_free(runner->edits);
    runner->edits = NULL;
    runner->started = false;
}
