/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry.c - every type of sink, one line each, and how a sink is created.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/sink.h"
#include "sinks/types.h"

static const struct sink_ops *const SINKS[] = {
    &sink_postgres, &sink_kafka, &sink_archive, &sink_null, &sink_stdout,
};

#define NEWS_BYTES_MAX ((size_t) 64 << 20)
#define SINK_COUNT (sizeof SINKS / sizeof *SINKS)

const struct sink_ops *sink_ops_at(size_t index) {
    return index < SINK_COUNT ? SINKS[index] : NULL;
}

const struct sink_ops *sink_ops_find(const char *type) {
    for (size_t i = 0; i < SINK_COUNT; i++)
        if (strcmp(SINKS[i]->type, type) == 0)
            return SINKS[i];
    return NULL;
}

const char *sink_config_find(const struct sink_config *config, const char *key) {
    for (size_t i = 0; i < config->option_count; i++)
        if (strcmp(config->options[i].key, key) == 0)
            return config->options[i].value;
    return NULL;
}

struct sink *sink_new(const struct sink_ops *ops, const struct sink_config *config, const atomic_bool *stop) {
    assert(ops->size >= sizeof(struct sink));
    struct sink *sink = calloc(1, ops->size);
    if (sink == NULL)
        return NULL;
    sink->ops = ops;
    sink->config = config;
    sink->stop = stop;
    buffer_init(&sink->news, NEWS_BYTES_MAX);
    return sink;
}

void sink_free(struct sink *sink) {
    if (sink != NULL)
        buffer_release(&sink->news);
    free(sink);
}

bool sink_look(const struct sink_ops *ops, const struct sink_config *config, const atomic_bool *stop,
               struct sink_view *ret_view, struct error *err) {
    struct sink_view view = {0};
    bool seen = true;
    if (sink_admin(ops, look) != NULL) {
        struct sink *sink = sink_new(ops, config, stop);
        if (sink == NULL)
            return error_no_memory(err);
        seen = ops->admin->look(sink, &view, err);
        sink_free(sink);
    }
    if (seen)
        *ret_view = view;
    return seen;
}
