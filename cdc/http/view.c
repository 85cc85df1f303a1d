/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - copies of what the engine and the probes know.
 */
#include "cdc/http/view.h"

#include <stdlib.h>

#include "cdc/base/clock.h"
#include "cdc/http/lag.h"

enum { SAMPLE_AGE_MAX_MS = 5000 }; /* an older sample says nothing about now */

bool view_init(struct view *view, const struct config *config, struct live *lives, size_t live_count,
               struct error *err) {
    view->config = config;
    view->lives = lives;
    view->part_count = live_count;
    view->parts = calloc(live_count, sizeof *view->parts);
    view->copied = calloc(live_count, sizeof *view->copied);
    view->sinks = calloc(config->sink_count, sizeof *view->sinks);
    return (view->parts != NULL && view->copied != NULL && view->sinks != NULL) || error_no_memory(err);
}

void view_release(struct view *view) {
    free(view->parts);
    free(view->copied);
    free(view->sinks);
}

void view_take(struct view *view, struct probes *probes) {
    pthread_mutex_lock(&probes->lock);
    view->source = probes->source;
    for (size_t i = 0; i < view->config->sink_count; i++)
        view->sinks[i] = probes->sinks[i].facts;
    pthread_mutex_unlock(&probes->lock);
    for (size_t i = 0; i < view->part_count; i++) {
        live_read(&view->lives[i], &view->parts[i]);
        live_read_copied(&view->lives[i], &view->copied[i]);
    }
    for (size_t i = 0; view->pauses != NULL && i < view->config->sink_count; i++)
        view->paused[i] = pauses_look(view->pauses, i);
    view->stalled_ms =
        view->stalled_now_ms != NULL ? atomic_load(view->stalled_now_ms) : view->config->http.stalled_ms;
    view->now_ms = clock_now_ms();
    view->unix_us = clock_unix_us();
}

lsn_t view_end_lsn(const struct view *view) {
    const lsn_t received_lsn = view->parts[0].received_lsn;
    return view->source.sample.end_lsn > received_lsn ? view->source.sample.end_lsn : received_lsn;
}

/* Without a source to ask, an archive is followed, and its reader names the end. */
static bool is_fresh(const struct view *view) {
    return view->config->source.dsn == NULL ||
           (view->source.sample.number > 0 && view->now_ms - view->source.sample_ms <= SAMPLE_AGE_MAX_MS);
}

bool view_is_caught_up(const struct view *view, size_t sink) {
    const lsn_t end_lsn = view_end_lsn(view);
    return is_fresh(view) && end_lsn != 0 && lag_has(view->parts, view->part_count, sink, end_lsn);
}

uint64_t view_lag_bytes(const struct view *view, size_t sink) {
    const lsn_t end_lsn = view_end_lsn(view);
    const lsn_t durable_lsn = lag_sink(view->parts, view->part_count, sink)->durable_lsn;
    return durable_lsn >= end_lsn || lag_has(view->parts, view->part_count, sink, end_lsn)
               ? 0
               : end_lsn - durable_lsn;
}

const struct activity_sink *view_activity(const struct view *view, size_t sink) {
    return &lag_part(view->parts, view->part_count, sink)->activity.sinks[view->part_count > 1 ? 0 : sink];
}

struct table_counts *view_counts(const struct view *view, size_t sink) {
    return view->part_count > 1 ? &view->lives[1 + sink].tables[0] : &view->lives[0].tables[sink];
}

uint64_t view_rows(const struct view *view, size_t sink) {
    return view_activity(view, sink)->changes + lag_sink(view->parts, view->part_count, sink)->rows_copied;
}

const struct live_facts *view_copying(const struct view *view) {
    for (size_t i = 0; i < view->part_count; i++)
        if (view->parts[i].copy_runs)
            return &view->parts[i];
    return NULL;
}

/* The source's clock now. */
static int64_t source_now_us(const struct view *view) {
    const struct source_probe_facts *source = &view->source;
    return source->sample.number > 0 ? source->sample.time_us + (view->now_ms - source->sample_ms) * 1000
                                     : view->unix_us;
}

int64_t view_lag_ms(const struct view *view, size_t sink) {
    if (view_is_caught_up(view, sink))
        return 0;
    const size_t place = view->part_count > 1 ? 0 : sink;
    const struct activity *activity = &lag_part(view->parts, view->part_count, sink)->activity;
    struct activity_sink facts = activity->sinks[place];
    if (view->source.caught_up_us[sink] > facts.caught_up_us)
        facts.caught_up_us = view->source.caught_up_us[sink];
    /* Until it has had everything once, the process's age stands for its lag: it grows, and ends with it. */
    const int64_t lag_ms = activity_lag_ms(&facts, source_now_us(view));
    return lag_ms >= 0 || activity->started_us == 0 ? lag_ms : (view->unix_us - activity->started_us) / 1000;
}
