/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option.h - tables of configuration keys, from which the file is checked and the help is printed.
 *
 * Each section of the file has such a table: the pipeline, the source, each type of sink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_TEXT,     /* one value */
    OPTION_PATH,     /* the same; a relative path is relative to the file's folder */
    OPTION_LIST,     /* a list of values */
    OPTION_MAP,      /* keys that the user chooses, each with one value; a sink receives KEY.NAME */
    OPTION_ENTRIES,  /* a list of values and of mappings with keys of their own */
    OPTION_SECTION,  /* keys with a table of their own */
    OPTION_SECTIONS, /* a list of such tables */
    OPTION_ANY,      /* its reader checks it */
};

/* A table ends with key NULL. */
struct option_spec {
    const char *key;
    bool required;
    const char *help; /* one sentence, for `pgcdc help config` and the manual */
    enum option_kind kind;
    const char *fallback; /* the default, for people; NULL: no default, or help states it */
    /*
     * A reload gives a pipeline that runs the new value, or `run` does not use the key at all. Without it a
     * reload that would change the key is refused. Of a section: all of it.
     */
    bool reloads;
};

/* The option_spec of that key, or NULL. */
const struct option_spec *option_find(const struct option_spec *specs, const char *key);
