/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_migrate.c - reads the section migrate, and makes of a file with several databases the pipeline of
 * one of them.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_read.h"
#include "cdc/pq/dsn_database.h"

enum { DATABASES_MAX = 1000, NAME_MAX_BYTES = 63, TEXT_BYTES_MAX = 1 << 16 };

const struct option_spec MIGRATE_OPTIONS[] = {
    {"databases", false,
     "databases of one server that move with this file, a list of names, or of `{source: a, target: b, name: "
     "c}` where the target's database or the pipeline has another name; each has a pipeline of its own, and "
     "`source.dsn` and the sink's `dsn` give everything but the database",
     OPTION_ENTRIES, "the one of `source.dsn`"},
    {"create", false,
     "`yes`: databases of the list that the target lacks are made, with the source's encoding, locale, "
     "owner, settings and rights; `no`: they must exist",
     OPTION_TEXT, "`no`"},
    {"roles", false,
     "`create`: roles that the databases need and the target lacks are made, with memberships, settings and "
     "comments, and passwords where the source's role may read them; `check`: they must exist",
     OPTION_TEXT, "`check`"},
    {0},
};

static const struct option_spec DATABASE_OPTIONS[] = {
    {"source", true, "the database's name at the source", OPTION_TEXT, NULL},
    {"target", false, "its name at the target", OPTION_TEXT, NULL},
    {"name", false, "the name of its pipeline", OPTION_TEXT, NULL},
    {0},
};

/* ---- one entry ---- */

/* "shop_" and the database's name, with _ for what a pipeline's name cannot have. */
static const char *derive_name(struct arena *arena, const char *pipeline, const char *database) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_printf(&name, "%s_", pipeline);
    for (const char *c = database; *c != '\0'; c++) {
        const bool is_upper = *c >= 'A' && *c <= 'Z';
        const bool is_kept = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
        buffer_append_u8(&name, (uint8_t) (is_upper ? *c - 'A' + 'a' : is_kept ? *c : '_'));
    }
    return buffer_ok(&name) ? arena_copy(arena, buffer_slice(&name)) : NULL;
}

static bool read_entry(const struct section *section, size_t index, struct config_database *database,
                       struct error *err) {
    struct section entry;
    if (section_item_is_text(section, "databases", index))
        return section_item_text(section, "databases", index, &database->source, err);
    return section_open_item(section, "databases", index, &entry, err) &&
           section_check(&entry, DATABASE_OPTIONS, NULL, NULL, err) &&
           section_text(&entry, "source", &database->source, err) &&
           section_text(&entry, "target", &database->target, err) &&
           section_text(&entry, "name", &database->name, err);
}

static bool complete_entry(const struct section *section, const struct config *config,
                           struct config_database *database, struct error *err) {
    if (database->target == NULL)
        database->target = database->source;
    if (strlen(database->source) > NAME_MAX_BYTES || strlen(database->target) > NAME_MAX_BYTES)
        return section_error(section, "databases", NULL, err, "a database's name is longer than %d bytes",
                             NAME_MAX_BYTES);
    const bool is_given = database->name != NULL;
    if (!is_given)
        database->name = derive_name(section->file->arena, config->name, database->source);
    if (database->name == NULL)
        return error_no_memory(err);
    if (config_name_is_good(database->name, CONFIG_NAME_MAX))
        return true;
    return is_given
               ? section_error(section, "databases", NULL, err, "name: expected 1 to %d of a-z, 0-9 and _",
                               CONFIG_NAME_MAX)
               : section_error(section, "databases", NULL, err,
                               "the pipeline of database %s would have a name of %zu bytes, and %d are "
                               "allowed; give it a shorter one: {source: %s, name: NAME}",
                               database->source, strlen(database->name), CONFIG_NAME_MAX, database->source);
}

/* ---- the list ---- */

static bool refuse_pair(const struct section *section, const struct config_database *a,
                        const struct config_database *b, struct error *err) {
    if (strcmp(a->source, b->source) == 0)
        return section_error(section, "databases", NULL, err, "database %s is listed twice", a->source);
    if (strcmp(a->target, b->target) == 0)
        return section_error(section, "databases", NULL, err,
                             "databases %s and %s have the same target database, %s", a->source, b->source,
                             a->target);
    if (strcmp(a->name, b->name) == 0)
        return section_error(section, "databases", NULL, err,
                             "the pipelines of databases %s and %s would both have the name %s; give one "
                             "another name: {source: %s, name: NAME}",
                             a->source, b->source, a->name, b->source);
    return true;
}

static bool read_databases(const struct section *section, struct config *config, struct error *err) {
    const size_t count = section_count(section, "databases");
    struct config_database *databases =
        arena_alloc_zero(section->file->arena, (count + 1) * sizeof *databases);
    if (databases == NULL)
        return error_no_memory(err);
    if (count > DATABASES_MAX)
        return section_error(section, "databases", NULL, err, "more than %d databases", DATABASES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!read_entry(section, i, &databases[i], err) ||
            !complete_entry(section, config, &databases[i], err))
            return false;
        for (size_t j = 0; j < i; j++)
            if (!refuse_pair(section, &databases[j], &databases[i], err))
                return false;
    }
    config->migrate.databases = databases;
    config->migrate.database_count = count;
    return true;
}

