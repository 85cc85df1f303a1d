/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_plan.c - chunks by their id, in memory; and read from the frames that say that they have entries of
 * the plan.
 */
#include "sinks/archive/archive_plan.h"

#include <assert.h>
#include <string.h>

#include "cdc/archive/segment_end.h"
#include "sinks/plan_record.h"

enum { BLOCK_BYTES = 64 * 1024, CHUNKS_MAX = 50 * 1000 * 1000 };
#define ARENA_BYTES_MAX ((size_t) 1 << 30)

/* ---- in memory ---- */

void archive_plan_init(struct archive_plan *plan) {
    *plan = (struct archive_plan){0};
    arena_init(&plan->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
}

void archive_plan_release(struct archive_plan *plan) {
    arena_release(&plan->arena);
    json_writer_release(&plan->json);
    *plan = (struct archive_plan){0};
}

static bool plan_grow(struct archive_plan *plan, uint32_t id, struct error *err) {
    size_t capacity = plan->capacity == 0 ? 64 : plan->capacity;
    if (id <= plan->capacity)
        return true;
    while (capacity < id)
        capacity *= 2;
    struct chunk *chunks = arena_alloc_zero(&plan->arena, capacity * sizeof *chunks);
    if (chunks == NULL)
        return error_no_memory(err);
    if (plan->capacity > 0)
        memcpy(chunks, plan->chunks, plan->capacity * sizeof *chunks);
    plan->chunks = chunks;
    plan->capacity = capacity;
    return true;
}

/* Its texts stay. */
static bool place_chunk(struct archive_plan *plan, const struct chunk *chunk, struct error *err) {
    if (chunk->id == 0 || chunk->id > CHUNKS_MAX)
        return error_set(err, ERROR_PROTOCOL, "a chunk of the plan has a wrong number");
    if (!plan_grow(plan, chunk->id, err))
        return false;
    plan->count += plan->chunks[chunk->id - 1].id == 0;
    plan->chunks[chunk->id - 1] = *chunk;
    return true;
}

/* NULL stays NULL. */
static bool keep_texts(struct archive_plan *plan, struct chunk *chunk, struct error *err) {
    const char **const texts[] = {&chunk->schema, &chunk->table, &chunk->column,  &chunk->order_sql,
                                  &chunk->low,    &chunk->high,  &chunk->snapshot};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (*texts[i] == NULL)
            continue;
        *texts[i] = arena_copy(&plan->arena, slice_of(*texts[i]));
        if (*texts[i] == NULL)
            return error_no_memory(err);
    }
    return true;
}

bool archive_plan_put(struct archive_plan *plan, const struct chunk *chunk, struct error *err) {
    struct chunk copy = *chunk;
    return keep_texts(plan, &copy, err) && place_chunk(plan, &copy, err);
}

static bool has_chunk(const struct archive_plan *plan, uint32_t id) {
    return id > 0 && id <= plan->capacity && plan->chunks[id - 1].id == id;
}

struct chunk *archive_plan_chunk(struct archive_plan *plan, uint32_t id) {
    assert(has_chunk(plan, id));
    return &plan->chunks[id - 1];
}

void archive_plan_remove(struct archive_plan *plan, uint32_t id) {
    if (!has_chunk(plan, id))
        return;
    plan->chunks[id - 1] = (struct chunk){0};
    plan->count--;
}

void archive_plan_end(struct archive_plan *plan) {
    for (size_t i = 0; i < plan->capacity; i++)
        plan->chunks[i] = (struct chunk){0};
    plan->count = 0;
    plan->head.snapshot = CHUNK_SNAPSHOT_OF_NONE;
}

uint32_t archive_plan_last_id(const struct archive_plan *plan) {
    size_t last = plan->capacity;
    while (last > 0 && plan->chunks[last - 1].id == 0)
        last--;
    return (uint32_t) last;
}

bool archive_plan_give(const struct archive_plan *plan, struct arena *arena, struct chunk_plan *ret_plan,
                       struct error *err) {
    struct chunk *chunks = arena_alloc(arena, (plan->count + 1) * sizeof *chunks);
    if (chunks == NULL)
        return error_no_memory(err);
    *ret_plan = plan->head;
    ret_plan->chunks = chunks;
    ret_plan->count = 0;
    for (size_t i = 0; i < plan->capacity; i++)
        if (plan->chunks[i].id != 0)
            chunks[ret_plan->count++] = plan->chunks[i];
    return true;
}

