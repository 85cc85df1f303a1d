/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_build_sinks.c - each sink's keys against what its type takes and wants.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_build.h"
#include "cdc/config/config_diagnosis.h"
#include "cdc/config/config_expand.h"

#define SINKS_MAX 64 /* one thread and at least one connection each */
#define PATH_TEXT_MAX 32

struct sink_place {
    char path[PATH_TEXT_MAX]; /* "sinks[0]." */
    const yaml_node_t *node;
};

static struct sink_place sink_place(const struct config_build *build, size_t index) {
    const yaml_node_t *sinks =
        config_document_get(build->document, config_document_root(build->document), "sinks");
    struct sink_place place = {.node = config_document_item(build->document, sinks, index)};
    snprintf(place.path, sizeof place.path, "sinks[%zu].", index);
    return place;
}

static struct config_value value_at(const struct sink_place *place, const char *key, const char *text) {
    return (struct config_value){.parent = place->node, .path = place->path, .key = key, .text = text};
}

static bool complain_type(const struct config_build *build, const struct config_value *value,
                          struct error *err) {
    struct buffer known AUTO(buffer_release);
    buffer_init(&known, ERROR_TEXT_MAX / 2);
    const struct sink_ops *ops = NULL;
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++)
        buffer_printf(&known, "%s%s", i > 0 ? ", " : "", ops->type);
    const char *list = buffer_text(&known);
    return config_build_error(build, value, err, "unknown sink type %s (known: %s)",
                              config_shown_key(value->text), list != NULL ? list : "");
}

static bool find_type(const struct config_build *build, const struct config_value *value,
                      const struct sink_ops **ret_ops, struct error *err) {
    const char *type = NULL;
    if (!config_build_text(build, value, &type, err))
        return false;
    *ret_ops = sink_ops_find(type);
    return *ret_ops != NULL ? true : complain_type(build, value, err);
}

bool config_build_check_types(const struct config_build *build, struct error *err) {
    struct sink_place place = sink_place(build, 0);
    for (size_t i = 0; place.node != NULL; place = sink_place(build, ++i)) {
        const char *text = config_document_text(config_document_get(build->document, place.node, "type"));
        const struct config_value value = value_at(&place, "type", text);
        const struct sink_ops *ops = NULL;
        if (text != NULL && text[0] != '\0' && !find_type(build, &value, &ops, err))
            return false;
    }
    return true;
}

static const struct sink_option_spec *find_spec(const struct sink_ops *ops, const char *key) {
    for (const struct sink_option_spec *spec = ops->options; spec->key != NULL; spec++)
        if (strcmp(spec->key, key) == 0)
            return spec;
    return NULL;
}

static bool complain_option(const struct config_build *build, const struct config_value *value,
                            const struct config_sink *sink, struct error *err) {
    struct buffer taken AUTO(buffer_release);
    buffer_init(&taken, ERROR_TEXT_MAX / 2);
    buffer_append_text(&taken, "name, type");
    for (const struct sink_option_spec *spec = sink->ops->options; spec->key != NULL; spec++) {
        size_t length = config_schema_mapping_length(spec->key);
        buffer_printf(&taken, ", %.*s", (int) (length > 0 ? length : strlen(spec->key)), spec->key);
    }
    const char *list = buffer_text(&taken);
    return config_build_error(build, value, err, "sink %s of type %s takes no such key (it takes: %s)",
                              sink->sink.name, sink->ops->type, list != NULL ? list : "");
}

/* Options of one sink while they are gathered. */
struct gathering {
    const struct config_build *build;
    const struct sink_place *place;
    const struct config_sink *sink;
    struct sink_option *options;
    size_t count;
};

static bool gather_text(struct gathering *gathering, const char *key, const char *text, struct error *err) {
    const struct config_value value = value_at(gathering->place, key, text);
    struct sink_option *option = &gathering->options[gathering->count];
    if (find_spec(gathering->sink->ops, key) == NULL)
        return complain_option(gathering->build, &value, gathering->sink, err);
    const bool is_path = strcmp(key, "password_file") == 0;
    if (!(is_path ? config_build_path : config_build_text)(gathering->build, &value, &option->value, err))
        return false;
    option->key = key; /* the registry's: static */
    gathering->count++;
    return true;
}

