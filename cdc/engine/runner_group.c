/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_group.c - what a runner writes, and the group that it commits.
 *
 * Order of a group: write* -> commit(position) -> publish the position. A kill before the commit has
 * succeeded loses the group and its position together in the sink; after it, the sink has both. So nothing
 * here is ever ahead of the sink.
 *
 * A sink may make a commit visible first and durable later. Then: write* -> commit(VISIBLE) -> ... ->
 * commit(ASK) or commit(DURABLE) -> publish what is durable.
 */
#include <assert.h>
#include <inttypes.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/runner_parts.h"

enum {
    GROUP_CHANGES_MAX = 50000, /* in a large backlog: enough to make the cost of a commit negligible */
    /* upper bound on how long readers of a busy target wait for the first change of a group */
    GROUP_AGE_MAX_MS = 100,
    SETTLE_ASK_MS = 250, /* the checkpoint is written at most once per four of these */
    DEBUG_INTERVAL_MS = 1000,
    SETTLE_MAX_MS = 1000, /* force a flush when the server has not flushed its WAL by then */
};

/* ---- commits ---- */

static void note_group(struct runner *runner) {
    struct sink_metrics *metrics = runner->metrics;
    atomic_fetch_add_explicit(&metrics->transactions, runner->group.transactions, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->changes, runner->group.changes, memory_order_relaxed);
    atomic_fetch_add_explicit(&metrics->left_out, runner->group.left_out, memory_order_relaxed);
    if (runner->group.commit_time_us != 0) {
        atomic_store_explicit(&metrics->commit_time_us, runner->group.commit_time_us, memory_order_relaxed);
        latency_note(&metrics->since_commit, clock_postgres_us() - runner->group.commit_time_us);
        latency_note(&metrics->since_write, (clock_now_ms() - runner->group.since_ms) * 1000);
    }
    if (metrics->tables != NULL)
        ledger_tell(&runner->ledger);
    runner->group = (struct group_state){0};
}

/* Everything up to the position survives a crash of the sink. */
static void note_durable(struct runner *runner, const struct position *position) {
    runner->settled_ms = clock_now_ms();
    runner_publish(runner, position);
}

bool runner_is_settled(const struct runner *runner) {
    return runner->committed.end_lsn <= runner->position.end_lsn;
}

/* What the sink did to its tables is committed now. */
static void log_news(const struct runner *runner) {
    struct buffer *news = &runner->sink->news;
    const char *line = news->size > 0 ? buffer_text(news) : NULL;
    while (line != NULL && *line != '\0') {
        const char *end = strchr(line, '\n');
        const size_t size = end != NULL ? (size_t) (end - line) : strlen(line);
        log_sink(LOG_TABLE_CHANGED, runner->sink->config->name, "%.*s", (int) size, line);
        line = end != NULL ? end + 1 : NULL;
    }
    buffer_reset(news);
}

bool runner_commit(struct runner *runner, enum commit_wait wait, struct error *err) {
    const bool was_settled = runner_is_settled(runner);
    struct position durable = runner->position;
    assert(!runner->in_transaction);
    if (!runner_note_chunks(runner, err))
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
    atomic_store_explicit(&runner->metrics->visible_lsn, runner->committed.end_lsn, memory_order_relaxed);
    log_news(runner);
    if (is_durable)
        note_durable(runner, &runner->written);
    else if (was_settled)
        runner->settled_ms = clock_now_ms();
    return !runner->sink->wants_rows ||
           error_set(err, ERROR_RETRY, "sink %s: rows of a table are to be copied again",
                     runner->sink->config->name);
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
    log_sink(LOG_GROUP_APPLIED, runner->sink->config->name,
             "%s up to %s; %s of %s and %s since the last line", how,
             lsn_format(runner->written.end_lsn).text, amount_count(log->groups, "group").text,
             amount_count(log->transactions, "transaction").text, amount_count(log->changes, "change").text);
    *log = (struct group_log){.logged_ms = now_ms};
}

bool runner_end_group(struct runner *runner, struct error *err) {
    if (!runner_commit(runner, runner->careful ? COMMIT_DURABLE : COMMIT_VISIBLE, err))
        return false;
    debug_group(runner, runner_is_settled(runner) ? "durable" : "committed");
    note_group(runner);
    runner->careful = runner->written.end_lsn < runner->careful_until_lsn;
    return true;
}

bool runner_settle(struct runner *runner, struct error *err) {
    struct position settled;
    int64_t now_ms = clock_now_ms();
    if (runner_is_settled(runner) || now_ms - runner->asked_ms < SETTLE_ASK_MS)
        return true;
    if (!runner->in_transaction && now_ms - runner->settled_ms > SETTLE_MAX_MS)
        return runner_commit(runner, COMMIT_DURABLE, err);
    runner->asked_ms = now_ms;
    if (!runner->sink->ops->commit(runner->sink, NULL, COMMIT_ASK, &settled, err))
        return false;
    assert(settled.end_lsn <= runner->committed.end_lsn);
    if (settled.end_lsn > runner->position.end_lsn)
        note_durable(runner, &settled);
    return true;
}

