/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.h - a mapping of the configuration file, and its values by kind.
 *
 * Whoever owns a section opens it, checks its keys against the tables of options, and asks for each value.
 * Every error is ERROR_CONFIG and begins "FILE:LINE: PATH.KEY: ". None shows a value.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/option.h"
#include "cdc/config/config_document.h"

/* What all sections of a file share. */
struct config_file {
    struct config_document document;
    struct arena *arena; /* values live here */
};

#define SECTION_PATH_MAX 256

struct section {
    struct config_file *file;
    const yaml_node_t *node;
    char path[SECTION_PATH_MAX]; /* "source", "sinks[1]"; "" is the file itself */
};

/* The file's own keys. */
MUST_CHECK bool section_root(struct config_file *file, struct section *ret_section, struct error *err);

/* key is there, and is a mapping. */
MUST_CHECK bool section_open(const struct section *parent, const char *key, struct section *ret_section,
                             struct error *err);

/* Item number index, from 0, of the list of mappings that key has. */
MUST_CHECK bool section_open_item(const struct section *parent, const char *key, size_t index,
                                  struct section *ret_section, struct error *err);

/* Items of the list under key; 0 for no list. */
size_t section_count(const struct section *section, const char *key);

/* Is every key in the table, with a value of its kind? */
MUST_CHECK bool section_check_keys(const struct section *section, const struct option_spec *specs,
                                   struct error *err);

/*
 * The same of two tables, and is no required key missing? more: a second table, or NULL. of:
 * whose keys they are, for the error ("a sink of type kafka"), or NULL.
 */
MUST_CHECK bool section_check(const struct section *section, const struct option_spec *specs,
                              const struct option_spec *more, const char *of, struct error *err);

bool section_has(const struct section *section, const char *key);

/* ${VAR} is replaced. Without the key *ret_text stays as it is. */
MUST_CHECK bool section_text(const struct section *section, const char *key, const char **ret_text,
                             struct error *err);

/*
 * The same for a file or a folder: a relative path is relative to the configuration file's folder, whatever
 * the working directory is; of a configuration that is no file (/dev/stdin) it is an error.
 */
MUST_CHECK bool section_path(const struct section *section, const char *key, const char **ret_path,
                             struct error *err);

/* One of words, which ends with NULL: its index. Without the key *ret_index stays as it is. */
MUST_CHECK bool section_word(const struct section *section, const char *key, const char *const *words,
                             size_t *ret_index, struct error *err);

/* Without the key an empty list. */
MUST_CHECK bool section_list(const struct section *section, const char *key, const char *const **ret_texts,
                             size_t *ret_count, struct error *err);

struct section_pair {
    const char *key;
    const char *value;
};

MUST_CHECK bool section_map(const struct section *section, const char *key,
                            const struct section_pair **ret_pairs, size_t *ret_count, struct error *err);

/* "FILE:LINE: PATH.KEY: text"; returns false. name: of an item of key's mapping, or NULL. */
bool section_error(const struct section *section, const char *key, const char *name, struct error *err,
                   const char *format, ...) PRINTF_LIKE(5, 6);

/* key when it looks like one and can be shown, else "..."; a missing ": " can make a key of a secret. */
const char *section_shown_key(const char *key);
