/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - a pipeline as its YAML file describes it.
 *
 * An unknown key, a wrong type or a missing key is ERROR_CONFIG with file, line, key and the expected value.
 * ${VAR} in a value is replaced from the environment. Read-only once read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/error.h"
#include "cdc/base/log.h"
#include "cdc/base/table_pattern.h"
#include "sinks/sink.h"

enum snapshot_mode { SNAPSHOT_INITIAL, SNAPSHOT_NEVER };

struct source_config {
    const char *dsn;           /* NULL: an archive is read */
    const char *archive;       /* its directory, or NULL */
    const char *password_file; /* or NULL */
    const char *application;   /* application_name of all sessions: pgcdc:NAME */
    const char *slot;          /* by default the pipeline's name */
    const char *publication; /* by default the pipeline's name; for people: all names if there are several */
    bool publication_is_given;       /* the file names it: then it must exist */
    const char *const *publications; /* one or more */
    size_t publication_count;
    const char *publication_array; /* the same as an array's text, for $1::name[] */
    const struct table_pattern *tables;
    size_t table_count; /* 0: all tables */
    enum snapshot_mode snapshot;
    bool origin_is_none; /* sends only changes made at the source, not replicated ones; 16 and later */
    /* logical_decoding_work_mem of our session, in PostgreSQL's notation: "256MB" */
    const char *decoding_work_mem;
    bool streams;     /* large transactions are sent while they are open, and wait in the state directory */
    bool pushes_rows; /* conditions of the mapping become row filters of a publication that we create */
    bool fails_over;  /* the slot is a failover slot, where the server has them */
    const char *follower; /* with an archive: whose position in it this is (cdc/archive/follower.h) */
};

enum copy_mode { COPY_MODE_SIMPLE, COPY_MODE_LIVE };

/* What happens to a table that the publication sends and that was not copied. */
enum new_tables { NEW_TABLES_COPY, NEW_TABLES_STREAM, NEW_TABLES_STOP };

struct copy_config {
    enum copy_mode mode;
    enum new_tables new_tables;
    size_t workers;       /* threads that copy chunks, for each sink; 1 to COPIERS_MAX */
    uint64_t chunk_bytes; /* on the source's disk */
};

/* An archive on this machine between the slot and the sinks. */
struct buffer_config {
    const char *path; /* its directory; NULL: none */
};

struct verify_config {
    uint64_t continuous_bytes; /* a second, of the source's tables, are compared while `run` runs; 0: none */
};

/* Which sequences of the source are kept ahead in the sinks that are databases. */
enum sequences_follow { SEQUENCES_NONE, SEQUENCES_TABLES, SEQUENCES_ALL };

struct sequences_config {
    enum sequences_follow follow; /* TABLES: those of the published tables' schemas and columns */
    uint64_t headroom;            /* in values */
};

/* How `schema apply` moves definitions. */
struct schema_config {
    const char *pg_dump; /* its path; NULL: the newest in the usual places */
    size_t jobs;         /* connections that build indexes, 1 to 64 */
    bool owners;         /* objects get their owners of the source */
    bool grants;         /* and the rights on them */
};

/* What keeps the source's applications from writing while `cutover` works. */
enum cutover_fence { FENCE_LOCKS, FENCE_READ_ONLY, FENCE_EXTERNAL };

/* What `cutover` leaves at the source, when the file says so. */
enum left_behind { LEFT_LARGE_OBJECTS = 1, LEFT_UNLOGGED_TABLES = 2, LEFT_SEQUENCES = 4 };

struct cutover_config {
    enum cutover_fence fence;
    int64_t outage_ms_max; /* after it, cutover goes back */
    const char *on_flip;   /* a command for the shell, or NULL */
    bool verifies;         /* compares all rows behind the fence */
    unsigned accepted;     /* of enum left_behind */
};

/* An entry of migrate.databases. */
struct config_database {
    const char *source; /* its name there */
    const char *target;
    const char *name; /* of its pipeline: the file's name and the source's */
};

struct migrate_config {
    const struct config_database *databases;
    size_t database_count; /* 0: the file is of one database */
    bool creates;          /* databases that the target lacks */
    bool makes_roles;
};

/* Metrics and health over HTTP, while `run` runs. */
struct http_config {
    const char *listen; /* as the file has it; NULL: nothing is served */
    const char *host;   /* a numeric address, IPv6 when it has a colon */
    uint16_t port;
    int64_t stalled_ms; /* of a sink that takes nothing while changes wait */
};

struct config_sink {
    const struct sink_ops *ops;
    struct sink_config sink;
};

