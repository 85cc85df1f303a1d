/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_source.c - reads the section source.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_read.h"

#define LIST_BYTES_MAX (1u << 20)
#define DECODING_WORK_MEM_DEFAULT "256MB"

enum { IDENTIFIER_MAX = 63 }; /* NAMEDATALEN - 1 */

const struct option_spec SOURCE_OPTIONS[] = {
    {"dsn", false,
     "a libpq connection string: host=db user=replicator dbname=shop; required without `archive`",
     OPTION_TEXT, NULL},
    {"archive", false,
     "instead of it, the directory of an archive that another pipeline writes: its changes are replayed, and "
     "followed. Only `slot` and `snapshot` may be set beside it; "
     "`snapshot: never` accepts an archive whose beginning is gone",
     OPTION_PATH, NULL},
    {"password_file", false, "a file whose first line is the password", OPTION_PATH, "none"},
    {"slot", false, "the replication slot's name", OPTION_TEXT, "`name`"},
    {"publication", false,
     "its name. A publication named here must exist; without this key the first `run` creates it",
     OPTION_TEXT, "`name`"},
    {"publications", false,
     "instead of it, a list of names, which must all exist: the pipeline receives the changes that any of "
     "them sends, row filters combined as PostgreSQL does",
     OPTION_LIST, NULL},
    {"tables", false,
     "list of `schema.table` to replicate. `*` matches any characters; a name in double quotes is literal: "
     "`'\"a.b\".\"c d\"'`",
     OPTION_LIST, "all published tables"},
    {"snapshot", false,
     "`initial`: copy existing rows first; `never`: changes only, also from a slot that you prepared",
     OPTION_TEXT, "`initial`"},
    {"origin", false,
     "`any`, or `none`: leave out changes that replication itself made at the source; `none` needs "
     "PostgreSQL 16 or later there",
     OPTION_TEXT, "`any`"},
    {"decoding_work_mem", false,
     "`logical_decoding_work_mem` of our session: the memory of a transaction at the source before it "
     "spills to disk",
     OPTION_TEXT, "`" DECODING_WORK_MEM_DEFAULT "`"},
    {"streaming", false,
     "`on`: the source sends a transaction that is larger than `decoding_work_mem` while it is open; it "
     "waits in the state directory, compressed, until it commits. `off`: the source spills it to its own "
     "disk and sends it after its commit",
     OPTION_TEXT, "`on`"},
    {"pushdown", false,
     "`off`, or `rows`: a `where` that all sinks share becomes a row filter of the publication that `run` "
     "creates, so the source sends fewer rows; afterwards it refuses updates of a table whose replica "
     "identity "
     "is made smaller",
     OPTION_TEXT, "`off`"},
    {"failover", false,
     "`on`: since PostgreSQL 17 the slot is a failover slot, of which a standby with "
     "`sync_replication_slots` "
     "keeps a copy. `off`: it is not",
     OPTION_TEXT, "`on`"},
    {0},
};

/* ---- plain keys ---- */

/* At most 6 + CONFIG_NAME_MAX bytes; a server truncates it at 63. */
static bool set_application(struct arena *arena, const char *name, struct source_config *source,
                            struct error *err) {
    char text[sizeof "pgcdc:" + CONFIG_NAME_MAX];
    snprintf(text, sizeof text, "pgcdc:%s", name);
    source->application = arena_copy(arena, slice_of(text));
    return source->application != NULL ? true : error_no_memory(err);
}

static bool read_slot(const struct section *section, struct source_config *source, struct error *err) {
    if (!section_text(section, "slot", &source->slot, err))
        return false;
    return config_name_is_good(source->slot, IDENTIFIER_MAX)
               ? true
               : section_error(section, "slot", NULL, err, "expected 1 to %d of a-z, 0-9 and _",
                               IDENTIFIER_MAX);
}

static bool read_words(const struct section *section, struct source_config *source, struct error *err) {
    static const char *const SNAPSHOTS[] = {[SNAPSHOT_INITIAL] = "initial", [SNAPSHOT_NEVER] = "never", NULL};
    static const char *const ORIGINS[] = {"any", "none", NULL};
    size_t snapshot = SNAPSHOT_INITIAL;
    static const char *const STREAMING[] = {"off", "on", NULL};
    static const char *const PUSHDOWN[] = {"off", "rows", NULL};
    size_t origin = 0;
    size_t pushdown = 0;
    size_t streaming = 1;
    static const char *const FAILOVER[] = {"off", "on", NULL};
    size_t failover = 1;
    if (!section_word(section, "streaming", STREAMING, &streaming, err) ||
        !section_word(section, "snapshot", SNAPSHOTS, &snapshot, err) ||
        !section_word(section, "origin", ORIGINS, &origin, err) ||
        !section_word(section, "pushdown", PUSHDOWN, &pushdown, err) ||
        !section_word(section, "failover", FAILOVER, &failover, err))
        return false;
    source->snapshot = (enum snapshot_mode) snapshot;
    source->origin_is_none = origin == 1;
    source->streams = streaming == 1;
    source->pushes_rows = pushdown == 1;
    source->fails_over = failover == 1;
    return true;
}

