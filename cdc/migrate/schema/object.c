/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.c - from a description to objects in order: which stage and pass makes each, and what it needs.
 */
#include "cdc/migrate/schema/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/hash.h"
#include "cdc/pq/identifier.h"

enum {
    KEY_BYTES_MAX = 1 << 20,
    OBJECTS_PER_ENTRY = 2, /* object_list_derive adds one at most */
};

/* Settings of the dump itself, and what a migration does not move with the schema. */
static const char *const IGNORED_KINDS[] = {
    "ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "SECURITY LABEL", NULL};

/* Each takes one table's lock only. */
static const char *const PARALLEL_KINDS[] = {"INDEX", "CONSTRAINT", "MATERIALIZED VIEW DATA", NULL};

static bool is_kind(const char *kind, const char *const *kinds) {
    while (*kinds != NULL && strcmp(kind, *kinds) != 0)
        kinds++;
    return *kinds != NULL;
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_rights(const struct toc_entry *entry) {
    return strcmp(entry->kind, "ACL") == 0 || strcmp(entry->kind, "DEFAULT ACL") == 0;
}

/* Databases have other names; only the owner of an extension may change its comment, and it has one. */
static bool is_about_ignored(const struct toc_entry *entry) {
    return (strcmp(entry->kind, "COMMENT") == 0 || strcmp(entry->kind, "ACL") == 0) &&
           (begins(entry->name, "DATABASE ") || begins(entry->name, "EXTENSION "));
}

/* Those of `pgcdc ddl install`: the schema with their function does not move. */
static bool is_own_trigger(const struct toc_entry *entry) {
    return strcmp(entry->kind, "EVENT TRIGGER") == 0 && begins(entry->name, "pgcdc_ddl_");
}

static bool is_ignored(const struct toc_entry *entry, const struct config *config) {
    return entry->section == TOC_DATA || is_own_trigger(entry) || is_kind(entry->kind, IGNORED_KINDS) ||
           is_about_ignored(entry) || (is_rights(entry) && !config->schema.grants);
}

static enum object_pass pass_of(const struct toc_entry *entry) {
    if (is_rights(entry))
        return PASS_RIGHTS;
    if (strcmp(entry->kind, "MATERIALIZED VIEW DATA") == 0)
        return PASS_ROWS;
    const bool is_last = strcmp(entry->kind, "EVENT TRIGGER") == 0 ||
                         (strcmp(entry->kind, "COMMENT") == 0 && begins(entry->name, "EVENT TRIGGER "));
    return is_last ? PASS_LAST : PASS_MAIN;
}

/* ---- names ---- */

static uint64_t name_hash(const struct object *object) {
    uint64_t hash = hash_bytes(0, object->kind, strlen(object->kind));
    hash = hash_bytes(hash, object->schema, strlen(object->schema));
    return hash_bytes(hash, object->name, strlen(object->name));
}

static bool has_same_name(const void *object, const void *key) {
    const struct object *a = object;
    const struct object *b = key;
    return strcmp(a->kind, b->kind) == 0 && strcmp(a->schema, b->schema) == 0 &&
           strcmp(a->name, b->name) == 0;
}

struct object *object_list_find(const struct object_list *list, const struct object *like) {
    return map_find(&list->by_name, name_hash(like), has_same_name, like);
}

static const char *arena_text(struct arena *arena, struct buffer *text) {
    return buffer_ok(text) ? arena_copy(arena, buffer_slice(text)) : NULL;
}

/* Two casts can have one name, and so can "a b" of table "c" and "b c" of table "a". */
static bool number_name(struct object_list *list, struct object *object, struct arena *arena) {
    struct buffer name AUTO(buffer_release);
    buffer_init(&name, KEY_BYTES_MAX);
    const char *plain = object->name;
    for (int number = 2; object_list_find(list, object) != NULL; number++) {
        buffer_reset(&name);
        buffer_printf(&name, "%s #%d", plain, number);
        object->name = arena_text(arena, &name);
        if (object->name == NULL)
            return false;
    }
    return map_put(&list->by_name, name_hash(object), has_same_name, object, object);
}

static bool take_key(struct object_list *list, struct object *object, struct arena *arena) {
    struct buffer key AUTO(buffer_release);
    buffer_init(&key, KEY_BYTES_MAX);
    if (!number_name(list, object, arena))
        return false;
    buffer_printf(&key, "%s %s%s%s", object->kind, object->schema, object->schema[0] != '\0' ? "." : "",
                  object->name);
    object->key = arena_text(arena, &key);
    return object->key != NULL;
}

static void take_hash(struct object *object) {
    const uint64_t hash = hash_bytes(0, object->definition, strlen(object->definition));
    snprintf(object->hash, sizeof object->hash, "%016" PRIx64, hash);
}

/* ---- objects ---- */

static bool take_entry(struct object_list *list, const struct toc_entry *entry, const struct config *config,
                       struct arena *arena) {
    struct object *object = &list->objects[list->count++];
    *object = (struct object){.kind = entry->kind,
                              .schema = entry->schema,
                              .name = entry->name,
                              .pass = pass_of(entry),
                              .is_alone = !is_kind(entry->kind, PARALLEL_KINDS)};
    if (!object_take_sql(object, entry, config, arena) || !take_key(list, object, arena))
        return false;
    take_hash(object);
    object->stage =
        entry->section == TOC_POST_DATA && !object_is_key(object) ? SCHEMA_AFTER_COPY : SCHEMA_BEFORE_COPY;
    return true;
}

static bool link_entry(struct object *object, const struct toc_entry *entry, const struct map *by_id,
                       struct arena *arena) {
    object->needs = arena_alloc_zero(arena, (entry->need_count + 1) * sizeof *object->needs);
    if (object->needs == NULL)
        return false;
    for (size_t i = 0; i < entry->need_count; i++) {
        struct object *need = map_find_number(by_id, (uint64_t) entry->needs[i]);
        if (need != NULL && need != object)
            object->needs[object->need_count++] = need;
    }
    return true;
}

/* Comments and rights follow their objects. */
static void stage_follower(struct object *object, const struct toc_entry *entry) {
    if (entry->section != TOC_NONE)
        return;
    for (size_t i = 0; i < object->need_count; i++)
        if (object->needs[i]->stage == SCHEMA_AFTER_COPY)
            object->stage = SCHEMA_AFTER_COPY;
}

/* The index of a partition is attached with the keys when both are keys. */
static void stage_attachment(struct object *object) {
    bool has_keys = object->need_count > 0;
    if (strcmp(object->kind, "INDEX ATTACH") != 0)
        return;
    for (size_t i = 0; i < object->need_count; i++)
        has_keys = has_keys && object->needs[i]->stage == SCHEMA_BEFORE_COPY;
    if (has_keys)
        object->stage = SCHEMA_BEFORE_COPY;
}

static bool take_entries(struct object_list *list, const struct toc *toc, const struct config *config,
                         struct map *by_id, struct arena *arena) {
    for (size_t i = 0; i < toc->count; i++) {
        const struct toc_entry *entry = &toc->entries[i];
        if (is_ignored(entry, config))
            continue;
        struct object *object = &list->objects[list->count];
        if (!take_entry(list, entry, config, arena) || !map_put_number(by_id, (uint64_t) entry->id, object))
            return false;
    }
    for (size_t i = 0; i < toc->count; i++) {
        struct object *object = map_find_number(by_id, (uint64_t) toc->entries[i].id);
        if (object != NULL && !link_entry(object, &toc->entries[i], by_id, arena))
            return false;
        if (object == NULL)
            continue;
        stage_attachment(object);
        stage_follower(object, &toc->entries[i]);
    }
    return true;
}

/* ---- tables that stay behind ---- */

static bool is_table(const struct object *object) {
    return strcmp(object->kind, "TABLE") == 0;
}

static void leave_tables(struct object_list *list, const struct config *config) {
    for (size_t i = 0; i < list->count; i++) {
        struct object *object = &list->objects[i];
        object->is_left_out =
            is_table(object) && !config_takes_table(&config->source, object->schema, object->name);
    }
}

/* A partition moves with its table, whatever its own name is. Partitions come after their tables. */
static void take_partitions(struct object_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct object *attachment = &list->objects[i];
        struct object *partition = NULL;
        bool is_taken = strcmp(attachment->kind, "TABLE ATTACH") == 0;
        for (size_t n = 0; is_taken && n < attachment->need_count; n++) {
            struct object *need = attachment->needs[n];
            if (strcmp(need->name, attachment->name) == 0 && strcmp(need->schema, attachment->schema) == 0)
                partition = need;
            else
                is_taken = !need->is_left_out;
        }
        if (is_taken && partition != NULL)
            partition->is_left_out = false;
    }
}

static bool needs_left_out(const struct object *object) {
    for (size_t i = 0; i < object->need_count; i++)
        if (object->needs[i]->is_left_out)
            return true;
    return false;
}

static void leave_out(struct object_list *list, const struct config *config) {
    bool is_changed = true;
    leave_tables(list, config);
    take_partitions(list);
    while (is_changed) {
        is_changed = false;
        for (size_t i = 0; i < list->count; i++) {
            struct object *object = &list->objects[i];
            if (!object->is_left_out && needs_left_out(object))
                object->is_left_out = is_changed = true;
        }
    }
    for (size_t i = 0; i < list->count; i++)
        list->left_out += list->objects[i].is_left_out;
}

bool object_list_make(const struct toc *toc, const struct config *config, struct arena *arena,
                      struct object_list *ret_list, struct error *err) {
    struct map by_id = {0};
    struct object_list list = {
        .objects = arena_alloc_zero(arena, (OBJECTS_PER_ENTRY * toc->count + 1) * sizeof *list.objects)};
    const bool is_made = list.objects != NULL && take_entries(&list, toc, config, &by_id, arena);
    map_release(&by_id);
    if (is_made)
        leave_out(&list, config);
    *ret_list = list;
    return is_made ? true : error_no_memory(err);
}

/* ---- work that follows from objects ---- */

static bool add_derived(struct object_list *list, struct object *of, const struct object *like,
                        struct arena *arena) {
    struct object *object = &list->objects[list->count++];
    *object = *like;
    object->schema = of->schema;
    object->name = of->name;
    object->definition = of->definition;
    object->owner = object->owner_sql = "";
    object->stage = SCHEMA_AFTER_COPY;
    object->is_derived = true;
    object->is_left_out = of->is_left_out;
    object->needs = arena_alloc_zero(arena, sizeof *object->needs);
    if (object->needs == NULL || !take_key(list, object, arena))
        return false;
    object->needs[object->need_count++] = of;
    take_hash(object);
    return true;
}

static bool derive_check(struct object_list *list, struct object *object, struct arena *arena) {
    const char *add = NULL;
    struct object check = {.kind = "VALIDATE", .pass = PASS_MAIN};
    if (!object_split_check(object, arena, &add, &check.sql))
        return false;
    if (add == NULL)
        return true;
    object->sql = add;
    return add_derived(list, object, &check, arena);
}

/* A partition is analyzed with its table. */
static bool is_partition(const struct object_list *list, const struct object *object) {
    const struct object attachment = {.kind = "TABLE ATTACH", .schema = object->schema, .name = object->name};
    return object_list_find(list, &attachment) != NULL;
}

static bool derive_analyze(struct object_list *list, struct object *object, struct arena *arena) {
    struct object analyze = {.kind = "ANALYZE", .pass = PASS_STATISTICS};
    struct buffer sql AUTO(buffer_release);
    buffer_init(&sql, KEY_BYTES_MAX);
    if ((!is_table(object) && strcmp(object->kind, "MATERIALIZED VIEW") != 0) || is_partition(list, object))
        return true;
    buffer_append_text(&sql, "ANALYZE ");
    identifier_append_qualified(&sql, slice_of(object->schema), slice_of(object->name));
    analyze.sql = arena_text(arena, &sql);
    return analyze.sql != NULL && add_derived(list, object, &analyze, arena);
}

bool object_list_derive(struct object_list *list, struct arena *arena, struct error *err) {
    const size_t count = list->count;
    for (size_t i = 0; i < count; i++)
        if (!derive_check(list, &list->objects[i], arena) || !derive_analyze(list, &list->objects[i], arena))
            return error_no_memory(err);
    return true;
}

void object_list_release(struct object_list *list) {
    map_release(&list->by_name);
}
