/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.c - one sink's thread.
 *
 * Order of a group: write* -> commit(position) -> publish the position. A kill before the commit has
 * succeeded loses the group and its position together in the sink; after it, the sink has both. So nothing
 * here is ever ahead of the sink.
 *
 * A sink may make a commit visible first and durable later. Then: write* -> commit(VISIBLE) -> ... ->
 * commit(ASK) or commit(DURABLE) -> publish what is durable.
 */
#include "cdc/engine/runner.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"

enum {
    QUEUE_WAIT_MS = 1000,
    GROUP_CHANGES_MAX = 50000, /* in a large backlog: enough to make the cost of a commit negligible */
    /* upper bound on how long readers of a busy target wait for the first change of a group */
    GROUP_AGE_MAX_MS = 100,
    REST_MAX_US = 500,    /* upper bound on the latency that is added to let transactions accumulate */
    SETTLE_PAUSE_MS = 20, /* nothing arrived for this long, so waiting for a flush delays no change */
    SETTLE_ASK_MS = 250,  /* the checkpoint is written at most once per four of these */
    DEBUG_INTERVAL_MS = 1000,
    HOLD_STEP_MS = 50,   /* how soon a stop is noticed at a barrier */
    CHUNK_WAIT_MS = 200, /* how soon a stop is noticed while a change waits for a chunk */
    BLOCK_BYTES = 64 * 1024,
    SETTLE_MAX_MS = 1000, /* force a flush when the server has not flushed its WAL by then */
};

#define PLAN_BYTES_MAX ((size_t) 256 << 20)

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

static void publish_position(struct runner *runner, const struct position *position) {
    pthread_mutex_lock(&runner->lock);
    assert(position->end_lsn >= runner->position.end_lsn);
    runner->position = *position;
    pthread_mutex_unlock(&runner->lock);
    eventfd_write(runner->event_fd, 1);
}

/* ---- groups ---- */

/* What happened to the chunks is committed with the changes that it concerns. */
static bool note_chunks(struct runner *runner, struct error *err) {
    struct chunk_note note;
    if (runner->filter == NULL || !chunk_filter_has_note(runner->filter, runner->written.end_lsn, &note))
        return true;
    FAULT_POINT("runner-before-note");
    return runner->sink->ops->chunk->note(runner->sink, &note, err);
}

static void note_group(struct runner *runner) {
    struct sink_metrics *metrics = runner->metrics;
    atomic_fetch_add_explicit(&metrics->transactions, runner->group.transactions, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->changes, runner->group.changes, memory_order_relaxed);
    if (runner->group.commit_time_us != 0)
        atomic_store_explicit(&metrics->commit_time_us, runner->group.commit_time_us, memory_order_relaxed);
    runner->group = (struct group_state){0};
}

/* Everything up to the position survives a crash of the sink. */
static void note_durable(struct runner *runner, const struct position *position) {
    runner->settled_ms = clock_now_ms();
    publish_position(runner, position);
}

static bool is_settled(const struct runner *runner) {
    return runner->committed.end_lsn <= runner->position.end_lsn;
}

/* Makes everything written visible; also durable when the sink reports that, or when wait demands it. */
static bool commit(struct runner *runner, enum commit_wait wait, struct error *err) {
    const bool was_settled = is_settled(runner);
    struct position durable = runner->position;
    assert(!runner->in_transaction);
    if (!note_chunks(runner, err))
        return false;
    FAULT_POINT("runner-before-flush");
    if (!runner->sink->ops->commit(runner->sink, &runner->written, wait, &durable, err))
        return false;
    const bool is_durable = durable.end_lsn >= runner->written.end_lsn;
    assert(is_durable || wait == COMMIT_VISIBLE);
    if (is_durable)
        FAULT_POINT("runner-after-flush");
    else
        FAULT_POINT("runner-after-commit");
    if (runner->filter != NULL)
        chunk_filter_forget_note(runner->filter);
    runner->committed = runner->written;
    if (is_durable)
        note_durable(runner, &runner->written);
    else if (was_settled)
        runner->settled_ms = clock_now_ms();
    return true;
}

