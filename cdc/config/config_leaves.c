/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_leaves.c - walks through the tree, with the table of options of each section.
 */
#include "cdc/config/config_leaves.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config.h"

enum { LEAVES_MAX = 100000, LEAF_TEXT_MAX = 1 << 20 };

struct leaf_walk {
    struct config_file *file;
    const struct config *config;
    struct config_leaves leaves;
    size_t capacity;
    bool lacks_memory;
};

/* Where the walk is. */
struct leaf_place {
    const char *path;
    const struct option_spec *specs; /* of the keys here; NULL: none is known */
    bool reloads;                    /* all of it */
    bool is_root;
};

static char *leaf_text(struct leaf_walk *walk, struct buffer *text) {
    char *copy = buffer_ok(text)
                     ? arena_copy(walk->file->arena, text->size > 0 ? buffer_slice(text) : slice_of(""))
                     : NULL;
    walk->lacks_memory = walk->lacks_memory || copy == NULL;
    return copy;
}

static char *leaf_path(struct leaf_walk *walk, const char *parent, const char *key) {
    struct buffer path AUTO(buffer_release) = {.bytes_max = LEAF_TEXT_MAX};
    buffer_printf(&path, "%s%s%s", parent, parent[0] != '\0' ? "." : "", key);
    return leaf_text(walk, &path);
}

/* Options that hold a connection string, a command or settings of a library may hold a password. */
static bool leaf_is_shown(const struct option_spec *spec) {
    return spec != NULL &&
           (spec->kind == OPTION_TEXT || spec->kind == OPTION_PATH || spec->kind == OPTION_LIST) &&
           strcmp(spec->key, "dsn") != 0 && strcmp(spec->key, "on_flip") != 0;
}

static bool leaf_grow(struct leaf_walk *walk) {
    if (walk->leaves.count < walk->capacity)
        return true;
    const size_t capacity = walk->capacity > 0 ? walk->capacity * 2 : 64;
    struct config_leaf *items = arena_alloc_zero(walk->file->arena, capacity * sizeof *items);
    if (items == NULL || capacity > LEAVES_MAX)
        return false;
    if (walk->leaves.count > 0)
        memcpy(items, walk->leaves.items, walk->leaves.count * sizeof *items);
    walk->leaves.items = items;
    walk->capacity = capacity;
    return true;
}

static void leaf_add(struct leaf_walk *walk, const struct leaf_place *place, const char *path,
                     const char *value, const struct option_spec *spec) {
    if (path == NULL || value == NULL || !leaf_grow(walk)) {
        walk->lacks_memory = true;
        return;
    }
    walk->leaves.items[walk->leaves.count++] =
        (struct config_leaf){.path = path,
                             .value = value,
                             .reloads = place->reloads || (spec != NULL && spec->reloads),
                             .is_shown = leaf_is_shown(spec)};
}

static const struct option_spec *section_specs(const char *key) {
    static const struct {
        const char *key;
        const struct option_spec *specs;
    } SECTIONS[] = {
        {"source", SOURCE_OPTIONS},       {"copy", COPY_OPTIONS},     {"verify", VERIFY_OPTIONS},
        {"sequences", SEQUENCES_OPTIONS}, {"schema", SCHEMA_OPTIONS}, {"cutover", CUTOVER_OPTIONS},
        {"migrate", MIGRATE_OPTIONS},     {"buffer", BUFFER_OPTIONS}, {"http", HTTP_OPTIONS}};
    for (size_t i = 0; i < sizeof SECTIONS / sizeof SECTIONS[0]; i++)
        if (strcmp(SECTIONS[i].key, key) == 0)
            return SECTIONS[i].specs;
    return NULL;
}

static void walk_mapping(struct leaf_walk *walk, const struct leaf_place *place, const yaml_node_t *node);

static bool has_only_scalars(struct config_document *document, const yaml_node_t *node) {
    const yaml_node_t *item = NULL;
    for (size_t i = 0; (item = config_document_item(document, node, i)) != NULL; i++)
        if (config_document_text(item) == NULL)
            return false;
    return true;
}

