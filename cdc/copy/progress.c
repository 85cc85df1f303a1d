/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c - one line from the counters of the copies.
 *
 *     copy: public.orders 3/7 tables, 1.2 of 4.0 GB (30 %), 81 MB/s
 *     [========            ] 30 %  public.orders  3/7 tables  1.2 of 4.0 GB  81 MB/s
 */
#include "cdc/copy/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"

enum {
    BAR_INTERVAL_MS = 200,
    LINE_INTERVAL_MS = 10000,
    RATE_INTERVAL_MS = 1000, /* a shorter one makes the rate jump */
    BAR_WIDTH = 24,
    TEXT_MAX = 256,
};

void progress_init(struct progress *progress) {
    *progress = (struct progress){.is_terminal = isatty(STDERR_FILENO) == 1};
}

static uint64_t progress_get(const atomic_ullong *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

struct progress_total progress_add_up(const struct snapshot_progress *const *copies, size_t count) {
    struct progress_total total = {0};
    for (size_t i = 0; i < count; i++) {
        total.rows += progress_get(&copies[i]->rows);
        total.bytes += progress_get(&copies[i]->bytes);
        total.bytes_done += progress_get(&copies[i]->bytes_done);
        total.bytes_estimate += progress_get(&copies[i]->bytes_estimate);
        total.tables_done += atomic_load_explicit(&copies[i]->tables_done, memory_order_relaxed);
        total.table_count += atomic_load_explicit(&copies[i]->table_count, memory_order_relaxed);
        if (total.table[0] == '\0')
            snapshot_progress_table(copies[i], total.table);
    }
    return total;
}

static unsigned int percent(const struct progress_total *total) {
    if (total->bytes_estimate == 0)
        return 0;
    double part = (double) total->bytes_done / (double) total->bytes_estimate;
    return part >= 1 ? 100 : (unsigned int) (part * 100);
}

static void progress_measure(struct progress *progress, uint64_t bytes, int64_t now_ms) {
    if (progress->rate_ms == 0) {
        progress->rate_ms = now_ms;
        progress->rate_bytes = bytes;
    }
    int64_t interval_ms = now_ms - progress->rate_ms;
    if (interval_ms < RATE_INTERVAL_MS)
        return;
    progress->bytes_per_second = bytes > progress->rate_bytes
                                     ? (double) (bytes - progress->rate_bytes) * 1000 / (double) interval_ms
                                     : 0;
    progress->rate_ms = now_ms;
    progress->rate_bytes = bytes;
}

/* One write, so that a log line of another thread cannot split it. */
static void draw(struct progress *progress, const struct progress_total *total) {
    char bar[BAR_WIDTH + 1];
    char text[TEXT_MAX];
    size_t filled = percent(total) * BAR_WIDTH / 100;
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', filled);
    bar[BAR_WIDTH] = '\0';
    int length = snprintf(
        text, sizeof text, "\r[%s] %u %%  %s  %u/%u tables  %s of %s  %s/s\033[K\r", bar, percent(total),
        total->table, total->tables_done, total->table_count, amount_bytes((double) total->bytes_done).text,
        amount_bytes((double) total->bytes_estimate).text, amount_bytes(progress->bytes_per_second).text);
    if (length > 0 && (size_t) length < sizeof text)
        progress->is_drawn = write(STDERR_FILENO, text, (size_t) length) > 0;
}

static void progress_say(const struct progress *progress, const struct progress_total *total) {
    log_line(LOG_LEVEL_INFO, "copy: %s %u/%u tables, %s of %s (%u %%), %s/s", total->table,
             total->tables_done, total->table_count, amount_bytes((double) total->bytes_done).text,
             amount_bytes((double) total->bytes_estimate).text, percent(total),
             amount_bytes(progress->bytes_per_second).text);
}

void progress_print(struct progress *progress, const struct snapshot_progress *const *copies, size_t count,
                    int64_t now_ms) {
    struct progress_total total = progress_add_up(copies, count);
    if (progress->printed_ms == 0)
        progress->printed_ms = now_ms;
    progress_measure(progress, total.bytes, now_ms);
    if (total.table_count == 0 || total.table[0] == '\0')
        return;
    int64_t interval_ms = progress->is_terminal ? BAR_INTERVAL_MS : LINE_INTERVAL_MS;
    if (now_ms - progress->printed_ms < interval_ms)
        return;
    progress->printed_ms = now_ms;
    if (progress->is_terminal)
        draw(progress, &total);
    else
        progress_say(progress, &total);
}

void progress_end(struct progress *progress) {
    static const char WIPE[] = "\r\033[K";
    if (progress->is_drawn && write(STDERR_FILENO, WIPE, sizeof WIPE - 1) > 0)
        progress->is_drawn = false;
}
