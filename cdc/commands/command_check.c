/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_check.c - pgcdc check.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/log.h"
#include "cdc/check/check.h"
#include "cdc/command.h"

#define ARENA_BYTES_MAX ((size_t) 512 << 20) /* the definitions of many tables */

/* ---- --sql ---- */

enum { NAMES_BYTES_MAX = 16 * 1024 };

static bool is_database(const struct config_sink *sink) {
    return sink_admin(sink->ops, target) != NULL;
}

/* psql runs the statements in one database, so with several such sinks the command line must name one. */
static bool is_one_side(const struct config *config, const char *side) {
    size_t count = 0;
    if (side == NULL || strcmp(side, "source") == 0)
        return true;
    const char *name = strchr(side, ':');
    for (size_t i = 0; i < config->sink_count; i++)
        count +=
            name != NULL ? strcmp(config->sinks[i].sink.name, name + 1) == 0 : is_database(&config->sinks[i]);
    if (name != NULL ? count == 1 : count <= 1)
        return true;
    struct buffer names AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    for (size_t i = 0; i < config->sink_count; i++)
        buffer_printf(&names, " --sql target:%s", config->sinks[i].sink.name);
    log_command(LOG_USAGE, "check", "%s; give one of them:%s",
                name != NULL ? "no such sink" : "there are several sinks",
                buffer_ok(&names) ? buffer_text(&names) : "");
    return false;
}

static void print_sql(const struct findings *findings, const char *side) {
    const char *name = strchr(side, ':');
    char where[128] = "source";
    if (strcmp(side, "source") != 0)
        snprintf(where, sizeof where, "sink %s", name != NULL ? name + 1 : "");
    findings_print_sql(findings, where, stdout);
}

/* ---- */

static enum exit_code command_check_report(struct check *check, const struct command_line *line) {
    struct findings *findings = &check->findings;
    struct error err = {0};
    if (atomic_load(check->stop)) {
        log_command(LOG_INTERRUPTED, "check", "stopped");
        return EXIT_FAILED;
    }
    findings_group(findings);
    if (findings->failed) {
        log_command(LOG_FAILED, "check", "out of memory");
        return EXIT_FAILED;
    }
    if (line->sql_side != NULL) {
        print_sql(findings, line->sql_side);
    } else if (!line->json) {
        findings_print(findings, check->config->name, stdout);
    } else if (!findings_print_json(findings, check->config->name, stdout, &err)) {
        log_command_failure("check", &err);
        return EXIT_FAILED;
    }
    return findings->counts[SEVERITY_PROBLEM] == 0 ? EXIT_DONE : EXIT_USAGE;
}

static enum exit_code run(const struct command_line *line) {
    if (!is_one_side(line->config, line->sql_side))
        return EXIT_USAGE;
    if (line->config->source.archive != NULL) {
        log_command(LOG_USAGE, "check",
                    "the pipeline reads archive %s, and there is no source to compare the target with; "
                    "`pgcdc archive verify` checks the archive",
                    line->config->source.archive);
        return EXIT_USAGE;
    }
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        log_command(LOG_FAILED, "check", "out of memory");
        return EXIT_FAILED;
    }
    check->config = line->config;
    check->stop = line->stop;
    arena_init(&check->arena, 65536, ARENA_BYTES_MAX);
    findings_init(&check->findings);
    check_all(check);
    enum exit_code code = command_check_report(check, line);
    check_release(check);
    free(check);
    return code;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT,
     "one object: pipeline, ready, problems, warnings, findings (severity, code, where, what, fix, objects)",
     false},
    {&OPTION_SQL,
     "print only the fixes of that side, ready for psql; steps, and SQL that empties a table, are\n"
     "comments; with several Postgres sinks the sink must be named",
     false},
    {0},
};

const struct command command_check = {
    .name = "check",
    .uses = USES,
    .summary = "find every problem at once, each with its fix; changes nothing",
    .help = "Examines the source, the state directory and every sink as run would, and prints its\n"
            "findings: problems, which would stop run or make it lose something, warnings and notes,\n"
            "each with the SQL or the step that fixes it. Creates and changes nothing.\n"
            "\n"
            "Several tables with one cause are one finding, with one statement if SQL accepts a list of\n"
            "tables.\n"
            "\n"
            "cdc/check/findings.md lists every code: its meaning, its remedy, and whether its fix is SQL\n"
            "or a step.\n"
            "\n"
            "Exit code 0 if there is no problem (warnings do not count), else 2.",
    .many = MANY_EACH,
    .run = run,
};
