/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_run.c - pgcdc run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/time.h>

#include "cdc/archive/archive_moment.h"
#include "cdc/archive/archive_state.h"
#include "cdc/base/amount.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/check/explain_stop.h"
#include "cdc/command.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/pipeline.h"
#include "cdc/migrate/cutover/cutover.h"
#include "cdc/run/run.h"
#include "sinks/left_out.h"

/* SIGALRM's handler in main.c sets the stop flag, so the stop is orderly. */
static bool set_timeout(int64_t timeout_ms, struct error *err) {
    const struct itimerval timer = {
        .it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000}};
    return setitimer(ITIMER_REAL, &timer, NULL) == 0 ? true : error_errno(err, "--timeout");
}

/* ---- what it did ---- */

static void put_table(struct json_writer *json, const struct ledger_table *table) {
    static const char *const SIDES[LEDGER_SIDES] = {[LEDGER_IN] = "in",
                                                    [LEDGER_WRITTEN] = "written",
                                                    [LEDGER_COPIED] = "in_copy",
                                                    [LEDGER_PRESENT] = "present",
                                                    [LEDGER_SKIPPED] = "skipped"};
    yajl_gen_map_open(json->generator);
    json_put_key(json, "schema");
    json_put_text(json, slice_of(table->schema));
    json_put_key(json, "table");
    json_put_text(json, slice_of(table->name));
    for (int side = 0; side < LEDGER_SIDES; side++)
        json_put_number(json, SIDES[side], (int64_t) table->counts[side]);
    yajl_gen_map_close(json->generator);
}

/* Where the changes of each table went: one array for each sink. */
static void put_ledgers(struct json_writer *json, const struct config *config,
                        const struct pipeline_result *result) {
    json_put_key(json, "tables");
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < result->ledger_count; i++) {
        json_put_key(json, config->sinks[i].sink.name);
        yajl_gen_array_open(json->generator);
        for (size_t t = 0; t < result->ledgers[i].count; t++)
            put_table(json, result->ledgers[i].tables[t]);
        yajl_gen_array_close(json->generator);
    }
    yajl_gen_map_close(json->generator);
}

/* By rule of the mapping and table: rows that a condition has left out of each sink. */
static void put_left_out(struct json_writer *json, const struct config *config) {
    json_put_key(json, "left_out");
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < config->sink_count; i++) {
        struct left_out_list *list = config->sinks[i].sink.left_out;
        struct left_out item;
        if (list == NULL)
            continue;
        json_put_key(json, config->sinks[i].sink.name);
        yajl_gen_array_open(json->generator);
        for (size_t k = 0; left_out_at(list, k, &item); k++) {
            yajl_gen_map_open(json->generator);
            json_put_field(json, "rule", item.rule);
            json_put_field(json, "table", item.table);
            json_put_number(json, "changes", (int64_t) item.changes);
            json_put_number(json, "copied_rows", (int64_t) item.copied);
            yajl_gen_map_close(json->generator);
        }
        yajl_gen_array_close(json->generator);
    }
    yajl_gen_map_close(json->generator);
}

static void put_result(struct json_writer *json, const struct config *config,
                       const struct pipeline_result *result, enum exit_code code, const char *error) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", config->name);
    json_put_number(json, "exit_code", code);
    json_put_key(json, "reached");
    yajl_gen_bool(json->generator, result->reached);
    json_put_lsn(json, "position", result->position_lsn);
    json_put_lsn(json, "until", result->until_lsn);
    json_put_number(json, "transactions", (int64_t) result->transactions);
    json_put_number(json, "changes", (int64_t) result->changes);
    json_put_number(json, "rows_copied", (int64_t) result->rows_copied);
    json_put_number(json, "duration_ms", result->duration_ms);
    put_ledgers(json, config, result);
    put_left_out(json, config);
    json_put_key(json, "error");
    if (error[0] == '\0')
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(error));
    yajl_gen_map_close(json->generator);
}

static bool print_json(const struct config *config, const struct pipeline_result *result, enum exit_code code,
                       const char *error, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    put_result(&json, config, result, code, error);
    return json_writer_print(&json, stdout, err);
}