/* What one name cannot serve for several databases. */
static bool check_shape(const struct section *root, const struct section *section,
                        const struct config *config, struct error *err) {
    const struct config_sink *sink = NULL;
    struct error why = {0};
    struct section source;
    if (config->migrate.database_count == 0)
        return !config->migrate.creates ||
               section_error(section, "create", NULL, err,
                             "needs databases: the list of the databases that move");
    if (!config_find_target(config, &sink, &why))
        return section_error(section, "databases", NULL, err,
                             "needs a source and one sink that is a database, and no buffer");
    if (!section_open(root, "source", &source, err))
        return false;
    return !section_has(&source, "slot") ||
           section_error(&source, "slot", NULL, err,
                         "a slot is of one database, and migrate.databases has several; remove the key: each "
                         "slot has the name of its pipeline");
}

static bool read_migrate_words(const struct section *section, struct migrate_config *migrate,
                               struct error *err) {
    static const char *const CREATES[] = {"no", "yes", NULL};
    static const char *const ROLES[] = {"check", "create", NULL};
    size_t creates = 0, roles = 0;
    if (!section_word(section, "create", CREATES, &creates, err) ||
        !section_word(section, "roles", ROLES, &roles, err))
        return false;
    migrate->creates = creates == 1;
    migrate->makes_roles = roles == 1;
    return true;
}

bool config_read_migrate(const struct section *root, struct config *config, struct error *err) {
    struct section section;
    return !section_has(root, "migrate") ||
           (section_open(root, "migrate", &section, err) &&
            section_check(&section, MIGRATE_OPTIONS, NULL, NULL, err) &&
            read_migrate_words(&section, &config->migrate, err) && read_databases(&section, config, err) &&
            check_shape(root, &section, config, err));
}

/* ---- one of them ---- */

/* One that libpq cannot parse stays as it is: connecting says what is wrong with it. */
static bool name_database(struct arena *arena, const char *dsn, const char *database, const char **ret_dsn,
                          struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    struct error unparsed = {0};
    *ret_dsn = dsn;
    if (!dsn_replace_database(dsn, database, &text, &unparsed))
        return true;
    *ret_dsn = arena_copy(arena, buffer_slice(&text));
    explicit_bzero(text.data, text.size); /* it may contain a password */
    return *ret_dsn != NULL || error_no_memory(err);
}

static const char *join_database(struct arena *arena, const char *before, const char *text,
                                 const char *after) {
    struct buffer joined AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    buffer_printf(&joined, "%s%s%s", before, text, after);
    return buffer_ok(&joined) ? arena_copy(arena, buffer_slice(&joined)) : NULL;
}

/* The publication that the file names is in each database. */
static bool name_pipeline(struct config *config, const char *name, struct error *err) {
    struct arena *arena = config_arena(config);
    config->server_pipeline = config->name;
    config->name = name;
    config->source.slot = config->source.follower = name;
    config->source.application = join_database(arena, "pgcdc:", name, "");
    if (config->source.application == NULL)
        return error_no_memory(err);
    if (config->source.publication_is_given)
        return true;
    const char **publications = arena_alloc_zero(arena, sizeof *publications);
    const char *array = join_database(arena, "{", name, "}");
    if (publications == NULL || array == NULL)
        return error_no_memory(err);
    publications[0] = config->source.publication = name;
    config->source.publications = publications;
    config->source.publication_count = 1;
    config->source.publication_array = array;
    return true;
}

static bool name_target(struct config *config, const char *database, struct error *err) {
    struct arena *arena = config_arena(config);
    struct config_sink *sink = arena_alloc_zero(arena, sizeof *sink);
    struct sink_option *options =
        arena_alloc_zero(arena, (config->sinks[0].sink.option_count + 1) * sizeof *options);
    if (sink == NULL || options == NULL)
        return error_no_memory(err);
    *sink = config->sinks[0];
    config->server_dsn = sink_config_find(&sink->sink, "dsn");
    for (size_t i = 0; i < sink->sink.option_count; i++) {
        options[i] = sink->sink.options[i];
        if (strcmp(options[i].key, "dsn") == 0 &&
            !name_database(arena, options[i].value, database, &options[i].value, err))
            return false;
    }
    sink->sink.options = options;
    sink->sink.pipeline = config->name;
    sink->sink.application = config->source.application;
    config->sinks = sink;
    return true;
}

bool config_choose_database(struct config *config, const struct config_database *database,
                            struct error *err) {
    struct arena *arena = config_arena(config);
    config->database = database;
    config->state_folder = config->state;
    config->state = join_database(arena, config->state, "/", database->name);
    return config->state != NULL
               ? name_pipeline(config, database->name, err) && name_target(config, database->target, err) &&
                     name_database(arena, config->source.dsn, database->source, &config->source.dsn, err) &&
                     config_name_source(config, err)
               : error_no_memory(err);
}

const struct config_database *config_find_database(const struct config *config, const char *source) {
    for (size_t i = 0; i < config->migrate.database_count; i++)
        if (strcmp(config->migrate.databases[i].source, source) == 0)
            return &config->migrate.databases[i];
    return NULL;
}
