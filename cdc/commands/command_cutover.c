/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_cutover.c - pgcdc cutover and pgcdc rollback.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/command.h"
#include "cdc/migrate/cutover/cutover.h"

/* ---- output ---- */

static void put_report(struct json_writer *json, const struct command_line *line, const char *command,
                       const struct cutover_report *report, const char *error) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", line->config->name);
    json_put_field(json, "command", command);
    json_put_key(json, "dry_run");
    yajl_gen_bool(json->generator, line->dry_run);
    json_put_key(json, "flipped");
    yajl_gen_bool(json->generator, report->is_flipped);
    json_put_number(json, "outage_ms", report->outage_ms);
    json_put_key(json, "states");
    yajl_gen_array_open(json->generator);
    for (int state = 0; state < CUTOVER_STATES; state++) {
        const struct cutover_line *what = &report->lines[state];
        yajl_gen_map_open(json->generator);
        json_put_field(json, "state", cutover_state_name((enum cutover_state) state));
        json_put_key(json, "reached");
        yajl_gen_bool(json->generator, what->is_reached);
        json_put_number(json, "duration_ms", what->is_reached ? what->duration_ms : -1);
        json_put_field(json, "text", what->text);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
    json_put_key(json, "error");
    if (error[0] == '\0')
        yajl_gen_null(json->generator);
    else
        json_put_text(json, slice_of(error));
    yajl_gen_map_close(json->generator);
}

static bool print_report_json(const struct command_line *line, const char *command,
                              const struct cutover_report *report, const char *error, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    put_report(&json, line, command, report, error);
    return json_writer_print(&json, stdout, err);
}

/* "drained           12 ms  every change is applied" */
static void print_report(const struct cutover_report *report) {
    for (int state = 0; state < CUTOVER_STATES; state++) {
        const struct cutover_line *line = &report->lines[state];
        if (line->text[0] == '\0')
            continue;
        printf("%-14s", cutover_state_name((enum cutover_state) state));
        if (line->is_reached)
            printf(" %7" PRId64 " ms  ", line->duration_ms);
        else
            printf(" %10s  ", "");
        visible_print(stdout, slice_of(line->text));
        printf("\n");
    }
    if (report->outage_ms >= 0)
        printf("writes were blocked for %" PRId64 " ms\n", report->outage_ms);
}

/* ---- the commands ---- */

static enum exit_code fail_cutover(const struct error *err) {
    log_failure(err);
    return err->kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(err);
}

static enum exit_code abort_cutover(const struct command_line *line, const struct cutover_options *options,
                                    const char *command) {
    struct error err = {0};
    bool undone = false;
    if (!cutover_abort(line->config, options, &undone, &err))
        return fail_cutover(&err);
    printf(undone ? "%s: undone\n" : "%s: there is nothing to undo\n", command);
    return EXIT_DONE;
}

static enum exit_code close_cutover(const struct command_line *line, const struct cutover_options *options) {
    struct error err = {0};
    if (!cutover_close(line->config, options, &err))
        return fail_cutover(&err);
    printf("cutover: closed\n");
    return EXIT_DONE;
}

static enum exit_code switch_sides(const struct command_line *line, const struct cutover_options *options,
                                   const char *command) {
    struct cutover_report report;
    struct error err = {0}, unprinted = {0};
    const bool done = cutover_run(line->config, options, &report, &err);
    if (!line->json)
        print_report(&report);
    else if (!print_report_json(line, command, &report, done ? "" : error_line(&err).text, &unprinted))
        return fail_cutover(&unprinted);
    return done ? EXIT_DONE : fail_cutover(&err);
}

static enum exit_code run_command(const struct command_line *line, bool is_rollback) {
    const char *command = is_rollback ? "rollback" : "cutover";
    const struct cutover_options options = {.is_rollback = is_rollback,
                                            .dry_run = line->dry_run,
                                            .is_fenced = line->is_fenced,
                                            .stop = line->stop};
    if (line->aborts)
        return abort_cutover(line, &options, command);
    return line->closes ? close_cutover(line, &options) : switch_sides(line, &options, command);
}

static enum exit_code run_cutover(const struct command_line *line) {
    return run_command(line, false);
}

static enum exit_code run_rollback(const struct command_line *line) {
    return run_command(line, true);
}

#define DRY_RUN_HELP "look, compare and measure, and say what would be done; change nothing"
#define ABORT_HELP                                                                                           \
    "undo what one that did not end has left: locks, read-only, the way back; not after the flip"
#define FENCED_HELP "with cutover.fence: external: no session can write to the side that is left"
#define JSON_HELP "one object"

static const struct command_use CUTOVER_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_DRY_RUN, DRY_RUN_HELP, false},
    {&OPTION_FENCED, FENCED_HELP, false},
    {&OPTION_ABORT, ABORT_HELP, false},
    {&OPTION_CLOSE,
     "after the flip: give up the way back, and remove slots, positions and files of both streams", false},
    {&OPTION_JSON_OUTPUT, JSON_HELP, false},
    {0},
};

static const struct command_use ROLLBACK_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_DRY_RUN, DRY_RUN_HELP, false},
    {&OPTION_FENCED, FENCED_HELP, false},
    {&OPTION_ABORT, ABORT_HELP, false},
    {&OPTION_JSON_OUTPUT, JSON_HELP, false},
    {0},
};

const struct command command_cutover = {
    .name = "cutover",
    .uses = CUTOVER_USES,
    .summary = "move the applications to the target, with a way back",
    .help = "Brings the applications from the source to the target, in states that pgcdc.migration in the\n"
            "target keeps:\n"
            "\n"
            "ready          rights, settings, the copy, the lag; no write waits yet\n"
            "fenced         no write can commit at the source (cutover.fence)\n"
            "drained        every change is applied\n"
            "sequences      the target's are set ahead\n"
            "verified       both sides are equal (cutover.verify)\n"
            "reverse_ready  slot and position of the stream back to the source exist\n"
            "sealed         the source's database is read-only, its sessions are ended\n"
            "flipped        cutover.on_flip has pointed the applications to the target\n"
            "\n"
            "The engine may run or not; without one this process applies the rest. If a state fails, or\n"
            "writes are blocked for longer than cutover.outage_max, it goes back, and the source takes\n"
            "writes again. After a kill a second call undoes what the first one left and begins again, or\n"
            "from sealed on goes on; then cutover.on_flip may run twice.\n"
            "\n"
            "Afterwards `pgcdc run --reverse` keeps the source up to date, and `pgcdc rollback` moves the\n"
            "applications back. `run` refuses to apply changes to the target while they write there.\n"
            "\n"
            "Exit codes: 0 done; 3 refused; 4 the sides differ; 1 or 2 another failure. In each case but 0\n"
            "the last line says whether it has gone back.",
    .run = run_cutover,
};

const struct command command_rollback = {
    .name = "rollback",
    .uses = ROLLBACK_USES,
    .summary = "move the applications back to the source after a cutover",
    .help =
        "The same states as those of `pgcdc cutover`, in the other direction: the target is fenced, what\n"
        "was written there is brought to the source, both sides are compared, and the applications are\n"
        "pointed to the source. Nothing that was written to the target is lost. The engine of\n"
        "`pgcdc run --reverse` may run or not.\n"
        "\n"
        "Afterwards `pgcdc run` goes on as before the cutover.",
    .run = run_rollback,
};
