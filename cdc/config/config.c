/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - reads a pipeline from a file.
 *
 *     file -> text -> document (lines, hostile YAML refused) -> sections (keys, kinds) -> struct config
 *
 * Everything that a struct config points to is in the arena allocated with it.
 */
#include "cdc/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/config/config_leaves.h"
#include "cdc/config/config_read.h"
#include "sinks/left_out.h"
#include "sinks/mapping/rule.h"

#define FILE_BYTES_MAX ((size_t) 1 << 20) /* a pipeline of a thousand tables needs 40 kB */
#define ARENA_BYTES_MAX ((size_t) 32 << 20)

const struct option_spec PIPELINE_OPTIONS[] = {
    {"name", true,
     "`[a-z0-9_]{1,50}`; names the pipeline in the target, on disk and, as `pgcdc:NAME`, in each of its "
     "sessions",
     OPTION_TEXT, NULL},
    {"source", true, "the section of the source", OPTION_SECTION, NULL},
    {"copy", false, "the section of the initial copy", OPTION_SECTION, NULL},
    {"verify", false, "the section of continuous verification", OPTION_SECTION, NULL},
    {"sequences", false, "the section of the sequences", OPTION_SECTION, NULL},
    {"schema", false, "the section of the schema that `schema apply` moves", OPTION_SECTION, NULL,
     .reloads = true},
    {"cutover", false, "the section of `cutover` and `rollback`", OPTION_SECTION, NULL, .reloads = true},
    {"migrate", false, "the section of the databases and roles that move", OPTION_SECTION, NULL,
     .reloads = true},
    {"accept", false,
     "warnings of `plan` that you accept, a list of `code:object`: `[no_key:public.log]`. The object is a "
     "name "
     "as `plan` prints it, with or without its quotes; `*` is every object; a code alone is a warning about "
     "no object",
     OPTION_LIST, "none", .reloads = true},
    {"http", false, "the section of metrics and health over HTTP", OPTION_SECTION, NULL},
    {"log", false, "what commands write to standard error: `text` for people, `json` for programs",
     OPTION_TEXT, "`text`"},
    {"log_level", false, "the least level that is logged: `error`, `warning`, `info` or `debug`", OPTION_TEXT,
     "`info`", .reloads = true},
    {"buffer", false, "the section of an archive between the slot and the sinks", OPTION_SECTION, NULL},
    {"state", true, "directory of the checkpoint, the lock and the last error", OPTION_PATH, NULL},
    {"signals", false,
     "`true`: transactional messages of the source with prefix `pgcdc` pause, resume and reload the engine, "
     "and set the level of its log. "
     "A role that may write to the source database can write them",
     OPTION_TEXT, "`false`"},
    {"sinks", true, "the list of sinks, one or more", OPTION_SECTIONS, NULL},
    {"mapping", false, "the list of rules for tables and columns; the first that matches a table is its rule",
     OPTION_SECTIONS, "none"},
    {"ddl", false,
     "the list of what sinks do when tables of the source are altered; the first that matches a table is its "
     "rule",
     OPTION_SECTIONS, "none"},
    {0},
};

struct config_memory {
    struct config config; /* first, so that the caller's pointer is ours */
    struct arena arena;
    struct config *older; /* what config_reread_tables has read */
    struct config_leaves leaves;
};

