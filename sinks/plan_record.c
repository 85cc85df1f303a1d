/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_record.c - written field by field, and read with yajl's tree.
 */
#include "sinks/plan_record.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

/* WITH_ADDED: a chunk that was added, which an older engine would take for one of the initial copy. */
enum { VERSION = 1, WITH_ADDED = 2, TEXT_MAX = 64 };

/* As written; indexed by enum chunk_method and enum chunk_state. */
static const char *const METHODS[] = {"whole", "key", "source", "pages"};
static const char *const STATES[] = {"waits", "dirty", "copied"};

/* ---- writing ---- */

/* NULL is left out. */
static void put_text(struct json_writer *json, const char *key, const char *text) {
    if (text != NULL)
        json_put_field(json, key, text);
}

static void put_lsn(struct json_writer *json, const char *key, lsn_t lsn) {
    json_put_field(json, key, lsn_format(lsn).text);
}

static void begin_record(struct json_writer *json, int version) {
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_number(json, "version", version);
}

static bool finish_record(struct json_writer *json, struct slice *ret_value, struct error *err) {
    yajl_gen_map_close(json->generator);
    return json_writer_finish(json, ret_value, err);
}

bool plan_record_format(struct json_writer *json, const struct chunk_plan *plan, struct slice *ret_value,
                        struct error *err) {
    begin_record(json, VERSION);
    put_text(json, "snapshot", plan->snapshot);
    put_lsn(json, "read_lsn", plan->read_lsn);
    put_lsn(json, "row_lsn", plan->row_lsn);
    json_put_number(json, "row_index", (int64_t) plan->row_index);
    return finish_record(json, ret_value, err);
}

bool chunk_record_format(struct json_writer *json, const struct chunk *chunk, struct slice *ret_value,
                         struct error *err) {
    begin_record(json, chunk->is_added ? WITH_ADDED : VERSION);
    json_put_number(json, "id", chunk->id);
    json_put_number(json, "oid", chunk->relation_oid);
    put_text(json, "schema", chunk->schema);
    put_text(json, "table", chunk->table);
    put_text(json, "method", METHODS[chunk->method]);
    put_text(json, "column", chunk->column);
    json_put_number(json, "column_type", chunk->column_type);
    json_put_number(json, "key_type", chunk->key_type);
    put_text(json, "order", chunk->order_sql);
    put_text(json, "low", chunk->low);
    put_text(json, "high", chunk->high);
    json_put_number(json, "bytes", (int64_t) chunk->bytes_estimate);
    json_put_number(json, "rows", (int64_t) chunk->rows);
    put_text(json, "state", STATES[chunk->state]);
    put_text(json, "snapshot", chunk->snapshot);
    return finish_record(json, ret_value, err);
}

/* ---- reading ---- */

/* What is missing or wrong makes the whole record wrong. */
struct reading {
    yajl_val tree;
    struct arena *arena;
    bool is_wrong;
    bool lacks_memory;
};

static yajl_val find(const struct reading *reading, const char *key, yajl_type type) {
    const char *const path[] = {key, NULL};
    return yajl_tree_get(reading->tree, (const char **) (uintptr_t) path, type);
}

/* NULL when it is missing. */
static const char *take_text(struct reading *reading, const char *key) {
    const yajl_val value = find(reading, key, yajl_t_string);
    if (value == NULL)
        return NULL;
    const char *text = arena_copy(reading->arena, slice_of(YAJL_GET_STRING(value)));
    reading->lacks_memory |= text == NULL;
    return text;
}

static const char *take_required(struct reading *reading, const char *key) {
    const char *text = take_text(reading, key);
    reading->is_wrong |= text == NULL;
    return text != NULL ? text : "";
}

