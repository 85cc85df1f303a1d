/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_leaves.h - every value of a file, under its path, as the file has it: before ${VAR} is replaced.
 *
 * What differs between two readings of a file is found in them, for each key alike. The option tables say
 * whether a pipeline that runs can take a new value (option_spec.reloads).
 */
#pragma once

#include "cdc/config/section.h"

struct config;

struct config_leaf {
    const char *path;  /* "sinks[0].visible" */
    const char *value; /* a list as one text */
    bool reloads;
    bool is_shown; /* the value is no secret, and no part of one */
};

struct config_leaves {
    struct config_leaf *items; /* ordered by path */
    size_t count;
};

/* The file was read without an error. */
MUST_CHECK bool config_leaves_read(struct config_file *file, const struct config *config,
                                   struct config_leaves *ret_leaves, struct error *err);
