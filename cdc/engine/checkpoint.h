/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - how far each sink is, on disk: NAME.checkpoint in the state directory.
 *
 * A sink that stores its own position is the authority on it, and this file proves a loss. For a sink that
 * cannot store it, this file is the authority. The slot is confirmed only up to this file: slot <= disk <=
 * every sink.
 *
 * The file is text with a checksum as its last line. It is written to a temporary file, synced and renamed,
 * and the directory is synced. The previous generation stays as NAME.checkpoint.previous and is used when the
 * newer one is damaged: an older position only makes the source send more again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "sinks/sink.h"

#define CHECKPOINT_SINKS_MAX 64
#define CHECKPOINT_NAME_MAX 64    /* names are [a-z0-9_]{1,63} */
#define CHECKPOINT_STREAM_MAX 320 /* a Kafka topic's name has 249 bytes */

enum checkpoint_phase {
    CHECKPOINT_NONE,      /* no file: a pipeline that never ran here */
    CHECKPOINT_COPYING,   /* the slot is ours and no sink has a position: start over by dropping the slot */
    CHECKPOINT_STREAMING, /* every sink has a position */
    CHECKPOINT_CORRUPT,   /* files exist, but none of them is complete */
    CHECKPOINT_NEWER,     /* a complete file, with something in it that only a newer pgcdc knows */
};

struct checkpoint_sink {
    char name[CHECKPOINT_NAME_MAX];
    char stream[CHECKPOINT_STREAM_MAX]; /* no spaces; "": the slot's */
    struct position position;           /* durable in the sink when the file was written */
};

struct checkpoint {
    enum checkpoint_phase phase;
    uint64_t generation; /* counts the writes */
    uint64_t system_id;
    uint32_t timeline;
    char slot[CHECKPOINT_NAME_MAX];
    size_t sink_count;
    struct checkpoint_sink sinks[CHECKPOINT_SINKS_MAX];
};

/* False only when a file cannot be read (ERROR_SYSTEM); every other case is a phase. */
MUST_CHECK bool checkpoint_read(const char *directory, const char *pipeline,
                                struct checkpoint *ret_checkpoint, struct error *err);

/*
 * Increments the generation and writes. ERROR_SYSTEM: nothing is lost, the previous file is complete; retry
 * later.
 */
MUST_CHECK bool checkpoint_write(const char *directory, const char *pipeline, struct checkpoint *checkpoint,
                                 struct error *err);

/* Removes the pipeline's files; true also when there are none. */
MUST_CHECK bool checkpoint_remove(const char *directory, const char *pipeline, struct error *err);

/* NULL when the checkpoint has no position of the sink in its stream. */
const struct checkpoint_sink *checkpoint_find(const struct checkpoint *checkpoint,
                                              const struct sink_config *sink);

/* The smallest end_lsn of all sinks, up to which the slot may be confirmed; 0 without sinks. */
lsn_t checkpoint_confirmed_lsn(const struct checkpoint *checkpoint);