static uint64_t take_number(struct reading *reading, const char *key, uint64_t max) {
    const yajl_val value = find(reading, key, yajl_t_number);
    if (value == NULL || !YAJL_IS_INTEGER(value) || YAJL_GET_INTEGER(value) < 0 ||
        (uint64_t) YAJL_GET_INTEGER(value) > max) {
        reading->is_wrong = true;
        return 0;
    }
    return (uint64_t) YAJL_GET_INTEGER(value);
}

static lsn_t take_lsn(struct reading *reading, const char *key) {
    lsn_t lsn = 0;
    reading->is_wrong |= !lsn_parse(take_required(reading, key), &lsn);
    return lsn;
}

static int take_word(struct reading *reading, const char *key, const char *const *words, int count) {
    const char *word = take_required(reading, key);
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    reading->is_wrong = true;
    return 0;
}

static bool open_record(struct slice value, struct arena *arena, uint64_t version_max,
                        struct reading *ret_reading, uint64_t *ret_version, struct error *err) {
    char *text = arena_copy(arena, value);
    char problem[TEXT_MAX];
    *ret_reading = (struct reading){.arena = arena};
    if (text == NULL)
        return error_no_memory(err);
    ret_reading->tree = strlen(text) == value.size ? yajl_tree_parse(text, problem, sizeof problem) : NULL;
    if (ret_reading->tree == NULL)
        return error_set(err, ERROR_PROTOCOL, "it is not JSON");
    *ret_version = take_number(ret_reading, "version", version_max);
    ret_reading->is_wrong |= *ret_version < VERSION;
    return true;
}

static bool close_record(struct reading *reading, struct error *err) {
    yajl_tree_free(reading->tree);
    if (reading->lacks_memory)
        return error_no_memory(err);
    return !reading->is_wrong || error_set(err, ERROR_PROTOCOL, "a field is missing or wrong");
}

bool plan_record_parse(struct slice value, struct arena *arena, struct chunk_plan *ret_plan,
                       struct error *err) {
    struct reading reading;
    uint64_t version = 0;
    if (!open_record(value, arena, VERSION, &reading, &version, err))
        return false;
    ret_plan->snapshot = take_required(&reading, "snapshot");
    ret_plan->read_lsn = take_lsn(&reading, "read_lsn");
    ret_plan->row_lsn = take_lsn(&reading, "row_lsn");
    ret_plan->row_index = take_number(&reading, "row_index", INT64_MAX);
    return close_record(&reading, err);
}

bool chunk_record_parse(struct slice value, struct arena *arena, struct chunk *ret_chunk, struct error *err) {
    struct reading reading;
    uint64_t version = 0;
    if (!open_record(value, arena, WITH_ADDED, &reading, &version, err))
        return false;
    *ret_chunk = (struct chunk){
        .is_added = version == WITH_ADDED,
        .id = (uint32_t) take_number(&reading, "id", UINT32_MAX),
        .relation_oid = (oid_t) take_number(&reading, "oid", UINT32_MAX),
        .schema = take_required(&reading, "schema"),
        .table = take_required(&reading, "table"),
        .method =
            (enum chunk_method) take_word(&reading, "method", METHODS, sizeof METHODS / sizeof *METHODS),
        .column = take_text(&reading, "column"),
        .column_type = (oid_t) take_number(&reading, "column_type", UINT32_MAX),
        .key_type = (oid_t) take_number(&reading, "key_type", UINT32_MAX),
        .order_sql = take_text(&reading, "order"),
        .low = take_text(&reading, "low"),
        .high = take_text(&reading, "high"),
        .bytes_estimate = take_number(&reading, "bytes", INT64_MAX),
        .rows = take_number(&reading, "rows", INT64_MAX),
        .state = (enum chunk_state) take_word(&reading, "state", STATES, sizeof STATES / sizeof *STATES),
        .snapshot = take_text(&reading, "snapshot"),
    };
    if (ret_chunk->state == CHUNK_COPIED && ret_chunk->snapshot == NULL)
        reading.is_wrong = true;
    return close_record(&reading, err);
}
