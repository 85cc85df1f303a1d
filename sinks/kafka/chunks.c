/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunks.c - a copy in chunks: its plan in the position topic, each change of it in a Kafka transaction.
 *
 * Its records (plan_record.h) have the keys KEY#plan and KEY#chunk.ID, where KEY is that of the position.
 * When the copy ends, a tombstone removes each chunk. The plan's record stays: it says where the last row was
 * written, so that no row of a later copy has the same place and number.
 *
 * The rows of a chunk, its record and the position are in one Kafka transaction. The handle keeps the plan in
 * memory, because a record contains all fields of a chunk. When a Kafka transaction fails, the sink is opened
 * again, and the plan is read again.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/kafka.h"
#include "sinks/plan_record.h"

#define PLAN_RECORD_KEY "#plan"
#define CHUNK_RECORD_KEY "#chunk."

enum { BLOCK_BYTES = 64 * 1024, KEY_BYTES_MAX = KAFKA_NAME_MAX + 32 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define LARGE_BYTES_MIN ((uint64_t) 64 << 20)

/* ---- the plan in memory ---- */

void kafka_plan_init(struct kafka_plan *plan) {
    *plan = (struct kafka_plan){0};
    arena_init(&plan->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
}

void kafka_plan_release(struct kafka_plan *plan) {
    arena_release(&plan->arena);
    json_writer_release(&plan->json);
    *plan = (struct kafka_plan){0};
}

static bool grow(struct kafka_plan *plan, uint32_t id, struct error *err) {
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

/* Its texts belong to the caller, and stay. */
static bool put_chunk(struct kafka_plan *plan, const struct chunk *chunk, struct error *err) {
    if (!grow(plan, chunk->id, err))
        return false;
    plan->chunks[chunk->id - 1] = *chunk;
    return true;
}

static struct chunk *chunk_at(struct kafka_plan *plan, uint32_t id) {
    assert(id > 0 && id <= plan->capacity && plan->chunks[id - 1].id == id);
    return &plan->chunks[id - 1];
}

/* ---- reading ---- */

static bool read_id(struct slice name, uint32_t *ret_id, struct error *err) {
    char text[16] = "";
    unsigned long id = 0;
    if (name.size > 0 && name.size < sizeof text) {
        memcpy(text, name.data, name.size);
        id = strspn(text, "0123456789") == name.size ? strtoul(text, NULL, 10) : 0;
    }
    *ret_id = (uint32_t) id;
    return (id > 0 && id <= KAFKA_CHUNKS_MAX) ||
           error_set(err, ERROR_PROTOCOL, "its key has no number of a chunk");
}

static bool take_chunk(struct kafka_plan *plan, struct slice name, struct slice value, struct error *err) {
    struct chunk chunk = {0};
    uint32_t id = 0;
    if (!read_id(name, &id, err))
        return false;
    if (value.data == NULL) {
        if (id <= plan->capacity)
            plan->chunks[id - 1] = (struct chunk){0};
        return true;
    }
    if (!chunk_record_parse(value, &plan->arena, &chunk, err))
        return false;
    return chunk.id == id ? put_chunk(plan, &chunk, err)
                          : error_set(err, ERROR_PROTOCOL, "its key and its id differ");
}

static bool take_plan(struct kafka_plan *plan, struct slice value, struct error *err) {
    plan->head = (struct chunk_plan){0};
    return value.data == NULL || plan_record_parse(value, &plan->arena, &plan->head, err);
}

static bool has_prefix(struct slice text, const char *prefix) {
    return text.size >= strlen(prefix) && memcmp(text.data, prefix, strlen(prefix)) == 0;
}

static struct slice after_prefix(struct slice name) {
    const size_t prefix = strlen(CHUNK_RECORD_KEY);
    return (struct slice){.data = name.data + prefix, .size = name.size - prefix};
}

static bool plan_take(void *context, struct slice name, struct slice value, struct error *err) {
    struct kafka_plan *plan = context;
    if (has_prefix(name, CHUNK_RECORD_KEY))
        return take_chunk(plan, after_prefix(name), value, err);
    if (slice_equal(name, slice_of(PLAN_RECORD_KEY)))
        return take_plan(plan, value, err);
    return has_prefix(name, ACCOUNT_NAME_PREFIX) || has_prefix(name, TOLD_NAME_PREFIX) ||
           has_prefix(name, LETTERS_NAME_PREFIX) || error_set(err, ERROR_PROTOCOL, "its key is unknown");
}

bool kafka_plan_take_ids(void *context, struct slice name, struct slice value, struct error *err) {
    struct kafka_plan *plan = context;
    struct chunk chunk = {0};
    struct error ignored = {0};
    (void) value;
    return !has_prefix(name, CHUNK_RECORD_KEY) || !read_id(after_prefix(name), &chunk.id, &ignored) ||
           put_chunk(plan, &chunk, err);
}

/* What is in memory, as the engine gets it; in arena. */
static bool give_plan(const struct kafka_plan *plan, struct arena *arena, struct chunk_plan *ret_plan,
                      struct error *err) {
    struct chunk *chunks = arena_alloc(arena, (plan->capacity + 1) * sizeof *chunks);
    if (chunks == NULL)
        return error_no_memory(err);
    *ret_plan = plan->head;
    ret_plan->chunks = chunks;
    ret_plan->count = 0;
    for (size_t i = 0; i < plan->capacity; i++)
        if (plan->chunks[i].id != 0)
            chunks[ret_plan->count++] = plan->chunks[i];
    if (ret_plan->count == 0 || plan->head.snapshot != NULL)
        return true;
    return error_set(err, ERROR_PROTOCOL, "the copy's plan has chunks and no snapshot");
}

static bool read_plan(struct kafka_plan *plan, const struct kafka_options *options, const atomic_bool *stop,
                      struct error *err) {
    struct position_found found = {0};
    const struct position_reader reader = {.take = plan_take, .context = plan};
    kafka_plan_release(plan);
    kafka_plan_init(plan);
    return position_topic_read_all(options, stop, &reader, &found, err);
}

static bool is_large(const struct chunk *chunk) {
    return chunk->state != CHUNK_COPIED && chunk->bytes_estimate > LARGE_BYTES_MIN;
}

static bool chunks_load(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    *ret_plan = (struct chunk_plan){0};
    if (!kafka->has_plan)
        return true;
    if (!read_plan(&kafka->plan, &kafka->options, sink->stop, err) ||
        !give_plan(&kafka->plan, arena, ret_plan, err))
        return false;
    kafka->has_large_chunk = false;
    for (size_t i = 0; i < ret_plan->count; i++)
        kafka->has_large_chunk |= is_large(&ret_plan->chunks[i]);
    return true;
}

/* The texts go into the caller's arena with the handle's, which lives as long. */
static bool chunks_look(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    struct kafka_plan plan = {.arena = *arena};
    struct position_found found = {0};
    const struct position_reader reader = {.take = plan_take, .context = &plan};
    struct kafka_options options;
    *ret_plan = (struct chunk_plan){0};
    if (!kafka_options_read(&options, sink->config, err) ||
        !position_topic_read(&options, sink->stop, &found, err))
        return false;
    if (!found.exists || !found.record.has_plan)
        return true;
    const bool looked = position_topic_read_all(&options, sink->stop, &reader, &found, err);
    *arena = plan.arena;
    return looked && give_plan(&plan, arena, ret_plan, err);
}

/* ---- writing ---- */

static bool send_record(struct kafka_sink *kafka, const char *key, struct slice value, struct error *err) {
    const struct outgoing message = {.topic = kafka->position_topic, .key = slice_of(key), .value = value};
    return producer_begin(&kafka->producer, err) && producer_send(&kafka->producer, &message, err);
}

static void chunk_key(const struct kafka_sink *kafka, uint32_t id, char key[KEY_BYTES_MAX]) {
    snprintf(key, KEY_BYTES_MAX, "%s" CHUNK_RECORD_KEY "%" PRIu32, kafka->options.position_key, id);
}

static bool ready_to_send(struct kafka_sink *kafka, struct error *err) {
    if (kafka->plan.json.generator == NULL && !json_writer_init(&kafka->plan.json, err))
        return false;
    return kafka_prepare_producer(kafka, err);
}

static bool send_chunk(struct kafka_sink *kafka, const struct chunk *chunk, struct error *err) {
    char key[KEY_BYTES_MAX];
    struct slice value;
    chunk_key(kafka, chunk->id, key);
    return chunk_record_format(&kafka->plan.json, chunk, &value, err) && send_record(kafka, key, value, err);
}

static bool send_plan(struct kafka_sink *kafka, struct error *err) {
    char key[KEY_BYTES_MAX];
    struct slice value;
    snprintf(key, sizeof key, "%s" PLAN_RECORD_KEY, kafka->options.position_key);
    return plan_record_format(&kafka->plan.json, &kafka->plan.head, &value, err) &&
           send_record(kafka, key, value, err);
}

/* of_oid: those of this table; 0: all. */
static bool remove_chunks(struct kafka_sink *kafka, oid_t of_oid, struct error *err) {
    char key[KEY_BYTES_MAX];
    for (size_t i = 0; i < kafka->plan.capacity; i++) {
        struct chunk *chunk = &kafka->plan.chunks[i];
        if (chunk->id == 0 || (of_oid != 0 && chunk->relation_oid != of_oid))
            continue;
        chunk_key(kafka, chunk->id, key);
        if (!send_record(kafka, key, (struct slice){0}, err))
            return false;
        *chunk = (struct chunk){0};
    }
    return true;
}

/* There are no chunks any more. */
static bool end_plan(struct kafka_sink *kafka, struct error *err) {
    kafka->plan.head.snapshot = CHUNK_SNAPSHOT_OF_NONE;
    kafka->has_plan = false;
    return send_plan(kafka, err);
}

bool kafka_plan_send_place(struct kafka_sink *kafka, struct error *err) {
    assert(!kafka->has_plan);
    return ready_to_send(kafka, err) && end_plan(kafka, err);
}

bool kafka_plan_remove(struct kafka_sink *kafka, struct error *err) {
    char key[KEY_BYTES_MAX];
    snprintf(key, sizeof key, "%s" PLAN_RECORD_KEY, kafka->options.position_key);
    if (!remove_chunks(kafka, 0, err) || !send_record(kafka, key, (struct slice){0}, err))
        return false;
    kafka->has_plan = false;
    return true;
}

/* ---- the contract's functions ---- */

static bool chunks_can(const struct sink *sink, const char **ret_reason) {
    (void) sink;
    (void) ret_reason;
    return true;
}

static bool chunks_store(struct sink *sink, const struct chunk_plan *plan, const struct position *position,
                         struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    struct position durable;
    kafka->has_plan = plan->count > 0;
    kafka->plan.head = (struct chunk_plan){.snapshot = plan->snapshot};
    if (!ready_to_send(kafka, err))
        return kafka_judge(kafka, err);
    for (size_t i = 0; i < plan->count; i++)
        if (!send_chunk(kafka, &plan->chunks[i], err))
            return kafka_judge(kafka, err);
    if (plan->count > 0 && !send_plan(kafka, err))
        return kafka_judge(kafka, err);
    kafka->plan.head = (struct chunk_plan){0}; /* load reads it */
    return sink->ops->commit(sink, position, COMMIT_DURABLE, &durable, err);
}

static bool chunks_mark(struct sink *sink, const struct chunk *chunk, lsn_t read_lsn, lsn_t row_lsn,
                        uint64_t row_index, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    struct chunk *stored = chunk_at(&kafka->plan, chunk->id);
    struct chunk_plan *head = &kafka->plan.head;
    if (stored->snapshot == NULL) {
        stored->snapshot = arena_copy(&kafka->plan.arena, slice_of(chunk->snapshot));
        if (stored->snapshot == NULL)
            return error_no_memory(err);
    }
    stored->state = CHUNK_COPIED;
    stored->rows = chunk->rows;
    head->read_lsn = read_lsn > head->read_lsn ? read_lsn : head->read_lsn;
    head->row_lsn = row_lsn;
    head->row_index = row_index;
    return (ready_to_send(kafka, err) && send_chunk(kafka, stored, err) && send_plan(kafka, err)) ||
           kafka_judge(kafka, err);
}

/* The engine knows which transactions were streamed: it does not note them in a sink that has mark. */
static bool chunks_note(struct sink *sink, const struct chunk_note *note, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    assert(note->emptied_count == 0 && note->seen_count == 0);
    if (!ready_to_send(kafka, err))
        return kafka_judge(kafka, err);
    for (size_t i = 0; i < note->dirty_count; i++) {
        struct chunk *stored = chunk_at(&kafka->plan, note->dirty[i]);
        stored->state = CHUNK_DIRTY;
        if (!send_chunk(kafka, stored, err))
            return kafka_judge(kafka, err);
    }
    return !note->is_finished || (remove_chunks(kafka, 0, err) && end_plan(kafka, err)) ||
           kafka_judge(kafka, err);
}

/* ---- adding and removing ---- */

static bool has_table(const struct kafka_plan *plan, size_t count, oid_t oid) {
    for (size_t i = 0; i < count && i < plan->capacity; i++)
        if (plan->chunks[i].id != 0 && plan->chunks[i].relation_oid == oid)
            return true;
    return false;
}

static uint32_t last_id(const struct kafka_plan *plan) {
    size_t last = plan->capacity;
    while (last > 0 && plan->chunks[last - 1].id == 0)
        last--;
    return (uint32_t) last;
}

/* NULL stays NULL. */
static bool keep_texts(struct kafka_plan *plan, struct chunk *chunk, struct error *err) {
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

static bool extend_by(struct kafka_sink *kafka, const struct chunk *added, uint32_t id, struct error *err) {
    struct chunk chunk = *added;
    chunk.id = id;
    if (id > KAFKA_CHUNKS_MAX)
        return error_set(err, ERROR_CONFIG, "the plan has no room for more chunks; wait until the copy ends");
    return keep_texts(&kafka->plan, &chunk, err) && put_chunk(&kafka->plan, &chunk, err) &&
           send_chunk(kafka, &chunk, err);
}

/* Without a plan the topic still says where the last row was written. */
static bool chunks_extend(struct sink *sink, const struct chunk *chunks, size_t count, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    struct kafka_plan *plan = &kafka->plan;
    if (!kafka->has_plan && !read_plan(plan, &kafka->options, sink->stop, err))
        return false;
    const uint32_t known = last_id(plan);
    uint32_t id = known;
    if (!ready_to_send(kafka, err))
        return kafka_judge(kafka, err);
    for (size_t i = 0; i < count; i++)
        if (!has_table(plan, known, chunks[i].relation_oid) && !extend_by(kafka, &chunks[i], ++id, err))
            return kafka_judge(kafka, err);
    if (id == known)
        return true;
    kafka->has_plan = true;
    if (plan->head.snapshot == NULL)
        plan->head.snapshot = CHUNK_SNAPSHOT_OF_NONE;
    return send_plan(kafka, err) || kafka_judge(kafka, err);
}

static bool chunks_withdraw(struct sink *sink, oid_t relation_oid, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    if (!kafka->has_plan)
        return true;
    if (!ready_to_send(kafka, err) || !remove_chunks(kafka, relation_oid, err))
        return kafka_judge(kafka, err);
    return last_id(&kafka->plan) > 0 || end_plan(kafka, err) || kafka_judge(kafka, err);
}

const struct sink_chunk_ops KAFKA_CHUNK = {
    .can = chunks_can,
    .store = chunks_store,
    .load = chunks_load,
    .note = chunks_note,
    .mark = chunks_mark,
    .extend = chunks_extend,
    .withdraw = chunks_withdraw,
    .look = chunks_look,
};