/* The value becomes a part of the session's options, so it must be a number with a unit, nothing else. */
static bool read_work_mem(const struct section *section, struct source_config *source, struct error *err) {
    if (!section_text(section, "decoding_work_mem", &source->decoding_work_mem, err))
        return false;
    size_t digits = strspn(source->decoding_work_mem, "0123456789");
    const char *unit = source->decoding_work_mem + digits;
    bool is_unit = strcmp(unit, "kB") == 0 || strcmp(unit, "MB") == 0 || strcmp(unit, "GB") == 0;
    return digits > 0 && digits < 10 && is_unit
               ? true
               : section_error(
                     section, "decoding_work_mem", NULL, err,
                     "expected a whole number and a unit, kB, MB or GB: " DECODING_WORK_MEM_DEFAULT);
}

/* ---- tables ---- */

static bool read_pattern(const struct section *section, size_t index, const char *text,
                         struct table_pattern *ret_pattern, struct error *err) {
    char *copy = arena_copy(section->file->arena, slice_of(text));
    if (copy == NULL)
        return error_no_memory(err);
    return table_pattern_parse(copy, ret_pattern) ||
           section_error(section, "tables", NULL, err, "entry %zu: expected " TABLE_PATTERN_HELP, index + 1);
}

static bool read_tables(const struct section *section, struct source_config *source, struct error *err) {
    const char *const *texts = NULL;
    size_t count = 0;
    if (!section_list(section, "tables", &texts, &count, err))
        return false;
    struct table_pattern *tables = arena_alloc_zero(section->file->arena, count * sizeof *tables + 1);
    if (tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!read_pattern(section, i, texts[i], &tables[i], err))
            return false;
    source->tables = tables;
    source->table_count = count;
    return true;
}

/* ---- publications ---- */

static void append_element(struct buffer *array, const char *name) {
    buffer_append_u8(array, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"' || *name == '\\')
            buffer_append_u8(array, '\\');
        buffer_append_u8(array, (uint8_t) *name);
    }
    buffer_append_u8(array, '"');
}

/* The texts made from the list. */
static bool join_publications(struct arena *arena, struct source_config *source, struct error *err) {
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
    source->publication_array = arena_copy(arena, buffer_slice(&array));
    source->publication = arena_copy(arena, buffer_slice(&shown));
    return source->publication_array != NULL && source->publication != NULL ? true : error_no_memory(err);
}

static bool check_publications(const struct section *section, const char *key,
                               const struct source_config *source, struct error *err) {
    for (size_t i = 0; i < source->publication_count; i++) {
        if (strlen(source->publications[i]) > IDENTIFIER_MAX)
            return section_error(section, key, NULL, err, "a name is longer than %d bytes", IDENTIFIER_MAX);
        for (size_t j = 0; j < i; j++)
            if (strcmp(source->publications[i], source->publications[j]) == 0)
                return section_error(section, key, NULL, err, "duplicate of entry %zu", i + 1);
    }
    return true;
}

/* name: the pipeline's, the default for the publication. */
static bool read_one_publication(const struct section *section, const char *name,
                                 struct source_config *source, struct error *err) {
    const char **names = arena_alloc_zero(section->file->arena, sizeof *names);
    if (names == NULL)
        return error_no_memory(err);
    names[0] = name;
    source->publications = names;
    source->publication_count = 1;
    return section_text(section, "publication", &names[0], err);
}

static bool read_publications(const struct section *section, const char *name, struct source_config *source,
                              struct error *err) {
    const bool has_list = section_has(section, "publications");
    const bool has_one = section_has(section, "publication");
    if (has_list && has_one)
        return section_error(section, "publications", NULL, err,
                             "publication is set too; list all of them here");
    source->publication_is_given = has_list || has_one;
    bool is_read = has_list ? section_list(section, "publications", &source->publications,
                                           &source->publication_count, err)
                            : read_one_publication(section, name, source, err);
    return is_read && check_publications(section, has_list ? "publications" : "publication", source, err) &&
           join_publications(section->file->arena, source, err);
}

/* An archive has what its pipeline received, all of it. */
static bool read_archive(const struct section *section, struct source_config *source, struct error *err) {
    if (!section_path(section, "archive", &source->archive, err))
        return false;
    if (source->archive == NULL)
        return source->dsn != NULL ||
               section_error(section, "dsn", NULL, err, "this key is required and missing");
    for (const struct option_spec *spec = SOURCE_OPTIONS; spec->key != NULL; spec++)
        if (strcmp(spec->key, "archive") != 0 && strcmp(spec->key, "slot") != 0 &&
            strcmp(spec->key, "snapshot") != 0 && section_has(section, spec->key))
            return section_error(section, spec->key, NULL, err,
                                 "an archive is read, so this key has no meaning; remove it");
    return true;
}

bool config_read_source(const struct section *root, const char *name, struct source_config *ret_source,
                        struct error *err) {
    struct section section;
    *ret_source = (struct source_config){
        .slot = name, .follower = name, .decoding_work_mem = DECODING_WORK_MEM_DEFAULT};
    return section_open(root, "source", &section, err) &&
           section_check(&section, SOURCE_OPTIONS, NULL, NULL, err) &&
           set_application(root->file->arena, name, ret_source, err) &&
           section_text(&section, "dsn", &ret_source->dsn, err) && read_archive(&section, ret_source, err) &&
           section_path(&section, "password_file", &ret_source->password_file, err) &&
           read_slot(&section, ret_source, err) && read_publications(&section, name, ret_source, err) &&
           read_tables(&section, ret_source, err) && read_words(&section, ret_source, err) &&
           read_work_mem(&section, ret_source, err);
}
