/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status_tables.c - counts and proofs are kept by two threads, and meet here by the table's name.
 */
#include "cdc/http/status_tables.h"

#include <string.h>

#include "cdc/base/utf8.h"
#include "cdc/http/lag.h"

static void put_name(struct json_writer *json, const char *key, const char *name) {
    json_put_field(json, key, utf8_is_valid(slice_of(name)) ? name : "a name that is not UTF-8");
}

/* ---- counts and proofs ---- */

static const struct probe_table *find_proof(const struct sink_probe_facts *facts, const char *name) {
    for (size_t t = 0; t < facts->table_count; t++)
        if (strcmp(facts->tables[t].name, name) == 0)
            return &facts->tables[t];
    return NULL;
}

/* table and proof: NULL when there is none. */
static void put_table(const char *name, struct table_count *table, const struct probe_table *proof,
                      struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    put_name(json, "name", name);
    for (int op = 0; op < TABLE_OPS; op++)
        json_put_number(
            json, table_op_name((enum table_op) op),
            table != NULL ? (int64_t) atomic_load_explicit(&table->counts[op], memory_order_relaxed) : 0);
    json_put_key(json, "equal_us");
    if (proof == NULL || proof->equal_us == 0)
        yajl_gen_null(json->generator);
    else
        json_put_integer(json, proof->equal_us);
    json_put_lsn(json, "equal_lsn", proof != NULL ? proof->equal_lsn : 0);
    json_put_key(json, "differs");
    yajl_gen_bool(json->generator, proof != NULL && proof->differs);
    yajl_gen_map_close(json->generator);
}

static bool has_counts(struct table_count *table) {
    for (int op = 0; op < TABLE_OPS; op++)
        if (atomic_load_explicit(&table->counts[op], memory_order_relaxed) > 0)
            return true;
    return false;
}

static bool has_place(struct table_counts *counts, size_t count, const char *name) {
    for (size_t t = 0; t < count; t++)
        if (strcmp(counts->tables[t].name, name) == 0)
            return true;
    return false;
}

void status_tables_put(const struct view *view, size_t sink, struct json_writer *json) {
    struct table_counts *counts = view_counts(view, sink);
    const struct sink_probe_facts *facts = &view->sinks[sink];
    const size_t count = atomic_load_explicit(&counts->count, memory_order_acquire);
    json_put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (size_t t = 0; t < count; t++)
        put_table(counts->tables[t].name, &counts->tables[t], find_proof(facts, counts->tables[t].name),
                  json);
    for (size_t t = 0; t < facts->table_count; t++)
        if (!has_place(counts, count, facts->tables[t].name))
            put_table(facts->tables[t].name, NULL, &facts->tables[t], json);
    if (has_counts(&counts->others))
        put_table("*", &counts->others, NULL, json);
    yajl_gen_array_close(json->generator);
}

/* ---- the copy ---- */

static const char *copy_sink_name(const struct view *view, size_t part, size_t sink) {
    if (view->part_count > 1)
        return part == 0 ? "buffer" : view->config->sinks[part - 1].sink.name;
    return view->config->sinks[sink].sink.name;
}

/* Only of some tables in work is the rate known. */
static int64_t left_ms_of(const struct live_facts *part, const struct copy_table *table) {
    for (size_t i = 0; i < part->copy.shown_count; i++) {
        const struct progress_table *shown = &part->copy.tables[i];
        if (shown->sink == table->sink && strcmp(shown->name, table->name) == 0)
            return progress_left_ms(&shown->rate, shown->tally.bytes_done, shown->tally.bytes_estimate);
    }
    return -1;
}

static void put_copy_table(const struct view *view, size_t p, const struct copy_table *table,
                           struct json_writer *json) {
    const struct live_facts *part = &view->parts[p];
    const bool runs = part->copy_runs;
    yajl_gen_map_open(json->generator);
    json_put_field(json, "sink", copy_sink_name(view, p, table->sink));
    put_name(json, "name", table->name);
    json_put_number(json, "chunks", (int64_t) table->chunk_count);
    json_put_number(json, "done", (int64_t) table->chunks_done);
    json_put_number(json, "running", runs ? (int64_t) table->chunks_read : 0);
    json_put_number(json, "rows", (int64_t) table->rows);
    json_put_number(json, "bytes_done", (int64_t) table->bytes_done);
    json_put_number(json, "bytes_estimate", (int64_t) table->bytes_estimate);
    json_put_number(json, "left_ms", runs ? left_ms_of(part, table) : -1);
    yajl_gen_map_close(json->generator);
}

static void put_copy_total(const struct progress_total *copy, struct json_writer *json) {
    json_put_number(json, "tables_done", copy->tables_done);
    json_put_number(json, "table_count", copy->table_count);
    json_put_number(json, "chunks_done", (int64_t) copy->chunks_done);
    json_put_number(json, "chunk_count", (int64_t) copy->chunk_count);
    json_put_number(json, "rows", (int64_t) copy->rows);
    json_put_number(json, "bytes_done", (int64_t) copy->bytes_done);
    json_put_number(json, "bytes_estimate", (int64_t) copy->bytes_estimate);
    json_put_number(json, "bytes_per_s", copy->rate.is_known ? (int64_t) copy->rate.bytes_per_s : -1);
    json_put_number(json, "left_ms", progress_left_ms(&copy->rate, copy->bytes_done, copy->bytes_estimate));
    put_name(json, "table", copy->table);
}

void status_copy_put(const struct view *view, struct json_writer *json) {
    const struct live_facts *part = view_copying(view);
    uint64_t rows_copied = 0;
    json_put_key(json, "copy");
    yajl_gen_map_open(json->generator);
    json_put_key(json, "runs");
    yajl_gen_bool(json->generator, part != NULL);
    for (size_t p = 0; p < view->part_count; p++)
        rows_copied += view->parts[p].activity.rows_copied;
    json_put_number(json, "rows_copied", (int64_t) rows_copied);
    if (part != NULL)
        put_copy_total(&part->copy, json);
    json_put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (size_t p = 0; p < view->part_count; p++)
        for (size_t t = 0; t < view->copied[p].count; t++)
            put_copy_table(view, p, &view->copied[p].tables[t], json);
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
}
