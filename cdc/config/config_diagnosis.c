/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_diagnosis.c - one walk over document and schema, side by side.
 */
#include "cdc/config/config_diagnosis.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"

#define PATH_TEXT_MAX 256
#define SHOWN_KEY_MAX 40

struct walk {
    struct config_document *document;
    struct error *err;
};

struct place {
    char path[PATH_TEXT_MAX]; /* "sinks[1].brokers", "" at the top */
    const yaml_node_t *node;
};

static bool walk_value(struct walk *walk, const struct place *place, const cyaml_schema_value_t *schema);

const char *config_shown_key(const char *key) {
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t length = strlen(key);
    return length > 0 && length <= SHOWN_KEY_MAX && strspn(key, LETTERS) == length ? key : "...";
}

static struct place place_key(const struct place *parent, const char *key, const yaml_node_t *node) {
    struct place place = {.node = node};
    const char *dot = parent->path[0] != '\0' ? "." : "";
    snprintf(place.path, sizeof place.path, "%.200s%s%s", parent->path, dot, config_shown_key(key));
    return place;
}

static struct place place_item(const struct place *parent, size_t index, const yaml_node_t *node) {
    struct place place = {.node = node};
    snprintf(place.path, sizeof place.path, "%.200s[%zu]", parent->path, index);
    return place;
}

static bool complain(struct walk *walk, const struct place *place, const char *text) {
    const char *path = place->path[0] != '\0' ? place->path : "the file";
    return config_document_error(walk->document, place->node, walk->err, "%s: %s", path, text);
}

static const cyaml_schema_field_t *find_field(const cyaml_schema_field_t *fields, const char *key) {
    for (; fields->key != NULL; fields++)
        if (strcmp(fields->key, key) == 0)
            return fields;
    return NULL;
}

static bool complain_key(struct walk *walk, const struct place *place, const cyaml_schema_field_t *fields) {
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, ERROR_TEXT_MAX);
    buffer_append_text(&text, "unknown key (expected one of: ");
    for (const cyaml_schema_field_t *field = fields; field->key != NULL; field++)
        buffer_printf(&text, "%s%s", field != fields ? ", " : "", field->key);
    buffer_append_text(&text, ")");
    const char *shown = buffer_text(&text);
    return complain(walk, place, shown != NULL ? shown : "unknown key");
}

static bool walk_keys(struct walk *walk, const struct place *place, const cyaml_schema_field_t *fields) {
    const yaml_node_pair_t *pair = place->node->data.mapping.pairs.start;
    for (; pair < place->node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(&walk->document->yaml, pair->key);
        struct place child = place_key(place, config_document_text(key), key);
        const cyaml_schema_field_t *field = find_field(fields, config_document_text(key));
        if (field == NULL)
            return complain_key(walk, &child, fields);
        child.node = yaml_document_get_node(&walk->document->yaml, pair->value);
        if (!walk_value(walk, &child, &field->value))
            return false;
    }
    return true;
}

static bool walk_mapping(struct walk *walk, const struct place *place, const cyaml_schema_field_t *fields) {
    if (place->node->type != YAML_MAPPING_NODE)
        return complain(walk, place, "expected a mapping (lines of key: value)");
    if (!walk_keys(walk, place, fields))
        return false;
    for (; fields->key != NULL; fields++) {
        struct place missing = place_key(place, fields->key, place->node);
        if ((fields->value.flags & CYAML_FLAG_OPTIONAL) == 0 &&
            config_document_get(walk->document, place->node, fields->key) == NULL)
            return complain(walk, &missing, "this key is required and missing");
    }
    return true;
}

static bool walk_sequence(struct walk *walk, const struct place *place, const cyaml_schema_value_t *schema) {
    const yaml_node_t *node = NULL;
    if (place->node->type != YAML_SEQUENCE_NODE)
        return complain(walk, place, "expected a list (lines that begin with -)");
    for (size_t i = 0; (node = config_document_item(walk->document, place->node, i)) != NULL; i++) {
        struct place item = place_item(place, i, node);
        if (!walk_value(walk, &item, schema->sequence.entry))
            return false;
    }
    return schema->sequence.min == 0 || config_document_item(walk->document, place->node, 0) != NULL
               ? true
               : complain(walk, place, "the list is empty");
}

static bool walk_string(struct walk *walk, const struct place *place) {
    if (place->node->type != YAML_SCALAR_NODE)
        return complain(walk, place, "expected one value, not a list or a mapping");
    return place->node->data.scalar.length > 0 ? true : complain(walk, place, "the value is empty");
}

static bool walk_value(struct walk *walk, const struct place *place, const cyaml_schema_value_t *schema) {
    switch (schema->type) {
    case CYAML_MAPPING:
        return walk_mapping(walk, place, schema->mapping.fields);
    case CYAML_SEQUENCE:
        return walk_sequence(walk, place, schema);
    case CYAML_STRING:
        return walk_string(walk, place);
    default:
        return true;
    }
}

void config_diagnose(struct config_document *document, const struct config_schema *schema,
                     struct error *err) {
    struct walk walk = {.document = document, .err = err};
    struct place top = {.node = config_document_root(document)};
    if (top.node == NULL)
        config_document_error(document, NULL, err, "the file is empty");
    else if (walk_value(&walk, &top, &schema->config))
        error_wrap(err, "%s", document->path);
}
