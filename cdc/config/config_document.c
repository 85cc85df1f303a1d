/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_document.c - parses the text with libyaml twice: into events, then into a tree.
 *
 * The events show what the tree no longer contains: anchors, aliases, tags and a second document.
 */
#include "cdc/config/config_document.h"

#include <stdarg.h>
#include <stdio.h>

#define KEYS_MAX 1000 /* of one mapping; bounds the search for duplicate keys */
#define DEPTH_MAX 16  /* libyaml needs quadratic time for a file of open brackets; a pipeline's depth is 4 */

static bool error_at(const char *path, size_t line, const char *problem, struct error *err) {
    return error_set(err, ERROR_CONFIG, "%s:%zu: %s", path, line + 1, problem);
}

bool config_document_error(const struct config_document *document, const yaml_node_t *node, struct error *err,
                           const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_at(document->path, node != NULL ? node->start_mark.line : 0, text, err);
}

/* libyaml's messages are constants: none quotes the file, so none can reveal a secret. */
static bool syntax_error(const yaml_parser_t *parser, const char *path, struct error *err) {
    if (parser->error == YAML_MEMORY_ERROR)
        return error_no_memory(err);
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->error == YAML_READER_ERROR)
        return error_set(err, ERROR_CONFIG, "%s: byte %zu: %s", path, parser->problem_offset, problem);
    return error_at(path, parser->problem_mark.line, problem, err);
}

static const char *refuse_marks(const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL)
        return "an anchor (&name) has no meaning here; put the value in quotes";
    return tag != NULL ? "a tag (!name) has no meaning here; put the value in quotes" : NULL;
}

static const char *refuse_scalar(const yaml_event_t *event) {
    if (memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL)
        return "a value contains a NUL";
    return refuse_marks(event->data.scalar.anchor, event->data.scalar.tag);
}

struct nesting {
    size_t depth;
    size_t document_count;
};

static const char *refuse_opening(struct nesting *nesting, const yaml_char_t *anchor,
                                  const yaml_char_t *tag) {
    return ++nesting->depth > DEPTH_MAX ? "nested too deeply" : refuse_marks(anchor, tag);
}

/* Why a configuration must not contain the event, or NULL. */
static const char *refuse_event(struct nesting *nesting, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++nesting->document_count > 1 ? "a second document begins here; a file describes one pipeline"
                                             : NULL;
    case YAML_ALIAS_EVENT:
        return "an alias (*name) has no meaning here; put the value in quotes";
    case YAML_SCALAR_EVENT:
        return refuse_scalar(event);
    case YAML_SEQUENCE_START_EVENT:
        return refuse_opening(nesting, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return refuse_opening(nesting, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        nesting->depth--;
        return NULL;
    default:
        return NULL;
    }
}

static bool check_events(yaml_parser_t *parser, const char *path, struct error *err) {
    struct nesting nesting = {0};
    for (bool at_end = false; !at_end;) {
        yaml_event_t event;
        if (yaml_parser_parse(parser, &event) == 0)
            return syntax_error(parser, path, err);
        at_end = event.type == YAML_STREAM_END_EVENT;
        const char *refusal = refuse_event(&nesting, &event);
        size_t line = event.start_mark.line;
        yaml_event_delete(&event);
        if (refusal != NULL)
            return error_at(path, line, refusal, err);
    }
    return true;
}

static size_t key_count(const yaml_node_t *mapping) {
    return (size_t) (mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
}

static bool check_mapping(struct config_document *document, const yaml_node_t *mapping, struct error *err) {
    const yaml_node_pair_t *pairs = mapping->data.mapping.pairs.start;
    if (key_count(mapping) > KEYS_MAX)
        return config_document_error(document, mapping, err, "more than %d keys", KEYS_MAX);
    for (size_t i = 0; i < key_count(mapping); i++) {
        yaml_node_t *key = yaml_document_get_node(&document->yaml, pairs[i].key);
        if (config_document_text(key) == NULL)
            return config_document_error(document, key, err, "a key must be plain text");
        for (size_t j = 0; j < i; j++)
            if (strcmp(config_document_text(key),
                       config_document_text(yaml_document_get_node(&document->yaml, pairs[j].key))) == 0)
                return config_document_error(document, key, err, "duplicate key");
    }
    return true;
}

static bool check_mappings(struct config_document *document, struct error *err) {
    for (const yaml_node_t *node = document->yaml.nodes.start; node < document->yaml.nodes.top; node++)
        if (node->type == YAML_MAPPING_NODE && !check_mapping(document, node, err))
            return false;
    return true;
}

static void set_input(yaml_parser_t *parser, struct slice text) {
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *) text.data, text.size);
}

bool config_document_load(struct config_document *document, const char *path, struct slice text,
                          struct error *err) {
    yaml_parser_t events AUTO(yaml_parser_delete);
    yaml_parser_t parser AUTO(yaml_parser_delete);
    *document = (struct config_document){.path = path};
    bool ready = yaml_parser_initialize(&events) != 0;
    ready = yaml_parser_initialize(&parser) != 0 && ready;
    if (!ready)
        return error_no_memory(err);
    set_input(&events, text);
    if (!check_events(&events, path, err))
        return false;
    set_input(&parser, text);
    if (yaml_parser_load(&parser, &document->yaml) == 0)
        return syntax_error(&parser, path, err);
    if (check_mappings(document, err))
        return true;
    config_document_release(document);
    return false;
}

void config_document_release(struct config_document *document) {
    yaml_document_delete(&document->yaml);
}

yaml_node_t *config_document_root(struct config_document *document) {
    return yaml_document_get_root_node(&document->yaml);
}

const char *config_document_text(const yaml_node_t *node) {
    return node != NULL && node->type == YAML_SCALAR_NODE ? (const char *) node->data.scalar.value : NULL;
}

yaml_node_t *config_document_get(struct config_document *document, const yaml_node_t *node, const char *key) {
    if (node == NULL || node->type != YAML_MAPPING_NODE)
        return NULL;
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (strcmp(config_document_text(yaml_document_get_node(&document->yaml, pair->key)), key) == 0)
            return yaml_document_get_node(&document->yaml, pair->value);
    return NULL;
}

yaml_node_t *config_document_item(struct config_document *document, const yaml_node_t *node, size_t index) {
    if (node == NULL || node->type != YAML_SEQUENCE_NODE)
        return NULL;
    const yaml_node_item_t *start = node->data.sequence.items.start;
    size_t count = (size_t) (node->data.sequence.items.top - start);
    return index < count ? yaml_document_get_node(&document->yaml, start[index]) : NULL;
}
