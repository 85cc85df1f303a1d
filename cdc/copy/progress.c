/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c - adds up the copies, measures them, and shows a few lines.
 *
 *     copy: 12 of 40 chunks, 3 of 7 tables, 1.2 GB of 4.0 GB (30 %), 81 MB/s, 35 s left; public.orders 3 of 9
 *     [========            ] 30 %  12 of 40 chunks  3 of 7 tables  1.2 GB of 4.0 GB  81 MB/s  35 s left
 *       public.orders  3 of 9 chunks  150000 rows  0.4 GB of 1.2 GB  81 MB/s  10 s left
 */
#include "cdc/copy/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/copy/chunk_map.h"

enum {
    UPDATE_INTERVAL_MS = 200,
    BAR_INTERVAL_MS = 200,
    LINE_INTERVAL_MS = 10000,
    RATE_INTERVAL_MS = 1000, /* a shorter one makes the rate jump */
    BAR_WIDTH = 24,
    COLUMNS_DEFAULT = 80,
    TEXT_BYTES_MAX = 16 * 1024,
    NAMED_MAX = 4, /* tables in a log line */
};

/* How much the last second counts in a rate. */
#define RATE_WEIGHT 0.3

void progress_init(struct progress *progress) {
    *progress = (struct progress){.is_terminal = log_may_draw()};
}

/* ---- sums ---- */

static uint64_t progress_get(const atomic_ullong *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void note_table(struct progress_total *total, const struct chunk_tally *tally, size_t sink) {
    char raw[SNAPSHOT_TABLE_MAX];
    if (total->read_count++ >= PROGRESS_TABLES_MAX)
        return;
    struct progress_table *table = &total->tables[total->shown_count++];
    *table = (struct progress_table){.sink = sink, .tally = *tally};
    table->tally.schema = table->tally.table = NULL;
    snprintf(raw, sizeof raw, "%s.%s", tally->schema, tally->table);
    visible_write(table->name, sizeof table->name, slice_of(raw));
}

static void add_chunks(struct progress_total *total, struct chunk_map *map, size_t sink) {
    struct chunk_tally sum = {0};
    struct chunk_tally *tables = calloc(map->table_count, sizeof *tables);
    if (tables == NULL)
        return;
    chunk_map_tally(map, tables);
    for (size_t i = 0; i < map->table_count; i++) {
        chunk_tally_add(&sum, &tables[i]);
        total->table_count += tables[i].chunk_count > 0;
        total->tables_done += tables[i].chunk_count > 0 && tables[i].chunks_done == tables[i].chunk_count;
        if (tables[i].chunks_read > 0)
            note_table(total, &tables[i], sink);
    }
    free(tables);
    total->rows += sum.rows;
    total->bytes_done += sum.bytes_done;
    total->bytes_estimate += sum.bytes_estimate;
    total->chunks_done += sum.chunks_done;
    total->chunk_count += sum.chunk_count;
}

static void add_step(struct progress_total *total, const struct snapshot_progress *copy) {
    total->rows += progress_get(&copy->rows);
    total->bytes_done += progress_get(&copy->bytes_done);
    total->bytes_estimate += progress_get(&copy->bytes_estimate);
    total->tables_done += atomic_load_explicit(&copy->tables_done, memory_order_relaxed);
    total->table_count += atomic_load_explicit(&copy->table_count, memory_order_relaxed);
    if (total->table[0] == '\0')
        snapshot_progress_table(copy, total->table);
}

static void add_up(struct progress_total *total, struct snapshot_progress *const *copies, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct chunk_map *map = snapshot_progress_share(copies[i]);
        total->bytes += progress_get(&copies[i]->bytes);
        if (map != NULL)
            add_chunks(total, map, i);
        else
            add_step(total, copies[i]);
        chunk_map_free(map);
    }
}

/* ---- rates ---- */

static double smooth(const struct progress_rate *rate, double old, uint64_t before, uint64_t now,
                     int64_t interval_ms) {
    const double last = now > before ? (double) (now - before) * 1000 / (double) interval_ms : 0;
    return rate->is_known ? old + RATE_WEIGHT * (last - old) : last;
}

