/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the commands of the program; each lives in cdc/commands/command_NAME.c.
 *
 * main parses the command line into struct command_line and passes it to the command. The command prints
 * results to standard output, log lines and errors to standard error, and returns the exit code.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/exit_code.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"

enum { ARGUMENTS_MAX = 256 };

struct command_line {
    const char *config_path; /* -c FILE */
    const char *argument;    /* the argument that is no option (skip LSN, help COMMAND), or NULL */
    const char *arguments[ARGUMENTS_MAX]; /* all of them (table add TABLE...) */
    size_t argument_count;
    const char *where_sql;             /* --where, or NULL */
    const char *sink;                  /* --sink, or NULL */
    const char *tables[ARGUMENTS_MAX]; /* --table, each of them */
    size_t table_count;
    bool repair;             /* --repair */
    bool dry_run;            /* --dry-run */
    bool is_mapped;          /* --mapped */
    uint64_t rows_max;       /* --max-rows, else 0 */
    bool reads_rows;         /* --data */
    bool prints_fdw;         /* --fdw */
    const char *html_path;   /* --html, or NULL */
    uint64_t target_disk;    /* --target-disk, bytes, else 0 */
    bool resumes;            /* --resume */
    bool before_copy;        /* --before-copy */
    bool after_copy;         /* --after-copy */
    uint64_t rate_bytes;     /* --rate, a second, else 0 */
    bool json;               /* --json */
    bool prints_sql;         /* --print */
    const char *sql_side;    /* --sql: "source", "target" or "target:SINK", else NULL */
    bool until_caught_up;    /* --until caught-up */
    lsn_t until_lsn;         /* --until LSN, else 0 */
    int64_t until_time_us;   /* --until TIME, since 2000, else 0 */
    lsn_t from_lsn;          /* --from LSN, else 0 */
    int64_t from_time_us;    /* --from TIME, since 2000, else 0 */
    const char *key;         /* --key COLUMN=VALUE, else NULL */
    lsn_t transaction_lsn;   /* --transaction LSN, else 0 */
    bool follows;            /* --follow */
    const char *until_phase; /* --until of migrate, else NULL */
    int64_t timeout_ms;      /* --timeout, else 0 */
    int64_t retry_for_ms;    /* --retry-for, else 0 */
    bool take_over;          /* --take-over */
    size_t keys_max;         /* --keys, else 0 */
    bool is_reverse;         /* --reverse: config has its sides exchanged */
    bool aborts;             /* --abort */
    bool closes;             /* --close */
    bool is_fenced;          /* --fenced */
    bool shows_values;       /* --values */
    bool takes_waiting;      /* --waiting */
    const char *reason;      /* --reason, or NULL */
    struct config *config;   /* read from config_path, NULL for commands that need none */
    const char *database;    /* --database, else NULL */
    int following_fd;        /* migrate writes a byte there when it only follows; else 0 */
    bool verbose;            /* --verbose */
    const char *log;         /* --log: "text" or "json", else NULL */
    atomic_bool *hangup;     /* SIGHUP has come */
    const atomic_bool *stop; /* becomes true on SIGTERM or SIGINT; a second signal exits at once */
};

/* An option, the same for every command. */
struct command_option {
    const char *name;     /* "--until" */
    const char *value;    /* the placeholder of its value in a usage line: "caught-up|LSN"; NULL: no value */
    const char *expected; /* describes the value, for an error */
    bool (*take)(struct command_line *line, const char *value); /* false: the value is not as expected */
};

/* An option of one command. */
struct command_use {
    const struct command_option *option; /* NULL ends the list */
    const char *help;                    /* lines for `pgcdc help NAME`; NULL: not needed */
    bool required;
};

/* What a command does with a file of several databases when --database does not name one. */
enum many {
    MANY_REFUSED,  /* nothing: it is for one database */
    MANY_EACH,     /* one after the other, also after a failure */
    MANY_IN_ORDER, /* one after the other, up to a failure; one that only follows goes on beside */
    MANY_AT_ONCE,  /* all of them */
    MANY_ITSELF,   /* its own: line->config is the file's */
};

