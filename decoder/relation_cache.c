/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation_cache.c - the definitions in force, by OID, and everything that was ever in force, in one arena.
 *
 * A change in a batch may point to a definition that is no longer in force, so nothing is freed before the
 * session ends. What bounds it is the arena's maximum: far above what a database has tables, and reached only by
 * a session that sees tables made without end; a new session then starts with an empty cache.
 */
#include "decoder/relation.h"

#include <stdlib.h>

#include "decoder/oid_map.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define CACHE_BYTES_MAX ((size_t) 64 * 1024 * 1024)

struct relation_cache {
    struct arena arena;
    struct oid_map relations; /* of struct relation */
    struct oid_map types;     /* of struct type_name */
};

struct relation_cache *relation_cache_new(void) {
    struct relation_cache *cache = calloc(1, sizeof *cache);
    if (cache != NULL)
        arena_init(&cache->arena, BLOCK_BYTES, CACHE_BYTES_MAX);
    return cache;
}

void relation_cache_free(struct relation_cache *cache) {
    if (cache == NULL)
        return;
    oid_map_release(&cache->relations);
    oid_map_release(&cache->types);
    arena_release(&cache->arena);
    free(cache);
}

const struct relation *relation_cache_find(const struct relation_cache *cache, oid_t oid) {
    return oid_map_find(&cache->relations, oid);
}

const struct type_name *relation_cache_find_type(const struct relation_cache *cache, oid_t oid) {
    return oid_map_find(&cache->types, oid);
}

static bool column_equal(const struct column *a, const struct column *b) {
    return a->type_oid == b->type_oid && a->type_modifier == b->type_modifier && a->is_key == b->is_key &&
           slice_equal(a->name, b->name);
}

static bool relation_equal(const struct relation *a, const struct relation *b) {
    if (a->identity != b->identity || a->column_count != b->column_count)
        return false;
    if (!slice_equal(a->schema, b->schema) || !slice_equal(a->name, b->name))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!column_equal(&a->columns[i], &b->columns[i]))
            return false;
    return true;
}

static bool copy_slice(struct arena *arena, struct slice *slice) {
    slice->data = arena_copy(arena, *slice);
    return slice->data != NULL;
}

static struct column *copy_columns(struct arena *arena, const struct column *columns, uint32_t count) {
    struct column *copy = arena_alloc(arena, count * sizeof *copy);
    if (copy == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = columns[i];
        if (!copy_slice(arena, &copy[i].name))
            return NULL;
    }
    return copy;
}

static struct relation *copy_relation(struct arena *arena, const struct relation *definition) {
    struct relation *copy = arena_alloc(arena, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *definition;
    copy->columns = copy_columns(arena, definition->columns, definition->column_count);
    if (copy->columns == NULL || !copy_slice(arena, &copy->schema) || !copy_slice(arena, &copy->name))
        return NULL;
    return copy;
}

static bool cache_full(struct error *err) {
    return error_set(err, ERROR_RETRY,
                     "the source described more tables than one session's %zu MiB of memory for "
                     "them hold: starting a new session",
                     CACHE_BYTES_MAX >> 20);
}

bool relation_cache_put(struct relation_cache *cache, const struct relation *definition,
                        const struct relation **ret_relation, struct error *err) {
    const struct relation *in_force = relation_cache_find(cache, definition->oid);
    if (in_force == NULL || !relation_equal(in_force, definition)) {
        in_force = copy_relation(&cache->arena, definition);
        if (in_force == NULL || !oid_map_put(&cache->relations, definition->oid, in_force))
            return cache_full(err);
    }
    *ret_relation = in_force;
    return true;
}

bool relation_cache_put_type(struct relation_cache *cache, const struct type_name *type, struct error *err) {
    const struct type_name *in_force = relation_cache_find_type(cache, type->oid);
    if (in_force != NULL && slice_equal(in_force->schema, type->schema) &&
        slice_equal(in_force->name, type->name))
        return true;
    struct type_name *copy = arena_alloc(&cache->arena, sizeof *copy);
    if (copy == NULL)
        return cache_full(err);
    *copy = *type;
    if (!copy_slice(&cache->arena, &copy->schema) || !copy_slice(&cache->arena, &copy->name) ||
        !oid_map_put(&cache->types, copy->oid, copy))
        return cache_full(err);
    return true;
}