/* At most one line a second, about everything since the last line. */
static void debug_group(struct runner *runner, const char *how) {
    struct group_log *log = &runner->group_log;
    if (!log_wants(LOG_LEVEL_DEBUG))
        return;
    log->groups++;
    log->transactions += runner->group.transactions;
    log->changes += runner->group.changes;
    const int64_t now_ms = clock_now_ms();
    if (now_ms - log->logged_ms < DEBUG_INTERVAL_MS)
        return;
    log_line(LOG_LEVEL_DEBUG,
             "sink %s: %s up to %s; %" PRIu64 " groups of %" PRIu64 " transactions and %" PRIu64
             " changes since the last line",
             runner->sink->config->name, how, lsn_format(runner->written.end_lsn).text, log->groups,
             log->transactions, log->changes);
    *log = (struct group_log){.logged_ms = now_ms};
}

/* Commits the group: visible, and also durable in careful mode or when the sink makes no difference. */
static bool end_group(struct runner *runner, struct error *err) {
    if (!commit(runner, runner->careful ? COMMIT_DURABLE : COMMIT_VISIBLE, err))
        return false;
    debug_group(runner, is_settled(runner) ? "durable" : "committed");
    note_group(runner);
    runner->careful = runner->written.end_lsn < runner->careful_until_lsn;
    return true;
}

/* Publishes what has become durable in the background. */
static bool runner_settle(struct runner *runner, struct error *err) {
    struct position settled;
    int64_t now_ms = clock_now_ms();
    if (is_settled(runner) || now_ms - runner->asked_ms < SETTLE_ASK_MS)
        return true;
    if (!runner->in_transaction && now_ms - runner->settled_ms > SETTLE_MAX_MS)
        return commit(runner, COMMIT_DURABLE, err);
    runner->asked_ms = now_ms;
    if (!runner->sink->ops->commit(runner->sink, NULL, COMMIT_ASK, &settled, err))
        return false;
    assert(settled.end_lsn <= runner->committed.end_lsn);
    if (settled.end_lsn > runner->position.end_lsn)
        note_durable(runner, &settled);
    return true;
}

static bool group_is_large(const struct runner *runner) {
    return runner->careful || runner->group.changes >= GROUP_CHANGES_MAX ||
           clock_now_ms() - runner->group.since_ms >= GROUP_AGE_MAX_MS;
}

static void count_span(struct runner *runner, const struct change *changes, size_t count) {
    struct group_state *group = &runner->group;
    if (!group->open)
        group->since_ms = clock_now_ms();
    group->open = true;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind == CHANGE_COMMIT) {
            group->transactions++;
            group->commit_time_us = changes[i].transaction->commit_time_us;
            applied_xids_note(&runner->barrier.applied, changes[i].transaction->xid);
        } else if (changes[i].kind != CHANGE_BEGIN) {
            group->changes++;
        }
    }
}

static void reach(struct position *position, lsn_t end_lsn) {
    position->end_lsn = end_lsn;
    position->commit_lsn = 0; /* a transaction that was present in part is now complete */
    position->index = 0;
}

/* The end of the last whole transaction once these changes are written. */
static struct position reached_by(const struct runner *runner, const struct change *changes, size_t count) {
    struct position position = runner->written;
    for (size_t i = count; i > 0; i--)
        if (changes[i - 1].kind == CHANGE_COMMIT) {
            reach(&position, changes[i - 1].end_lsn);
            break;
        }
    return position;
}

/*
 * present: the sink already has that many leading changes and is only told of them. ending: the group ends
 * with this batch, after this span; or NULL.
 */
static bool write_span(struct runner *runner, struct sink_span span, const struct batch *ending,
                       struct error *err) {
    if (span.count == 0)
        return true;
    const struct change *changes = span.changes + span.present;
    const size_t count = span.count - span.present;
    struct position reached = reached_by(runner, changes, count);
    if (ending != NULL && ending->caught_up_lsn > reached.end_lsn)
        reached.end_lsn = ending->caught_up_lsn;
    if (ending != NULL && count > 0)
        span.until = &reached;
    span.is_alone = runner->careful;
    if (!runner->sink->ops->write(runner->sink, &span, err))
        return false;
    if (count == 0)
        return true;
    count_span(runner, changes, count);
    runner->written = reached;
    const struct change *last = &changes[count - 1];
    runner->in_transaction = last->kind != CHANGE_COMMIT && last->transaction != NULL;
    return true;
}

