/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_builder.c - see change_builder.h.
 */
#include "tests/support/change_builder.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "decoder/builtin_type.h"

#define BLOCK_BYTES (1024u * 1024u)
#define BYTES_MAX (4096ull * BLOCK_BYTES)

const char UNCHANGED_TEXT[] = "unchanged";

static const struct {
    const char *name;
    oid_t oid;
} TYPES[] = {{"bool", 16},      {"bytea", 17},  {"int8", 20},    {"int2", 21},     {"int4", 23},
             {"text", 25},      {"json", 114},  {"point", 600},  {"float8", 701},  {"timestamptz", 1184},
             {"numeric", 1700}, {"uuid", 2950}, {"jsonb", 3802}, {"int4[]", 1007}, {"text[]", 1009}};

static void *must(void *memory) {
    if (memory == NULL)
        abort();
    return memory;
}

void change_builder_init(struct change_builder *builder) {
    *builder = (struct change_builder){.next_oid = 100000, .lsn = 0x1000000};
    arena_init(&builder->arena, BLOCK_BYTES, BYTES_MAX);
}

void change_builder_release(struct change_builder *builder) {
    arena_release(&builder->arena);
    free(builder->changes);
    *builder = (struct change_builder){0};
}

void change_builder_clear(struct change_builder *builder) {
    builder->count = 0;
}

static struct slice keep(struct change_builder *builder, const char *text) {
    struct slice slice = slice_of(text);
    slice.data = must(arena_copy(&builder->arena, slice));
    return slice;
}

static oid_t type_of(const char *name) {
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].name, name) == 0)
            return TYPES[i].oid;
    return (oid_t) strtoul(name, NULL, 10);
}

static void add_column(struct change_builder *builder, struct relation *relation, const char *definition) {
    char name[64], type[64], key[64] = "";
    if (sscanf(definition, " %63s %63s %63s", name, type, key) < 2)
        abort();
    struct column *column = &relation->columns[relation->column_count++];
    column->name = keep(builder, name);
    column->type_oid = type_of(type);
    column->type_modifier = -1;
    column->type_schema = slice_of("pg_catalog");
    column->type_name =
        slice_of(builtin_type_name(column->type_oid) != NULL ? builtin_type_name(column->type_oid) : type);
    column->is_key = relation->identity == REPLICA_IDENTITY_FULL || strcmp(key, "key") == 0;
    relation->key_count += column->is_key;
}

const struct relation *change_builder_relation(struct change_builder *builder, const char *name,
                                               enum replica_identity identity, const char *columns) {
    struct relation *relation = must(arena_alloc_zero(&builder->arena, sizeof *relation));
    relation->oid = builder->next_oid++;
    relation->schema = keep(builder, "public");
    relation->name = keep(builder, name);
    relation->identity = identity;
    relation->columns = must(arena_alloc_zero(&builder->arena, strlen(columns) * sizeof(struct column)));
    char *definitions = must(arena_copy(&builder->arena, slice_of(columns)));
    char *rest = NULL;
    for (char *one = strtok_r(definitions, ",", &rest); one != NULL; one = strtok_r(NULL, ",", &rest))
        add_column(builder, relation, one);
    return relation;
}

static struct change *add(struct change_builder *builder, enum change_kind kind) {
    if (builder->count == builder->capacity) {
        builder->capacity = builder->capacity == 0 ? 1024 : builder->capacity * 2;
        builder->changes = must(reallocarray(builder->changes, builder->capacity, sizeof *builder->changes));
    }
    struct change *change = &builder->changes[builder->count++];
    *change = (struct change){.kind = kind, .lsn = builder->lsn++, .transaction = builder->transaction};
    return change;
}

void change_builder_begin(struct change_builder *builder) {
    builder->lsn += 0x100;
    builder->index = 0;
    builder->transaction = must(arena_alloc_zero(&builder->arena, sizeof *builder->transaction));
    builder->transaction->commit_lsn = builder->lsn;
    builder->transaction->xid = (xid_t) builder->lsn;
    add(builder, CHANGE_BEGIN);
}

