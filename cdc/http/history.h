/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.h - lag and throughput of each sink over the last minutes, for the page.
 *
 * A point a second, each with a number; the oldest ones make room. Any thread.
 */
#pragma once

#include <pthread.h>

#include "cdc/http/view.h"

enum { HISTORY_POINTS_MAX = 600, HISTORY_INTERVAL_MS = 1000 };

/* Of one sink. */
struct history_point {
    int64_t lag_ms;     /* -1: not known */
    int64_t rows_per_s; /* changes, and rows of a copy, since the point before; -1: there is none */
};

struct history {
    pthread_mutex_t lock;
    struct history_point *points; /* HISTORY_POINTS_MAX for each sink */
    uint64_t *rows;               /* of each sink, at the last point */
    size_t sink_count;
    uint64_t count; /* of points ever added, so the next one's number */
    int64_t added_ms;
};

/* False: no memory. history_release accepts what is zeroed. */
MUST_CHECK bool history_init(struct history *history, size_t sink_count, struct error *err);
void history_release(struct history *history);

void history_add(struct history *history, const struct view *view);

/* Copies up to max of the sink's last points, oldest first. *ret_first: the number of the first one. */
size_t history_read(struct history *history, size_t sink, size_t max, struct history_point *ret_points,
                    uint64_t *ret_first);

/* Does the sink fall further behind, by at least half of the time that passes? */
bool history_grows(struct history *history, size_t sink);
