/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_buffer.c - reads the section buffer, and makes the parts of a pipeline that has one.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/config/config_read.h"

#define BUFFER_SINK "buffer"

enum { PART_TEXT_MAX = 4096 };

const struct option_spec BUFFER_OPTIONS[] = {
    {"path", true,
     "a directory on this machine; it is created if its parent exists. Changes wait there, compressed, until "
     "every "
     "sink has them: a slow sink holds up neither the slot nor the other sinks",
     OPTION_PATH, NULL},
    {"max_bytes", false,
     "when it is larger, the slot is not read until the sinks have more; the source then keeps the WAL",
     OPTION_TEXT, "the disk's size", .reloads = true},
    {"segment_bytes", false, "a file that every sink has read is deleted; each is as large as this",
     OPTION_TEXT, "`64MB`", .reloads = true},
    {0},
};

static char *join_part(struct arena *arena, const char *before, char separator, const char *after) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = PART_TEXT_MAX};
    buffer_printf(&text, "%s%c%s", before, separator, after);
    return buffer_ok(&text) ? arena_copy(arena, buffer_slice(&text)) : NULL;
}

/* The sink that writes the buffer: an archive that keeps only what is not read yet. */
static bool make_writer(const struct section *section, const struct config *config, struct config *part,
                        struct error *err) {
    struct arena *arena = section->file->arena;
    struct config_sink *sink = arena_alloc_zero(arena, sizeof *sink);
    struct sink_option *options = arena_alloc_zero(arena, 4 * sizeof *options);
    const char *max_bytes = NULL, *segment_bytes = "64MB";
    if (sink == NULL || options == NULL)
        return error_no_memory(err);
    if (!section_text(section, "max_bytes", &max_bytes, err) ||
        !section_text(section, "segment_bytes", &segment_bytes, err))
        return false;
    options[0] = (struct sink_option){.key = "path", .value = config->buffer.path};
    options[1] = (struct sink_option){.key = "keep_segments", .value = "1"};
    options[2] = (struct sink_option){.key = "segment_bytes", .value = segment_bytes};
    options[3] = (struct sink_option){.key = "max_bytes", .value = max_bytes};
    *sink = (struct config_sink){.ops = sink_ops_find("archive"),
                                 .sink = {.pipeline = config->name,
                                          .application = config->source.application,
                                          .name = BUFFER_SINK,
                                          .options = options,
                                          .option_count = max_bytes != NULL ? 4 : 3}};
    part->source.snapshot = SNAPSHOT_NEVER; /* the sinks have the rows */
    part->verify = (struct verify_config){0};
    part->sinks = sink;
    part->sink_count = 1;
    struct error cause = {0};
    return sink->ops->validate(&sink->sink, &cause) ||
           section_error(section, cause.option, NULL, err, "%s", cause.text + strlen(cause.option) + 2);
}

static bool make_reader(struct arena *arena, const struct config *config, size_t i, struct config *part,
                        struct error *err) {
    const char *sink = config->sinks[i].sink.name;
    part->sinks = &config->sinks[i];
    part->sink_count = 1;
    part->source.archive = config->buffer.path;
    part->source.follower = join_part(arena, config->name, '.', sink);
    if (part->source.follower != NULL)
        part->state = join_part(arena, config->state, '/', part->source.follower);
    return part->source.follower != NULL && part->state != NULL ? true : error_no_memory(err);
}

static bool check_sinks(const struct section *section, const struct config *config, struct error *err) {
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        if (!sink->ops->stores_position)
            return section_error(section, "path", NULL, err,
                                 "sink %s is of type %s, which has no position of its own to go on from",
                                 sink->sink.name, sink->ops->type);
        if (strcmp(sink->sink.name, BUFFER_SINK) == 0)
            return section_error(section, "path", NULL, err,
                                 "with a buffer no sink may be named " BUFFER_SINK);
    }
    return true;
}

static bool make_parts(const struct section *section, struct config *config, struct error *err) {
    struct arena *arena = section->file->arena;
    struct config *parts = arena_alloc_zero(arena, (1 + config->sink_count) * sizeof *parts);
    if (parts == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i <= config->sink_count; i++) {
        parts[i] = *config;
        parts[i].buffer = (struct buffer_config){0};
        if (i == 0 ? !make_writer(section, config, &parts[i], err)
                   : !make_reader(arena, config, i - 1, &parts[i], err))
            return false;
    }
    config->parts = parts;
    config->part_count = 1 + config->sink_count;
    return true;
}

bool config_read_buffer(const struct section *root, struct config *config, struct error *err) {
    struct section section;
    if (!section_has(root, "buffer"))
        return true;
    if (!section_open(root, "buffer", &section, err) ||
        !section_check(&section, BUFFER_OPTIONS, NULL, NULL, err) ||
        !section_path(&section, "path", &config->buffer.path, err))
        return false;
    if (config->source.archive != NULL)
        return section_error(&section, "path", NULL, err,
                             "source.archive is read, which is a buffer already; remove one of them");
    return check_sinks(&section, config, err) && make_parts(&section, config, err);
}

const struct config *config_part_of(const struct config *config, const struct config_sink *sink) {
    return config->part_count == 0 ? config : &config->parts[1 + (sink - config->sinks)];
}
