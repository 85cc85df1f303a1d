/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_archive.c - pgcdc archive list, archive verify and archive export.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cdc/archive/archive_export.h"
#include "cdc/archive/archive_moment.h"
#include "cdc/archive/archive_survey.h"
#include "cdc/archive/follower.h"
#include "cdc/base/amount.h"
#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/command.h"

enum { SECOND_US = 1000000 };
#define POSTGRES_EPOCH_S INT64_C(946684800) /* 2000-01-01 in Unix time */

struct survey_run {
    const struct command_line *line;
    const char *directory;
    bool checks;
    struct segment_list list;
    struct json_writer json;
    size_t damaged;
    uint64_t changes;
    uint64_t rows_read;
    uint64_t transactions;
    uint64_t file_bytes;
    lsn_t end_lsn;
    uint64_t extra_bytes; /* of the last segment */
    bool is_copying;      /* at its end */
};

/* ---- texts ---- */

struct time_text {
    char text[32];
};

/* since 1970 */
static struct time_text time_of(int64_t seconds) {
    struct time_text time;
    const time_t clock = (time_t) seconds;
    struct tm parts;
    gmtime_r(&clock, &parts);
    strftime(time.text, sizeof time.text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return time;
}

static const char *state_of(const struct segment_survey *survey) {
    if (survey->damage.kind != ERROR_NONE)
        return "damaged";
    return survey->end.is_closed ? "closed" : survey->end.extra_bytes > 0 ? "open, with a torn end" : "open";
}

/* ---- one segment ---- */

/* A copy is in the first segment, which then begins at no place. */
static bool lacks_rows(const struct segment_survey *survey) {
    return survey->head.number == 1 && survey->head.first_lsn != 0;
}

static void print_segment(const struct segment_survey *survey) {
    const char *name = strrchr(survey->path.text, '/');
    printf("%s  %10s  ", name != NULL ? name + 1 : survey->path.text,
           amount_bytes((double) survey->file_bytes).text);
    if (survey->damage.kind != ERROR_NONE) {
        printf("damaged\n    %s\n", error_line(&survey->damage).text);
        return;
    }
    printf("%s to %s", lsn_format(survey->head.first_lsn).text, lsn_format(survey->end.end_lsn).text);
    if (survey->end.commit_time_us != 0)
        printf(", until %s", time_of(survey->end.commit_time_us / SECOND_US + POSTGRES_EPOCH_S).text);
    printf(", %s%s\n", state_of(survey), lacks_rows(survey) ? ", without copied rows" : "");
}

static bool print_json(struct survey_run *run, const struct segment_survey *survey, struct error *err) {
    struct json_writer *json = &run->json;
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "file", survey->path.text);
    json_put_field(json, "state", state_of(survey));
    json_put_field(json, "pipeline", survey->head.pipeline);
    json_put_field(json, "sink", survey->head.sink);
    json_put_field(json, "database", survey->head.database);
    json_put_number(json, "timeline", survey->head.timeline);
    json_put_lsn(json, "first_lsn", survey->head.first_lsn);
    json_put_lsn(json, "end_lsn", survey->end.end_lsn);
    json_put_field(json, "created", time_of(survey->head.created_time_us / SECOND_US).text);
    yajl_gen_string(json->generator, (const unsigned char *) "copying", strlen("copying"));
    yajl_gen_bool(json->generator, survey->end.is_copying);
    json_put_number(json, "bytes", (int64_t) survey->file_bytes);
    json_put_number(json, "plain_bytes", (int64_t) survey->plain_bytes);
    json_put_number(json, "frames", (int64_t) survey->frames);
    json_put_number(json, "transactions", run->checks ? (int64_t) survey->transactions : -1);
    json_put_number(json, "changes", run->checks ? (int64_t) survey->changes : -1);
    json_put_number(json, "rows_read", run->checks ? (int64_t) survey->rows_read : -1);
    if (survey->damage.kind != ERROR_NONE) {
        json_put_field(json, "damage", survey->damage.text);
        json_put_field(json, "remedy", survey->damage.remedy);
    }
    yajl_gen_map_close(json->generator);
    return json_writer_print(json, stdout, err);
}

static void count_segment(struct survey_run *run, const struct segment_survey *survey) {
    run->damaged += survey->damage.kind != ERROR_NONE;
    run->changes += survey->changes;
    run->rows_read += survey->rows_read;
    run->transactions += survey->transactions;
    run->file_bytes += survey->file_bytes;
    if (survey->damage.kind == ERROR_NONE) {
        run->end_lsn = survey->end.end_lsn;
        run->extra_bytes = survey->end.extra_bytes;
        run->is_copying = survey->end.is_copying;
    }
}

/* ---- all of them ---- */

static void print_verdict(const struct survey_run *run) {
    if (run->damaged > 0) {
        printf("%s damaged\n", amount_count(run->damaged, "segment").text);
        return;
    }
    if (run->checks)
        printf("whole up to %s: %s, %s, %s copied\n", lsn_format(run->end_lsn).text,
               amount_count(run->transactions, "transaction").text, amount_count(run->changes, "change").text,
               amount_count(run->rows_read, "row").text);
    else
        printf("%s, %s, up to %s\n", amount_count(run->list.count, "segment").text,
               amount_bytes((double) run->file_bytes).text, lsn_format(run->end_lsn).text);
    if (run->is_copying)
        printf(
            "the copy of the tables is not complete there, so rows are missing: a replay cannot end there\n");
    if (run->extra_bytes > 0)
        printf("the last %" PRIu64
               " bytes do not count: their transaction is not committed, or they are a torn "
               "end; the pipeline that writes the archive replaces them\n",
               run->extra_bytes);
}

