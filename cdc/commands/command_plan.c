/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_plan.c - pgcdc plan.
 */
#include <stdlib.h>

#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/migrate/plan/plan.h"

#define ARENA_BYTES_MAX ((size_t) 1 << 30) /* the definitions of many tables, and every object's name */
#define COPY_BYTES (UINT64_C(40) << 20)
#define INDEX_BYTES (UINT64_C(20) << 20)

static enum exit_code plan_failed(const char *why) {
    log_command(LOG_FAILED, "plan", "%s", why);
    return EXIT_FAILED;
}

static enum exit_code command_plan_fdw(struct plan *plan) {
    struct error err = {0};
    if (!plan->has_inventory)
        return plan_failed("the source cannot be read; pgcdc plan without --fdw says why");
    return plan_print_fdw(plan, stdout, &err) ? EXIT_DONE : plan_failed(error_line(&err).text);
}

static enum exit_code command_plan_report(struct plan *plan, const struct command_line *line) {
    struct findings *findings = &plan->check->findings;
    struct error err = {0};
    if (atomic_load(line->stop))
        return plan_failed("stopped");
    findings_group(findings);
    if (findings->failed)
        return plan_failed("out of memory");
    if (line->html_path != NULL && !plan_write_html(plan, line->html_path, &err))
        return plan_failed(error_line(&err).text);
    if (line->prints_fdw)
        return command_plan_fdw(plan);
    if (!line->json)
        plan_print(plan, stdout);
    else if (!plan_print_json(plan, stdout, &err))
        return plan_failed(error_line(&err).text);
    return findings->counts[SEVERITY_PROBLEM] == 0 ? EXIT_DONE : EXIT_USAGE;
}

static enum exit_code command_plan_make(const struct command_line *line, struct check *check) {
    const struct plan_assumptions assumptions = {
        .copy_bytes = line->rate_bytes > 0 ? line->rate_bytes : COPY_BYTES,
        .index_bytes = INDEX_BYTES,
        .target_disk = line->target_disk,
        .reads_rows = line->reads_rows,
    };
    struct plan plan;
    check->config = line->config;
    check->stop = line->stop;
    arena_init(&check->arena, 65536, ARENA_BYTES_MAX);
    findings_init(&check->findings);
    plan_make(&plan, check, &assumptions);
    const enum exit_code code = command_plan_report(&plan, line);
    check_release(check);
    return code;
}

static enum exit_code run(const struct command_line *line) {
    if (line->config->source.archive != NULL) {
        log_command(LOG_USAGE, "plan", "the pipeline reads archive %s, and there is no source to plan for",
                    line->config->source.archive);
        return EXIT_USAGE;
    }
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL)
        return plan_failed("out of memory");
    const enum exit_code code = command_plan_make(line, check);
    free(check);
    return code;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT,
     "one object: pipeline, ready, problems, warnings, accepted, findings as of check (and accepted),\n"
     "servers, database_bytes, inventory (of each class: count, rows, bytes, objects), estimate, steps",
     false},
    {&OPTION_FDW,
     "instead of the plan, print SQL that makes the tables that stay behind readable at the target, as\n"
     "foreign tables of postgres_fdw; the password is a variable of psql, see the SQL",
     false},
    {&OPTION_HTML,
     "also write a page that a browser shows and prints; it is one file and loads nothing from elsewhere",
     false},
    {&OPTION_DATA,
     "also count rows that the target would refuse: reads tables of the source whole, some more than once",
     false},
    {&OPTION_RATE, "estimate with this rate of the copy, all workers together, instead of 40", false},
    {&OPTION_TARGET_DISK, "free disk at the target, which no SQL can ask for: less than needed is a problem",
     false},
    {0},
};

const struct command command_plan = {
    .name = "plan",
    .uses = USES,
    .summary = "what a migration would move, what it would not, and the order of work",
    .help = "Prints what the source's database holds, class by class, and how each object gets to the\n"
            "target; the findings of check, and further ones that matter to a migration; the disk, the WAL\n"
            "and the time that it needs; and the order of work with the locks of each step. Creates and\n"
            "changes nothing.\n"
            "\n"
            "Numbers of rows are estimates of the source's catalog. Times are computed from sizes and\n"
            "from the rates that are printed with them; they are no promise.\n"
            "\n"
            "With --data, rows that the target would refuse are counted: duplicates under a key that only\n"
            "the target has, rows without the row that a foreign key that is not valid refers to, nulls,\n"
            "values that do not fit, characters that its encoding lacks. Each finding has the query that\n"
            "lists them. No value is printed.\n"
            "\n"
            "A role that may only read is enough. What it may not read is named.\n"
            "\n"
            "A warning that the configuration accepts (accept: [no_key:public.log]) stays in the output and\n"
            "does not count. An entry that matches no warning is reported.\n"
            "\n"
            "cdc/check/findings.md lists every code: its meaning, its remedy, and whether its fix is SQL\n"
            "or a step.\n"
            "\n"
            "Exit code 0 if there is no problem (warnings do not count), else 2.",
    .many = MANY_EACH,
    .run = run,
};
