/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_reverse.c - the same file with the two sides exchanged.
 */
#include <stdio.h>

#include "cdc/config/config_read.h"

#define REVERSE_SINK "source" /* what it was */

enum { NAME_BYTES_MAX = 128 };

static bool refuse_shape(const struct config *config, const char *why, struct error *err) {
    error_set(err, ERROR_CONFIG, "%s: pipeline %s %s, so there is no way back through it", config->path,
              config->name, why);
    return error_remedy(err, "give the move of one database to another a pipeline of its own");
}

bool config_find_target(const struct config *config, const struct config_sink **ret_sink, struct error *err) {
    if (config->source.archive != NULL)
        return refuse_shape(config, "reads an archive", err);
    if (config->part_count > 0)
        return refuse_shape(config, "has a buffer", err);
    if (config->sink_count > 1)
        return refuse_shape(config, "has several sinks", err);
    if (sink_admin(config->sinks[0].ops, target) == NULL)
        return refuse_shape(config, "has no sink that is a database", err);
    if (config->sinks[0].sink.mapping != NULL)
        return refuse_shape(config, "has a mapping", err);
    *ret_sink = &config->sinks[0];
    return true;
}

/* NULL when memory is exhausted. */
static const char *make_name(struct arena *arena, const char *before, const char *name, const char *after) {
    char text[NAME_BYTES_MAX];
    snprintf(text, sizeof text, "%s%s%s", before, name, after);
    return arena_copy(arena, slice_of(text));
}

static bool set_names(struct config *config, struct error *err) {
    struct arena *arena = config_arena(config);
    const char *name = make_name(arena, "", config->name, "_reverse");
    const char **publications = arena_alloc_zero(arena, sizeof *publications);
    config->reverse_of = config->name;
    config->name = name;
    config->source.application = name != NULL ? make_name(arena, "pgcdc:", name, "") : NULL;
    config->source.slot = config->source.publication = name;
    config->source.publication_array = name != NULL ? make_name(arena, "{", name, "}") : NULL;
    config->source.publications = publications;
    config->source.publication_count = 1;
    if (config->source.application == NULL || publications == NULL ||
        config->source.publication_array == NULL)
        return error_no_memory(err);
    publications[0] = name;
    return true;
}

static bool set_sink(struct config *config, const struct sink_ops *ops, const struct source_config *former,
                     struct error *err) {
    struct arena *arena = config_arena(config);
    struct config_sink *sink = arena_alloc_zero(arena, sizeof *sink);
    struct sink_option *options = arena_alloc_zero(arena, 2 * sizeof *options);
    if (sink == NULL || options == NULL)
        return error_no_memory(err);
    options[0] = (struct sink_option){.key = "dsn", .value = former->dsn};
    options[1] = (struct sink_option){.key = "password_file", .value = former->password_file};
    sink->ops = ops;
    sink->sink = (struct sink_config){.pipeline = config->name,
                                      .application = config->source.application,
                                      .name = REVERSE_SINK,
                                      .options = options,
                                      .option_count = former->password_file != NULL ? 2 : 1};
    config->sinks = sink;
    config->sink_count = 1;
    return true;
}

bool config_reverse(struct config *config, struct error *err) {
    const struct source_config former = config->source;
    const struct config_sink *target = NULL;
    if (!config_find_target(config, &target, err))
        return false;
    config->source.dsn = sink_config_find(&target->sink, "dsn");
    config->source.password_file = sink_config_find(&target->sink, "password_file");
    config->source.publication_is_given = false;
    config->source.tables = NULL; /* the publication has those of the forward stream */
    config->source.table_count = 0;
    config->source.snapshot = SNAPSHOT_NEVER;
    config->source.origin_is_none = false;
    return set_names(config, err) && set_sink(config, target->ops, &former, err);
}