/* ---- what the sink has already ---- */

/* Decides at each Begin, and for messages outside transactions; skipping lasts until the Commit. */
static bool sink_has(struct runner *runner, const struct change *change) {
    const struct position *position = &runner->start;
    if (change->kind == CHANGE_BEGIN)
        runner->skipping = position_has_begin(position, change->transaction->commit_lsn);
    if (change->transaction == NULL)
        return position_has_message(position, change->lsn);
    bool has = runner->skipping;
    if (change->kind == CHANGE_COMMIT) {
        assert(!has || position_has_commit(position, change->end_lsn));
        runner->skipping = false;
        return has;
    }
    if (change->kind == CHANGE_BEGIN)
        return has;
    return has || position_has_change(position, change->transaction->commit_lsn, change->index);
}

/*
 * Transactions arrive in commit order. One that commits before a position that is already durable, and that
 * the sink did not have at the start, would be lost by a restart. So stop instead of applying it.
 */
static bool check_order(const struct runner *runner, const struct change *change, struct error *err) {
    if (change->kind != CHANGE_BEGIN ||
        !position_has_begin(&runner->written, change->transaction->commit_lsn))
        return true;
    return error_set(err, ERROR_PROTOCOL,
                     "the transaction that commits at %s arrived after the source "
                     "had reported everything before %s as sent",
                     lsn_format(change->transaction->commit_lsn).text,
                     lsn_format(runner->written.end_lsn).text);
}

/* The sink has this change of a transaction that was split: it may count the change. */
static bool is_present(const struct runner *runner, const struct change *change) {
    return change->transaction != NULL &&
           position_has_change(&runner->start, change->transaction->commit_lsn, change->index);
}

/*
 * Begin and Commit of a skipped transaction are written, so that the position passes it as usual. The changes
 * between them are not.
 */
static bool is_left_out(struct runner *runner, const struct change *change) {
    if (change->transaction == NULL)
        return false;
    if (change->kind == CHANGE_BEGIN)
        runner->leaving_out = skip_is(&runner->skip, change->transaction);
    if (!runner->leaving_out || change->kind == CHANGE_BEGIN)
        return false;
    if (change->kind != CHANGE_COMMIT) {
        runner->left_out++;
        return true;
    }
    log_line(LOG_LEVEL_WARNING,
             "sink %s: the transaction that commits at %s was skipped with %s "
             "%llu changes, as `pgcdc skip` requested",
             runner->sink->config->name, lsn_format(runner->skip.lsn).text,
             runner->start.commit_lsn == runner->skip.commit_lsn ? "the other" : "its",
             (unsigned long long) runner->left_out);
    runner->leaving_out = false;
    return false;
}

/* Writes what the sink lacks, in spans as long as possible. ending applies to the last span. */
static bool write_new(struct runner *runner, const struct change *changes, size_t count,
                      const struct batch *ending, struct error *err) {
    struct sink_span span = {.changes = changes};
    for (size_t i = 0; i < count; i++) {
        const bool has = sink_has(runner, &changes[i]);
        const bool tells = has && is_present(runner, &changes[i]);
        if (!has && !is_left_out(runner, &changes[i])) {
            if (!check_order(runner, &changes[i], err))
                return false;
            span.count++;
            continue;
        }
        if ((!tells || span.present < span.count) && !write_span(runner, span, NULL, err))
            return false;
        if (!tells)
            span = (struct sink_span){.changes = changes + i + 1};
        else if (span.present < span.count)
            span = (struct sink_span){.changes = changes + i, .count = 1, .present = 1};
        else
            span.count = ++span.present;
    }
    return write_span(runner, span, ending, err);
}

/* ---- batches ---- */

