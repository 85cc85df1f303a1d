/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_check.c - pgcdc check.
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/check.h"
#include "cdc/command.h"

#define ARENA_BYTES_MAX ((size_t) 512 << 20) /* the definitions of many tables */

static enum exit_code report(struct check *check, const struct command_line *line) {
    struct findings *findings = &check->findings;
    struct error err = {0};
    if (atomic_load(check->stop)) {
        fprintf(stderr, "pgcdc check: stopped\n");
        return EXIT_FAILED;
    }
    findings_group(findings);
    if (findings->failed) {
        fprintf(stderr, "pgcdc check: out of memory\n");
        return EXIT_FAILED;
    }
    if (line->sql_side != NULL) {
        findings_print_sql(findings, strcmp(line->sql_side, "source") == 0 ? "source" : "sink ", stdout);
    } else if (!line->json) {
        findings_print(findings, check->config->name, stdout);
    } else if (!findings_print_json(findings, check->config->name, stdout, &err)) {
        fprintf(stderr, "pgcdc check: %s\n", error_line(&err).text);
        return EXIT_FAILED;
    }
    return findings->counts[SEVERITY_PROBLEM] == 0 ? EXIT_DONE : EXIT_USAGE;
}

static enum exit_code run(const struct command_line *line) {
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        fprintf(stderr, "pgcdc check: out of memory\n");
        return EXIT_FAILED;
    }
    check->config = line->config;
    check->stop = line->stop;
    arena_init(&check->arena, 65536, ARENA_BYTES_MAX);
    findings_init(&check->findings);
    check_all(check);
    enum exit_code code = report(check, line);
    check_release(check);
    free(check);
    return code;
}

const struct command command_check = {
    .name = "check",
    .usage = "check -c FILE [--json | --sql source|target]",
    .summary = "every problem at once, each with its fix; changes nothing",
    .help =
        "Looks at the source, the state directory and every sink as run would, and prints what it finds: problems,\n"
        "which would stop run or make it lose something, warnings and notes, each with the SQL or the step that\n"
        "fixes it. Nothing is created or changed anywhere.\n"
        "\n"
        "Tables that have one cause are one finding, with one statement where SQL has a list of tables.\n"
        "\n"
        "--json   one object: pipeline, ready, problems, warnings, findings (severity, code, where, what, fix, objects)\n"
        "--sql source, --sql target\n"
        "         only the fixes of that side, ready for psql; what is no SQL, or empties a table, stands in a comment\n"
        "\n"
        "cdc/findings.md has every code: what it means, what to do, and whether its fix is SQL or a step.\n"
        "\n"
        "Exit code 0 when there is no problem (warnings do not count), 2 when there is one.",
    .needs_config = true,
    .run = run,
};