static char *list_text(struct leaf_walk *walk, const yaml_node_t *node) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = LEAF_TEXT_MAX};
    const yaml_node_t *item = NULL;
    for (size_t i = 0; (item = config_document_item(&walk->file->document, node, i)) != NULL; i++)
        buffer_printf(&text, "%s%s", i > 0 ? ", " : "", config_document_text(item));
    return leaf_text(walk, &text);
}

/* Each item has a place of its own. The values of those that are no mappings are never shown. */
static void walk_items(struct leaf_walk *walk, const struct leaf_place *place, const char *key,
                       const char *path, const yaml_node_t *node) {
    const yaml_node_t *item = NULL;
    const bool is_sinks = place->is_root && strcmp(key, "sinks") == 0;
    for (size_t i = 0; (item = config_document_item(&walk->file->document, node, i)) != NULL; i++) {
        struct buffer text AUTO(buffer_release) = {.bytes_max = LEAF_TEXT_MAX};
        buffer_printf(&text, "%s[%zu]", path, i);
        const struct leaf_place inner = {
            .path = leaf_text(walk, &text),
            .specs = is_sinks && i < walk->config->sink_count ? walk->config->sinks[i].ops->options : NULL,
            .reloads = place->reloads};
        if (inner.path == NULL)
            return;
        if (config_document_text(item) != NULL)
            leaf_add(walk, &inner, inner.path, config_document_text(item), NULL);
        else
            walk_mapping(walk, &inner, item);
    }
}

static void walk_value(struct leaf_walk *walk, const struct leaf_place *place, const char *key,
                       const yaml_node_t *node) {
    const struct option_spec *spec = place->specs != NULL ? option_find(place->specs, key) : NULL;
    char *path = leaf_path(walk, place->path, key);
    if (path == NULL)
        return;
    if (config_document_text(node) != NULL) {
        leaf_add(walk, place, path, config_document_text(node), spec);
    } else if (node->type == YAML_SEQUENCE_NODE && has_only_scalars(&walk->file->document, node)) {
        leaf_add(walk, place, path, list_text(walk, node), spec);
    } else {
        const struct leaf_place inner = {.path = path,
                                         .specs = place->is_root ? section_specs(key) : NULL,
                                         .reloads = place->reloads || (spec != NULL && spec->reloads),
                                         .is_root = false};
        if (node->type == YAML_MAPPING_NODE)
            walk_mapping(walk, &inner, node);
        else
            walk_items(walk, place, key, path, node);
    }
}

static void walk_mapping(struct leaf_walk *walk, const struct leaf_place *place, const yaml_node_t *node) {
    yaml_document_t *yaml = &walk->file->document.yaml;
    if (node->type != YAML_MAPPING_NODE)
        return;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
         pair++) {
        const char *key = config_document_text(yaml_document_get_node(yaml, pair->key));
        const yaml_node_t *value = yaml_document_get_node(yaml, pair->value);
        if (key != NULL && value != NULL && !walk->lacks_memory)
            walk_value(walk, place, key, value);
    }
}

static int compare_leaves(const void *a, const void *b) {
    return strcmp(((const struct config_leaf *) a)->path, ((const struct config_leaf *) b)->path);
}

bool config_leaves_read(struct config_file *file, const struct config *config,
                        struct config_leaves *ret_leaves, struct error *err) {
    struct leaf_walk walk = {.file = file, .config = config};
    const struct leaf_place root = {.path = "", .specs = PIPELINE_OPTIONS, .is_root = true};
    const yaml_node_t *node = config_document_root(&file->document);
    if (node != NULL)
        walk_mapping(&walk, &root, node);
    if (walk.lacks_memory)
        return error_no_memory(err);
    if (walk.leaves.count > 0)
        qsort(walk.leaves.items, walk.leaves.count, sizeof *walk.leaves.items, compare_leaves);
    *ret_leaves = walk.leaves;
    return true;
}
