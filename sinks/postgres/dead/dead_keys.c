/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_keys.c - tables by name, and the keys of each.
 */
#include "sinks/postgres/dead/dead_keys.h"

#include "cdc/base/hash.h"

#define BLOCK_BYTES ((size_t) 16 * 1024)
#define BYTES_MAX ((size_t) 1 << 30)

struct dead_key {
    struct slice bytes;
};

struct dead_table {
    struct slice schema, name;
    struct slice columns; /* of the keys; those of the first one */
    bool waits_whole;
    struct map keys;
};

void dead_keys_init(struct dead_keys *keys) {
    *keys = (struct dead_keys){0};
    arena_init(&keys->arena, BLOCK_BYTES, BYTES_MAX);
}

static void release_tables(const struct map *tables) {
    for (size_t i = 0; i < map_slots(tables); i++) {
        struct dead_table *table = map_at(tables, i);
        if (table != NULL)
            map_release(&table->keys);
    }
}

void dead_keys_release(struct dead_keys *keys) {
    release_tables(&keys->tables);
    map_release(&keys->tables);
    arena_release(&keys->arena);
    keys->count = 0;
}

void dead_keys_reset(struct dead_keys *keys) {
    release_tables(&keys->tables);
    map_reset(&keys->tables);
    arena_reset(&keys->arena);
    keys->count = 0;
}

/* ---- the rows of a change ---- */

static bool has_binary(const struct value *values, uint32_t count) {
    for (uint32_t i = 0; values != NULL && i < count; i++)
        if (values[i].kind == VALUE_BINARY)
            return true;
    return false;
}

/* Each text after its size, so that two keys are equal only if all their values are. */
static void append_sized(struct buffer *scratch, struct slice text) {
    buffer_printf(scratch, "%zu:", text.size);
    buffer_append_slice(scratch, text);
}

/*
 * False: the key is not known. values: of which OLD_NONE or a new row may lack some; then those of instead.
 */
static bool append_key(const struct relation *relation, const struct value *values,
                       const struct value *instead, struct buffer *scratch) {
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (!relation->columns[i].is_key)
            continue;
        const struct value *value = &values[i];
        if (value->kind == VALUE_UNCHANGED && instead != NULL)
            value = &instead[i];
        if (value->kind == VALUE_UNCHANGED)
            return false;
        if (value->kind == VALUE_NULL)
            buffer_append_text(scratch, "n");
        else
            append_sized(scratch, value_slice(value));
    }
    return true;
}

static void append_columns(const struct relation *relation, struct buffer *scratch) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key)
            append_sized(scratch, relation->columns[i].name);
}

static bool has_key(const struct relation *relation) {
    return relation->key_count > 0 && relation->identity != REPLICA_IDENTITY_FULL;
}

/* Where its keys end in the scratch buffer. */
static unsigned append_keys(const struct change *change, struct buffer *scratch, size_t ends[2]) {
    const struct value *old = change->old_kind != OLD_NONE ? change->old_values : NULL;
    unsigned count = 0;
    if (old != NULL) {
        if (!append_key(change->relation, old, NULL, scratch))
            return 0;
        ends[count++] = scratch->size;
    }
    if (change->new_values != NULL) {
        if (!append_key(change->relation, change->new_values, old, scratch))
            return 0;
        ends[count++] = scratch->size;
    }
    return count;
}

static struct slice part_of(const struct buffer *scratch, size_t begin, size_t end) {
    return (struct slice){.data = scratch->data + begin, .size = end - begin};
}

bool dead_place_of(const struct change *change, struct buffer *scratch, struct dead_place *ret_place,
                   struct error *err) {
    const struct relation *relation = change->relation;
    size_t ends[2] = {0};
    *ret_place = (struct dead_place){.schema = relation->schema, .name = relation->name};
    if (has_binary(change->old_values, relation->column_count) ||
        has_binary(change->new_values, relation->column_count))
        return error_set(err, ERROR_NEEDS_TEXT,
                         "target: table %s has dead letters, so values must be sent as text",
                         relation->name.data);
    if (!has_key(relation))
        return true;
    buffer_reset(scratch);
    append_columns(relation, scratch);
    const size_t begin = scratch->size;
    const unsigned count = append_keys(change, scratch, ends);
    if (!buffer_ok(scratch))
        return error_no_memory(err);
    ret_place->key_count = count;
    ret_place->columns = part_of(scratch, 0, begin);
    for (unsigned i = 0; i < count; i++)
        ret_place->keys[i] = part_of(scratch, i == 0 ? begin : ends[i - 1], ends[i]);
    return true;
}