static bool gather_pair(struct gathering *gathering, const char *mapping, const yaml_node_pair_t *pair,
                        struct error *err) {
    yaml_document_t *yaml = &gathering->build->document->yaml;
    const yaml_node_t *value_node = yaml_document_get_node(yaml, pair->value);
    const char *key = config_document_text(yaml_document_get_node(yaml, pair->key));
    const char *text = config_document_text(value_node);
    struct sink_option *option = &gathering->options[gathering->count];
    if (text == NULL)
        return config_document_error(gathering->build->document, value_node, err,
                                     "%s%s.%s: expected one value, not a list or a mapping",
                                     gathering->place->path, mapping, config_shown_key(key));
    struct buffer full AUTO(buffer_release);
    buffer_init(&full, ERROR_TEXT_MAX);
    buffer_printf(&full, "%s.%s", mapping, key);
    if (!config_expand(text, gathering->build->arena, &option->value, err)) {
        struct error cause = *err;
        if (cause.kind == ERROR_SYSTEM)
            return false;
        return config_document_error(gathering->build->document, value_node, err, "%s%s.%s: %s",
                                     gathering->place->path, mapping, config_shown_key(key), cause.text);
    }
    option->key = buffer_ok(&full) ? arena_copy(gathering->build->arena, buffer_slice(&full)) : NULL;
    gathering->count++;
    return option->key != NULL ? true : error_no_memory(err);
}

/* properties: {a: b} becomes the option properties.a. */
static bool gather_mapping(struct gathering *gathering, const char *spec_key, struct error *err) {
    char mapping[PATH_TEXT_MAX];
    snprintf(mapping, sizeof mapping, "%.*s", (int) config_schema_mapping_length(spec_key), spec_key);
    const yaml_node_t *node =
        config_document_get(gathering->build->document, gathering->place->node, mapping);
    const struct config_value value = value_at(gathering->place, mapping, NULL);
    if (node == NULL)
        return true;
    if (find_spec(gathering->sink->ops, spec_key) == NULL)
        return complain_option(gathering->build, &value, gathering->sink, err);
    if (node->type != YAML_MAPPING_NODE)
        return config_build_error(gathering->build, &value, err, "expected a mapping (lines of key: value)");
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        if (!gather_pair(gathering, mapping, pair, err))
            return false;
    return true;
}

static bool check_required(const struct gathering *gathering, struct error *err) {
    const struct sink_config config = {.options = gathering->options, .option_count = gathering->count};
    const struct config_sink *sink = gathering->sink;
    for (const struct sink_option_spec *spec = sink->ops->options; spec->key != NULL; spec++) {
        const struct config_value value = value_at(gathering->place, spec->key, NULL);
        if (spec->required && sink_config_find(&config, spec->key) == NULL)
            return config_build_error(gathering->build, &value, err, "sink %s of type %s needs this key: %s",
                                      sink->sink.name, sink->ops->type, spec->help);
    }
    return true;
}

/* As many as the sink's section has values at most. */
static size_t count_options(const struct config_build *build, const struct sink_place *place) {
    const yaml_node_t *mapping = config_document_get(build->document, place->node, "properties");
    size_t free_keys = mapping == NULL || mapping->type != YAML_MAPPING_NODE
                           ? 0
                           : (size_t) (mapping->data.mapping.pairs.top - mapping->data.mapping.pairs.start);
    return build->schema->option_count + free_keys;
}

static bool gather_options(struct gathering *gathering, const struct raw_sink *raw, struct error *err) {
    const struct config_schema *schema = gathering->build->schema;
    for (size_t i = 0; i < schema->option_count; i++) {
        const char *key = schema->option_keys[i];
        if (config_schema_mapping_length(key) > 0 && !gather_mapping(gathering, key, err))
            return false;
        if (raw->options[i] != NULL && !gather_text(gathering, key, raw->options[i], err))
            return false;
    }
    return check_required(gathering, err);
}

