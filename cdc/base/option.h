/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - what a key of the configuration takes: the tables from which the file is checked and the help is
 * printed.
 *
 * Whatever has a section in the file has such a table: the pipeline, the source, each type of sink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_TEXT,     /* one value */
    OPTION_PATH,     /* the same; a relative one is relative to the file's folder */
    OPTION_LIST,     /* values */
    OPTION_MAP,      /* keys of the user's choice, each with one value; to a sink KEY.NAME */
    OPTION_SECTION,  /* keys with a table of their own */
    OPTION_SECTIONS, /* a list of these */
};

/* A table ends with key NULL. */
struct option_spec {
    const char *key;
    bool required;
    const char *help; /* one sentence; for `pgcdc help config` and the tables of README.md */
    enum option_kind kind;
    const char *fallback; /* what holds without the key, for people; NULL: help says it, or nothing does */
};

/* The spec of that key, or NULL. */
const struct option_spec *option_find(const struct option_spec *specs, const char *key);
