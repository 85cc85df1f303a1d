/* SPDX-License-Identifier: Apache-2.0 */
/*
 * published.c - the file's text.
 *
 *     pgcdc published 1
 *     snapshot 740 745
 *     open 742            for each transaction that was open
 *     table 16390         for each table
 *     end
 */
#include "cdc/engine/published.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/file.h"
#include "cdc/engine/state_file.h"

#define KIND "published"
#define MAGIC "pgcdc published 1\n"
#define TEXT_BYTES_MAX ((size_t) 16 << 20)

struct reading {
    struct published *published;
    struct buffer snapshot; /* its text */
    bool is_complete;
    bool lacks_memory;
};

bool published_has(const struct published *published, oid_t oid) {
    for (size_t i = 0; i < published->table_count; i++)
        if (published->tables[i] == oid)
            return true;
    return false;
}

bool published_note(struct published *published, oid_t oid, struct error *err) {
    if (published_has(published, oid))
        return true;
    oid_t *tables = reallocarray(published->tables, published->table_count + 1, sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    tables[published->table_count++] = oid;
    published->tables = tables;
    return true;
}

void published_forget(struct published *published, oid_t oid) {
    size_t kept = 0;
    for (size_t i = 0; i < published->table_count; i++)
        if (published->tables[i] != oid)
            published->tables[kept++] = published->tables[i];
    published->table_count = kept;
}

void published_release(struct published *published) {
    xid_snapshot_release(&published->snapshot);
    free(published->tables);
    *published = (struct published){0};
}

static void take_line(const char *line, void *context) {
    struct reading *reading = context;
    struct error ignored = {0};
    uint64_t a = 0, b = 0;
    if (sscanf(line, "snapshot %" SCNu64 " %" SCNu64, &a, &b) == 2)
        buffer_printf(&reading->snapshot, "%" PRIu64 ":%" PRIu64 ":", a, b);
    else if (reading->snapshot.size > 0 && sscanf(line, "open %" SCNu64, &a) == 1)
        buffer_printf(&reading->snapshot, "%s%" PRIu64,
                      reading->snapshot.data[reading->snapshot.size - 1] == ':' ? "" : ",", a);
    else if (sscanf(line, "table %" SCNu64, &a) == 1)
        reading->lacks_memory |= !published_note(reading->published, (oid_t) a, &ignored);
    reading->is_complete = strcmp(line, "end\n") == 0;
}

bool published_read(const char *directory, const char *pipeline, struct published *ret_published,
                    struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    struct reading reading = {.published = ret_published, .snapshot = {.bytes_max = TEXT_BYTES_MAX}};
    *ret_published = (struct published){0};
    state_file_read(&file, MAGIC, take_line, &reading);
    const char *text = buffer_text(&reading.snapshot);
    const bool is_good = reading.is_complete && text != NULL &&
                         (text[0] == '\0' || xid_snapshot_parse(text, &ret_published->snapshot));
    buffer_release(&reading.snapshot);
    if (is_good && !reading.lacks_memory)
        return true;
    published_release(ret_published);
    return !reading.lacks_memory || error_no_memory(err);
}

bool published_write(const char *directory, const char *pipeline, const struct published *published,
                     struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    const struct xid_snapshot *snapshot = &published->snapshot;
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    buffer_append_text(&text, MAGIC);
    if (snapshot->xmax != 0)
        buffer_printf(&text, "snapshot %" PRIu64 " %" PRIu64 "\n", snapshot->xmin, snapshot->xmax);
    for (size_t i = 0; i < snapshot->open_count; i++)
        buffer_printf(&text, "open %" PRIu64 "\n", snapshot->open[i]);
    for (size_t i = 0; i < published->table_count; i++)
        buffer_printf(&text, "table %u\n", published->tables[i]);
    buffer_append_text(&text, "end\n");
    if (buffer_text(&text) == NULL)
        return error_no_memory(err);
    return state_file_write(&file, slice_of(text.data), true, err) && state_file_place(&file, err) &&
           directory_sync(directory, err);
}

bool published_remove(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    return state_file_remove(&file, err);
}
