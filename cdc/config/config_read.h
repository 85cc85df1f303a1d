/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_read.h - the parts of the file, each read by a file of its own; for the files of this folder.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/config/section.h"

/* The longest name of a pipeline and of a sink: it becomes a part of slot names, file names and topics. */
#define CONFIG_NAME_MAX 50

/* [a-z0-9_], 1 to length_max of them? */
bool config_name_is_good(const char *name, size_t length_max);

/* config_source.c: name is the pipeline's. */
MUST_CHECK bool config_read_source(const struct section *root, const char *name,
                                   struct source_config *ret_source, struct error *err);

/* config_sinks.c: all of them; name and source of config are read. */
MUST_CHECK bool config_read_sinks(const struct section *root, struct config *config, struct error *err);