/* Changes to be written: those of a batch, or what the filter left of some of them. */
struct part {
    const struct change *changes;
    size_t count;
    size_t whole_count; /* up to the last Commit */
    /* the batch that ends with them, when the group may end with it in one step; or NULL */
    const struct batch *ending;
};

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
        if (!write_new(runner, changes + first, i + 1 - first, NULL, err))
            return name_transaction(&changes[i], err);
        if (runner->group.open && !end_group(runner, err))
            return name_transaction(&changes[i], err);
        first = i + 1;
    }
    return write_new(runner, changes + first, count - first, NULL, err) ||
           name_transaction(&changes[count - 1], err);
}

/* Commits the group before an incomplete transaction, and at the end of the batch when no batch follows. */
static bool take_part(struct runner *runner, const struct part *part, struct error *err) {
    const size_t whole = part->whole_count;
    if (part->count == 0)
        return true;
    if (runner->careful)
        return take_carefully(runner, part->changes, part->count, err);
    if (!write_new(runner, part->changes, whole, part->ending, err))
        return false;
    if (whole == part->count)
        return true;
    if (runner->group.open && !runner->in_transaction && !end_group(runner, err))
        return false;
    return write_new(runner, part->changes + whole, part->count - whole, NULL, err);
}

static size_t count_whole(const struct change *changes, size_t count) {
    while (count > 0 && changes[count - 1].kind != CHANGE_COMMIT)
        count--;
    return count;
}

/* False without an error: the run ends before the chunk is copied, and the rest of the batch is given up. */
static bool await_chunk(struct runner *runner, const struct map_chunk *chunk, struct error *err) {
    if (runner->group.open && !runner->in_transaction && !end_group(runner, err))
        return false;
    FAULT_POINT("runner-awaits-chunk");
    while (!chunk_map_wait(runner->map, chunk, CHUNK_WAIT_MS)) {
        if (chunk_map_failed(runner->map, err))
            return false;
        if (atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue)) {
            runner->gives_up = true;
            return false;
        }
    }
    return true;
}

/* What the sink has already is not asked about: its chunks may have been copied since. */
static size_t count_present(const struct runner *runner, const struct change *changes, size_t count) {
    size_t present = 0;
    while (present < count &&
           (changes[present].transaction != NULL
                ? position_has_begin(&runner->start, changes[present].transaction->commit_lsn)
                : position_has_message(&runner->start, changes[present].lsn)))
        present++;
    return present;
}

static bool take_filtered(struct runner *runner, const struct change *changes, size_t count,
                          struct error *err) {
    size_t first = count_present(runner, changes, count);
    const struct part present = {
        .changes = changes, .count = first, .whole_count = count_whole(changes, first)};
    if (!take_part(runner, &present, err))
        return false;
    if (!chunk_asker_ask(runner->asker, changes + first, count - first, err))
        return false;
    while (first < count) {
        const struct map_chunk *awaited = NULL;
        struct chunk_filter *filter = runner->filter;
        size_t taken = 0;
        if (!chunk_filter_take(filter, changes + first, count - first, &taken, &awaited, err))
            return false;
        const struct part part = {.changes = filter->kept,
                                  .count = filter->kept_count,
                                  .whole_count = count_whole(filter->kept, filter->kept_count)};
        if (!take_part(runner, &part, err) || (awaited != NULL && !await_chunk(runner, awaited, err)))
            return false;
        first += taken;
    }
    return true;
}

/* Of a batch, a part that ends before the batch does, or the rest. */
static bool take_slice(struct runner *runner, const struct change *changes, size_t count, struct error *err) {
    const struct part part = {.changes = changes, .count = count, .whole_count = count_whole(changes, count)};
    return runner->filter != NULL ? take_filtered(runner, changes, count, err)
                                  : take_part(runner, &part, err);
}

static bool take_whole(struct runner *runner, const struct batch *batch, bool is_last, struct error *err) {
    const struct part all = {.changes = batch->changes,
                             .count = batch->change_count,
                             .whole_count = batch->whole_count,
                             .ending = is_last || batch->whole_count < batch->change_count ? batch : NULL};
    return runner->filter != NULL ? take_filtered(runner, batch->changes, batch->change_count, err)
                                  : take_part(runner, &all, err);
}

