/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.c - checks keys against tables of options, and values by kind.
 */
#include "cdc/config/section.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/nearest.h"
#include "cdc/config/config_expand.h"

enum { SHOWN_KEY_MAX = 40, WORDS_MAX = 96 };

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

/* ---- errors ---- */

const char *section_shown_key(const char *key) {
    size_t length = strlen(key);
    return length > 0 && length <= SHOWN_KEY_MAX && strspn(key, LETTERS) == length ? key : "...";
}

/* "source.dsn", "name", "the file" */
static void append_path(struct buffer *text, const struct section *section, const char *key,
                        const char *name) {
    buffer_append_text(text, section->path);
    if (key != NULL)
        buffer_printf(text, "%s%s", section->path[0] != '\0' ? "." : "", section_shown_key(key));
    if (name != NULL)
        buffer_printf(text, ".%s", section_shown_key(name));
    if (text->size == 0)
        buffer_append_text(text, "the file");
}

static bool complain_at(const struct section *section, const yaml_node_t *node, const char *key,
                        const char *name, struct error *err, const char *what) {
    struct buffer path AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX};
    append_path(&path, section, key, name);
    const char *shown = buffer_text(&path);
    return config_document_error(&section->file->document, node, err, "%s: %s",
                                 shown != NULL ? shown : section->path, what);
}

bool section_error(const struct section *section, const char *key, const char *name, struct error *err,
                   const char *format, ...) {
    char text[ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct config_document *document = &section->file->document;
    const yaml_node_t *node = config_document_get(document, section->node, key);
    const yaml_node_t *item = name != NULL ? config_document_get(document, node, name) : NULL;
    return complain_at(section,
                       item != NULL   ? item
                       : node != NULL ? node
                                      : section->node,
                       key, name, err, text);
}

bool section_place(const struct section *section, const char *key, struct error *err) {
    const struct error cause = *err;
    if (cause.kind != ERROR_CONFIG)
        return false;
    section_error(section, key, NULL, err, "%s", cause.text);
    return cause.remedy[0] != '\0' && error_remedy(err, "%s", cause.remedy);
}

/* ---- opening ---- */

static bool check_is_mapping(const struct section *section, struct error *err) {
    return section->node->type == YAML_MAPPING_NODE ? true
                                                    : complain_at(section, section->node, NULL, NULL, err,
                                                                  "expected a mapping (lines of key: value)");
}

bool section_root(struct config_file *file, struct section *ret_section, struct error *err) {
    *ret_section = (struct section){.file = file, .node = config_document_root(&file->document)};
    if (ret_section->node == NULL)
        return config_document_error(&file->document, NULL, err, "the file is empty");
    return check_is_mapping(ret_section, err);
}

static void name_child(const struct section *parent, const char *key, struct section *ret_section) {
    const char *dot = parent->path[0] != '\0' ? "." : "";
    snprintf(ret_section->path, sizeof ret_section->path, "%.150s%s%.90s", parent->path, dot, key);
}

bool section_open(const struct section *parent, const char *key, struct section *ret_section,
                  struct error *err) {
    *ret_section = (struct section){.file = parent->file};
    ret_section->node = config_document_get(&parent->file->document, parent->node, key);
    name_child(parent, key, ret_section);
    if (ret_section->node == NULL)
        return section_error(parent, key, NULL, err, "this key is required and missing");
    return check_is_mapping(ret_section, err);
}

bool section_open_item(const struct section *parent, const char *key, size_t index,
                       struct section *ret_section, struct error *err) {
    char item[SECTION_PATH_MAX];
    struct config_document *document = &parent->file->document;
    *ret_section = (struct section){.file = parent->file};
    ret_section->node =
        config_document_item(document, config_document_get(document, parent->node, key), index);
    snprintf(item, sizeof item, "%.60s[%zu]", key, index);
    name_child(parent, item, ret_section);
    return check_is_mapping(ret_section, err);
}

size_t section_count(const struct section *section, const char *key) {
    size_t count = 0;
    struct config_document *document = &section->file->document;
    const yaml_node_t *list = config_document_get(document, section->node, key);
    while (config_document_item(document, list, count) != NULL)
        count++;
    return count;
}

bool section_has(const struct section *section, const char *key) {
    return config_document_get(&section->file->document, section->node, key) != NULL;
}

/* ---- checking ---- */

static size_t add_words(const struct option_spec *specs, const char **words, size_t count) {
    for (; specs != NULL && specs->key != NULL && count < WORDS_MAX; specs++)
        words[count++] = specs->key;
    return count;
}

static bool complain_unknown(const struct section *section, const yaml_node_t *node, const char *key,
                             const char *const *words, size_t count, const char *of, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX};
    const char *meant = nearest(key, words, count);
    buffer_append_text(&text, "unknown key; ");
    if (meant != NULL)
        buffer_printf(&text, "did you mean %s? ", meant);
    buffer_printf(&text, "%s takes ",
                  of != NULL                 ? of
                  : section->path[0] != '\0' ? section->path
                                             : "the file");
    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? ", " : "", words[i]);
    const char *shown = buffer_text(&text);
    return complain_at(section, node, key, NULL, err, shown != NULL ? shown : "unknown key");
}

