/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_sinks.c - the list of sinks, each with the keys of its type.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_read.h"

#define SINKS_MAX 64     /* one thread and at least one connection each */
#define OPTIONS_MAX 1200 /* of one sink, entries of maps included */

const struct option_spec SINK_OPTIONS[] = {
    {"name", true, "`[a-z0-9_]{1,50}`, unique in the pipeline; the sink's position is stored under this name",
     OPTION_TEXT, NULL},
    {"type", true, "the type of sink; each type has further keys", OPTION_TEXT, NULL},
    {0},
};

/* ---- name and type ---- */

static bool read_name(const struct section *section, const struct config *config, const char **ret_name,
                      struct error *err) {
    if (!section_text(section, "name", ret_name, err))
        return false;
    if (*ret_name == NULL)
        return section_error(section, "name", NULL, err, "this key is required and missing");
    if (!config_name_is_good(*ret_name, CONFIG_NAME_MAX))
        return section_error(section, "name", NULL, err, "expected 1 to %d of a-z, 0-9 and _",
                             CONFIG_NAME_MAX);
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].sink.name, *ret_name) == 0)
            return section_error(section, "name", NULL, err, "name already used by sinks[%zu]", i);
    return true;
}

static bool complain_type(const struct section *section, const char *type, struct error *err) {
    struct buffer known AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX / 2};
    const struct sink_ops *ops = NULL;
    for (size_t i = 0; (ops = sink_ops_at(i)) != NULL; i++)
        buffer_printf(&known, "%s%s", i > 0 ? ", " : "", ops->type);
    const char *list = buffer_text(&known);
    return section_error(section, "type", NULL, err, "unknown sink type %s (known: %s)",
                         section_shown_key(type), list != NULL ? list : "");
}

static bool check_single(const struct section *section, const struct config *config,
                         const struct sink_ops *ops, struct error *err) {
    for (size_t i = 0; i < config->sink_count; i++)
        if (ops->is_single && config->sinks[i].ops == ops)
            return section_error(section, "type", NULL, err, "sinks[%zu] is of type %s, and only one may be",
                                 i, ops->type);
    return true;
}

static bool read_type(const struct section *section, const struct config *config,
                      const struct sink_ops **ret_ops, struct error *err) {
    const char *type = NULL;
    if (!section_text(section, "type", &type, err))
        return false;
    if (type == NULL)
        return section_error(section, "type", NULL, err, "this key is required and missing");
    *ret_ops = sink_ops_find(type);
    return *ret_ops != NULL ? check_single(section, config, *ret_ops, err)
                            : complain_type(section, type, err);
}

/* ---- the type's own keys ---- */

struct options {
    struct sink_option *items; /* OPTIONS_MAX of them */
    size_t count;
};

/* properties: {a: b} becomes the option properties.a. */
static bool read_map(const struct section *section, const char *key, struct options *options,
                     struct error *err) {
    const struct section_pair *pairs = NULL;
    size_t count = 0;
    if (!section_map(section, key, &pairs, &count, err))
        return false;
    for (size_t i = 0; i < count && options->count < OPTIONS_MAX; i++) {
        struct buffer name AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX};
        buffer_printf(&name, "%s.%s", key, pairs[i].key);
        char *copy = buffer_ok(&name) ? arena_copy(section->file->arena, buffer_slice(&name)) : NULL;
        if (copy == NULL)
            return error_no_memory(err);
        options->items[options->count++] = (struct sink_option){.key = copy, .value = pairs[i].value};
    }
    return true;
}

static bool read_option(const struct section *section, const struct option_spec *spec,
                        struct options *options, struct error *err) {
    const char *value = NULL;
    if (spec->kind == OPTION_MAP)
        return read_map(section, spec->key, options, err);
    if (!(spec->kind == OPTION_PATH ? section_path : section_text)(section, spec->key, &value, err))
        return false;
    if (value != NULL && options->count < OPTIONS_MAX)
        options->items[options->count++] = (struct sink_option){.key = spec->key, .value = value};
    return true;
}

/* The key of an option, and the name of its entry if the key is a map. */
static const char *split_option(const struct sink_ops *ops, const char *option, const char **ret_name) {
    *ret_name = NULL;
    for (const struct option_spec *spec = ops->options; spec->key != NULL; spec++) {
        const size_t length = strlen(spec->key);
        if (spec->kind != OPTION_MAP || strncmp(option, spec->key, length) != 0 || option[length] != '.')
            continue;
        *ret_name = option + length + 1;
        return spec->key;
    }
    return option;
}

/* The sink type checks the values. Its message may begin with the key, which the error already contains. */
static bool check_values(const struct section *section, const struct config_sink *sink, struct error *err) {
    struct error cause = {0};
    const char *name = NULL;
    if (sink->ops->validate == NULL || sink->ops->validate(&sink->sink, &cause))
        return true;
    if (cause.kind != ERROR_CONFIG || cause.option[0] == '\0') {
        *err = cause;
        return false;
    }
    const char *key = split_option(sink->ops, cause.option, &name);
    const size_t length = strlen(cause.option);
    const bool is_said = strncmp(cause.text, cause.option, length) == 0 && cause.text[length] == ':';
    return section_error(section, key, name, err, "%s",
                         is_said ? cause.text + length + strlen(": ") : cause.text);
}

static bool read_options(const struct section *section, struct config_sink *sink, struct error *err) {
    char of[128];
    struct options options = {
        .items = arena_alloc_zero(section->file->arena, OPTIONS_MAX * sizeof *options.items)};
    snprintf(of, sizeof of, "a sink of type %s", sink->ops->type);
    if (options.items == NULL)
        return error_no_memory(err);
    if (!section_check(section, SINK_OPTIONS, sink->ops->options, of, err))
        return false;
    for (const struct option_spec *spec = sink->ops->options; spec->key != NULL; spec++)
        if (!read_option(section, spec, &options, err))
            return false;
    sink->sink.options = options.items;
    sink->sink.option_count = options.count;
    return check_values(section, sink, err);
}

static bool read_sink(const struct section *root, const struct config *config, struct config_sink *sink,
                      struct error *err) {
    struct section section;
    sink->sink.pipeline = config->name;
    sink->sink.application = config->source.application;
    return section_open_item(root, "sinks", config->sink_count, &section, err) &&
           read_name(&section, config, &sink->sink.name, err) &&
           read_type(&section, config, &sink->ops, err) && read_options(&section, sink, err);
}

bool config_read_sinks(const struct section *root, struct config *config, struct error *err) {
    const size_t count = section_count(root, "sinks");
    if (count > SINKS_MAX)
        return section_error(root, "sinks", NULL, err, "more than %d sinks", SINKS_MAX);
    struct config_sink *sinks = arena_alloc_zero(root->file->arena, count * sizeof *sinks);
    if (sinks == NULL)
        return error_no_memory(err);
    config->sinks = sinks;
    for (; config->sink_count < count; config->sink_count++)
        if (!read_sink(root, config, &sinks[config->sink_count], err))
            return false;
    return true;
}