/* Where the option stands: its mapping and its key there. */
static struct config_value place_of_option(const struct gathering *gathering, const char *option,
                                           struct buffer *path) {
    const struct sink_place *place = gathering->place;
    for (const struct sink_option_spec *spec = gathering->sink->ops->options; spec->key != NULL; spec++) {
        size_t length = config_schema_mapping_length(spec->key);
        if (length == 0 || strncmp(option, spec->key, length + 1) != 0)
            continue;
        char mapping[PATH_TEXT_MAX];
        snprintf(mapping, sizeof mapping, "%.*s", (int) length, spec->key);
        const yaml_node_t *node = config_document_get(gathering->build->document, place->node, mapping);
        buffer_printf(path, "%s%s.", place->path, mapping);
        if (node != NULL && buffer_text(path) != NULL)
            return (struct config_value){
                .parent = node, .path = buffer_text(path), .key = option + length + 1};
    }
    return value_at(place, option, NULL);
}

/* The type's own view of the values; its words may begin with the key, which is said already. */
static bool check_values(const struct gathering *gathering, const struct config_sink *sink,
                         struct error *err) {
    struct error cause = {0};
    if (sink->ops->validate == NULL || sink->ops->validate(&sink->sink, &cause))
        return true;
    if (cause.kind != ERROR_CONFIG || cause.option[0] == '\0') {
        *err = cause;
        return false;
    }
    struct buffer path AUTO(buffer_release);
    buffer_init(&path, ERROR_TEXT_MAX);
    const struct config_value value = place_of_option(gathering, cause.option, &path);
    const size_t length = strlen(cause.option);
    const bool is_said = strncmp(cause.text, cause.option, length) == 0 && cause.text[length] == ':';
    return config_build_error(gathering->build, &value, err, "%s",
                              is_said ? cause.text + length + strlen(": ") : cause.text);
}

static bool build_options(const struct config_build *build, const struct sink_place *place,
                          const struct raw_sink *raw, struct config_sink *sink, struct error *err) {
    size_t bytes = (count_options(build, place) + 1) * sizeof(struct sink_option);
    struct gathering gathering = {
        .build = build, .place = place, .sink = sink, .options = arena_alloc_zero(build->arena, bytes)};
    if (gathering.options == NULL)
        return error_no_memory(err);
    if (!gather_options(&gathering, raw, err))
        return false;
    sink->sink.options = gathering.options;
    sink->sink.option_count = gathering.count;
    return check_values(&gathering, sink, err);
}

static bool check_name(const struct config_build *build, const struct config_value *value,
                       const struct config *config, const char *name, struct error *err) {
    if (!config_name_is_good(name, CONFIG_NAME_MAX))
        return config_build_error(build, value, err, "expected 1 to %d of a-z, 0-9 and _", CONFIG_NAME_MAX);
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].sink.name, name) == 0)
            return config_build_error(build, value, err, "sinks[%zu] has this name already", i);
    return true;
}

static bool build_sink(const struct config_build *build, size_t index, const struct config *config,
                       struct config_sink *sink, struct error *err) {
    const struct raw_sink *raw = &build->raw->sinks[index];
    const struct sink_place place = sink_place(build, index);
    const struct config_value name = value_at(&place, "name", raw->name);
    const struct config_value type = value_at(&place, "type", raw->type);
    sink->sink.pipeline = config->name;
    sink->sink.application = config->source.application;
    return config_build_text(build, &name, &sink->sink.name, err) &&
           check_name(build, &name, config, sink->sink.name, err) &&
           find_type(build, &type, &sink->ops, err) && build_options(build, &place, raw, sink, err);
}

bool config_build_sinks(const struct config_build *build, struct config *config, struct error *err) {
    size_t count = build->raw->sinks_count;
    const struct config_value value = {
        .parent = config_document_root(build->document), .path = "", .key = "sinks"};
    if (count > SINKS_MAX)
        return config_build_error(build, &value, err, "more than %d sinks", SINKS_MAX);
    struct config_sink *sinks = arena_alloc_zero(build->arena, count * sizeof *sinks);
    if (sinks == NULL)
        return error_no_memory(err);
    config->sinks = sinks;
    for (; config->sink_count < count; config->sink_count++)
        if (!build_sink(build, config->sink_count, config, &sinks[config->sink_count], err))
            return false;
    return true;
}