void change_builder_commit(struct change_builder *builder) {
    builder->end_lsn = builder->lsn += 0x100;
    add(builder, CHANGE_COMMIT)->end_lsn = builder->end_lsn;
}

/* Exactly as long as the value, so that a sanitizer sees a read past its end. */
static void set_bytes(struct change_builder *builder, struct value *value, enum value_kind kind,
                      const void *bytes, size_t size) {
    value->kind = kind;
    value->size = (uint32_t) size;
    value->data = memcpy(must(arena_alloc(&builder->arena, size)), bytes, size);
}

static void set_binary(struct change_builder *builder, struct value *value, oid_t type, const char *text) {
    uint64_t wide = htobe64((uint64_t) strtoll(text, NULL, 10));
    uint32_t narrow = htobe32((uint32_t) strtol(text, NULL, 10));
    if (type == 20)
        set_bytes(builder, value, VALUE_BINARY, &wide, sizeof wide);
    else if (type == 23)
        set_bytes(builder, value, VALUE_BINARY, &narrow, sizeof narrow);
    else
        set_bytes(builder, value, type == 25 ? VALUE_BINARY : VALUE_TEXT, text, strlen(text));
}

static void set_value(struct change_builder *builder, struct value *value, oid_t type, const char *text) {
    if (text == NULL)
        value->kind = VALUE_NULL;
    else if (text == UNCHANGED_TEXT)
        value->kind = VALUE_UNCHANGED;
    else if (builder->binary)
        set_binary(builder, value, type, text);
    else
        set_bytes(builder, value, VALUE_TEXT, text, strlen(text));
}

static const struct value *values_of(struct change_builder *builder, const struct relation *relation,
                                     const char *const *row) {
    struct value *values =
        must(arena_alloc_zero(&builder->arena, (relation->column_count + 1) * sizeof *values));
    for (uint32_t i = 0; i < relation->column_count; i++)
        set_value(builder, &values[i], relation->columns[i].type_oid, row[i]);
    return values;
}

static struct change *add_row(struct change_builder *builder, enum change_kind kind,
                              const struct relation *relation) {
    struct change *change = add(builder, kind);
    change->relation = relation;
    change->index = builder->index++;
    return change;
}

void change_builder_insert(struct change_builder *builder, const struct relation *relation,
                           const char *const *row) {
    add_row(builder, CHANGE_INSERT, relation)->new_values = values_of(builder, relation, row);
}

static enum old_kind old_kind_of(const struct relation *relation, const char *const *old) {
    if (old == NULL)
        return OLD_NONE;
    return relation->identity == REPLICA_IDENTITY_FULL ? OLD_FULL : OLD_KEY;
}

void change_builder_update(struct change_builder *builder, const struct relation *relation,
                           const char *const *old, const char *const *row) {
    struct change *change = add_row(builder, CHANGE_UPDATE, relation);
    change->old_kind = old_kind_of(relation, old);
    change->old_values = old != NULL ? values_of(builder, relation, old) : NULL;
    change->new_values = values_of(builder, relation, row);
}

void change_builder_delete(struct change_builder *builder, const struct relation *relation,
                           const char *const *old) {
    struct change *change = add_row(builder, CHANGE_DELETE, relation);
    change->old_kind = old_kind_of(relation, old);
    change->old_values = values_of(builder, relation, old);
}

void change_builder_truncate(struct change_builder *builder, uint32_t flags, uint32_t count,
                             const struct relation *const *relations) {
    const struct relation **copy = must(arena_alloc(&builder->arena, (count + 1) * sizeof *copy));
    memcpy(copy, relations, count * sizeof *copy);
    struct change *change = add(builder, CHANGE_TRUNCATE);
    change->index = builder->index++;
    change->relations = copy;
    change->relation_count = count;
    change->truncate_flags = flags;
}

struct position change_builder_position(const struct change_builder *builder) {
    return (struct position){.end_lsn = builder->end_lsn, .system_id = 7, .timeline = 1};
}
