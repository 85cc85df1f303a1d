/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_view.h - changes as a sink would get them, handed to a function instead: for commands that show what
 * the rules do. The sink itself is neither opened nor asked.
 */
#pragma once

#include "sinks/sink.h"

typedef bool mapped_view_take(void *context, const struct change *changes, size_t count, struct error *err);

struct mapped_view {
    struct sink_config config; /* of the sink, with the view behind the mapping */
    mapped_view_take *take;
    void *context;
    struct arena arena;
    struct sink *sink; /* what is written into it comes out by take; text values only */
};

/* config: of a sink with a mapping; it outlives the view, and so do stop and context. */
MUST_CHECK bool mapped_view_open(struct mapped_view *view, const struct sink_config *config,
                                 mapped_view_take *take, void *context, const atomic_bool *stop,
                                 struct error *err);

/* Errors: those of the mapping (row_map.h), and those of take. */
MUST_CHECK bool mapped_view_write(struct mapped_view *view, const struct change *changes, size_t count,
                                  struct error *err);

/* Accepts a zeroed one, and one that was not opened. */
void mapped_view_close(struct mapped_view *view);
