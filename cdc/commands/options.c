/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.c - the options of the command line, and how each value is parsed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/base/pg_time_text.h"
#include "cdc/base/utf8.h"
#include "cdc/command.h"

enum {
    KEYS_MAX = 10000, /* of a table; they are in memory until printed */
};

#define DURATION_EXPECTED "a duration like 30s, 5m or 2h"

static bool take_config(struct command_line *line, const char *value) {
    line->config_path = value;
    return value[0] != '\0';
}

static bool take_json(struct command_line *line, const char *value) {
    (void) value;
    line->json = true;
    return true;
}

static bool take_print(struct command_line *line, const char *value) {
    (void) value;
    line->prints_sql = true;
    return true;
}

static bool take_sql(struct command_line *line, const char *value) {
    line->sql_side = value;
    return strcmp(value, "source") == 0 || strcmp(value, "target") == 0 ||
           (strncmp(value, "target:", 7) == 0 && value[7] != '\0');
}

static bool take_until(struct command_line *line, const char *value) {
    line->until_caught_up = strcmp(value, "caught-up") == 0;
    line->until_lsn = 0;
    line->until_time_us = 0;
    return line->until_caught_up || (lsn_parse(value, &line->until_lsn) && line->until_lsn != 0) ||
           (pg_moment_parse(value, &line->until_time_us) && line->until_time_us != 0);
}

static bool take_until_phase(struct command_line *line, const char *value) {
    line->until_phase = value;
    return strcmp(value, "copied") == 0 || strcmp(value, "caught-up") == 0 || strcmp(value, "verified") == 0;
}

static bool take_from(struct command_line *line, const char *value) {
    line->from_lsn = 0;
    line->from_time_us = 0;
    return (lsn_parse(value, &line->from_lsn) && line->from_lsn != 0) ||
           (pg_moment_parse(value, &line->from_time_us) && line->from_time_us != 0);
}

static bool take_key(struct command_line *line, const char *value) {
    line->key = value;
    return value[0] != '=' && strchr(value, '=') != NULL;
}

static bool take_transaction(struct command_line *line, const char *value) {
    return lsn_parse(value, &line->transaction_lsn) && line->transaction_lsn != 0;
}

static bool take_follow(struct command_line *line, const char *value) {
    (void) value;
    line->follows = true;
    return true;
}

static bool take_timeout(struct command_line *line, const char *value) {
    return amount_parse_duration(value, &line->timeout_ms);
}

static bool take_retry_for(struct command_line *line, const char *value) {
    return amount_parse_duration(value, &line->retry_for_ms);
}

static bool take_keys(struct command_line *line, const char *value) {
    char *end = NULL;
    errno = 0;
    const unsigned long number = strtoul(value, &end, 10);
    line->keys_max = number;
    return value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && number > 0 &&
           number <= KEYS_MAX;
}

static bool take_take_over(struct command_line *line, const char *value) {
    (void) value;
    line->take_over = true;
    return true;
}

static bool take_where(struct command_line *line, const char *value) {
    line->where_sql = value;
    return value[0] != '\0';
}

static bool take_sink(struct command_line *line, const char *value) {
    line->sink = value;
    return value[0] != '\0';
}

static bool take_table(struct command_line *line, const char *value) {
    if (line->table_count == ARGUMENTS_MAX || value[0] == '\0')
        return false;
    line->tables[line->table_count++] = value;
    return true;
}

static bool take_rate(struct command_line *line, const char *value) {
    return amount_parse_rate(value, &line->rate_bytes);
}

static bool take_data(struct command_line *line, const char *value) {
    (void) value;
    line->reads_rows = true;
    return true;
}

static bool take_fdw(struct command_line *line, const char *value) {
    (void) value;
    line->prints_fdw = true;
    return true;
}

static bool take_html(struct command_line *line, const char *value) {
    line->html_path = value;
    return value[0] != '\0';
}

static bool take_target_disk(struct command_line *line, const char *value) {
    return amount_parse_bytes(value, &line->target_disk);
}

static bool take_resume(struct command_line *line, const char *value) {
    (void) value;
    line->resumes = true;
    return true;
}

static bool take_before_copy(struct command_line *line, const char *value) {
    (void) value;
    line->before_copy = true;
    return true;
}

static bool take_after_copy(struct command_line *line, const char *value) {
    (void) value;
    line->after_copy = true;
    return true;
}

static bool take_repair(struct command_line *line, const char *value) {
    (void) value;
    line->repair = true;
    return true;
}

static bool take_mapped(struct command_line *line, const char *value) {
    (void) value;
    line->is_mapped = true;
    return true;
}

static bool take_dry_run(struct command_line *line, const char *value) {
    (void) value;
    line->dry_run = true;
    return true;
}

