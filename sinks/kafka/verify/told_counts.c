/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_counts.c - adds up the records that end transactions.
 *
 * A transaction is counted when it began after the topic did: from the first one in it on. When the topic's
 * first records are deleted, that is only known of one partition. Transactions that end after the pin's
 * position are left out on both sides.
 */
#include "sinks/kafka/verify/told_counts.h"

#include <string.h>

#include "cdc/base/hash.h"
#include "sinks/kafka/verify/topic_scan.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 256 << 20)

struct told_table {
    struct slice name; /* "schema.table" */
    struct record_sum sum;
};

void told_counts_init(struct told_counts *told, const char *topic) {
    *told = (struct told_counts){0};
    arena_init(&told->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    snprintf(told->topic.topic, sizeof told->topic.topic, "%s", topic != NULL ? topic : "");
}

void told_counts_release(struct told_counts *told) {
    topic_table_unpin(&told->topic);
    map_release(&told->tables);
    arena_release(&told->arena);
}

void told_counts_unpin(struct told_counts *told) {
    topic_table_unpin(&told->topic);
    map_reset(&told->tables);
    arena_reset(&told->arena);
    told->is_read = told->is_unreadable = false;
    told->range = (struct record_range){0};
}

/* ---- tables ---- */

static bool has_name(const void *object, const void *key) {
    return slice_equal(((const struct told_table *) object)->name, *(const struct slice *) key);
}

static struct told_table *find_told(const struct told_counts *told, const struct slice *name) {
    return map_find(&told->tables, hash_bytes(0, name->data, name->size), has_name, name);
}

static bool add_told(struct told_counts *told, const struct format_ending *ending,
                     const struct format_ending_table *counted, struct error *err) {
    struct told_table *table = find_told(told, &counted->name);
    if (table == NULL) {
        table = arena_alloc_zero(&told->arena, sizeof *table);
        const char *name = arena_copy(&told->arena, counted->name);
        if (table == NULL || name == NULL)
            return error_no_memory(err);
        table->name = (struct slice){.data = name, .size = counted->name.size};
        if (!map_put(&told->tables, hash_bytes(0, name, table->name.size), has_name, &table->name, table))
            return error_no_memory(err);
    }
    record_sum_add(&table->sum, ending->commit_lsn, counted->count);
    return true;
}

/* ---- the topic ---- */

struct telling {
    struct told_counts *told;
    struct topic_codec *codec;
    bool is_cut;
};

static bool take_ending(void *context, const rd_kafka_message_t *message, struct error *err) {
    struct telling *telling = context;
    struct told_counts *told = telling->told;
    struct topic_codec *codec = telling->codec;
    struct format_ending ending = {0};
    const struct slice value = {.data = message->payload, .size = message->len};
    arena_reset(&codec->arena);
    if (value.data == NULL || !codec->ops->read_ending(codec->format, value, &codec->arena, &ending, err)) {
        if (value.data != NULL && err->kind != ERROR_PROTOCOL)
            return false;
        *err = (struct error){0};
        told->is_unreadable = true;
        return true;
    }
    const lsn_t first_lsn = ending.commit_lsn + (telling->is_cut ? 1 : 0);
    if (told->range.from_lsn == 0 || (!telling->is_cut && first_lsn < told->range.from_lsn))
        told->range.from_lsn = first_lsn;
    if (!record_range_has(&told->range, ending.commit_lsn))
        return true;
    for (size_t i = 0; i < ending.table_count; i++)
        if (!add_told(told, &ending, &ending.tables[i], err))
            return false;
    return true;
}

static bool is_cut_topic(const struct topic_table *topic) {
    for (size_t i = 0; i < topic->part_count; i++)
        if (topic->parts[i].begin > 0)
            return true;
    return false;
}

bool told_counts_read(struct told_counts *told, const struct row_sides *sides, lsn_t end_lsn,
                      struct error *err) {
    struct telling telling = {.told = told, .codec = sides->codec, .is_cut = is_cut_topic(&told->topic)};
    if (told->is_read)
        return true;
    told->is_read = true;
    if (told->topic.part_count == 0 || (telling.is_cut && told->topic.part_count > 1))
        return true;
    told->range.to_lsn = end_lsn;
    if (!topic_scan(sides->reader, &told->topic, sides->rate, take_ending, &telling, err))
        return false;
    if (told->is_unreadable)
        told->range = (struct record_range){0};
    return true;
}

/* "schema.table", as in the records. */
static void name_table(const struct table *table, struct buffer *name) {
    buffer_printf(name, "%s.%s", table->schema, table->name);
}

struct record_sum told_counts_find(const struct told_counts *told, const struct table *table) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    name_table(table, &name);
    const struct slice text = buffer_slice(&name);
    const struct told_table *found = find_told(told, &text);
    return found != NULL ? found->sum : (struct record_sum){0};
}

struct telling_since {
    const struct topic_codec *codec;
    struct record_range range;
    struct slice name;
    struct record_sum sum;
};

static bool take_since(void *context, const rd_kafka_message_t *message, struct error *err) {
    struct telling_since *telling = context;
    struct format_ending ending;
    struct arena arena AUTO(arena_release);
    const struct slice value = {.data = message->payload, .size = message->len};
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (!telling->codec->ops->read_ending(telling->codec->format, value, &arena, &ending, err))
        return false;
    for (size_t i = 0; record_range_has(&telling->range, ending.commit_lsn) && i < ending.table_count; i++)
        if (slice_equal(ending.tables[i].name, telling->name))
            record_sum_add(&telling->sum, ending.commit_lsn, ending.tables[i].count);
    return true;
}

bool told_counts_find_since(const struct told_counts *told, const struct row_sides *sides,
                            const struct table *table, lsn_t since_lsn, struct record_sum *ret_sum,
                            struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 4096};
    name_table(table, &name);
    struct telling_since telling = {
        .codec = sides->codec,
        .range = {.from_lsn = since_lsn > told->range.from_lsn ? since_lsn : told->range.from_lsn,
                  .to_lsn = told->range.to_lsn},
        .name = buffer_slice(&name)};
    if (!topic_scan(sides->reader, &told->topic, sides->rate, take_since, &telling, err))
        return false;
    *ret_sum = telling.sum;
    return true;
}
