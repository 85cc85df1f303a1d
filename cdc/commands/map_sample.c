/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_sample.c - reads rows as the copy does, and writes them through the mapping of the sink.
 */
#include "cdc/commands/map_sample.h"

#include <stdio.h>

#include "cdc/copy/copy_out.h"
#include "cdc/copy/snapshot_rows.h"
#include "sinks/change_json.h"
#include "sinks/mapping/mapped_view.h"

struct sample {
    struct session *source;
    struct mapped_view view;
    struct json_writer json;
    struct snapshot_rows *rows;
};

static void sample_release(struct sample *sample) {
    snapshot_rows_free(sample->rows);
    mapped_view_close(&sample->view);
    json_writer_release(&sample->json);
}

static bool print_rows(void *context, const struct change *changes, size_t count, struct error *err) {
    struct sample *sample = context;
    struct slice line;
    for (size_t i = 0; i < count; i++) {
        if (!change_json_write(&sample->json, &changes[i], &line, err))
            return false;
        if (fwrite(line.data, 1, line.size, stdout) != line.size)
            return error_errno(err, "standard output");
    }
    return true;
}

static bool copy_rows(struct sample *sample, const struct table *table, struct error *err) {
    struct copy_message row AUTO(copy_out_free) = {0};
    uint64_t count = 0;
    if (!copy_out_start_sample(sample->source, table, SAMPLE_ROWS, err))
        return false;
    for (;;) {
        if (!copy_out_next(sample->source, &row, &count, err))
            return false;
        if (row.data == NULL)
            return true;
        if (!snapshot_rows_add(sample->rows, (struct slice){.data = row.data, .size = row.size}, err))
            return false;
        copy_out_free(&row);
    }
}

bool map_sample_print(struct session *source, const struct table *table, const struct sink_config *sink,
                      const atomic_bool *stop, struct error *err) {
    struct sample sample AUTO(sample_release) = {.source = source};
    const struct position position = {.end_lsn = 1}; /* before every change */
    if (!json_writer_init(&sample.json, err) ||
        !mapped_view_open(&sample.view, sink, print_rows, &sample, stop, err))
        return false;
    sample.rows = snapshot_rows_new(sample.view.sink, &position);
    if (sample.rows == NULL)
        return error_no_memory(err);
    return snapshot_rows_begin(sample.rows, table, err) && copy_rows(&sample, table, err) &&
           snapshot_rows_write(sample.rows, err);
}