static bool take_max_rows(struct command_line *line, const char *value) {
    char *end = NULL;
    errno = 0;
    line->rows_max = strtoull(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && line->rows_max > 0;
}

static bool take_reverse(struct command_line *line, const char *value) {
    (void) value;
    line->is_reverse = true;
    return true;
}

static bool take_abort(struct command_line *line, const char *value) {
    (void) value;
    line->aborts = true;
    return true;
}

static bool take_close(struct command_line *line, const char *value) {
    (void) value;
    line->closes = true;
    return true;
}

static bool take_fenced(struct command_line *line, const char *value) {
    (void) value;
    line->is_fenced = true;
    return true;
}

static bool take_values(struct command_line *line, const char *value) {
    (void) value;
    line->shows_values = true;
    return true;
}

static bool take_waiting(struct command_line *line, const char *value) {
    (void) value;
    line->takes_waiting = true;
    return true;
}

static bool take_reason(struct command_line *line, const char *value) {
    line->reason = value;
    return value[0] != '\0' && utf8_is_valid(slice_of(value));
}

static bool take_database(struct command_line *line, const char *value) {
    line->database = value;
    return value[0] != '\0';
}

static bool take_log(struct command_line *line, const char *value) {
    enum log_format format;
    line->log = value;
    return log_format_parse(value, &format);
}

static bool take_verbose(struct command_line *line, const char *value) {
    (void) value;
    line->verbose = true;
    return true;
}

const struct command_option OPTION_CONFIG = {"-c", "FILE", "the path of a configuration file", take_config};
const struct command_option OPTION_JSON_OUTPUT = {"--json", NULL, NULL, take_json};
const struct command_option OPTION_SQL = {"--sql", "source|target[:SINK]", "source, target or target:SINK",
                                          take_sql};
const struct command_option OPTION_PRINT = {"--print", NULL, NULL, take_print};
const struct command_option OPTION_UNTIL = {
    "--until", "caught-up|LSN|TIME", "caught-up, an LSN like 16/B374D848 or a time like 2026-02-28T12:00:00Z",
    take_until};
const struct command_option OPTION_UNTIL_PHASE = {"--until", "copied|caught-up|verified",
                                                  "copied, caught-up or verified", take_until_phase};
const struct command_option OPTION_FROM = {
    "--from", "LSN|TIME", "an LSN like 16/B374D848 or a time like 2026-02-28T12:00:00Z", take_from};
const struct command_option OPTION_KEY = {"--key", "COLUMN=VALUE", "a column, = and its value, like id=7",
                                          take_key};
const struct command_option OPTION_TRANSACTION = {"--transaction", "LSN", "an LSN like 16/B374D848",
                                                  take_transaction};
const struct command_option OPTION_FOLLOW = {"--follow", NULL, NULL, take_follow};
const struct command_option OPTION_TIMEOUT = {"--timeout", "DURATION", DURATION_EXPECTED, take_timeout};
const struct command_option OPTION_RETRY_FOR = {"--retry-for", "DURATION", DURATION_EXPECTED, take_retry_for};
const struct command_option OPTION_KEYS = {"--keys", "N", "a number from 1 to 10000", take_keys};
const struct command_option OPTION_TAKE_OVER = {"--take-over", NULL, NULL, take_take_over};
const struct command_option OPTION_WHERE = {"--where", "SQL", "a condition in SQL, on the table's columns",
                                            take_where};
const struct command_option OPTION_TABLE = {"--table", "TABLE", "a table's name, like public.orders",
                                            take_table};
const struct command_option OPTION_SINK = {"--sink", "NAME", "the name of a sink", take_sink};
const struct command_option OPTION_RATE = {"--rate", "MB/s", "a number of megabytes a second, like 20",
                                           take_rate};
const struct command_option OPTION_FDW = {"--fdw", NULL, NULL, take_fdw};
const struct command_option OPTION_HTML = {"--html", "FILE", "the path of a file to write", take_html};
const struct command_option OPTION_DATA = {"--data", NULL, NULL, take_data};
const struct command_option OPTION_TARGET_DISK = {"--target-disk", "SIZE",
                                                  "a whole number and a unit, like 200GB", take_target_disk};
const struct command_option OPTION_RESUME = {"--resume", NULL, NULL, take_resume};
const struct command_option OPTION_BEFORE_COPY = {"--before-copy", NULL, NULL, take_before_copy};
const struct command_option OPTION_AFTER_COPY = {"--after-copy", NULL, NULL, take_after_copy};
const struct command_option OPTION_REPAIR = {"--repair", NULL, NULL, take_repair};
const struct command_option OPTION_DRY_RUN = {"--dry-run", NULL, NULL, take_dry_run};
const struct command_option OPTION_MAX_ROWS = {"--max-rows", "N", "a number of rows, from 1", take_max_rows};
const struct command_option OPTION_REVERSE = {"--reverse", NULL, NULL, take_reverse};
const struct command_option OPTION_ABORT = {"--abort", NULL, NULL, take_abort};
const struct command_option OPTION_CLOSE = {"--close", NULL, NULL, take_close};
const struct command_option OPTION_FENCED = {"--fenced", NULL, NULL, take_fenced};
const struct command_option OPTION_VALUES = {"--values", NULL, NULL, take_values};
const struct command_option OPTION_WAITING = {"--waiting", NULL, NULL, take_waiting};
const struct command_option OPTION_REASON = {"--reason", "TEXT", "a reason, in UTF-8", take_reason};
const struct command_option OPTION_DATABASE = {"--database", "NAME", "the name of a database at the source",
                                               take_database};
const struct command_option OPTION_MAPPED = {"--mapped", NULL, NULL, take_mapped};
const struct command_option OPTION_LOG = {"--log", "text|json", "text or json", take_log};
const struct command_option OPTION_VERBOSE = {"--verbose", NULL, NULL, take_verbose};
