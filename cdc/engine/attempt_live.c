/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_live.c - what the supervisor tells the other threads of the process (live.h).
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/engine/attempt.h"

enum { SHOW_INTERVAL_MS = 200 };

#define OTHER_KIND "other"

static uint64_t live_get(const atomic_ullong *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void look_at_metrics(const struct sink_metrics *metrics, struct live_sink *sink) {
    sink->visible_lsn = live_get(&metrics->visible_lsn);
    sink->written_lsn = live_get(&metrics->written_lsn);
    latency_read(&metrics->since_commit, &sink->since_commit);
    latency_read(&metrics->since_write, &sink->since_write);
}

/* An idle sink has just moved: what it is given next has all the time that it may take. */
static void look_at_runner(struct attempt *attempt, size_t i, int64_t now_ms, struct live_sink *sink) {
    struct runner *runner = &attempt->runners[i];
    const struct sink_metrics *metrics = runner->metrics;
    sink->durable_lsn = runner_position(runner).end_lsn;
    look_at_metrics(metrics, sink); /* after it: what is durable is visible */
    sink->is_copying = atomic_load(&runner->is_copying);
    sink->rows_copied = live_get(&runner->copy.progress.rows);
    sink->is_busy = atomic_load_explicit(&metrics->is_busy, memory_order_relaxed) ||
                    sink->durable_lsn < sink->visible_lsn;
    sink->is_open = atomic_load_explicit(&metrics->is_open, memory_order_relaxed);
    const uint64_t moves =
        live_get(&metrics->writes) + sink->visible_lsn + sink->durable_lsn + sink->rows_copied;
    if (!sink->is_busy || moves != sink->moves)
        sink->moved_ms = now_ms;
    sink->moves = moves;
}

static void set_phase(struct live_facts *facts, enum live_phase phase, int64_t now_ms) {
    if (facts->phase != phase || !facts->exists)
        facts->phase_ms = now_ms;
    facts->phase = phase;
    facts->exists = true;
    facts->turned_ms = now_ms;
}

/* Every sink's place in an attempt that has not opened it yet is as the one before has left it. */
static void fill_facts(struct attempt *attempt, enum live_phase phase, int64_t now_ms,
                       struct live_facts *facts) {
    struct pipeline *pipeline = attempt->pipeline;
    set_phase(facts, phase, now_ms);
    attempt_gather_activity(attempt, &facts->activity);
    facts->received_lsn = live_get(&attempt->reader->received_lsn);
    facts->saved_lsn = pipeline->checkpoint.phase == CHECKPOINT_STREAMING
                           ? checkpoint_confirmed_lsn(&pipeline->checkpoint)
                           : 0;
    facts->disk_fails = attempt->disk_fails;
    facts->disk_error = attempt->disk_error;
    facts->copy_runs = facts->activity.copy.runs;
    facts->copy = attempt->progress.total;
    facts->failure = pipeline->failure;
    facts->sink_count = pipeline->config->sink_count;
    for (size_t i = 0; i < attempt->runner_count; i++)
        look_at_runner(attempt, i, now_ms, &facts->sinks[i]);
}

static void attempt_look_at_copies(struct attempt *attempt, struct copy_tables *copied) {
    struct snapshot_progress *copies[CHECKPOINT_SINKS_MAX];
    for (size_t i = 0; i < attempt->runner_count; i++)
        copies[i] = &attempt->runners[i].copy.progress;
    copy_watch_look(&attempt->copy_watch, copies, attempt->runner_count, copied);
}

void attempt_show_live(struct attempt *attempt, enum live_phase phase) {
    struct live *live = attempt->pipeline->options->live;
    const int64_t now_ms = clock_now_ms();
    if (live == NULL)
        return;
    /* Only this thread writes it, so it may be read without the lock. */
    if (live->facts.exists && live->facts.phase == phase && now_ms - live->facts.turned_ms < SHOW_INTERVAL_MS)
        return;
    pthread_mutex_lock(&live->lock);
    fill_facts(attempt, phase, now_ms, &live->facts);
    attempt_look_at_copies(attempt, &live->copied);
    pthread_mutex_unlock(&live->lock);
}

/* ---- between attempts ---- */

static void count_retry(struct live_facts *facts, const struct error *error) {
    const char *kind = error->sqlstate[0] != '\0' ? error->sqlstate : OTHER_KIND;
    size_t i = 0;
    if (facts->retry_count == LIVE_KINDS_MAX - 1)
        kind = OTHER_KIND;
    while (i < facts->retry_count && strcmp(facts->retries[i].kind, kind) != 0)
        i++;
    if (i == LIVE_KINDS_MAX)
        return;
    if (i == facts->retry_count)
        snprintf(facts->retries[facts->retry_count++].kind, LIVE_KIND_MAX, "%s", kind);
    facts->retries[i].count++;
}

void pipeline_show_live(struct pipeline *pipeline, enum live_phase phase, const struct error *error) {
    struct live *live = pipeline->options->live;
    if (live == NULL)
        return;
    pthread_mutex_lock(&live->lock);
    set_phase(&live->facts, phase, clock_now_ms());
    live->facts.failure = pipeline->failure;
    live->facts.copy_runs = false;
    if (phase == LIVE_RETRYING)
        count_retry(&live->facts, error);
    pthread_mutex_unlock(&live->lock);
}

void pipeline_begin_live(struct pipeline *pipeline) {
    struct live *live = pipeline->options->live;
    if (live == NULL)
        return;
    for (size_t i = 0; i < pipeline->config->sink_count; i++)
        pipeline->metrics[i].tables = &live->tables[i];
    pipeline_show_live(pipeline, LIVE_STARTING, NULL);
}
