/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation_cache.c - the definitions in force, by OID, and all earlier ones, in one arena.
 *
 * A change in a batch may point to a definition that is no longer in force, so nothing is freed before the
 * session ends. One transaction may change every table of a database, so inside a transaction the cache has
 * no limit: some 80 bytes and the name for each column. Between two transactions a large cache is a reason
 * for a new session, which starts with an empty one. So tables may be created and dropped without end.
 */
#include "decoder/relation.h"

#include <stdlib.h>

#include "cdc/base/map.h"
#include "decoder/builtin_type.h"

#define BLOCK_BYTES ((size_t) 64 * 1024)
#define CACHE_LARGE_BYTES ((size_t) 256 * 1024 * 1024) /* some 30,000 tables of 100 columns */
#define CACHE_BYTES_MAX (SIZE_MAX / 2)

struct relation_cache {
    struct arena arena;
    struct map relations; /* of struct relation */
    struct map types;     /* of struct type_name */
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
    map_release(&cache->relations);
    map_release(&cache->types);
    arena_release(&cache->arena);
    free(cache);
}

const struct relation *relation_cache_find(const struct relation_cache *cache, oid_t oid) {
    return map_find_number(&cache->relations, oid);
}

const struct type_name *relation_cache_find_type(const struct relation_cache *cache, oid_t oid) {
    return map_find_number(&cache->types, oid);
}

/* Only a Type message can bring another name for the same OID. */
static bool type_name_holds(const struct relation_cache *cache, const struct column *column) {
    const struct type_name *announced = relation_cache_find_type(cache, column->type_oid);
    return announced == NULL || (slice_equal(announced->schema, column->type_schema) &&
                                 slice_equal(announced->name, column->type_name));
}

static bool column_equal(const struct column *a, const struct column *b) {
    return a->type_oid == b->type_oid && a->type_modifier == b->type_modifier && a->is_key == b->is_key &&
           slice_equal(a->name, b->name);
}

/* Is the definition, once put in force, equal to the one in force? */
static bool still_holds(const struct relation_cache *cache, const struct relation *in_force,
                        const struct relation *definition) {
    if (in_force->is_unclear != definition->is_unclear || in_force->needs_old != definition->needs_old ||
        in_force->certainty != definition->certainty || in_force->identity != definition->identity ||
        in_force->column_count != definition->column_count)
        return false;
    if (!slice_equal(in_force->schema, definition->schema) || !slice_equal(in_force->name, definition->name))
        return false;
    for (uint32_t i = 0; i < in_force->column_count; i++)
        if (!column_equal(&in_force->columns[i], &definition->columns[i]) ||
            !type_name_holds(cache, &in_force->columns[i]))
            return false;
    return catalog_table_equal(in_force->catalog, definition->catalog);
}

static bool copy_slice(struct arena *arena, struct slice *slice) {
    slice->data = arena_copy(arena, *slice);
    return slice->data != NULL;
}

/* "oid:1234": a built-in type of a server newer than this program. */
static bool name_by_oid(struct arena *arena, oid_t oid, struct slice *ret_name) {
    char text[] = "oid:4294967295";
    size_t digits = 1;
    for (oid_t rest = oid / 10; rest > 0; rest /= 10)
        digits++;
    *ret_name = (struct slice){.data = text, .size = strlen("oid:") + digits};
    for (size_t i = ret_name->size; digits > 0; digits--, oid /= 10)
        text[--i] = (char) ('0' + oid % 10);
    return copy_slice(arena, ret_name);
}

static bool name_type(struct relation_cache *cache, struct column *column) {
    const struct type_name *announced = relation_cache_find_type(cache, column->type_oid);
    if (announced != NULL) {
        column->type_schema = announced->schema;
        column->type_name = announced->name;
        return true;
    }
    const char *name = builtin_type_name(column->type_oid);
    column->type_schema = slice_of("pg_catalog");
    if (name == NULL)
        return name_by_oid(&cache->arena, column->type_oid, &column->type_name);
    column->type_name = slice_of(name);
    return true;
}

static struct column *copy_columns(struct relation_cache *cache, const struct column *columns,
                                   uint32_t count) {
    struct column *copy = arena_alloc(&cache->arena, count * sizeof *copy);
    if (copy == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = columns[i];
        if (!copy_slice(&cache->arena, &copy[i].name) || !name_type(cache, &copy[i]))
            return NULL;
    }
    return copy;
}

static struct relation *copy_relation(struct relation_cache *cache, const struct relation *definition) {
    struct relation *copy = arena_alloc(&cache->arena, sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *definition;
    copy->columns = copy_columns(cache, definition->columns, definition->column_count);
    if (copy->columns == NULL || !copy_slice(&cache->arena, &copy->schema) ||
        !copy_slice(&cache->arena, &copy->name))
        return NULL;
    if (definition->catalog == NULL)
        return copy;
    copy->catalog = catalog_table_copy(definition->catalog, &cache->arena);
    return copy->catalog != NULL ? copy : NULL;
}

bool relation_cache_is_large(const struct relation_cache *cache) {
    return cache->arena.held_bytes > CACHE_LARGE_BYTES;
}

bool relation_cache_put(struct relation_cache *cache, const struct relation *definition,
                        const struct relation **ret_relation, struct error *err) {
    const struct relation *in_force = relation_cache_find(cache, definition->oid);
    if (in_force == NULL || !still_holds(cache, in_force, definition)) {
        struct relation *copy = copy_relation(cache, definition);
        if (copy == NULL || !map_put_number(&cache->relations, definition->oid, copy))
            return error_no_memory(err);
        in_force = copy;
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
        return error_no_memory(err);
    *copy = *type;
    if (!copy_slice(&cache->arena, &copy->schema) || !copy_slice(&cache->arena, &copy->name) ||
        !map_put_number(&cache->types, copy->oid, copy))
        return error_no_memory(err);
    return true;
}