/* is_there: see barrier_reach. */
static bool meet_barrier(struct runner *runner, bool is_there, struct error *err) {
    if (!barrier_is_wanted(&runner->barrier) || runner->in_transaction)
        return true;
    if (runner->group.open && !end_group(runner, err))
        return false;
    for (; barrier_reach(&runner->barrier, runner->written.end_lsn, is_there); is_there = false)
        while (barrier_wait(&runner->barrier, HOLD_STEP_MS))
            if (atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue))
                barrier_end(&runner->barrier);
    return true;
}

static bool take_changes(struct runner *runner, const struct batch *batch, bool is_last, struct error *err) {
    size_t first = 0;
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
    if (!take_changes(runner, batch, is_last, err))
        return false;
    if (batch->caught_up_lsn > runner->written.end_lsn && !runner->in_transaction) {
        runner->written.end_lsn = batch->caught_up_lsn;
        runner->group.open = true;
    }
    if (!runner->group.open || runner->in_transaction)
        return true;
    if (!is_last && !queue_is_empty(&runner->queue) && !group_is_large(runner))
        return true;
    return end_group(runner, err);
}

/* ---- a copy in chunks ---- */

static void forget_copy(struct runner *runner) {
    copiers_end(&runner->copiers);
    chunk_asker_free(runner->asker);
    chunk_filter_free(runner->filter);
    chunk_map_free(runner->map);
    runner->copiers = (struct copiers){0};
    runner->asker = NULL;
    runner->filter = NULL;
    runner->map = NULL;
}

/* Reads the plan of a copy in chunks, if the sink has one. */
static bool load_plan(struct runner *runner, struct error *err) {
    struct arena arena;
    struct chunk_plan plan = {0};
    if (runner->sink->ops->chunk == NULL)
        return true;
    arena_init(&arena, BLOCK_BYTES, PLAN_BYTES_MAX);
    bool loaded = runner->sink->ops->chunk->load(runner->sink, &arena, &plan, err) &&
                  (plan.count == 0 || chunk_map_new(&plan, &runner->map, err));
    runner->copy_lsn = plan.read_lsn;
    atomic_store(&runner->is_copying, runner->map != NULL);
    arena_release(&arena);
    return loaded;
}

static bool start_copiers(struct runner *runner, struct error *err) {
    if (runner->map == NULL)
        return true;
    runner->filter = chunk_filter_new(runner->map, BATCH_CHANGES_MAX);
    if (runner->filter == NULL)
        return error_no_memory(err);
    runner->asker = chunk_asker_new(&runner->run.config->source, runner->filter, &runner->stop);
    if (runner->asker == NULL)
        return error_no_memory(err);
    runner->copiers.config = runner->run.config;
    runner->copiers.sink = runner->sink;
    runner->copiers.map = runner->map;
    runner->copiers.progress = &runner->copy.progress;
    runner->copiers.text_only = runner->run.text_only;
    return copiers_start(&runner->copiers, &runner->stop, err);
}

/*
 * The stream has passed every transaction that a chunk has seen: from here on all changes apply, and the plan
 * goes.
 */
static bool finish_copy(struct runner *runner, struct error *err) {
    const struct chunk_note finished = {.is_finished = true, .last_id = chunk_map_last_id(runner->map)};
    if (runner->group.open && !end_group(runner, err))
        return false;
    FAULT_POINT("runner-before-finish");
    if (!runner->sink->ops->chunk->note(runner->sink, &finished, err) || !commit(runner, COMMIT_DURABLE, err))
        return false;
    FAULT_POINT("runner-copy-finished");
    forget_copy(runner);
    log_line(LOG_LEVEL_INFO, "sink %s: the copy is complete, and consistent as of %s",
             runner->sink->config->name, lsn_format(runner->written.end_lsn).text);
    atomic_store(&runner->is_copying, false);
    eventfd_write(runner->event_fd, 1);
    return true;
}