/* ---- entries ---- */

static bool has_json(struct archive_plan *plan, struct error *err) {
    return plan->json.generator != NULL || json_writer_init(&plan->json, err);
}

bool archive_plan_write_head(struct archive_plan *plan, struct buffer *plain, struct error *err) {
    struct slice record;
    return has_json(plan, err) && plan_record_format(&plan->json, &plan->head, &record, err) &&
           entry_write_plan(ENTRY_PLAN_HEAD, 0, record, plain, err);
}

bool archive_plan_write_chunk(struct archive_plan *plan, uint32_t id, struct buffer *plain,
                              struct error *err) {
    struct slice record = {.data = "", .size = 0};
    if (has_chunk(plan, id) &&
        (!has_json(plan, err) || !chunk_record_format(&plan->json, &plan->chunks[id - 1], &record, err)))
        return false;
    return entry_write_plan(ENTRY_PLAN_CHUNK, id, record, plain, err);
}

/* ---- reading ---- */

static bool take_chunk(struct archive_plan *plan, uint32_t id, struct slice record, struct error *err) {
    struct chunk chunk = {0};
    if (record.size == 0) {
        archive_plan_remove(plan, id);
        return true;
    }
    if (!chunk_record_parse(record, &plan->arena, &chunk, err))
        return false;
    return chunk.id == id ? place_chunk(plan, &chunk, err)
                          : error_set(err, ERROR_PROTOCOL, "a chunk of the plan has a wrong number");
}

static bool take_entry(void *context, enum entry_plan_kind kind, uint32_t chunk, struct slice record,
                       struct error *err) {
    struct archive_plan *plan = context;
    switch (kind) {
    case ENTRY_PLAN_HEAD:
        return plan_record_parse(record, &plan->arena, &plan->head, err);
    case ENTRY_PLAN_CHUNK:
        return take_chunk(plan, chunk, record, err);
    case ENTRY_PLAN_COPIED:
        archive_plan_end(plan);
        return true;
    }
    return error_set(err, ERROR_PROTOCOL, "unknown kind of entry");
}

struct reading {
    struct archive_plan *plan;
    struct segment *segment;
    struct buffer plain;
};

static bool read_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct reading *reading = context;
    struct error problem = {0};
    if (frame->kind != FRAME_ENTRIES || !frame->has_plan)
        return true;
    if (!segment_read(reading->segment, offset, frame, &reading->plain, err))
        return false;
    if (entry_find_plan(buffer_slice(&reading->plain), take_entry, reading->plan, &problem))
        return true;
    if (problem.kind == ERROR_PROTOCOL)
        return segment_refuse(reading->segment, offset, frame->first_lsn, frame->end_lsn, problem.text, err);
    *err = problem;
    return false;
}

/* *ret_has_group: the segment counts, so the plan is in it if there is one. */
static bool read_segment(struct archive_plan *plan, const char *directory, const struct segment_list *list,
                         size_t index, bool *ret_has_group, struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end;
    struct reading reading = {.plan = plan, .segment = &segment};
    buffer_init(&reading.plain, FRAME_PLAIN_BYTES_MAX);
    const bool is_read =
        segment_open(directory, &list->names[index], index + 1 == list->count, &segment, err) &&
        segment_find_end(&segment, read_frame, &reading, &end, err);
    *ret_has_group = is_read && end.whole_bytes > segment.first_offset;
    buffer_release(&reading.plain);
    segment_close(&segment);
    return is_read;
}

bool archive_plan_read(struct archive_plan *plan, const char *directory, struct error *err) {
    struct segment_list list = {0};
    bool is_found = false;
    bool is_read = segment_list_read(directory, &list, err);
    for (size_t i = list.count; is_read && !is_found && i > 0; i--)
        is_read = read_segment(plan, directory, &list, i - 1, &is_found, err);
    segment_list_release(&list);
    return is_read;
}
