/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_migrate.c - pgcdc migrate.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/log.h"
#include "cdc/check/explain_stop.h"
#include "cdc/command.h"
#include "cdc/engine/failure.h"
#include "cdc/migrate/cutover/cutover.h"
#include "cdc/migrate/migrate.h"
#include "cdc/migrate/schema/schema.h"

static bool find_end(const struct command_line *line, enum migrate_end *ret_end) {
    static const struct {
        const char *name;
        enum migrate_end end;
    } ENDS[] = {{"copied", MIGRATE_COPIED}, {"caught-up", MIGRATE_CAUGHT_UP}, {"verified", MIGRATE_VERIFIED}};
    *ret_end = MIGRATE_STOPPED;
    if (line->until_phase == NULL)
        return true;
    for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
        if (strcmp(line->until_phase, ENDS[i].name) == 0)
            *ret_end = ENDS[i].end;
    return *ret_end != MIGRATE_STOPPED;
}

/* As run does, when the pipeline is what failed. */
static void explain_pipeline(const struct migrate *migrate, struct error *err) {
    struct error unwritten = {0};
    explain_stop(migrate->failed, migrate->stop, err);
    if (!failure_explain(migrate->failed->state, migrate->failed->name, err, &unwritten))
        log_line(LOG_FAILURE_NOT_STORED, "the remedy cannot be stored for `pgcdc status`: %s",
                 unwritten.text);
}

static enum exit_code command_migrate_judge(const struct migrate *migrate) {
    if (migrate->problem_count > 0) {
        log_line(LOG_PLAN_HAS_PROBLEMS,
                 "migrate: the plan has problems, and no row is copied; remove them, then run it again");
        return EXIT_USAGE;
    }
    if (migrate->is_different) {
        log_line(LOG_NOT_PROVEN_EQUAL,
                 "migrate: both sides are not proven equal; pgcdc verify --repair copies what "
                 "differs again, then run migrate again");
        return EXIT_DIFFERENT;
    }
    return EXIT_DONE;
}

static enum exit_code command_migrate_fail(struct migrate *migrate, struct error *err) {
    if (err->kind == ERROR_STOPPED) {
        log_line(LOG_MIGRATE_STOPPED, "migrate: stopped; the same command goes on from here");
        return migrate->end == MIGRATE_STOPPED ? EXIT_DONE : EXIT_SHORT;
    }
    if (migrate->failed != NULL)
        explain_pipeline(migrate, err);
    log_failure(err);
    return exit_code_of(err);
}

static bool migrate_refuse_archive(const struct config *config, struct error *err) {
    if (config->source.archive == NULL)
        return true;
    error_set(err, ERROR_CONFIG,
              "the pipeline reads archive %s, which has rows and changes, and no definitions of objects",
              config->source.archive);
    return error_remedy(err, "make the tables in the target with pg_dump and psql, then use `pgcdc run`: "
                             "\"Moving with files\" in the manual has the steps");
}

static enum exit_code run(const struct command_line *line) {
    struct migrate *migrate = calloc(1, sizeof *migrate);
    struct error err = {0};
    enum exit_code code = EXIT_USAGE;
    if (migrate == NULL)
        return EXIT_FAILED;
    *migrate =
        (struct migrate){.config = line->config, .stop = line->stop, .following_fd = line->following_fd};
    if (!find_end(line, &migrate->end))
        log_line(LOG_USAGE, "--until: expected copied, caught-up or verified");
    else if (!migrate_refuse_archive(line->config, &err) ||
             !schema_find_sink(line->config, line->sink, &migrate->sink, &err))
        log_failure(&err);
    else if (!cutover_guard(line->config, line->stop, &err))
        code = command_migrate_fail(migrate, &err);
    else
        code =
            migrate_run(migrate, &err) ? command_migrate_judge(migrate) : command_migrate_fail(migrate, &err);
    migrate_release(migrate);
    free(migrate);
    return code;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_UNTIL_PHASE,
     "end when the rows are copied; when every change up to the source's present end is applied;\n"
     "or when both sides are proven equal. Without it, migrate follows the source until it is stopped",
     false},
    {&OPTION_SINK, "the target, if the configuration has more than one sink", false},
    {0},
};

const struct command command_migrate = {
    .name = "migrate",
    .uses = USES,
    .summary = "move a database: schema, rows, changes, proof; goes on where it was",
    .help =
        "Moves a database in phases: the plan; the schema; the copy of the rows; indexes and what else\n"
        "follows the copy; the sequences; the changes since; the comparison of both sides. The phase\n"
        "that is reached is a row of pgcdc.migration in the target. Stopped or killed at any moment, the\n"
        "same command goes on from there.\n"
        "\n"
        "A plan with problems stops it before a row is copied (exit 2). Warnings that the configuration\n"
        "does not accept are logged, and stay open in pgcdc report.\n"
        "\n"
        "It runs the pipeline in its own process, as run does, and does not run beside it. Once both\n"
        "sides were compared it follows the source until it is stopped, or until the end of --until.\n"
        "\n"
        "Exit code 0: the end of --until is reached, or it was stopped. 2: the plan has problems. 4:\n"
        "both sides are not proven equal. 5: it was stopped before the end of --until. 6: another\n"
        "process works on the migration. Others as of run.",
    .many = MANY_IN_ORDER,
    .run = run,
};