bool runner_group_is_large(const struct runner *runner) {
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

/* The Commit of a chunk's rows has the number of the row that would follow. */
static struct position after_commit(const struct position *position, const struct change *commit) {
    return commit->transaction->is_chunk ? position_after_rows(position, commit->end_lsn, commit->index)
                                         : position_after(position, commit->end_lsn);
}

/* The end of the last whole transaction once these changes are written. */
static struct position reached_by(const struct runner *runner, const struct change *changes, size_t count) {
    struct position position = runner->written;
    for (size_t i = count; i > 0; i--)
        if (changes[i - 1].kind == CHANGE_COMMIT) {
            position = after_commit(&position, &changes[i - 1]);
            break;
        }
    return position;
}

/* This thread is the only writer. */
static void runner_note_write(struct runner *runner, lsn_t written_lsn) {
    struct sink_metrics *metrics = runner->metrics;
    const unsigned long long writes = atomic_load_explicit(&metrics->writes, memory_order_relaxed);
    atomic_store_explicit(&metrics->writes, writes + 1, memory_order_relaxed);
    atomic_store_explicit(&metrics->written_lsn, written_lsn, memory_order_relaxed);
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
        reached = position_after(&reached, ending->caught_up_lsn);
    if (ending != NULL && count > 0)
        span.until = &reached;
    span.is_alone = runner->careful;
    if (!runner->sink->ops->write(runner->sink, &span, err) ||
        !ledger_add(&runner->ledger, LEDGER_WRITTEN, changes, count, err))
        return false;
    runner_note_write(runner, reached.end_lsn);
    if (count == 0)
        return true;
    count_span(runner, changes, count);
    runner->group.left_out += runner->sink->left_out;
    runner->written = reached;
    const struct change *last = &changes[count - 1];
    runner->in_transaction = last->kind != CHANGE_COMMIT && last->transaction != NULL;
    return true;
}

/* ---- what the sink has already ---- */

static bool has_begin(const struct position *position, const struct transaction *transaction) {
    return transaction->is_chunk ? position_has_place(position, transaction->commit_lsn + 1)
                                 : position_has_begin(position, transaction->commit_lsn);
}

/* Decides at each Begin, and for messages outside transactions; skipping lasts until the Commit. */
static bool sink_has(struct runner *runner, const struct change *change) {
    const struct position *position = &runner->start;
    if (change->kind == CHANGE_BEGIN)
        runner->skipping = has_begin(position, change->transaction);
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
    if (change->kind != CHANGE_BEGIN || !has_begin(&runner->written, change->transaction))
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
    log_about(LOG_TRANSACTION_SKIPPED,
              &(struct log_subject){.sink = runner->sink->config->name, .lsn = runner->skip.lsn},
              "the transaction that commits at %s was skipped with %s %s, as `pgcdc skip` requested",
              lsn_format(runner->skip.lsn).text,
              runner->start.commit_lsn == runner->skip.commit_lsn ? "the other" : "its",
              amount_count(runner->left_out, "change").text);
    runner->leaving_out = false;
    return false;
}

/* Its position has the number of its last row, so nothing else is committed with it. */
static bool ends_chunk(const struct change *change) {
    return change->kind == CHANGE_COMMIT && change->transaction->is_chunk;
}

/* Which rows are durable is not asked later: an LSN does not tell. */
static bool end_chunk(struct runner *runner, struct error *err) {
    if (!runner_commit(runner, COMMIT_DURABLE, err))
        return false;
    note_group(runner);
    return true;
}

bool runner_write(struct runner *runner, const struct change *changes, size_t count,
                  const struct batch *ending, struct error *err) {
    struct sink_span span = {.changes = changes};
    for (size_t i = 0; i < count; i++) {
        const bool has = sink_has(runner, &changes[i]);
        const bool tells = has && is_present(runner, &changes[i]);
        if (!has && !is_left_out(runner, &changes[i])) {
            if (!check_order(runner, &changes[i], err))
                return false;
            span.count++;
            if (!ends_chunk(&changes[i]))
                continue;
            if (!write_span(runner, span, NULL, err) || !end_chunk(runner, err))
                return false;
            span = (struct sink_span){.changes = changes + i + 1};
            continue;
        }
        if (!ledger_add(&runner->ledger, has ? LEDGER_PRESENT : LEDGER_SKIPPED, &changes[i], 1, err))
            return false;
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