static void measure(struct progress_rate *rate, uint64_t bytes, uint64_t done, int64_t now_ms) {
    const int64_t interval_ms = now_ms - rate->measured_ms;
    if (rate->measured_ms != 0 && interval_ms < RATE_INTERVAL_MS)
        return;
    if (rate->measured_ms != 0) {
        rate->bytes_per_s = smooth(rate, rate->bytes_per_s, rate->bytes, bytes, interval_ms);
        rate->done_per_s = smooth(rate, rate->done_per_s, rate->done, done, interval_ms);
        rate->is_known = true;
    }
    rate->measured_ms = now_ms;
    rate->bytes = bytes;
    rate->done = done;
}

static struct progress_rate rate_before(const struct progress_total *total,
                                        const struct progress_table *table) {
    for (size_t i = 0; i < total->shown_count; i++)
        if (total->tables[i].sink == table->sink && total->tables[i].tally.oid == table->tally.oid)
            return total->tables[i].rate;
    return (struct progress_rate){0};
}

int64_t progress_left_ms(const struct progress_rate *rate, uint64_t done, uint64_t estimate) {
    if (!rate->is_known || rate->done_per_s < 1 || estimate == 0)
        return -1;
    return done < estimate ? (int64_t) ((double) (estimate - done) * 1000 / rate->done_per_s) : 0;
}

void progress_update(struct progress *progress, struct snapshot_progress *const *copies, size_t count,
                     int64_t now_ms) {
    struct progress_total total = {.rate = progress->total.rate};
    if (progress->updated_ms != 0 && now_ms - progress->updated_ms < UPDATE_INTERVAL_MS)
        return;
    progress->updated_ms = now_ms;
    add_up(&total, copies, count);
    measure(&total.rate, total.bytes, total.bytes_done, now_ms);
    for (size_t i = 0; i < total.shown_count; i++) {
        struct progress_table *table = &total.tables[i];
        table->rate = rate_before(&progress->total, table);
        measure(&table->rate, table->tally.bytes, table->tally.bytes_done, now_ms);
    }
    progress->total = total;
}

/* ---- texts ---- */

static unsigned int percent(const struct progress_total *total) {
    if (total->bytes_estimate == 0)
        return 0;
    double part = (double) total->bytes_done / (double) total->bytes_estimate;
    return part >= 1 ? 100 : (unsigned int) (part * 100);
}

static void append_rate(struct buffer *text, const struct progress_rate *rate, uint64_t done,
                        uint64_t estimate, const char *glue) {
    const int64_t left_ms = progress_left_ms(rate, done, estimate);
    if (rate->is_known)
        buffer_printf(text, "%s%s/s", glue, amount_bytes(rate->bytes_per_s).text);
    if (left_ms >= 0)
        buffer_printf(text, "%s%s left", glue, amount_duration(left_ms).text);
}

/* What is copied, without the sizes. */
static void append_counts(struct buffer *text, const struct progress_total *total, const char *glue) {
    if (total->chunk_count > 0)
        buffer_printf(text, "%" PRIu64 " of %s%s", total->chunks_done,
                      amount_count(total->chunk_count, "chunk").text, glue);
    else
        buffer_printf(text, "%s%s", total->table, glue);
    buffer_printf(
        text, "%u of %s%s%s of %s", total->tables_done, amount_count(total->table_count, "table").text, glue,
        amount_bytes((double) total->bytes_done).text, amount_bytes((double) total->bytes_estimate).text);
}

static void append_line(struct buffer *text, const struct progress_total *total) {
    append_counts(text, total, ", ");
    buffer_printf(text, " (%u %%)", percent(total));
    append_rate(text, &total->rate, total->bytes_done, total->bytes_estimate, ", ");
    for (size_t i = 0; i < total->shown_count && i < NAMED_MAX; i++)
        buffer_printf(text, "%s%s %" PRIu64 " of %" PRIu64, i == 0 ? "; " : ", ", total->tables[i].name,
                      total->tables[i].tally.chunks_done, total->tables[i].tally.chunk_count);
    if (total->read_count > NAMED_MAX)
        buffer_printf(text, ", and %s more", amount_count(total->read_count - NAMED_MAX, "table").text);
}