static const char *misfit_of_text(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE)
        return "expected one value, not a list or a mapping";
    return node->data.scalar.length == 0 ? "the value is empty" : NULL;
}

static const char *misfit_of_list(const yaml_node_t *node) {
    if (node->type != YAML_SEQUENCE_NODE)
        return "expected a list (lines that begin with -)";
    return node->data.sequence.items.top == node->data.sequence.items.start ? "the list is empty" : NULL;
}

/* The reason why the value is not of this kind, or NULL. */
static const char *misfit(enum option_kind kind, const yaml_node_t *node) {
    switch (kind) {
    case OPTION_TEXT:
    case OPTION_PATH:
        return misfit_of_text(node);
    case OPTION_LIST:
    case OPTION_ENTRIES:
    case OPTION_SECTIONS:
        return misfit_of_list(node);
    case OPTION_MAP:
    case OPTION_SECTION:
        return node->type != YAML_MAPPING_NODE ? "expected a mapping (lines of key: value)" : NULL;
    case OPTION_ANY:
        return NULL;
    }
    return NULL;
}

static bool check_keys(const struct section *section, const struct option_spec *specs,
                       const struct option_spec *more, const char *of, struct error *err) {
    const char *words[WORDS_MAX];
    yaml_document_t *yaml = &section->file->document.yaml;
    const size_t count = add_words(more, words, add_words(specs, words, 0));
    const yaml_node_pair_t *pair = section->node->data.mapping.pairs.start;
    for (; pair < section->node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key_node = yaml_document_get_node(yaml, pair->key);
        const yaml_node_t *value = yaml_document_get_node(yaml, pair->value);
        const char *key = config_document_text(key_node);
        const struct option_spec *spec = option_find(specs, key);
        if (spec == NULL && more != NULL)
            spec = option_find(more, key);
        if (spec == NULL)
            return complain_unknown(section, key_node, key, words, count, of, err);
        const char *what = misfit(spec->kind, value);
        if (what != NULL)
            return complain_at(section, value, key, NULL, err, what);
    }
    return true;
}

static bool check_required(const struct section *section, const struct option_spec *specs, const char *of,
                           struct error *err) {
    for (; specs != NULL && specs->key != NULL; specs++) {
        if (!specs->required || section_has(section, specs->key))
            continue;
        if (of == NULL)
            return section_error(section, specs->key, NULL, err, "this key is required and missing");
        return section_error(section, specs->key, NULL, err, "%s needs this key: %s", of, specs->help);
    }
    return true;
}

bool section_check_keys(const struct section *section, const struct option_spec *specs, struct error *err) {
    return check_keys(section, specs, NULL, NULL, err);
}

bool section_check(const struct section *section, const struct option_spec *specs,
                   const struct option_spec *more, const char *of, struct error *err) {
    return check_keys(section, specs, more, of, err) && check_required(section, specs, of, err) &&
           check_required(section, more, of, err);
}

/* ---- values ---- */

static bool expand(const struct section *section, const char *key, const char *name, const char *text,
                   const char **ret_text, struct error *err) {
    if (!config_expand(text, section->file->arena, ret_text, err)) {
        struct error cause = *err;
        return cause.kind == ERROR_SYSTEM ? false : section_error(section, key, name, err, "%s", cause.text);
    }
    return true;
}

static bool expand_filled(const struct section *section, const char *key, const char *text,
                          const char **ret_text, struct error *err) {
    if (!expand(section, key, NULL, text, ret_text, err))
        return false;
    return (*ret_text)[0] != '\0' ? true
                                  : section_error(section, key, NULL, err,
                                                  "the value is empty after its variables are "
                                                  "replaced");
}

bool section_text(const struct section *section, const char *key, const char **ret_text, struct error *err) {
    const yaml_node_t *node = config_document_get(&section->file->document, section->node, key);
    if (node == NULL)
        return true;
    const char *what = misfit_of_text(node);
    if (what != NULL)
        return section_error(section, key, NULL, err, "%s", what);
    return expand_filled(section, key, config_document_text(node), ret_text, err);
}