/* "12 transactions, 345 changes, 100 rows copied in 3.2 s" */
static void log_result(const char *what, const struct pipeline_result *result) {
    log_about(LOG_RUN_ENDED, &(struct log_subject){.lsn = result->position_lsn},
              "%s: %s, %s, %s copied in %" PRId64 ".%03" PRId64 " s, position %s", what,
              amount_count(result->transactions, "transaction").text,
              amount_count(result->changes, "change").text, amount_count(result->rows_copied, "row").text,
              result->duration_ms / 1000, result->duration_ms % 1000,
              result->position_lsn != 0 ? lsn_format(result->position_lsn).text : "none");
}

static enum exit_code command_run_judge(const struct command_line *line, const struct pipeline_result *result,
                                        char *what, size_t size) {
    const bool has_end = line->until_caught_up || line->until_lsn != 0 || line->until_time_us != 0;
    const lsn_t until_lsn = result->until_lsn != 0 ? result->until_lsn : line->until_lsn;
    const struct lsn_text lsn = lsn_format(until_lsn);
    const char *end = until_lsn != 0 ? lsn.text : "the end of the source's WAL";
    if (!has_end || result->reached) {
        snprintf(what, size, result->reached ? "reached %s" : "stopped", end);
        return EXIT_DONE;
    }
    if (result->position_lsn != 0)
        snprintf(what, size, "stopped at %s, %s not reached", lsn_format(result->position_lsn).text, end);
    else
        snprintf(what, size, "stopped before the first position, %s not reached", end);
    return EXIT_SHORT;
}

static enum exit_code command_run_report(const struct command_line *line,
                                         const struct pipeline_result *result) {
    char what[128];
    const enum exit_code code = command_run_judge(line, result, what, sizeof what);
    if (result->copy_interrupted)
        log_line(LOG_COPY_ROLLED_BACK,
                 "the initial copy was interrupted and its rows are rolled back; the next run starts it "
                 "over; slot %s, if it exists already, keeps WAL until then, or until `pgcdc drop` removes "
                 "it",
                 line->config->source.slot);
    log_result(what, result);
    return code;
}

static bool find_from(const struct command_line *line, lsn_t *ret_lsn, struct error *err) {
    const char *archive = line->config->source.archive;
    *ret_lsn = line->from_lsn;
    if (line->from_lsn == 0 && line->from_time_us == 0)
        return true;
    if (archive == NULL)
        return error_set(err, ERROR_CONFIG, "--from needs a pipeline that reads an archive") ||
               error_remedy(err, "a slot has its own position; leave --from out");
    if (line->from_time_us != 0 &&
        !archive_find_moment(archive, line->from_time_us, line->stop, ret_lsn, err))
        return false;
    if (*ret_lsn == 0)
        return error_set(err, ERROR_CONFIG, "archive %s begins after that time", archive);
    return archive_state_check(archive, "--from", *ret_lsn, err);
}

/*
 * What ends in an archive where a copy is not complete would lack rows. An LSN that the archive does not have
 * yet may be one where it is complete.
 */
static bool check_until(const struct command_line *line, const char *archive, lsn_t lsn, struct error *err) {
    struct archive_state state;
    if (archive == NULL)
        return true;
    if (!archive_state_find(archive, lsn, &state, err))
        return false;
    return (line->until_time_us == 0 && !state.has_later) ||
           archive_state_check(archive, "--until", lsn, err);
}

/* A time is that of a commit, so an archive can say which LSN it stands for, and a slot cannot. */
static bool find_until(const struct command_line *line, lsn_t *ret_lsn, struct error *err) {
    const char *archive = line->config->source.archive;
    *ret_lsn = line->until_lsn;
    if (line->until_time_us == 0)
        return *ret_lsn == 0 || check_until(line, archive, *ret_lsn, err);
    if (archive == NULL)
        return error_set(err, ERROR_CONFIG, "--until with a time needs a pipeline that reads an archive") ||
               error_remedy(err, "give --until an LSN");
    if (!archive_find_moment(archive, line->until_time_us, line->stop, ret_lsn, err))
        return false;
    if (*ret_lsn == 0)
        return error_set(err, ERROR_CONFIG, "archive %s begins after that time", archive);
    return check_until(line, archive, *ret_lsn, err);
}