static void append_table(struct buffer *text, const struct progress_table *table) {
    const struct chunk_tally *tally = &table->tally;
    buffer_printf(text, "  %s  %" PRIu64 " of %s  %s  %s of %s", table->name, tally->chunks_done,
                  amount_count(tally->chunk_count, "chunk").text, amount_count(tally->rows, "row").text,
                  amount_bytes((double) tally->bytes_done).text,
                  amount_bytes((double) tally->bytes_estimate).text);
    append_rate(text, &table->rate, tally->bytes_done, tally->bytes_estimate, "  ");
}

static void append_bar(struct buffer *text, const struct progress_total *total) {
    char bar[BAR_WIDTH + 1];
    memset(bar, ' ', BAR_WIDTH);
    memset(bar, '=', percent(total) * BAR_WIDTH / 100);
    bar[BAR_WIDTH] = '\0';
    buffer_printf(text, "[%s] %u %%  ", bar, percent(total));
    append_counts(text, total, "  ");
    append_rate(text, &total->rate, total->bytes_done, total->bytes_estimate, "  ");
}

/* ---- showing ---- */

/* A line that wraps would be two. Cuts between two characters. */
static void cut_line(struct buffer *text, size_t start, size_t columns) {
    if (text->size - start <= columns)
        return;
    text->size = start + columns;
    while (text->size > start && ((unsigned char) text->data[text->size] & 0xC0) == 0x80)
        text->size--;
}

static struct winsize window_size(void) {
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2)
        size.ws_col = COLUMNS_DEFAULT;
    return size;
}

/*
 * One write, so that a log line of another thread cannot split it. The cursor goes back to the first line, so
 * that such a line replaces what is drawn.
 */
static void draw(struct progress *progress) {
    const struct progress_total *total = &progress->total;
    const struct winsize size = window_size();
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    size_t lines = 0;
    buffer_append_text(&text, "\r\033[J");
    size_t start = text.size;
    append_bar(&text, total);
    cut_line(&text, start, size.ws_col - 1U);
    for (; lines < total->shown_count && lines + 2U < size.ws_row; lines++) {
        buffer_append_text(&text, "\n");
        start = text.size;
        append_table(&text, &total->tables[lines]);
        cut_line(&text, start, size.ws_col - 1U);
    }
    if (lines > 0)
        buffer_printf(&text, "\033[%zuA", lines);
    buffer_append_text(&text, "\r");
    if (buffer_ok(&text))
        progress->is_drawn = write(STDERR_FILENO, text.data, text.size) > 0;
}

static void progress_say(const struct progress_total *total) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    append_line(&text, total);
    const char *line = buffer_text(&text);
    if (line != NULL)
        log_line(LOG_COPY_PROGRESS, "copy: %s", line);
}

void progress_print(struct progress *progress, int64_t now_ms) {
    const struct progress_total *total = &progress->total;
    if (progress->printed_ms == 0)
        progress->printed_ms = now_ms;
    if (total->table_count == 0 || (total->chunk_count == 0 && total->table[0] == '\0'))
        return;
    int64_t interval_ms = progress->is_terminal ? BAR_INTERVAL_MS : FAULT_INTERVAL_MS(LINE_INTERVAL_MS);
    if (now_ms - progress->printed_ms < interval_ms)
        return;
    progress->printed_ms = now_ms;
    if (progress->is_terminal)
        draw(progress);
    else
        progress_say(total);
}

void progress_end(struct progress *progress) {
    static const char WIPE[] = "\r\033[J";
    if (progress->is_drawn && write(STDERR_FILENO, WIPE, sizeof WIPE - 1) > 0)
        progress->is_drawn = false;
}