struct command {
    const char *name;               /* one word, or two: "table add" */
    const struct command_use *uses; /* or NULL */
    const char
        *argument; /* its name in a usage line: "LSN", in brackets if optional, "TABLE..."; NULL: none */
    const char *summary; /* one line */
    const char *help;    /* paragraphs for `pgcdc help NAME` */
    enum many many;
    enum exit_code (*run)(const struct command_line *line);
};

extern const struct command command_run;
extern const struct command command_pause;
extern const struct command command_resume;
extern const struct command command_reload;
extern const struct command command_log_level;
extern const struct command command_check;
extern const struct command command_map;
extern const struct command command_plan;
extern const struct command command_migrate;
extern const struct command command_report;
extern const struct command command_status;
extern const struct command command_verify;
extern const struct command command_cutover;
extern const struct command command_rollback;
extern const struct command command_tail;
extern const struct command command_why;
extern const struct command command_skip;
extern const struct command command_dbt_sources;
extern const struct command command_dead_list;
extern const struct command command_dead_retry;
extern const struct command command_dead_skip;
extern const struct command command_ddl_install;
extern const struct command command_ddl_remove;
extern const struct command command_ddl_status;
extern const struct command command_table_list;
extern const struct command command_table_add;
extern const struct command command_table_remove;
extern const struct command command_table_copy;
extern const struct command command_schema_apply;
extern const struct command command_schema_compare;
extern const struct command command_archive_list;
extern const struct command command_archive_verify;
extern const struct command command_archive_export;
extern const struct command command_drop;
extern const struct command command_help;
extern const struct command command_completion;
extern const struct command command_version;

/* command.c: the command at index, NULL after the last. */
const struct command *command_at(size_t index);

/* The command with which words begins, and its number of words; NULL: none. */
const struct command *command_find(const char *const *words, size_t *ret_word_count);

/* Is word the first of a command's two words? The index of the first such command, or COMMANDS_NONE. */
#define COMMANDS_NONE ((size_t) -1)
size_t command_find_group(const char *word);

/* The command name most similar to word, or NULL. */
const char *command_nearest(const char *word);

/* name has length bytes and need not end there; NULL: not an option of the command. */
const struct command_use *command_find_use(const struct command *command, const char *name, size_t length);

/* "run -c FILE [--until caught-up|LSN]", for a usage line. */
struct usage {
    char text[256];
};
struct usage command_usage(const struct command *command);

bool command_needs_config(const struct command *command);

/* commands/options.c */
extern const struct command_option OPTION_CONFIG;
extern const struct command_option OPTION_JSON_OUTPUT;
extern const struct command_option OPTION_SQL;
extern const struct command_option OPTION_PRINT;
extern const struct command_option OPTION_UNTIL;
extern const struct command_option OPTION_UNTIL_PHASE;
extern const struct command_option OPTION_TIMEOUT;
extern const struct command_option OPTION_RETRY_FOR;
extern const struct command_option OPTION_KEYS;
extern const struct command_option OPTION_TAKE_OVER;
extern const struct command_option OPTION_WHERE;
extern const struct command_option OPTION_TABLE;
extern const struct command_option OPTION_SINK;
extern const struct command_option OPTION_RATE;
extern const struct command_option OPTION_TARGET_DISK;
extern const struct command_option OPTION_DATA;
extern const struct command_option OPTION_FDW;
extern const struct command_option OPTION_HTML;
extern const struct command_option OPTION_RESUME;
extern const struct command_option OPTION_BEFORE_COPY;
extern const struct command_option OPTION_AFTER_COPY;
extern const struct command_option OPTION_REPAIR;
extern const struct command_option OPTION_DRY_RUN;
extern const struct command_option OPTION_MAPPED;
extern const struct command_option OPTION_MAX_ROWS;
extern const struct command_option OPTION_FROM;
extern const struct command_option OPTION_KEY;
extern const struct command_option OPTION_TRANSACTION;
extern const struct command_option OPTION_FOLLOW;
extern const struct command_option OPTION_REVERSE;
extern const struct command_option OPTION_ABORT;
extern const struct command_option OPTION_CLOSE;
extern const struct command_option OPTION_FENCED;
extern const struct command_option OPTION_VALUES;
extern const struct command_option OPTION_WAITING;
extern const struct command_option OPTION_REASON;
extern const struct command_option OPTION_DATABASE;
extern const struct command_option OPTION_LOG;
extern const struct command_option OPTION_VERBOSE;