/* ---- the keys ---- */

static bool is_table(const void *object, const void *key) {
    const struct dead_table *table = object;
    const struct dead_place *place = key;
    return slice_equal(table->schema, place->schema) && slice_equal(table->name, place->name);
}

static bool is_key(const void *object, const void *key) {
    const struct dead_key *dead = object;
    return slice_equal(dead->bytes, *(const struct slice *) key);
}

static uint64_t hash_of(struct slice bytes) {
    return hash_bytes(0, bytes.data, bytes.size);
}

static uint64_t table_hash(const struct dead_place *place) {
    return hash_bytes(hash_of(place->schema), place->name.data, place->name.size);
}

bool dead_keys_have(const struct dead_keys *keys, const struct dead_place *place) {
    const struct dead_table *table = map_find(&keys->tables, table_hash(place), is_table, place);
    if (table == NULL)
        return false;
    if (table->waits_whole || place->key_count == 0 || !slice_equal(table->columns, place->columns))
        return true;
    for (unsigned i = 0; i < place->key_count; i++)
        if (map_find(&table->keys, hash_of(place->keys[i]), is_key, &place->keys[i]) != NULL)
            return true;
    return false;
}

bool dead_keys_lack(const struct dead_keys *keys, const struct dead_place *place) {
    const struct dead_table *table = map_find(&keys->tables, table_hash(place), is_table, place);
    if (table == NULL || table->waits_whole)
        return table == NULL;
    for (unsigned i = 0; i < place->key_count; i++)
        if (map_find(&table->keys, hash_of(place->keys[i]), is_key, &place->keys[i]) == NULL)
            return true;
    return place->key_count == 0;
}

static bool keep_bytes(struct arena *arena, struct slice bytes, struct slice *ret_kept) {
    *ret_kept = (struct slice){.data = arena_copy(arena, bytes), .size = bytes.size};
    return ret_kept->data != NULL;
}

static struct dead_table *add_table(struct dead_keys *keys, const struct dead_place *place) {
    struct dead_table *table = map_find(&keys->tables, table_hash(place), is_table, place);
    if (table != NULL)
        return table;
    table = arena_alloc_zero(&keys->arena, sizeof *table);
    return table != NULL && keep_bytes(&keys->arena, place->schema, &table->schema) &&
                   keep_bytes(&keys->arena, place->name, &table->name) &&
                   keep_bytes(&keys->arena, place->columns, &table->columns) &&
                   map_put(&keys->tables, table_hash(place), is_table, place, table)
               ? table
               : NULL;
}

static bool add_key(struct dead_keys *keys, struct dead_table *table, const struct slice *bytes) {
    if (map_find(&table->keys, hash_of(*bytes), is_key, bytes) != NULL)
        return true;
    struct dead_key *key = arena_alloc(&keys->arena, sizeof *key);
    if (key == NULL || !keep_bytes(&keys->arena, *bytes, &key->bytes) ||
        !map_put(&table->keys, hash_of(*bytes), is_key, bytes, key))
        return false;
    keys->count++;
    return true;
}

bool dead_keys_add(struct dead_keys *keys, const struct dead_place *place, struct error *err) {
    struct dead_table *table = add_table(keys, place);
    if (table == NULL)
        return error_no_memory(err);
    if (place->key_count == 0 || !slice_equal(table->columns, place->columns)) {
        keys->count += !table->waits_whole;
        table->waits_whole = true;
    }
    for (unsigned i = 0; i < place->key_count && !table->waits_whole; i++)
        if (!add_key(keys, table, &place->keys[i]))
            return error_no_memory(err);
    return true;
}
