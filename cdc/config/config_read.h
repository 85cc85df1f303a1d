/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_read.h - private to cdc/config: the functions that read one section of the file each.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/config/section.h"

struct rule;

/* The longest name of a pipeline or a sink, which is a part of slot names, file names and topic names. */
#define CONFIG_NAME_MAX 50

/* True for 1 to length_max characters of [a-z0-9_]. */
bool config_name_is_good(const char *name, size_t length_max);

/* config_source.c. name: the pipeline's. */
MUST_CHECK bool config_read_source(const struct section *root, const char *name,
                                   struct source_config *ret_source, struct error *err);

/* config_copy.c. */
MUST_CHECK bool config_read_copy(const struct section *root, struct copy_config *ret_copy, struct error *err);

/* config_verify.c. */
MUST_CHECK bool config_read_verify(const struct section *root, struct verify_config *ret_verify,
                                   struct error *err);

/* config_sequences.c: after the source. */
MUST_CHECK bool config_read_sequences(const struct section *root, const struct source_config *source,
                                      struct sequences_config *ret_sequences, struct error *err);

/* config_schema.c. */
MUST_CHECK bool config_read_schema(const struct section *root, struct schema_config *ret_schema,
                                   struct error *err);

/* config_cutover.c. */
MUST_CHECK bool config_read_cutover(const struct section *root, struct cutover_config *ret_cutover,
                                    struct error *err);

/* config_migrate.c: after everything else. */
MUST_CHECK bool config_read_migrate(const struct section *root, struct config *config, struct error *err);

/* Where everything of a configuration lives. */
struct arena *config_arena(struct config *config);

/* config_mapping.c: each sink's session at the source, again when another database is chosen. */
MUST_CHECK bool config_name_source(struct config *config, struct error *err);

/* config_mapping.c: after the sinks. */
MUST_CHECK bool config_read_mapping(const struct section *root, struct config *config, struct error *err);

/* config_mapping.c: match and sinks of a rule. */
MUST_CHECK bool config_read_match(const struct section *section, const struct config *config,
                                  struct rule *rule, struct error *err);

/* config_ddl.c: after the sinks, and before a mapping is put before them. */
MUST_CHECK bool config_read_ddl(const struct section *root, struct config *config, struct error *err);

/* config_http.c: after migrate. */
MUST_CHECK bool config_read_http(const struct section *root, struct config *config, struct error *err);

/* config_buffer.c: after everything else. */
MUST_CHECK bool config_read_buffer(const struct section *root, struct config *config, struct error *err);

/* config_sinks.c: reads all sinks. config->name and config->source must be set. */
MUST_CHECK bool config_read_sinks(const struct section *root, struct config *config, struct error *err);
