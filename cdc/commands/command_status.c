/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_status.c - pgcdc status.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/log.h"
#include "cdc/base/visible.h"
#include "cdc/command.h"
#include "cdc/engine/buffered.h"
#include "cdc/status/status_text.h"

#define TEXT_BYTES_MAX (1024 * 1024)

static bool print_json(const struct command_line *line, const struct status *statuses, size_t count,
                       struct error *err) {
    const bool has_parts = count > 1;
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    if (has_parts) {
        yajl_gen_map_open(json.generator);
        json_put_field(&json, "pipeline", line->config->name);
        json_put_field(&json, "buffer", line->config->buffer.path);
        json_put_key(&json, "parts");
        yajl_gen_array_open(json.generator);
    }
    for (size_t i = 0; i < count; i++)
        status_put_json(&json, &statuses[i]);
    if (has_parts) {
        yajl_gen_array_close(json.generator);
        yajl_gen_map_close(json.generator);
    }
    return json_writer_print(&json, stdout, err);
}

static bool print_text(const struct command_line *line, const struct status *statuses, size_t count,
                       struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    for (size_t i = 0; i < count; i++) {
        if (count > 1)
            buffer_printf(&text, "%spart        %zu of %zu: %s%s\n", i > 0 ? "\n" : "", i + 1, count,
                          i == 0 ? "from the slot to buffer " : "from the buffer to sink ",
                          i == 0 ? line->config->buffer.path : line->config->sinks[i - 1].sink.name);
        status_append_text(&text, &statuses[i]);
    }
    if (!buffer_ok(&text))
        return error_no_memory(err);
    visible_print_lines(stdout, buffer_slice(&text));
    return true;
}

static bool print(const struct command_line *line, const struct status *statuses, size_t count,
                  struct error *err) {
    if (!(line->json ? print_json : print_text)(line, statuses, count, err))
        return false;
    return fflush(stdout) == 0 ? true : error_errno(err, "standard output");
}

static enum exit_code command_status_judge(const struct status *status) {
    switch (status->state) {
    case STATE_LOST:
    case STATE_MISSING:
    case STATE_REFUSED:
        return EXIT_REFUSED;
    case STATE_RETRYING:
    case STATE_FAILED:
        return EXIT_FAILED;
    case STATE_NEW:
    case STATE_COPYING:
    case STATE_STREAMING:
    case STATE_STOPPED:
    case STATE_UNKNOWN:
        break;
    }
    return status_is_complete(status) ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code fail(const struct error *err) {
    log_failure(err);
    return exit_code_of(err);
}

/* The worst of all parts. */
static enum exit_code judge_all(const struct status *statuses, size_t count) {
    enum exit_code worst = EXIT_DONE;
    for (size_t i = 0; i < count && worst != EXIT_REFUSED; i++) {
        const enum exit_code code = command_status_judge(&statuses[i]);
        worst = code != EXIT_DONE ? code : worst;
    }
    return worst;
}

/* With a buffer, that of each part. */
static enum exit_code show(const struct command_line *line, struct error *err) {
    const struct config *config = line->config;
    bool has_begun = false;
    if (config->part_count > 0 && !buffered_has_begun(config, &has_begun, err))
        return fail(err);
    const size_t count = has_begun ? config->part_count : 1;
    struct status *statuses = calloc(count, sizeof *statuses);
    if (statuses == NULL) {
        error_no_memory(err);
        return fail(err);
    }
    size_t read = 0;
    bool done = true;
    while (done && read < count) {
        done = status_read(has_begun ? &config->parts[read] : config, line->stop, &statuses[read], err);
        read++;
    }
    done = done && print(line, statuses, count, err);
    const enum exit_code code = done ? judge_all(statuses, count) : fail(err);
    for (size_t i = 0; i < read; i++)
        status_release(&statuses[i]);
    free(statuses);
    return code;
}

static enum exit_code run(const struct command_line *line) {
    struct error err = {0};
    return show(line, &err);
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_REVERSE, "of the stream back to the source, after a cutover", false},
    {&OPTION_JSON_OUTPUT, "one object; an unknown value is null", false},
    {0},
};

const struct command command_status = {
    .name = "status",
    .uses = USES,
    .summary = "show positions and lag of source, slot and each sink",
    .help = "Shows the state of the pipeline, whether an engine runs or not. Changes nothing.\n"
            "\n"
            "new         not started yet: no slot, no position\n"
            "copying     the initial copy in one step runs, or was interrupted and starts over with the next "
            "run\n"
            "streaming   the slot is in use\n"
            "stopped     the slot is not in use; run continues from the position\n"
            "missing     a position exists but the slot does not\n"
            "lost        the server removed WAL that the slot needs\n"
            "refused     run would refuse for the reason given\n"
            "retrying    an engine runs, and its last attempt failed with the error shown\n"
            "failed      no engine runs, and the last one ended with the error shown\n"
            "unknown     the source cannot be reached\n"
            "\n"
            "lag: the WAL between a sink's position and the end of the source's WAL. stored: the time\n"
            "since the sink made its position durable. behind: the sink has everything that was\n"
            "committed until this long ago, by the source's clock; 0 if it has the source's whole WAL.\n"
            "Counts begin with the start of the engine, or of the last one; it writes them every few\n"
            "seconds (NAME.activity), with the progress of a copy while that runs. Rates are over the\n"
            "last ten seconds. verified: what continuous verification (verify.continuous) has proven: all\n"
            "of a table was equal then or later. A copy in chunks is shown from the plan that the sink\n"
            "stores, also when no engine runs: then it was interrupted, and run goes on from there.\n"
            "\n"
            "Exit codes: 3 missing, lost or refused; 1 failed, retrying, or the source or a sink could\n"
            "not be asked; else 0.",
    .many = MANY_EACH,
    .run = run,
};