static enum exit_code run(const struct command_line *line) {
    struct pipeline_options options = {.until_caught_up = line->until_caught_up,
                                       .retry_for_ms = line->retry_for_ms,
                                       .take_over = line->take_over,
                                       .config = line->config,
                                       .hangup = line->hangup,
                                       .stop = line->stop};
    struct pipeline_result result = {0};
    struct error err = {0};
    const struct config *failed = line->config;
    bool good = set_timeout(line->timeout_ms, &err) && cutover_guard(line->config, line->stop, &err) &&
                find_until(line, &options.until_lsn, &err) && find_from(line, &options.from_lsn, &err) &&
                run_all(line->config, &options, &result, &failed, &err);
    enum exit_code code = good ? command_run_report(line, &result) : exit_code_of(&err);
    if (!good) {
        struct error unwritten = {0};
        explain_stop(failed, line->stop, &err);
        if (!failure_explain(failed->state, failed->name, &err, &unwritten))
            log_line(LOG_FAILURE_NOT_STORED, "the remedy cannot be stored for `pgcdc status`: %s",
                     unwritten.text);
        log_failure(&err);
    }
    if (line->json && !print_json(line->config, &result, code, error_line(&err).text, &err)) {
        log_failure(&err);
        code = EXIT_FAILED;
    }
    pipeline_result_release(&result);
    return code;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_UNTIL,
     "LSN: apply every transaction that ends at or before this position, such as 16/B374D848, and\n"
     "none after it, make them durable in every sink, and exit 0. caught-up: the same for the end\n"
     "of the source's WAL, read once at the start, or later, when every table that is being copied\n"
     "is complete. TIME, of an archive only: up to the first transaction that committed later\n"
     "than a time such as 2026-02-28T12:00:00Z",
     false},
    {&OPTION_FROM,
     "of an archive, for sinks without a position: begin with what committed after this position or\n"
     "time; the targets have the rows as of then",
     false},
    {&OPTION_TIMEOUT, "stop after this time, such as 30s, 5m or 2h, as on SIGTERM", false},
    {&OPTION_RETRY_FOR,
     "give up, with exit 1, when an error has lasted this long without progress. Without it\n"
     "errors are retried indefinitely; only at the very first start, before any server was\n"
     "reached, run gives up after 30s with exit 2",
     false},
    {&OPTION_TAKE_OVER,
     "take the pipeline over from an engine that is using its slot. Without it run waits until\n"
     "the slot is free; with --until it waits 10 s, then exits 6",
     false},
    {&OPTION_REVERSE, "apply the changes of the target to the source, after a cutover", false},
    {&OPTION_JSON_OUTPUT,
     "at the end print the numbers of the last log line to standard output, as one object", false},
    {0},
};

const struct command command_run = {
    .name = "run",
    .uses = USES,
    .summary = "copy existing rows, then stream every change into the sinks",
    .help = "If no position exists anywhere, creates the publication and the slot and copies the\n"
            "existing rows (source.snapshot: initial). Then streams changes until it is stopped, each\n"
            "commit exactly once.\n"
            "\n"
            "SIGTERM and SIGINT: stop reading, flush, confirm, exit within 10 seconds; a second signal\n"
            "exits at once. The exit code is 0; with --until it is 5 if the end was not reached. SIGHUP\n"
            "reads the configuration again, as `pgcdc reload` does. SIGUSR1 and SIGUSR2 are ignored.\n"
            "\n"
            "Lost connections, restarts of either server, deadlocks and full disks are retried. A change\n"
            "that cannot be applied stops the pipeline right before its transaction (exit 1). If\n"
            "continuing would lose or repeat data, run refuses and says why (exit 3). Exit 4: the count of\n"
            "changes of a table does not close, which is a defect. Exit 6: another engine with this state\n"
            "directory is already running.",
    .many = MANY_AT_ONCE,
    .run = run,
};
