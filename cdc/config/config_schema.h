/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_schema.h - the configuration file's keys, as tables for libcyaml.
 *
 * The keys of a sink are those that the registered types of sink ask for, so a new type brings its own. A key
 * "properties.*" in a type's option table stands for a mapping named properties with free keys; libcyaml skips it.
 */
#pragma once

#include <cyaml/cyaml.h>

#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "sinks/sink.h"

#define CONFIG_OPTIONS_MAX 96 /* different keys over all types of sink */

/* What libcyaml fills: texts as they stand in the file, NULL where a key is absent. */
struct raw_source {
    char *dsn;
    char *password_file;
    char *slot;
    char *publication;
    char **publications;
    unsigned publications_count;
    char **tables;
    unsigned tables_count;
    char *snapshot;
    char *origin;
    char *decoding_work_mem;
};

struct raw_sink {
    char *name;
    char *type;
    char *options[CONFIG_OPTIONS_MAX]; /* in the order of config_schema.option_keys */
};

struct raw_config {
    char *name;
    struct raw_source source;
    char *state;
    struct raw_sink *sinks;
    unsigned sinks_count;
};

struct config_schema {
    const char *option_keys[CONFIG_OPTIONS_MAX];
    size_t option_count;
    cyaml_schema_field_t sink_fields[CONFIG_OPTIONS_MAX + 3];
    cyaml_schema_value_t sink;
    cyaml_schema_field_t fields[5];
    cyaml_schema_value_t config;
};

/* Asks the registry. The schema points into itself: it stays where it is. */
void config_schema_init(struct config_schema *schema);

/* The length of a mapping's name in an option key "properties.*", 0 for a plain key. */
size_t config_schema_mapping_length(const char *option_key);

/* The caller releases *ret_raw. The error is libcyaml's own words; config_diagnosis.h finds better ones. */
MUST_CHECK bool config_schema_load(const struct config_schema *schema, struct slice text,
                                   struct raw_config **ret_raw, struct error *err);
void config_schema_release(const struct config_schema *schema, struct raw_config *raw);
