/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - a pipeline as its YAML file describes it.
 *
 * An unknown key, a wrong type or a missing key is ERROR_CONFIG naming file, line, key and what
 * is expected. ${VAR} in a value is taken from the environment. Read-only once read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/error.h"
#include "sinks/sink.h"

enum snapshot_mode { SNAPSHOT_INITIAL, SNAPSHOT_NEVER };

/*
 * One entry of source.tables: schema.table, where * in either stands for any run of characters. In quotes a
 * name is what it says, dots and stars included: "a.b"."c d".
 */
struct table_pattern {
    const char *schema;
    const char *name;
    bool schema_is_exact;
    bool name_is_exact;
};

struct source_config {
    const char *dsn;
    const char *password_file; /* or NULL */
    const char *application;   /* application_name of all sessions: pgcdc:NAME */
    const char *slot;          /* by default the pipeline's name */
    const char *publication;   /* by default the pipeline's name; of several, all of them, to be shown */
    bool publication_is_given; /* the file names it: then it has to be there */
    const char *const *publications; /* one or more */
    size_t publication_count;
    const char *publication_array; /* the same as the text of an array, for $1::name[] */
    const struct table_pattern *tables;
    size_t table_count; /* 0: all tables */
    enum snapshot_mode snapshot;
    bool origin_is_none; /* only what was changed there, not what replication brought there; 16 and later */
    /* logical_decoding_work_mem of our session, as PostgreSQL writes it: "256MB" */
    const char *decoding_work_mem;
};

struct config_sink {
    const struct sink_ops *ops;
    struct sink_config sink;
};

struct config {
    const char *path;  /* of the file */
    const char *name;  /* [a-z0-9_]{1,50}: it names slot and publication */
    const char *state; /* directory of the checkpoint */
    struct source_config source;
    const struct config_sink *sinks;
    size_t sink_count; /* at least 1 */
};

/* The keys of the file, of source and of every sink; a type of sink has further ones. */
extern const struct option_spec PIPELINE_OPTIONS[];
extern const struct option_spec SOURCE_OPTIONS[];
extern const struct option_spec SINK_OPTIONS[];

/* The caller frees *ret_config. */
MUST_CHECK bool config_read(const char *path, struct config **ret_config, struct error *err);

/* Accepts NULL. */
void config_free(struct config *config);

bool table_pattern_matches(const struct table_pattern *pattern, const char *schema, const char *name);

/* No star: it stands for one table. */
bool table_pattern_is_exact(const struct table_pattern *pattern);

/* Does the pipeline take this table? True for every table when the file names none. */
bool config_takes_table(const struct source_config *source, const char *schema, const char *name);
