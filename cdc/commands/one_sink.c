/* SPDX-License-Identifier: Apache-2.0 */
/*
 * one_sink.c - see one_sink.h.
 */
#include "cdc/commands/one_sink.h"

#include <string.h>

bool one_sink_find(const struct command_line *line, const struct config_sink **ret_sink, struct error *err) {
    const struct config *config = line->config;
    if (line->sink == NULL && config->sink_count > 1)
        return error_set(err, ERROR_CONFIG, "%s has several sinks: name one with --sink", config->path);
    for (size_t i = 0; i < config->sink_count; i++)
        if (line->sink == NULL || strcmp(line->sink, config->sinks[i].sink.name) == 0) {
            *ret_sink = &config->sinks[i];
            return true;
        }
    return error_set(err, ERROR_CONFIG, "%s: no sink has the name %s (--sink)", config->path, line->sink);
}
