/* SPDX-License-Identifier: Apache-2.0 */
/*
 * null.c - discards every change: for measuring the rest of the engine.
 *
 * A commit does nothing. The sink stores no position, so open always returns "none" and the disk checkpoint
 * is its position: at least once.
 */
#include "sinks/types.h"

struct null_sink {
    struct sink sink;
    uint64_t change_count;    /* rows and truncates since open */
    struct position position; /* of the last commit */
};

static const struct option_spec NULL_OPTIONS[] = {{0}};

static bool null_open(struct sink *sink, struct position *ret_position, struct error *err) {
    (void) err;
    struct null_sink *null = (struct null_sink *) sink;
    null->change_count = 0;
    null->position = (struct position){0};
    *ret_position = null->position;
    return true;
}

static bool null_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    (void) err;
    struct null_sink *null = (struct null_sink *) sink;
    for (size_t i = span->present; i < span->count; i++)
        null->change_count += change_is_row(&span->changes[i]) || span->changes[i].kind == CHANGE_TRUNCATE;
    return true;
}

static bool null_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                        struct position *ret_durable, struct error *err) {
    struct null_sink *null = (struct null_sink *) sink;
    (void) err;
    if (wait != COMMIT_ASK)
        null->position = *position;
    *ret_durable = null->position;
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
    .commit = null_commit,
    .close = null_close,
};
