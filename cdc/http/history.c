/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c - a ring.
 */
#include "cdc/http/history.h"

#include <stdlib.h>

enum {
    GROWS_MIN_MS = 10000, /* a smaller lag is no news */
    GROWS_POINTS = 30,
};

bool history_init(struct history *history, size_t sink_count, struct error *err) {
    *history = (struct history){.sink_count = sink_count};
    pthread_mutex_init(&history->lock, NULL);
    history->points = calloc(sink_count * HISTORY_POINTS_MAX, sizeof *history->points);
    history->rows = calloc(sink_count, sizeof *history->rows);
    return (history->points != NULL && history->rows != NULL) || error_no_memory(err);
}

void history_release(struct history *history) {
    free(history->points);
    free(history->rows);
    history->points = NULL;
    history->rows = NULL;
}

static struct history_point *point_at(const struct history *history, size_t sink, uint64_t number) {
    return &history->points[sink * HISTORY_POINTS_MAX + number % HISTORY_POINTS_MAX];
}

/* A process that begins anew counts from zero, and so does the copy of a new attempt. */
static int64_t rate(const struct history *history, size_t sink, uint64_t rows, int64_t passed_ms) {
    if (history->count == 0 || passed_ms <= 0)
        return -1;
    return rows > history->rows[sink] ? (int64_t) ((rows - history->rows[sink]) * 1000 / (uint64_t) passed_ms)
                                      : 0;
}

void history_add(struct history *history, const struct view *view) {
    pthread_mutex_lock(&history->lock);
    for (size_t i = 0; i < history->sink_count; i++) {
        const uint64_t rows = view_rows(view, i);
        *point_at(history, i, history->count) = (struct history_point){
            .lag_ms = view_lag_ms(view, i),
            .rows_per_s = rate(history, i, rows, view->now_ms - history->added_ms),
        };
        history->rows[i] = rows;
    }
    history->added_ms = view->now_ms;
    history->count++;
    pthread_mutex_unlock(&history->lock);
}

size_t history_read(struct history *history, size_t sink, size_t max, struct history_point *ret_points,
                    uint64_t *ret_first) {
    pthread_mutex_lock(&history->lock);
    size_t count = history->count < HISTORY_POINTS_MAX ? (size_t) history->count : HISTORY_POINTS_MAX;
    count = count < max ? count : max;
    *ret_first = history->count - count;
    for (size_t i = 0; i < count; i++)
        ret_points[i] = *point_at(history, sink, *ret_first + i);
    pthread_mutex_unlock(&history->lock);
    return count;
}

bool history_grows(struct history *history, size_t sink) {
    struct history_point points[GROWS_POINTS];
    uint64_t first;
    const size_t count = history_read(history, sink, GROWS_POINTS, points, &first);
    if (count < GROWS_POINTS || points[0].lag_ms < 0)
        return false;
    const int64_t now_ms = points[count - 1].lag_ms;
    return now_ms >= GROWS_MIN_MS &&
           now_ms - points[0].lag_ms >= GROWS_POINTS * (int64_t) HISTORY_INTERVAL_MS / 2;
}
