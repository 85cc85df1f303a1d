/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_build.c - the pipeline and its source.
 */
#include "cdc/config/config_build.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_expand.h"

#define IDENTIFIER_MAX 63 /* NAMEDATALEN - 1 */
#define LIST_BYTES_MAX (1u << 20)
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
        return cause.kind == ERROR_SYSTEM ? false : config_build_error(build, value, err, "%s", cause.text);
    }
    if ((*ret_text)[0] != '\0')
        return true;
    return config_build_error(build, value, err, "the value is empty once its variables are replaced");
}

bool config_build_path(const struct config_build *build, const struct config_value *value,
                       const char **ret_path, struct error *err) {
    const char *file = build->document->path;
    const char *slash = strrchr(file, '/');
    struct buffer path AUTO(buffer_release) = {.bytes_max = PATH_MAX};
    if (!config_build_text(build, value, ret_path, err))
        return false;
    if ((*ret_path)[0] == '/' || slash == NULL)
        return true;
    if (strncmp(file, "/dev/", 5) == 0 || strncmp(file, "/proc/", 6) == 0)
        return config_build_error(build, value, err,
                                  "a relative path, but %s is in no folder; give an absolute one", file);
    buffer_printf(&path, "%.*s%s", (int) (slash + 1 - file), file, *ret_path);
    if (path.lacks_memory)
        return error_no_memory(err);
    if (!buffer_ok(&path))
        return config_build_error(build, value, err, "the path is too long");
    *ret_path = arena_copy(build->arena, buffer_slice(&path));
    return *ret_path != NULL ? true : error_no_memory(err);
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
    return config_build_path(build, &value, &config->state, err);
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

static bool check_slot_name(const struct config_build *build, const struct source_config *source,
                            struct error *err) {
    const struct config_value slot = source_value(build, "slot", build->raw->source.slot);
    if (!config_name_is_good(source->slot, IDENTIFIER_MAX))
        return config_build_error(build, &slot, err, "expected 1 to %d of a-z, 0-9 and _", IDENTIFIER_MAX);
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

static bool build_origin(const struct config_build *build, struct source_config *source, struct error *err) {
    const char *text = "any";
    if (!build_source_text(build, "origin", build->raw->source.origin, &text, err))
        return false;
    const struct config_value value = source_value(build, "origin", text);
    source->origin_is_none = strcmp(text, "none") == 0;
    return source->origin_is_none || strcmp(text, "any") == 0
               ? true
               : config_build_error(build, &value, err, "expected any or none");
}

/* What follows the opening quote; quotes inside are doubled. NULL when there is no closing one. */
static char *take_quoted(char *text) {
    char *to = text;
    for (; *text != '"' || text[1] == '"'; text++) {
        if (*text == '\0')
            return NULL;
        *to++ = *text;
        text += *text == '"';
    }
    *to = '\0';
    return text + 1;
}

/* A name in place, quotes taken off, and the dot behind it when one has to follow. */
static bool take_part(char **rest, bool has_dot, const char **ret_part, bool *ret_is_exact) {
    char *text = *rest;
    char *end = NULL;
    *ret_is_exact = text[0] == '"';
    *ret_part = text + *ret_is_exact;
    if (*ret_is_exact)
        end = take_quoted(text + 1);
    else
        end = has_dot ? strchr(text, '.') : text + strlen(text);
    if (end == NULL || *end != (has_dot ? '.' : '\0'))
        return false;
    *end = '\0';
    *rest = end + has_dot;
    *ret_is_exact = *ret_is_exact || strchr(*ret_part, '*') == NULL;
    return (*ret_part)[0] != '\0';
}

static bool build_pattern(const struct config_build *build, size_t index, struct table_pattern *ret_pattern,
                          struct error *err) {
    struct config_value value = source_value(build, "tables", build->raw->source.tables[index]);
    const char *text = NULL;
    if (!config_build_text(build, &value, &text, err))
        return false;
    char *rest = arena_copy(build->arena, slice_of(text));
    if (rest == NULL)
        return error_no_memory(err);
    if (!take_part(&rest, true, &ret_pattern->schema, &ret_pattern->schema_is_exact) ||
        !take_part(&rest, false, &ret_pattern->name, &ret_pattern->name_is_exact))
        return config_build_error(
            build, &value, err,
            "entry %zu: expected schema.table, where * stands for any characters and a name "
            "may stand in double quotes",
            index + 1);
    return true;
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

/* ---- publications ---- */

static bool build_publication(const struct config_build *build, const char *key, const char *text,
                              const char **ret_name, struct error *err) {
    const struct config_value value = source_value(build, key, text);
    if (!config_build_text(build, &value, ret_name, err))
        return false;
    return strlen(*ret_name) <= IDENTIFIER_MAX
               ? true
               : config_build_error(build, &value, err, "a name has at most %d bytes", IDENTIFIER_MAX);
}

static void append_element(struct buffer *array, const char *name) {
    buffer_append_u8(array, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            buffer_append_u8(array, '\\');
        buffer_append_u8(array, (uint8_t) *name);
    }
    buffer_append_u8(array, '"');
}

/* The texts that are made of the list. */
static bool join_publications(const struct config_build *build, struct source_config *source,
                              struct error *err) {
    struct buffer array AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    struct buffer shown AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    for (size_t i = 0; i < source->publication_count; i++) {
        buffer_append_text(&array, i == 0 ? "{" : ",");
        append_element(&array, source->publications[i]);
        buffer_printf(&shown, "%s%s", i == 0 ? "" : ", ", source->publications[i]);
    }
    buffer_append_text(&array, "}");
    if (!buffer_ok(&array) || !buffer_ok(&shown))
        return error_no_memory(err);
    source->publication_array = arena_copy(build->arena, buffer_slice(&array));
    source->publication = arena_copy(build->arena, buffer_slice(&shown));
    return source->publication_array != NULL && source->publication != NULL ? true : error_no_memory(err);
}

static bool build_publications(const struct config_build *build, const char *name,
                               struct source_config *source, struct error *err) {
    const struct raw_source *raw = &build->raw->source;
    const struct config_value list = source_value(build, "publications", NULL);
    const size_t count = raw->publications_count > 0 ? raw->publications_count : 1;
    const char **names = arena_alloc_zero(build->arena, count * sizeof *names);
    if (names == NULL)
        return error_no_memory(err);
    if (raw->publication != NULL && raw->publications_count > 0)
        return config_build_error(build, &list, err, "publication is given, too; name them all here");
    names[0] = name;
    if (raw->publication != NULL &&
        !build_publication(build, "publication", raw->publication, &names[0], err))
        return false;
    for (size_t i = 0; i < raw->publications_count; i++) {
        if (!build_publication(build, "publications", raw->publications[i], &names[i], err))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return config_build_error(build, &list, err, "entry %zu is there already", i + 1);
    }
    source->publications = names;
    source->publication_count = count;
    source->publication_is_given = raw->publication != NULL || raw->publications_count > 0;
    return join_publications(build, source, err);
}

static bool build_password_file(const struct config_build *build, struct source_config *source,
                                struct error *err) {
    const struct config_value value = source_value(build, "password_file", build->raw->source.password_file);
    return value.text == NULL || config_build_path(build, &value, &source->password_file, err);
}

/* At most 6 + CONFIG_NAME_MAX bytes; a server cuts it at 63. */
static bool build_application(const struct config_build *build, const char *name,
                              struct source_config *source, struct error *err) {
    char text[sizeof "pgcdc:" + CONFIG_NAME_MAX];
    snprintf(text, sizeof text, "pgcdc:%s", name);
    source->application = arena_copy(build->arena, slice_of(text));
    return source->application != NULL ? true : error_no_memory(err);
}

static bool build_source(const struct config_build *build, const char *name, struct source_config *source,
                         struct error *err) {
    const struct raw_source *raw = &build->raw->source;
    *source = (struct source_config){.slot = name, .decoding_work_mem = DECODING_WORK_MEM_DEFAULT};
    return build_application(build, name, source, err) &&
           build_source_text(build, "dsn", raw->dsn, &source->dsn, err) &&
           build_password_file(build, source, err) &&
           build_source_text(build, "slot", raw->slot, &source->slot, err) &&
           check_slot_name(build, source, err) && build_publications(build, name, source, err) &&
           build_tables(build, source, err) && build_snapshot(build, source, err) &&
           build_origin(build, source, err) &&
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