static void close_file(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static bool file_error(const char *path, struct error *err) {
    error_errno(err, "%s", path);
    err->kind = ERROR_CONFIG;
    return false;
}

static bool read_all(int fd, const char *path, struct buffer *text, struct error *err) {
    for (;;) {
        if (!buffer_reserve(text, 1) && text->lacks_memory)
            return error_no_memory(err);
        if (!buffer_ok(text))
            return error_set(err, ERROR_CONFIG, "%s: larger than %zu bytes", path, FILE_BYTES_MAX);
        ssize_t count = read(fd, text->data + text->size, text->capacity - text->size);
        if (count == 0)
            return true;
        if (count < 0 && errno != EINTR)
            return file_error(path, err);
        text->size += count > 0 ? (size_t) count : 0;
    }
}

static bool read_file(const char *path, struct buffer *text, struct error *err) {
    int fd AUTO(close_file) = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return file_error(path, err);
    if (!read_all(fd, path, text, err))
        return false;
    if (text->size > 0 && memchr(text->data, '\0', text->size) != NULL)
        return error_set(err, ERROR_CONFIG, "%s: a NUL byte; this is not a text file", path);
    return true;
}

bool config_name_is_good(const char *name, size_t length_max) {
    size_t length = strlen(name);
    return length > 0 && length <= length_max &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

static bool read_name(const struct section *root, const char **ret_name, struct error *err) {
    if (!section_text(root, "name", ret_name, err))
        return false;
    return config_name_is_good(*ret_name, CONFIG_NAME_MAX)
               ? true
               : section_error(root, "name", NULL, err, "expected 1 to %d of a-z, 0-9 and _",
                               CONFIG_NAME_MAX);
}

static bool read_accepted(const struct section *root, struct config *config, struct error *err) {
    if (!section_list(root, "accept", &config->accepted, &config->accepted_count, err))
        return false;
    for (size_t i = 0; i < config->accepted_count; i++) {
        const char *entry = config->accepted[i];
        const size_t length = strspn(entry, "abcdefghijklmnopqrstuvwxyz_");
        if (length == 0 || (entry[length] != '\0' && (entry[length] != ':' || entry[length + 1] == '\0')))
            return section_error(root, "accept", NULL, err,
                                 "expected a code of a warning, and its object: no_key:public.log");
    }
    return true;
}

static bool read_log(const struct section *root, struct config *config, struct error *err) {
    static const char *const FORMATS[] = {
        [LOG_FORMAT_TEXT] = "text", [LOG_FORMAT_JSON] = "json", [LOG_FORMAT_JSON + 1] = NULL};
    static const char *const LEVELS[] = {[LOG_LEVEL_DEBUG] = "debug",
                                         [LOG_LEVEL_INFO] = "info",
                                         [LOG_LEVEL_WARNING] = "warning",
                                         [LOG_LEVEL_ERROR] = "error",
                                         [LOG_LEVEL_ERROR + 1] = NULL};
    size_t format = LOG_FORMAT_TEXT, level = LOG_LEVEL_INFO;
    if (!section_word(root, "log", FORMATS, &format, err) ||
        !section_word(root, "log_level", LEVELS, &level, err))
        return false;
    config->log = (enum log_format) format;
    config->log_level = (enum log_level) level;
    return true;
}

/* An archive has no such messages. */
static bool read_signals(const struct section *root, struct config *config, struct error *err) {
    static const char *const WORDS[] = {"false", "true", NULL};
    size_t word = 0;
    if (!section_word(root, "signals", WORDS, &word, err))
        return false;
    config->signals = word == 1;
    if (config->signals && (config->buffer.path != NULL || config->source.dsn == NULL))
        return section_error(
            root, "signals", NULL, err,
            "the sinks read an archive, which does not have the messages; use `pgcdc pause`");
    return true;
}

/* Before the search for missing keys: a missing key may be a misspelt one. */
static bool check_keys(const struct section *root, struct error *err) {
    struct section source;
    return section_check_keys(root, PIPELINE_OPTIONS, err) &&
           (!section_has(root, "source") ||
            (section_open(root, "source", &source, err) && section_check_keys(&source, SOURCE_OPTIONS, err)));
}

static bool read_sections(struct config_file *file, struct config *config, struct error *err) {
    struct section root;
    return section_root(file, &root, err) && check_keys(&root, err) &&
           section_check(&root, PIPELINE_OPTIONS, NULL, NULL, err) && read_name(&root, &config->name, err) &&
           read_log(&root, config, err) && config_read_source(&root, config->name, &config->source, err) &&
           config_read_copy(&root, &config->copy, err) && config_read_verify(&root, &config->verify, err) &&
           config_read_sequences(&root, &config->source, &config->sequences, err) &&
           config_read_schema(&root, &config->schema, err) &&
           config_read_cutover(&root, &config->cutover, err) && read_accepted(&root, config, err) &&
           section_path(&root, "state", &config->state, err) && config_read_sinks(&root, config, err) &&
           config_read_ddl(&root, config, err) && config_read_mapping(&root, config, err) &&
           config_read_buffer(&root, config, err) && config_read_migrate(&root, config, err) &&
           config_read_http(&root, config, err) && read_signals(&root, config, err);
}

/* The document goes; its texts are part of what stays. */
static bool copy_leaves(struct config_file *file, struct config_memory *memory, struct error *err) {
    if (!config_leaves_read(file, &memory->config, &memory->leaves, err))
        return false;
    for (size_t i = 0; i < memory->leaves.count; i++) {
        const char *value = arena_copy(&memory->arena, slice_of(memory->leaves.items[i].value));
        if (value == NULL)
            return error_no_memory(err);
        memory->leaves.items[i].value = value;
    }
    return true;
}

static bool read_text(struct slice text, struct config_memory *memory, struct error *err) {
    struct config_file file = {.arena = &memory->arena};
    struct config *config = &memory->config;
    if (!config_document_load(&file.document, config->path, text, err))
        return false;
    bool is_read = read_sections(&file, config, err) && copy_leaves(&file, memory, err);
    config_document_release(&file.document);
    return is_read;
}

bool config_read(const char *path, struct config **ret_config, struct error *err) {
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, FILE_BYTES_MAX);
    struct config_memory *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return error_no_memory(err);
    arena_init(&memory->arena, 16384, ARENA_BYTES_MAX);
    memory->config.path = arena_copy(&memory->arena, slice_of(path));
    bool built = memory->config.path != NULL ? read_file(path, &text, err) : error_no_memory(err);
    if (built && read_text(buffer_slice(&text), memory, err)) {
        *ret_config = &memory->config;
        return true;
    }
    config_free(&memory->config);
    return false;
}

bool config_read_again(const struct config *config, struct config **ret_config, struct error *err) {
    struct config *again = NULL;
    if (!config_read(config->path, &again, err))
        return false;
    const struct config_database *database =
        config->database != NULL ? config_find_database(again, config->database->source) : NULL;
    bool is_chosen = config->database == NULL;
    if (database != NULL)
        is_chosen = config_choose_database(again, database, err);
    else if (!is_chosen)
        error_set(err, ERROR_CONFIG, "%s has no database %s any more", config->path,
                  config->database->source);
    if (is_chosen)
        *ret_config = again;
    else
        config_free(again);
    return is_chosen;
}

struct arena *config_arena(struct config *config) {
    return &((struct config_memory *) config)->arena;
}

static bool is_same_pattern(const struct table_pattern *a, const struct table_pattern *b) {
    return strcmp(a->schema, b->schema) == 0 && strcmp(a->name, b->name) == 0 &&
           a->schema_is_exact == b->schema_is_exact && a->name_is_exact == b->name_is_exact;
}

static bool has_same_tables(const struct source_config *a, const struct source_config *b) {
    bool is_same = a->table_count == b->table_count;
    for (size_t i = 0; i < a->table_count && is_same; i++)
        is_same = is_same_pattern(&a->tables[i], &b->tables[i]);
    return is_same;
}

bool config_reread_tables(struct config *config) {
    struct config_memory *memory = (struct config_memory *) config;
    struct config *newer = NULL;
    struct error ignored = {0};
    if (!config_read_again(config, &newer, &ignored))
        return false;
    if (has_same_tables(&config->source, &newer->source)) {
        config_free(newer);
        return false;
    }
    ((struct config_memory *) newer)->older = memory->older;
    memory->older = newer;
    config->source.tables = newer->source.tables;
    config->source.table_count = newer->source.table_count;
    return true;
}

void config_keep(struct config *config, struct config *older) {
    struct config_memory *memory = (struct config_memory *) config;
    if (older == NULL)
        return;
    while (memory->older != NULL)
        memory = (struct config_memory *) memory->older;
    memory->older = older;
}

void config_free(struct config *config) {
    if (config == NULL)
        return;
    struct config_memory *memory = (struct config_memory *) config;
    config_free(memory->older);
    mapping_release(config->mapping);
    for (size_t i = 0; i < config->sink_count; i++)
        left_out_free(config->sinks[i].sink.left_out);
    arena_release(&memory->arena);
    free(memory);
}

static void tell_difference(const struct config_leaf *before, const struct config_leaf *after,
                            void (*take)(const struct config_difference *difference, void *context),
                            void *context) {
    const struct config_leaf *leaf = before != NULL ? before : after;
    const struct config_difference difference = {.path = leaf->path,
                                                 .before = before != NULL ? before->value : NULL,
                                                 .after = after != NULL ? after->value : NULL,
                                                 .reloads =
                                                     leaf->reloads && (after == NULL || after->reloads),
                                                 .is_shown = leaf->is_shown};
    take(&difference, context);
}

/* Both are ordered by path. */
void config_compare(const struct config *before, const struct config *after,
                    void (*take)(const struct config_difference *difference, void *context), void *context) {
    const struct config_leaves *a = &((const struct config_memory *) before)->leaves;
    const struct config_leaves *b = &((const struct config_memory *) after)->leaves;
    for (size_t i = 0, j = 0; i < a->count || j < b->count;) {
        const int order = i == a->count ? 1 : j == b->count ? -1 : strcmp(a->items[i].path, b->items[j].path);
        const struct config_leaf *left = order <= 0 ? &a->items[i++] : NULL;
        const struct config_leaf *right = order >= 0 ? &b->items[j++] : NULL;
        if (left == NULL || right == NULL || strcmp(left->value, right->value) != 0)
            tell_difference(left, right, take, context);
    }
}

bool config_takes_table(const struct source_config *source, const char *schema, const char *name) {
    for (size_t i = 0; i < source->table_count; i++)
        if (table_pattern_matches(&source->tables[i], schema, name))
            return true;
    return source->table_count == 0;
}
