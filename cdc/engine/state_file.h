/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_file.h - a file of the state directory: written whole under another name, then renamed.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/slice.h"

struct state_file {
    char path[PATH_MAX];
    char temporary[PATH_MAX]; /* what a kill leaves there is overwritten by the next write */
};

/* DIRECTORY/PIPELINE.KIND; part is a sink's name for DIRECTORY/PIPELINE.PART.KIND, or NULL. */
struct state_file state_file_of(const char *directory, const char *pipeline, const char *part,
                                const char *kind);

/*
 * Calls take for each line after the first, which must be magic, with its newline. Takes nothing from a file
 * that does not exist or cannot be read: such a file only tells what happened.
 */
void state_file_read(const struct state_file *file, const char *magic,
                     void (*take)(const char *line, void *context), void *context);

/* Writes the temporary file. synced: also to the disk. After an error there is none. */
MUST_CHECK bool state_file_write(const struct state_file *file, struct slice bytes, bool synced,
                                 struct error *err);

/* Renames the temporary file. */
MUST_CHECK bool state_file_place(const struct state_file *file, struct error *err);

/* Removes both; true also when there are none. */
MUST_CHECK bool state_file_remove(const struct state_file *file, struct error *err);

/* True also when there is no such file. */
MUST_CHECK bool state_file_unlink(const char *path, struct error *err);