/* Of list only. */
static bool print_followers(const struct survey_run *run, struct error *err) {
    struct follower_list list = {0};
    const bool is_read = follower_list_read(run->directory, &list, err);
    for (size_t i = 0; is_read && i < list.count; i++)
        printf("read by %s, which needs everything after %s (as of %s)\n", list.followers[i].name,
               lsn_format(list.followers[i].lsn).text,
               time_of(list.followers[i].written_us / SECOND_US).text);
    follower_list_release(&list);
    return is_read;
}

static bool survey_all(struct survey_run *run, struct error *err) {
    for (size_t i = 0; i < run->list.count; i++) {
        struct segment_survey survey;
        if (!segment_survey(run->directory, &run->list, i, run->checks, run->line->stop, &survey, err))
            return false;
        count_segment(run, &survey);
        if (run->line->json && !print_json(run, &survey, err))
            return false;
        if (!run->line->json && (!run->checks || survey.damage.kind != ERROR_NONE))
            print_segment(&survey);
    }
    if (run->line->json)
        return true;
    print_verdict(run);
    return run->checks || print_followers(run, err);
}

static enum exit_code run_survey(const struct command_line *line, bool checks) {
    struct survey_run run = {.line = line, .directory = line->argument, .checks = checks};
    struct error err = {0};
    bool is_done = json_writer_init(&run.json, &err) && segment_list_read(run.directory, &run.list, &err);
    if (is_done && run.list.count == 0)
        is_done = error_set(&err, ERROR_CONFIG, "archive %s: it has no segments", run.directory);
    is_done = is_done && survey_all(&run, &err);
    segment_list_release(&run.list);
    json_writer_release(&run.json);
    if (!is_done)
        log_command_failure(checks ? "archive verify" : "archive list", &err);
    return !is_done ? exit_code_of(&err) : run.damaged > 0 ? EXIT_DIFFERENT : EXIT_DONE;
}

/* ---- export ---- */

static bool find_range(const struct command_line *line, struct archive_export *export, struct error *err) {
    export->from_lsn = line->from_lsn;
    export->until_lsn = line->until_lsn;
    if (line->from_time_us != 0 &&
        !archive_find_moment(export->from, line->from_time_us, line->stop, &export->from_lsn, err))
        return false;
    return line->until_time_us == 0 ||
           archive_find_moment(export->from, line->until_time_us, line->stop, &export->until_lsn, err);
}

static enum exit_code archive_export(const struct command_line *line) {
    struct error err = {0};
    if (line->argument_count != 2) {
        log_command(LOG_USAGE, "archive export", "two directories are needed, from and to");
        return EXIT_USAGE;
    }
    struct archive_export export = {.from = line->arguments[0], .to = line->arguments[1], .stop = line->stop};
    if (!find_range(line, &export, &err) || !archive_export_run(&export, &err)) {
        log_command_failure("archive export", &err);
        return exit_code_of(&err);
    }
    printf("%s, %s, from %s to %s\n", amount_count(export.segments, "segment").text,
           amount_bytes((double) export.bytes).text, lsn_format(export.first_lsn).text,
           lsn_format(export.end_lsn).text);
    return EXIT_DONE;
}

/* ---- the commands ---- */

static enum exit_code archive_list(const struct command_line *line) {
    return run_survey(line, false);
}

static enum exit_code archive_verify(const struct command_line *line) {
    return run_survey(line, true);
}

static const struct command_use USES[] = {
    {&OPTION_JSON_OUTPUT, "a line of JSON for each segment", false},
    {0},
};

const struct command command_archive_list = {
    .name = "archive list",
    .uses = USES,
    .argument = "DIRECTORY",
    .summary = "what an archive holds: its segments, their LSNs and times",
    .help = "Prints a line for each segment file: its size, the position where it begins, the one up to\n"
            "which it counts, and the time of its last commit. A process may write the archive at the same\n"
            "time. The command reads the heads of the frames only; `pgcdc archive verify` reads everything.",
    .run = archive_list,
};

const struct command command_archive_verify = {
    .name = "archive verify",
    .uses = USES,
    .argument = "DIRECTORY",
    .summary = "read every byte of an archive: is it whole?",
    .help = "Checks every frame of every segment, decodes every change, and makes sure that each segment\n"
            "begins where the one before ends. What is damaged is named: the file, the byte and the LSNs of\n"
            "the changes that are lost. Exit code 4: something is damaged.",
    .run = archive_verify,
};

static const struct command_use EXPORT_USES[] = {
    {&OPTION_FROM, "begin with the segment that has what committed after this position or time", false},
    {&OPTION_UNTIL, "end with the segment that has this position or time", false},
    {0},
};

const struct command command_archive_export = {
    .name = "archive export",
    .uses = EXPORT_USES,
    .argument = "DIRECTORY...",
    .summary = "carry an archive, or a part of it, to another directory",
    .help =
        "The first directory is the archive, the second one is new or empty. Whole segments are copied, so\n"
        "what arrives is an archive again, which may begin a little earlier and end a little later than\n"
        "asked for. Every byte is checked on the way. A process may write the archive at the same time.",
    .run = archive_export,
};
