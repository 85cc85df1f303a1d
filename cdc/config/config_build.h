/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_build.h - from the texts of the file to struct config: variables replaced, defaults set, meaning checked.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/config/config.h"
#include "cdc/config/config_document.h"
#include "cdc/config/config_schema.h"

struct config_build {
    struct config_document *document; /* where errors take their line from */
    const struct config_schema *schema;
    const struct raw_config *raw;
    struct arena *arena; /* everything in *ret_config lives here */
};

/* An unknown type of sink, said before libcyaml wonders at the keys that the type would have brought. */
MUST_CHECK bool config_build_check_types(const struct config_build *build, struct error *err);

MUST_CHECK bool config_build(const struct config_build *build, struct config *ret_config, struct error *err);

/* config_build_sinks.c: the sinks' part of it. */
MUST_CHECK bool config_build_sinks(const struct config_build *build, struct config *config,
                                   struct error *err);

/* One value of the file: where it stands and what it says. */
struct config_value {
    const yaml_node_t *parent; /* the mapping that holds it */
    const char *path;          /* of that mapping, with its dot: "source.", "sinks[0].", "" */
    const char *key;
    const char *text; /* as it stands in the file */
};

/* Expands ${VAR} into the arena. */
MUST_CHECK bool config_build_text(const struct config_build *build, const struct config_value *value,
                                  const char **ret_text, struct error *err);

/*
 * The same for a file or a folder: a relative path is relative to the configuration file's folder, whatever the working directory
 * is; of a configuration that is no file (/dev/stdin) it is an error.
 */
MUST_CHECK bool config_build_path(const struct config_build *build, const struct config_value *value,
                                  const char **ret_path, struct error *err);

/* "FILE:LINE: PATH.KEY: text"; returns false. */
bool config_build_error(const struct config_build *build, const struct config_value *value, struct error *err,
                        const char *format, ...) PRINTF_LIKE(4, 5);

/* [a-z0-9_], 1 to length_max of them? */
bool config_name_is_good(const char *name, size_t length_max);

/* The longest name of a pipeline and of a sink: it becomes a part of slot names, file names and topics. */
#define CONFIG_NAME_MAX 50
