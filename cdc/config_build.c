/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_build.c - the pipeline and its source.
 */
#include "cdc/config_build.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc/config_expand.h"

#define IDENTIFIER_MAX 63 /* NAMEDATALEN - 1 */
#define DECODING_WORK_MEM_DEFAULT "256MB"

bool config_build_error(const struct config_build *build, const struct config_value *value, struct error *err,
                        const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const yaml_node_t *node = config_document_get(build->document, value->parent, value->key);
    return config_document_error(build->document, node != NULL ? node : value->parent, err, "%s%s: %s",
                                 value->path, value->key, text);
}

bool config_build_text(const struct config_build *build, const struct config_value *value,
                       const char **ret_text, struct error *err) {
    if (!config_expand(value->text, build->arena, ret_text, err)) {
        struct error cause = *err;
        return config_build_error(build, value, err, "%s", cause.text);
    }
    if ((*ret_text)[0] != '\0')
        return true;
    return config_build_error(build, value, err, "the value is empty once its variables are replaced");
}

bool config_name_is_good(const char *name, size_t length_max) {
    size_t length = strlen(name);
    return length > 0 && length <= length_max &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static bool build_name(const struct config_build *build, struct config *config, struct error *err) {
    const struct config_value value = {
        .parent = config_document_root(build->document), .path = "", .key = "name", .text = build->raw->name};
    if (!config_build_text(build, &value, &config->name, err))
        return false;
    return config_name_is_good(config->name, CONFIG_NAME_MAX)
               ? true
               : config_build_error(build, &value, err, "expected 1 to %d of a-z, 0-9 and _",
                                    CONFIG_NAME_MAX);
}

static bool build_state(const struct config_build *build, struct config *config, struct error *err) {
    const struct config_value value = {.parent = config_document_root(build->document),
                                       .path = "",
                                       .key = "state",
                                       .text = build->raw->state};
    return config_build_text(build, &value, &config->state, err);
}

static struct config_value source_value(const struct config_build *build, const char *key, const char *text) {
    return (struct config_value){
        .parent = config_document_get(build->document, config_document_root(build->document), "source"),
        .path = "source.",
        .key = key,
        .text = text,
    };
}

/* Leaves *ret_text as it is when the file does not say. */
static bool build_source_text(const struct config_build *build, const char *key, const char *text,
                              const char **ret_text, struct error *err) {
    const struct config_value value = source_value(build, key, text);
    return text == NULL || config_build_text(build, &value, ret_text, err);
}

static bool check_identifiers(const struct config_build *build, const struct source_config *source,
                              struct error *err) {
    const struct config_value slot = source_value(build, "slot", build->raw->source.slot);
    const struct config_value publication =
        source_value(build, "publication", build->raw->source.publication);
    if (!config_name_is_good(source->slot, IDENTIFIER_MAX))
        return config_build_error(build, &slot, err, "expected 1 to %d of a-z, 0-9 and _", IDENTIFIER_MAX);
    if (strlen(source->publication) > IDENTIFIER_MAX)
        return config_build_error(build, &publication, err, "a name has at most %d bytes", IDENTIFIER_MAX);
    return true;
}

/* It becomes a part of the session's options, so nothing but a number and its unit passes. */
static bool check_work_mem(const struct config_build *build, const char *text, struct error *err) {
    const struct config_value value = source_value(build, "decoding_work_mem", text);
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    bool is_unit = strcmp(unit, "kB") == 0 || strcmp(unit, "MB") == 0 || strcmp(unit, "GB") == 0;
    return digits > 0 && digits < 10 && is_unit
               ? true
               : config_build_error(
                     build, &value, err,
                     "expected a whole number and a unit, kB, MB or GB: " DECODING_WORK_MEM_DEFAULT);
}

static bool build_snapshot(const struct config_build *build, struct source_config *source,
                           struct error *err) {
    const char *text = "initial";
    if (!build_source_text(build, "snapshot", build->raw->source.snapshot, &text, err))
        return false;
    const struct config_value value = source_value(build, "snapshot", text);
    source->snapshot = strcmp(text, "never") == 0 ? SNAPSHOT_NEVER : SNAPSHOT_INITIAL;
    return source->snapshot == SNAPSHOT_NEVER || strcmp(text, "initial") == 0
               ? true
               : config_build_error(build, &value, err, "expected initial or never");
}

static bool build_pattern(const struct config_build *build, size_t index, struct table_pattern *ret_pattern,
                          struct error *err) {
    struct config_value value = source_value(build, "tables", build->raw->source.tables[index]);
    const char *text = NULL;
    if (!config_build_text(build, &value, &text, err))
        return false;
    const char *dot = strchr(text, '.');
    if (dot == NULL || dot == text || dot[1] == '\0')
        return config_build_error(build, &value, err,
                                  "entry %zu: expected schema.table, where * stands for any characters",
                                  index + 1);
    ret_pattern->schema =
        arena_copy(build->arena, (struct slice){.data = text, .size = (size_t) (dot - text)});
    ret_pattern->name = dot + 1;
    return ret_pattern->schema != NULL ? true : error_no_memory(err);
}

static bool build_tables(const struct config_build *build, struct source_config *source, struct error *err) {
    size_t count = build->raw->source.tables_count;
    struct table_pattern *tables = arena_alloc_zero(build->arena, count * sizeof *tables + 1);
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!build_pattern(build, i, &tables[i], err))
            return false;
    source->tables = tables;
    source->table_count = count;
    return true;
}

static bool build_source(const struct config_build *build, const char *name, struct source_config *source,
                         struct error *err) {
    const struct raw_source *raw = &build->raw->source;
    *source = (struct source_config){
        .slot = name, .publication = name, .decoding_work_mem = DECODING_WORK_MEM_DEFAULT};
    return build_source_text(build, "dsn", raw->dsn, &source->dsn, err) &&
           build_source_text(build, "password_file", raw->password_file, &source->password_file, err) &&
           build_source_text(build, "slot", raw->slot, &source->slot, err) &&
           build_source_text(build, "publication", raw->publication, &source->publication, err) &&
           check_identifiers(build, source, err) && build_tables(build, source, err) &&
           build_snapshot(build, source, err) &&
           build_source_text(build, "decoding_work_mem", raw->decoding_work_mem, &source->decoding_work_mem,
                             err) &&
           check_work_mem(build, source->decoding_work_mem, err);
}

bool config_build(const struct config_build *build, struct config *ret_config, struct error *err) {
    struct config config = {.path = ret_config->path};
    if (!build_name(build, &config, err) || !build_source(build, config.name, &config.source, err) ||
        !build_state(build, &config, err) || !config_build_sinks(build, &config, err))
        return false;
    *ret_config = config;
    return true;
}