/* What the copiers have not committed is read again. */
static bool reload_plan(struct runner *runner, struct error *err) {
    const unsigned number = atomic_load(&runner->reload_number);
    if (runner->in_transaction || number == atomic_load(&runner->reloaded_number))
        return true;
    if (runner->group.open && !end_group(runner, err))
        return false;
    forget_copy(runner);
    if (!load_plan(runner, err) || !start_copiers(runner, err))
        return false;
    atomic_store(&runner->reloaded_number, number);
    eventfd_write(runner->event_fd, 1);
    return true;
}

static bool watch_copy(struct runner *runner, struct error *err) {
    if (!reload_plan(runner, err))
        return false;
    if (runner->map == NULL)
        return true;
    if (chunk_map_failed(runner->map, err))
        return false;
    const lsn_t end_lsn = chunk_map_end_lsn(runner->map);
    if (end_lsn == 0 || runner->in_transaction || runner->written.end_lsn < end_lsn)
        return true;
    return finish_copy(runner, err);
}

/* ---- the loop ---- */

/* No batch arrived for a while. */
static bool use_pause(struct runner *runner, struct error *err) {
    if (is_settled(runner))
        return true;
    return runner->in_transaction ? runner_settle(runner, err) : commit(runner, COMMIT_DURABLE, err);
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
    struct batch *batch = queue_pop(&runner->queue, is_settled(runner) ? QUEUE_WAIT_MS : SETTLE_PAUSE_MS);
    if (batch == NULL)
        return meet_barrier(runner, false, err) && use_pause(runner, err) && watch_copy(runner, err);
    int64_t since_us = clock_now_us();
    bool taken = take_batch(runner, batch, err);
    int64_t took_us = clock_now_us() - since_us;
    if (!taken) {
        runner->failed_batch = batch;
        return false;
    }
    batch_unref(batch);
    if (!meet_barrier(runner, false, err) || !runner_settle(runner, err) || !watch_copy(runner, err))
        return false;
    runner_rest(runner, took_us);
    return true;
}

/* Whole transactions become durable. An incomplete transaction is left to close, which rolls it back. */
static bool end_batches(struct runner *runner, struct error *err) {
    if (runner->in_transaction)
        return true;
    if (runner->group.open && !end_group(runner, err))
        return false;
    return is_settled(runner) || commit(runner, COMMIT_DURABLE, err);
}

/* Until the queue is closed and empty. */
static bool run_batches(struct runner *runner, struct error *err) {
    if (runner->group.open && !end_group(runner, err))
        return false;
    if (!reload_plan(runner, err))
        return false;
    while (!queue_is_finished(&runner->queue)) {
        if (atomic_load_explicit(&runner->stop, memory_order_relaxed))
            return true;
        if (!take_next(runner, err))
            return runner->gives_up;
    }
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
        !load_plan(runner, err))
        return false;
    publish_position(runner, &copy->position);
    move(runner, RUNNER_OPENED);
    return true;
}

static bool obey_copy(struct runner *runner, struct error *err) {
    struct runner_copy *copy = &runner->copy;
    if (!snapshot_copy(copy->config, copy->snapshot_name, runner->sink, copy->text_only, &copy->position,
                       &copy->progress, &runner->stop, err))
        return false;
    FAULT_POINT("runner-copied");
    publish_position(runner, &copy->position);
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
    runner->skip = run->skip;
    if (run->next_xid != 0 && !applied_xids_init(&runner->barrier.applied, run->next_xid))
        return error_no_memory(err);
    return start_copiers(runner, err) && run_batches(runner, err);
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
    if (!runner->sink->ops->open(runner->sink, &position, err) || !load_plan(runner, err))
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
    forget_copy(runner);
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

bool runner_start(struct runner *runner, struct sink *sink, struct sink_metrics *metrics, int event_fd,
                  int wake_fd, lsn_t careful_until_lsn, struct error *err) {
    *runner = (struct runner){
        .sink = sink, .metrics = metrics, .event_fd = event_fd, .careful_until_lsn = careful_until_lsn};
    runner->careful = careful_until_lsn != 0;
    sink->stop = &runner->stop;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_cond_init(&runner->ordered, NULL);
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
    runner->started = false;
}
