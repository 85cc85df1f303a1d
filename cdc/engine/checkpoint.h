/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.h - how far each sink is, on disk: NAME.checkpoint in the state directory.
 *
 * For a sink that stores its own position this is a cache, an audit and the proof of loss; for one that
 * cannot it is the truth. What the slot may be told is what stands here: slot <= disk <= every sink.
 *
 * Text that `cat` can read, a checksum as its last line. Written to a temporary file, synced, renamed,
 * directory synced; the generation before stays as NAME.checkpoint.previous and is used when the newer one is
 * torn: being older it only makes us ask for more again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"

#define CHECKPOINT_SINKS_MAX 64
#define CHECKPOINT_NAME_MAX 64 /* names are [a-z0-9_]{1,63} */

enum checkpoint_phase {
    CHECKPOINT_NONE,      /* no file: a pipeline that never ran here */
    CHECKPOINT_COPYING,   /* the slot is ours and has no position yet: start over by dropping it */
    CHECKPOINT_STREAMING, /* every sink has a position */
    CHECKPOINT_CORRUPT,   /* there were files and none of them is whole */
};

struct checkpoint_sink {
    char name[CHECKPOINT_NAME_MAX];
    struct position position; /* durable in the sink at the time of writing */
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

/* False only when the directory cannot be read (ERROR_SYSTEM); see phase for everything else. */
MUST_CHECK bool checkpoint_read(const char *directory, const char *pipeline,
                                struct checkpoint *ret_checkpoint, struct error *err);

/*
 * Raises the generation and writes. ERROR_SYSTEM: nothing is lost, the file before is whole; try again later.
 */
MUST_CHECK bool checkpoint_write(const char *directory, const char *pipeline, struct checkpoint *checkpoint,
                                 struct error *err);

/* Removes the files of the pipeline; true when there are none. */
MUST_CHECK bool checkpoint_remove(const char *directory, const char *pipeline, struct error *err);

/* NULL when it does not know the sink. */
const struct checkpoint_sink *checkpoint_find(const struct checkpoint *checkpoint, const char *sink);

/* The smallest end_lsn of all sinks: what the slot may be told; 0 without sinks. */
lsn_t checkpoint_confirmed_lsn(const struct checkpoint *checkpoint);