bool section_path(const struct section *section, const char *key, const char **ret_path, struct error *err) {
    const char *file = section->file->document.path;
    const char *slash = strrchr(file, '/');
    const char *text = NULL;
    struct buffer path AUTO(buffer_release) = {.bytes_max = PATH_MAX};
    if (!section_text(section, key, &text, err))
        return false;
    if (text == NULL)
        return true;
    *ret_path = text;
    if (text[0] == '/' || slash == NULL)
        return true;
    if (strncmp(file, "/dev/", 5) == 0 || strncmp(file, "/proc/", 6) == 0)
        return section_error(section, key, NULL, err,
                             "a relative path, but %s is not in a folder; use an absolute path", file);
    buffer_printf(&path, "%.*s%s", (int) (slash + 1 - file), file, text);
    if (path.lacks_memory)
        return error_no_memory(err);
    if (!buffer_ok(&path))
        return section_error(section, key, NULL, err, "the path is too long");
    *ret_path = arena_copy(section->file->arena, buffer_slice(&path));
    return *ret_path != NULL ? true : error_no_memory(err);
}

static bool complain_word(const struct section *section, const char *key, const char *const *words,
                          struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = ERROR_TEXT_MAX};
    for (size_t i = 0; words[i] != NULL; i++)
        buffer_printf(&text, "%s%s", i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ", words[i]);
    const char *shown = buffer_text(&text);
    return section_error(section, key, NULL, err, "expected %s", shown != NULL ? shown : "another word");
}

bool section_word(const struct section *section, const char *key, const char *const *words, size_t *ret_index,
                  struct error *err) {
    const char *text = NULL;
    if (!section_text(section, key, &text, err))
        return false;
    for (size_t i = 0; text != NULL && words[i] != NULL; i++) {
        if (strcmp(words[i], text) != 0)
            continue;
        *ret_index = i;
        return true;
    }
    return text == NULL ? true : complain_word(section, key, words, err);
}

/* An item's line, and its number from 0. */
static bool list_item(const struct section *section, const char *key, size_t index, const char **ret_text,
                      struct error *err) {
    char item[SECTION_PATH_MAX];
    struct config_document *document = &section->file->document;
    const yaml_node_t *node =
        config_document_item(document, config_document_get(document, section->node, key), index);
    const char *what = misfit_of_text(node);
    snprintf(item, sizeof item, "%.60s[%zu]", key, index);
    if (what == NULL)
        return expand_filled(section, key, config_document_text(node), ret_text, err);
    struct section named = *section;
    name_child(section, item, &named);
    return complain_at(&named, node, NULL, NULL, err, what);
}

bool section_item_is_text(const struct section *section, const char *key, size_t index) {
    struct config_document *document = &section->file->document;
    return config_document_text(config_document_item(
               document, config_document_get(document, section->node, key), index)) != NULL;
}

bool section_item_text(const struct section *section, const char *key, size_t index, const char **ret_text,
                       struct error *err) {
    return list_item(section, key, index, ret_text, err);
}

bool section_list(const struct section *section, const char *key, const char *const **ret_texts,
                  size_t *ret_count, struct error *err) {
    const size_t count = section_count(section, key);
    const char **texts = arena_alloc_zero(section->file->arena, (count + 1) * sizeof *texts);
    if (texts == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!list_item(section, key, i, &texts[i], err))
            return false;
    *ret_texts = texts;
    *ret_count = count;
    return true;
}

static bool take_pair(const struct section *section, const char *key, const yaml_node_pair_t *pair,
                      struct section_pair *ret_pair, struct error *err) {
    yaml_document_t *yaml = &section->file->document.yaml;
    const yaml_node_t *value = yaml_document_get_node(yaml, pair->value);
    const char *name = config_document_text(yaml_document_get_node(yaml, pair->key));
    const char *text = config_document_text(value);
    if (text == NULL)
        return section_error(section, key, name, err, "expected one value, not a list or a mapping");
    ret_pair->key = arena_copy(section->file->arena, slice_of(name));
    if (ret_pair->key == NULL)
        return error_no_memory(err);
    return expand(section, key, name, text, &ret_pair->value, err);
}

bool section_map(const struct section *section, const char *key, const struct section_pair **ret_pairs,
                 size_t *ret_count, struct error *err) {
    const yaml_node_t *node = config_document_get(&section->file->document, section->node, key);
    *ret_count = 0;
    if (node == NULL)
        return true;
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    const size_t count = (size_t) (node->data.mapping.pairs.top - pair);
    struct section_pair *pairs = arena_alloc_zero(section->file->arena, (count + 1) * sizeof *pairs);
    if (pairs == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!take_pair(section, key, &pair[i], &pairs[i], err))
            return false;
    *ret_pairs = pairs;
    *ret_count = count;
    return true;
}
