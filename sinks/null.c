/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null.c - takes everything and keeps nothing: to measure what the rest of the engine costs.
 *
 * A commit here is nothing. It stores no position, so open always returns "none" and the disk checkpoint is its
 * position: at least once, as far as that means anything where nothing arrives.
 */
#include "sinks/types.h"

struct null_sink {
    struct sink sink;
    uint64_t change_count; /* rows and truncates since open */
};

static const struct option_spec NULL_OPTIONS[] = {{0}};

static bool null_open(struct sink *sink, struct position *ret_position, struct error *err) {
    (void) err;
    ((struct null_sink *) sink)->change_count = 0;
    *ret_position = (struct position){0};
    return true;
}

static bool null_write(struct sink *sink, const struct change *changes, size_t count, struct error *err) {
    (void) err;
    struct null_sink *null = (struct null_sink *) sink;
    for (size_t i = 0; i < count; i++)
        null->change_count += change_is_row(&changes[i]) || changes[i].kind == CHANGE_TRUNCATE;
    return true;
}

static bool null_flush(struct sink *sink, const struct position *position, struct error *err) {
    (void) sink;
    (void) position;
    (void) err;
    return true;
}

static void null_close(struct sink *sink) {
    (void) sink;
}

const struct sink_ops sink_null = {
    .type = "null",
    .options = NULL_OPTIONS,
    .size = sizeof(struct null_sink),
    .stores_position = false,
    .takes_bytes = true,
    .open = null_open,
    .write = null_write,
    .flush = null_flush,
    .close = null_close,
};
