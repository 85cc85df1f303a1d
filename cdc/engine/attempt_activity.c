/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_activity.c - what the supervisor reports while the pipeline runs: a small file, and a line a
 * minute.
 *
 * Lag in bytes is measured against the end of the source's WAL, as the watch last saw it, not against the
 * received position. Lag in time is bounded by two moments: the commit time of the sink's last transaction,
 * and the last time at which the sink had everything in the source's WAL.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/epoch.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"
#include "cdc/engine/stop_place.h"
#include "sinks/left_out.h"

enum {
    WRITE_INTERVAL_MS = 2000,
    RATE_WINDOW_MS = 10000,
    REPORT_INTERVAL_MS = 60000,
    REPORT_LATE_MS = 10000, /* overdue by this much without a new sample: the source cannot be asked */
    REPORT_GRACE_MS = 5000, /* a sample that a sink reaches within this time is no lag for people */
};

static uint64_t attempt_activity_get(const atomic_ullong *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- the file ---- */

static void gather_table(const struct attempt *attempt, const struct progress_table *table,
                         struct activity_table *ret_table) {
    const struct chunk_tally *tally = &table->tally;
    *ret_table = (struct activity_table){
        .oid = tally->oid,
        .rows = tally->rows,
        .bytes_done = tally->bytes_done,
        .bytes_per_s = table->rate.is_known ? (int64_t) table->rate.bytes_per_s : -1,
        .left_ms = progress_left_ms(&table->rate, tally->bytes_done, tally->bytes_estimate)};
    snprintf(ret_table->sink, sizeof ret_table->sink, "%s",
             attempt->pipeline->config->sinks[table->sink].sink.name);
}

static void gather_copy(struct attempt *attempt, struct activity_copy *copy) {
    const struct progress_total *total = &attempt->progress.total;
    *copy = (struct activity_copy){.runs = attempt->pipeline->checkpoint.phase == CHECKPOINT_COPYING ||
                                           attempt_is_copying(attempt)};
    if (!copy->runs)
        return;
    copy->tables_done = total->tables_done;
    copy->table_count = total->table_count;
    copy->rows = total->rows;
    copy->bytes = total->bytes;
    copy->bytes_done = total->bytes_done;
    copy->bytes_estimate = total->bytes_estimate;
    copy->bytes_per_s = total->rate.is_known ? (int64_t) total->rate.bytes_per_s : -1;
    copy->left_ms = progress_left_ms(&total->rate, total->bytes_done, total->bytes_estimate);
    memcpy(copy->table, total->table, sizeof copy->table);
    for (; copy->shown_count < total->shown_count; copy->shown_count++)
        gather_table(attempt, &total->tables[copy->shown_count], &copy->tables[copy->shown_count]);
}

static void gather_sink(struct attempt *attempt, size_t i, const struct wal_sample *sample,
                        struct activity_sink *sink) {
    struct runner *runner = &attempt->runners[i];
    struct activity_counts *counts = &attempt->pipeline->activity.counts[i];
    const struct sink_metrics *metrics = &attempt->pipeline->metrics[i];
    const int64_t commit_us = atomic_load_explicit(&metrics->commit_time_us, memory_order_relaxed);
    snprintf(sink->name, sizeof sink->name, "%s", runner->sink->config->name);
    sink->transactions = attempt_activity_get(&metrics->transactions);
    sink->changes = attempt_activity_get(&metrics->changes);
    sink->left_out = attempt_activity_get(&metrics->left_out);
    if (commit_us != 0)
        sink->commit_us = commit_us + POSTGRES_EPOCH_US;
    if (sample->number != 0 && runner_position(runner).end_lsn >= sample->end_lsn)
        counts->caught_up_us = sample->time_us;
    sink->caught_up_us = counts->caught_up_us;
    memcpy(sink->stops, counts->stops, sizeof sink->stops);
}

/* A long text loses its end, but no part of a character. */
static void take_name(char name[ACTIVITY_NAME_MAX], const char *text) {
    size_t length = strlen(text) < ACTIVITY_NAME_MAX ? strlen(text) : ACTIVITY_NAME_MAX - 1;
    while (text[length] != '\0' && length > 0 && ((unsigned char) text[length] & 0xc0) == 0x80)
        length--;
    memset(name, 0, ACTIVITY_NAME_MAX); /* activities are compared as bytes */
    memcpy(name, text, length);
}

static void gather_left_out(const struct sink_config *config, struct activity *activity) {
    struct left_out item;
    for (size_t i = 0; config->left_out != NULL && activity->left_out_count < ACTIVITY_LEFT_OUT_MAX &&
                       left_out_at(config->left_out, i, &item);
         i++) {
        struct activity_left_out *found = &activity->left_out[activity->left_out_count++];
        snprintf(found->sink, sizeof found->sink, "%s", config->name);
        take_name(found->table, item.table);
        take_name(found->rule, item.rule);
        found->changes = item.changes;
        found->copied = item.copied;
    }
}

static void attempt_activity_measure(struct activity_state *state, struct activity *activity,
                                     int64_t now_ms) {
    const int64_t window_ms = now_ms - state->window_ms;
    if (state->window_ms != 0 && window_ms < RATE_WINDOW_MS)
        return;
    for (size_t i = 0; i < activity->sink_count; i++) {
        struct activity_sink *sink = &activity->sinks[i];
        struct activity_counts *counts = &state->counts[i];
        if (state->window_ms != 0) {
            const double seconds = (double) window_ms / 1000;
            sink->transactions_per_s = (double) (sink->transactions - counts->transactions_at) / seconds;
            sink->changes_per_s = (double) (sink->changes - counts->changes_at) / seconds;
        }
        counts->transactions_at = sink->transactions;
        counts->changes_at = sink->changes;
    }
    state->window_ms = now_ms;
}

static struct wal_sample sample_of(struct attempt *attempt) {
    return attempt->watch.started ? watch_sample(&attempt->watch) : (struct wal_sample){0};
}

void attempt_gather_activity(struct attempt *attempt, struct activity *activity) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct wal_sample sample = sample_of(attempt);
    *activity = pipeline->activity.written;
    activity->sink_count = attempt->runner_count;
    activity->rows_copied = pipeline->result.rows_copied;
    gather_copy(attempt, &activity->copy);
    activity->left_out_count = 0;
    for (size_t i = 0; i < attempt->runner_count; i++) {
        gather_sink(attempt, i, &sample, &activity->sinks[i]);
        gather_left_out(attempt->runners[i].sink->config, activity);
        if (!activity->copy.runs)
            activity->rows_copied += attempt_activity_get(&attempt->runners[i].copy.progress.rows);
    }
}