struct config {
    const char *path;       /* of the file */
    const char *name;       /* [a-z0-9_]{1,50}: default name of slot and publication */
    const char *reverse_of; /* the file's name, when both sides are exchanged (config_reverse); or NULL */
    const char *state;      /* directory of the checkpoint */
    enum log_format log;
    enum log_level log_level;
    const char *const *accepted; /* warnings of plan: "no_key:public.log", "wal_level" */
    size_t accepted_count;
    bool signals; /* messages of the source with prefix pgcdc are requests to the engine */
    struct source_config source;
    struct copy_config copy;
    struct verify_config verify;
    struct sequences_config sequences;
    struct schema_config schema;
    struct cutover_config cutover;
    struct migrate_config migrate;
    const struct config_database *database; /* config_choose_database; or NULL */
    const char *server_pipeline;            /* with it: the file's name */
    const char *server_dsn;                 /* and the target's dsn in the file */
    const char *state_folder;               /* and the file's state, in which the pipelines have theirs */
    const struct config_sink *sinks;
    size_t sink_count;             /* at least 1 */
    const struct mapping *mapping; /* of all sinks; NULL: none was read */
    struct buffer_config buffer;
    struct http_config http;
    /*
     * With a buffer, the pipelines that it consists of. The first fills the buffer from the slot, and has the
     * state directory of the file. The others feed one sink each, in the order of the sinks, and have
     * directories of their own in it: STATE/NAME.SINK.
     */
    const struct config *parts;
    size_t part_count; /* 0, or 1 + sink_count */
};

/*
 * The keys of the file, of source, of copy, of verify, of sequences, of schema, of cutover, of migrate, of
 * buffer, of http and of every sink; each type of sink has further keys.
 */
extern const struct option_spec PIPELINE_OPTIONS[];
extern const struct option_spec SOURCE_OPTIONS[];
extern const struct option_spec COPY_OPTIONS[];
extern const struct option_spec VERIFY_OPTIONS[];
extern const struct option_spec SEQUENCES_OPTIONS[];
extern const struct option_spec SCHEMA_OPTIONS[];
extern const struct option_spec CUTOVER_OPTIONS[];
extern const struct option_spec MIGRATE_OPTIONS[];
extern const struct option_spec BUFFER_OPTIONS[];
extern const struct option_spec HTTP_OPTIONS[];
extern const struct option_spec SINK_OPTIONS[];
extern const struct option_spec MAPPING_OPTIONS[];
extern const struct option_spec DDL_OPTIONS[];

/* The caller frees *ret_config. */
MUST_CHECK bool config_read(const char *path, struct config **ret_config, struct error *err);

/*
 * Makes it the pipeline of one database of migrate.databases: its name, and that of slot and publication, is
 * the entry's; its state is in a directory of its own in the file's.
 */
MUST_CHECK bool config_choose_database(struct config *config, const struct config_database *database,
                                       struct error *err);

/* By its name at the source; NULL: it is not listed. */
const struct config_database *config_find_database(const struct config *config, const char *source);

/* The file once more, and of it the same database. The caller frees *ret_config. */
MUST_CHECK bool config_read_again(const struct config *config, struct config **ret_config, struct error *err);

/*
 * Exchanges the two sides: the stream from the sink's database back to the source, after a cutover. Its name,
 * and that of its slot and publication, is NAME_reverse; it copies nothing. ERROR_CONFIG unless the pipeline
 * has a source and one sink, which is a database, and no buffer.
 */
MUST_CHECK bool config_reverse(struct config *config, struct error *err);

/* The one sink, which is a database; an error as above. */
MUST_CHECK bool config_find_target(const struct config *config, const struct config_sink **ret_sink,
                                   struct error *err);

/*
 * The pipeline that feeds the sink, an element of config->sinks: a part when there is a buffer, otherwise
 * config.
 */
const struct config *config_part_of(const struct config *config, const struct config_sink *sink);

/*
 * Reads source.tables of the file again, for a pipeline that runs. True: it differs, and is in force now; the
 * former one stays valid. False also when the file cannot be read or has an error. Nothing else may use the
 * configuration at the same time.
 */
bool config_reread_tables(struct config *config);

/* A key whose value is another one in a second reading of the file. Texts live as long as both. */
struct config_difference {
    const char *path;   /* "sinks[0].visible" */
    const char *before; /* NULL: the key is not there */
    const char *after;
    bool reloads;  /* a pipeline that runs can take the new value */
    bool is_shown; /* the values may be shown: they hold no secret */
};

/* Calls take for each, in the order of the paths. */
void config_compare(const struct config *before, const struct config *after,
                    void (*take)(const struct config_difference *difference, void *context), void *context);

/* older lives as long as config, and is freed with it. Accepts an older NULL. */
void config_keep(struct config *config, struct config *older);

/* Accepts NULL. */
void config_free(struct config *config);

/* Does source.tables match this table? True for every table if the file lists none. */
bool config_takes_table(const struct source_config *source, const char *schema, const char *name);
