/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_table.c - one table of the initial copy.
 *
 * A sink with copy functions receives the bytes as they come. While the sink is busy nothing is read from the
 * source: TCP holds the server back.
 */
#include "cdc/copy/snapshot_table.h"

#include "cdc/base/fault.h"
#include "cdc/copy/copy_out.h"

static void snapshot_table_set(atomic_ullong *counter, uint64_t value) {
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

/*
 * The share of the table's size on disk that these rows make up; without statistics, their bytes on the wire.
 */
static uint64_t part_done(const struct table *table, uint64_t rows, uint64_t bytes) {
    double size = (double) table->bytes_estimate;
    double part = table->row_estimate > 0 ? size * ((double) rows / table->row_estimate) : (double) bytes;
    return (uint64_t) (part < size ? part : size);
}

static void snapshot_table_report(struct snapshot_move *move, const struct table *table, uint64_t rows,
                                  uint64_t bytes) {
    struct snapshot_progress *progress = move->progress;
    snapshot_table_set(&progress->rows, move->rows_before + rows);
    snapshot_table_set(&progress->bytes, move->bytes_before + bytes);
    snapshot_table_set(&progress->bytes_done, move->bytes_done_before + part_done(table, rows, bytes));
}

static void report_end(struct snapshot_move *move, const struct table *table, uint64_t rows, uint64_t bytes) {
    move->rows_before += rows;
    move->bytes_before += bytes;
    move->bytes_done_before += table->bytes_estimate;
    snapshot_table_set(&move->progress->rows, move->rows_before);
    snapshot_table_set(&move->progress->bytes_done, move->bytes_done_before);
}

static bool snapshot_table_take(struct snapshot_move *move, struct slice message, struct error *err) {
    return move->rows != NULL ? snapshot_rows_add(move->rows, message, err)
                              : copy_bytes_add(&move->bytes, message, err);
}

static bool move_rows(struct snapshot_move *move, const struct table *table, struct error *err) {
    uint64_t messages = 0, rows = 0, bytes = 0;
    for (;;) {
        struct copy_message message AUTO(copy_out_free) = {0};
        if (!copy_out_next(move->source, &message, &rows, err))
            return false;
        if (message.data == NULL)
            break;
        if (!snapshot_table_take(move, (struct slice){.data = message.data, .size = message.size}, err))
            return false;
        bytes += message.size;
        snapshot_table_report(move, table, ++messages, bytes);
    }
    FAULT_POINT("snapshot-table-read");
    report_end(move, table, rows, bytes);
    return true;
}

static bool move_bytes(struct snapshot_move *move, const struct table *table, struct error *err) {
    const struct sink_ops *ops = move->sink->ops;
    enum copy_format format = copy_bytes_format(move->sink, table, move->text_only);
    return ops->copy->table(move->sink, table, format, err) &&
           copy_out_start(move->source, table, NULL, format, err) && move_rows(move, table, err) &&
           copy_bytes_send(&move->bytes, err) && ops->copy->table_end(move->sink, err);
}

static bool move_changes(struct snapshot_move *move, const struct table *table, struct error *err) {
    return snapshot_rows_begin(move->rows, table, err) &&
           copy_out_start(move->source, table, NULL, COPY_FORMAT_TEXT, err) && move_rows(move, table, err) &&
           snapshot_rows_write(move->rows, err);
}

void snapshot_skip_table(struct snapshot_move *move, const struct table *table) {
    report_end(move, table, 0, 0);
    atomic_fetch_add_explicit(&move->progress->tables_done, 1, memory_order_relaxed);
}

bool snapshot_move_table(struct snapshot_move *move, const struct table *table, struct error *err) {
    bool moved = move->rows != NULL ? move_changes(move, table, err) : move_bytes(move, table, err);
    if (!moved)
        return error_wrap(err, "copying table %s.%s", table->schema, table->name);
    atomic_fetch_add_explicit(&move->progress->tables_done, 1, memory_order_relaxed);
    return true;
}