void attempt_note_activity(struct attempt *attempt, bool at_once) {
    struct pipeline *pipeline = attempt->pipeline;
    struct activity_state *state = &pipeline->activity;
    const int64_t now_ms = clock_now_ms();
    if (!at_once && state->written_ms != 0 && now_ms - state->written_ms < WRITE_INTERVAL_MS)
        return;
    struct error err = {0};
    struct activity activity;
    attempt_gather_activity(attempt, &activity);
    attempt_activity_measure(state, &activity, now_ms);
    state->written_ms = now_ms;
    if (memcmp(&activity, &state->written, sizeof activity) == 0)
        return;
    activity.written_us = clock_unix_us();
    if (activity_write(pipeline->config->state, pipeline->config->name, &activity, &err))
        state->written = activity;
}

/* ---- what outlives a process ---- */

void attempt_recall_activity(struct pipeline *pipeline) {
    const struct config *config = pipeline->config;
    struct activity before;
    activity_read(config->state, config->name, &before);
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct activity_sink *sink = activity_find(&before, config->sinks[i].sink.name);
        if (sink != NULL)
            memcpy(pipeline->activity.counts[i].stops, sink->stops, sizeof sink->stops);
    }
}

void attempt_count_stop(struct pipeline *pipeline) {
    const struct config *config = pipeline->config;
    struct activity activity = pipeline->activity.written;
    struct stop_place place;
    struct error err = {0};
    enum conflict_kind kind;
    stop_place_read(config, &pipeline->failure, &place);
    if (place.sink == NULL || !conflict_kind_find(pipeline->failure.error.conflict, &kind))
        return;
    pipeline->activity.counts[place.sink - config->sinks].stops[kind]++;
    activity.sink_count = config->sink_count;
    activity.written_us = clock_unix_us();
    for (size_t i = 0; i < config->sink_count; i++) {
        struct activity_sink *sink = &activity.sinks[i];
        snprintf(sink->name, sizeof sink->name, "%s", config->sinks[i].sink.name);
        memcpy(sink->stops, pipeline->activity.counts[i].stops, sizeof sink->stops);
    }
    if (!activity_write(config->state, config->name, &activity, &err))
        log_line(LOG_ACTIVITY_NOT_STORED, "the conflict cannot be counted: %s", err.text);
}

