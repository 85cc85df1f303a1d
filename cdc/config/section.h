/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section.h - a mapping of the configuration file, and its values by kind.
 *
 * The owner of a section opens it, checks its keys against the tables of options, then reads each value.
 * Every error is ERROR_CONFIG and begins "FILE:LINE: PATH.KEY: ". None contains a value.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/option.h"
#include "cdc/config/config_document.h"

/* Shared by all sections of a file. */
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

/* The top level of the file. */
MUST_CHECK bool section_root(struct config_file *file, struct section *ret_section, struct error *err);

/* key must exist and be a mapping. */
MUST_CHECK bool section_open(const struct section *parent, const char *key, struct section *ret_section,
                             struct error *err);

/* Item index, from 0, of key's list of mappings. */
MUST_CHECK bool section_open_item(const struct section *parent, const char *key, size_t index,
                                  struct section *ret_section, struct error *err);

/* The number of items in the list under key; 0 if there is no list. */
size_t section_count(const struct section *section, const char *key);

/* Checks that every key is in the table, with a value of its kind. */
MUST_CHECK bool section_check_keys(const struct section *section, const struct option_spec *specs,
                                   struct error *err);

/*
 * The same for two tables, and that no required key is missing. more: a second table, or NULL. of: the owner
 * of the keys, for the error ("a sink of type kafka"), or NULL.
 */
MUST_CHECK bool section_check(const struct section *section, const struct option_spec *specs,
                              const struct option_spec *more, const char *of, struct error *err);

bool section_has(const struct section *section, const char *key);

/* Replaces ${VAR}. Without the key *ret_text is unchanged. */
MUST_CHECK bool section_text(const struct section *section, const char *key, const char **ret_text,
                             struct error *err);

/*
 * The same for a file or folder. A relative path is relative to the configuration file's folder, not to the
 * working directory; it is an error if the configuration is not a regular file (/dev/stdin).
 */
MUST_CHECK bool section_path(const struct section *section, const char *key, const char **ret_path,
                             struct error *err);

/* The index of the value in words, which end with NULL. Without the key *ret_index is unchanged. */
MUST_CHECK bool section_word(const struct section *section, const char *key, const char *const *words,
                             size_t *ret_index, struct error *err);

/* Without the key the list is empty. */
MUST_CHECK bool section_list(const struct section *section, const char *key, const char *const **ret_texts,
                             size_t *ret_count, struct error *err);

/* Item index, from 0, of key's list: is it one value; and that value. */
bool section_item_is_text(const struct section *section, const char *key, size_t index);
MUST_CHECK bool section_item_text(const struct section *section, const char *key, size_t index,
                                  const char **ret_text, struct error *err);

struct section_pair {
    const char *key;
    const char *value;
};

MUST_CHECK bool section_map(const struct section *section, const char *key,
                            const struct section_pair **ret_pairs, size_t *ret_count, struct error *err);

/* "FILE:LINE: PATH.KEY: text"; returns false. name: an entry of key's mapping, or NULL. */
bool section_error(const struct section *section, const char *key, const char *name, struct error *err,
                   const char *format, ...) PRINTF_LIKE(5, 6);

/* Puts the place of the key before the text of an ERROR_CONFIG, and keeps its remedy; returns false. */
bool section_place(const struct section *section, const char *key, struct error *err);

/* key if it looks like a key and may be shown, else "...": without its ": " a line's value becomes a key. */
const char *section_shown_key(const char *key);
