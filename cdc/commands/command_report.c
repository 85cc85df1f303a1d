/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_report.c - pgcdc report.
 */
#include <stdlib.h>

#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/migrate/report/report.h"
#include "cdc/migrate/report/report_many.h"

static bool print_report(struct report *report, const struct command_line *line, struct error *err) {
    if (line->html_path != NULL && !report_write_html(report, line->html_path, err))
        return false;
    return line->json ? report_print_json(report, stdout, err) : report_print(report, stdout, err);
}

static enum exit_code report_sink(struct report *report, const struct command_line *line) {
    struct error err = {0};
    if (schema_find_sink(line->config, line->sink, &report->sink, &err) && report_make(report, &err) &&
        print_report(report, line, &err))
        return report_closes(report) ? EXIT_DONE : EXIT_DIFFERENT;
    log_command_failure("report", &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static enum exit_code report_databases(const struct command_line *line) {
    const struct report_many options = {.config = line->config,
                                        .pgcdc = PGCDC_VERSION,
                                        .stop = line->stop,
                                        .is_json = line->json,
                                        .html_path = line->html_path};
    struct error err = {0};
    bool closes = false;
    if (report_many(&options, &closes, &err))
        return closes ? EXIT_DONE : EXIT_DIFFERENT;
    log_command_failure("report", &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static enum exit_code run(const struct command_line *line) {
    if (line->config->migrate.database_count > 0 && line->database == NULL)
        return report_databases(line);
    struct report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return EXIT_FAILED;
    report->config = line->config;
    report->stop = line->stop;
    report->pgcdc = PGCDC_VERSION;
    const enum exit_code code = report_sink(report, line);
    report_release(report);
    free(report);
    return code;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT,
     "one object: report, and sha256, the hash of the bytes of the value of report. report has pipeline,\n"
     "sink, closes, open, made_at, pgcdc, servers, steps, verify, tables (rows, hashes, LSN, changes),\n"
     "left_out (by sink, rule and table), skipped_letters, sequences, schema, accepted, not_accepted,\n"
     "roles, outage_ms, cutover; of several databases pipeline, closes and databases, the report of each",
     false},
    {&OPTION_HTML,
     "also write a page that a browser shows and prints; it is one file and loads nothing from elsewhere",
     false},
    {&OPTION_SINK, "the target, if the configuration has more than one sink", false},
    {0},
};

const struct command command_report = {
    .name = "report",
    .uses = USES,
    .summary = "does a migration close, and if not, what is open",
    .help =
        "Prints what pgcdc migrate has proven, from its steps in the target: of each table the rows and\n"
        "the hash of both sides, the LSN at which they were compared, and where each change went: in =\n"
        "applied + in the copy + present + skipped. Lists the rows that each rule of the mapping\n"
        "left out of each sink, and the dead letters that were skipped. Compares sequences and schema now,\n"
        "and lists the plan's warnings, accepted or not. Changes nothing.\n"
        "\n"
        "The hash of a table is the sum of the hashes of its rows, so it does not depend on their order.\n"
        "Counts of changes are those of the runs that ended orderly, by pgcdc migrate.\n"
        "\n"
        "Exit code 0: everything closes. 4: something is open, which is listed: a step that is not done,\n"
        "a table that differs or was not compared, a sequence that is behind, an object that is missing\n"
        "or different at the target, a warning that the configuration does not accept. Others as of run.",
    .many = MANY_ITSELF,
    .run = run,
};