/* ---- the line ---- */

static void report_sink(struct attempt *attempt, size_t i, const struct wal_sample *sample, int64_t now_ms) {
    const int64_t interval_ms = now_ms - attempt->reported_ms;
    struct runner *runner = &attempt->runners[i];
    struct activity_sink sink = {0};
    char late[128] = "where the source's WAL ends is not known";
    const lsn_t end_lsn = runner_position(runner).end_lsn;
    gather_sink(attempt, i, sample, &sink);
    const uint64_t transactions = sink.transactions - attempt->reported_transactions[i];
    const uint64_t changes = sink.changes - attempt->reported_changes[i];
    const bool is_new = sample->number != attempt->reported_sample;
    const bool is_late = !is_new || end_lsn < sample->end_lsn;
    const int64_t lag_ms = activity_lag_ms(&sink, sample->time_us + (now_ms - attempt->seen_ms) * 1000);
    attempt->reported_transactions[i] = sink.transactions;
    attempt->reported_changes[i] = sink.changes;
    if (attempt->reported_ms == 0 || (transactions == 0 && !is_late))
        return;
    if (is_new && !is_late)
        snprintf(late, sizeof late, "with all that the source has");
    else if (is_new)
        snprintf(late, sizeof late, "%s of WAL%s%s behind the source",
                 amount_bytes((double) (sample->end_lsn - end_lsn)).text, lag_ms >= 0 ? " and " : "",
                 lag_ms >= 0 ? amount_duration(lag_ms).text : "");
    log_about(LOG_PROGRESS, &(struct log_subject){.sink = sink.name, .lsn = end_lsn},
              "%s, %s in %s (%.1f changes/s), at %s, %s", amount_count(transactions, "transaction").text,
              amount_count(changes, "change").text, amount_duration(interval_ms).text,
              (double) changes * 1000 / (double) interval_ms, lsn_format(end_lsn).text, late);
}

static bool sinks_reach(struct attempt *attempt, lsn_t lsn) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (runner_position(&attempt->runners[i]).end_lsn < lsn)
            return false;
    return true;
}

/* There is a new sample, and the sinks had time to reach it. */
static bool can_report(struct attempt *attempt, int64_t now_ms) {
    if (attempt->seen.number == attempt->reported_sample) {
        attempt->seen = sample_of(attempt);
        attempt->seen_ms = now_ms;
    }
    if (attempt->seen.number == attempt->reported_sample)
        return now_ms - attempt->reported_ms >= FAULT_INTERVAL_MS(REPORT_INTERVAL_MS) + REPORT_LATE_MS;
    return sinks_reach(attempt, attempt->seen.end_lsn) || now_ms - attempt->seen_ms >= REPORT_GRACE_MS;
}

/* The first call starts the interval and logs nothing. */
void attempt_report(struct attempt *attempt) {
    const int64_t now_ms = clock_now_ms();
    if (now_ms - attempt->reported_ms < FAULT_INTERVAL_MS(REPORT_INTERVAL_MS))
        return;
    if (attempt->reported_ms != 0 && !can_report(attempt, now_ms))
        return;
    for (size_t i = 0; i < attempt->runner_count; i++)
        report_sink(attempt, i, &attempt->seen, now_ms);
    attempt->reported_sample = attempt->seen.number;
    attempt->reported_ms = now_ms;
}
