/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_verify.c - pgcdc verify: compares every sink that can be compared with the source.
 *
 * The exit code is that of the worst sink: 4 if one differs, 1 if rows of one changed in every round.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/arena.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/verify/verify.h"
#include "cdc/verify/verify_print.h"
#include "cdc/verify/verify_repair.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    CATALOG_BYTES_MAX = 512 * 1024 * 1024,
};

struct verifying {
    const struct command_line *line;
    struct arena arena; /* of one sink */
    struct json_writer json;
    enum exit_code code;
    size_t count; /* sinks that can be verified */
};

static void verifying_release(struct verifying *verifying) {
    arena_release(&verifying->arena);
    json_writer_release(&verifying->json);
}

/* Narrowed counts as equal if the sink allows narrowing. */
static enum exit_code code_of(enum verify_result result, const struct sink_config *sink) {
    const char *narrowing = sink_config_find(sink, "narrowing");
    switch (result) {
    case VERIFY_NARROWED:
        return narrowing != NULL && strcmp(narrowing, "allow") == 0 ? EXIT_DONE : EXIT_DIFFERENT;
    case VERIFY_EQUAL:
        return EXIT_DONE;
    case VERIFY_PARTIAL:
    case VERIFY_COPYING:
    case VERIFY_DIFFERENT:
    case VERIFY_MISSING:
        return EXIT_DIFFERENT;
    case VERIFY_MOVING:
    case VERIFY_UNDECIDED:
        return EXIT_FAILED;
    }
    return EXIT_FAILED;
}

/* Different outranks undecided, which outranks equal. */
static void take_code(struct verifying *verifying, enum exit_code code) {
    if (code > verifying->code)
        verifying->code = code;
}

static void take_result(struct verifying *verifying, const struct verify *verify,
                        const struct config_sink *sink) {
    take_code(verifying, code_of(verify->result, &sink->sink));
    if (verifying->line->json)
        verify_put(verify, &verifying->json);
    else
        verify_print(verify, stdout);
    fflush(stdout);
}

/* What was repaired is compared again; that is the result. */
static bool repair_sink(struct verifying *verifying, const struct verify_options *options,
                        struct verify *verify, bool *ret_repaired, struct error *err) {
    const struct command_line *line = verifying->line;
    struct verify again AUTO(verify_release) = {0};
    struct verify_repair repair = {
        .config = line->config, .sink = options->sink, .stop = line->stop, .rows_max = line->rows_max};
    verify_repair_count(&repair, verify);
    if (line->dry_run || repair.ranges == 0 || (repair.rows_max > 0 && repair.rows > repair.rows_max)) {
        log_sink(LOG_REPAIR_PLANNED, options->sink->sink.name, "%s of %s, with at least %s to correct, %s",
                 amount_count(repair.ranges, "range").text, amount_count(repair.tables, "table").text,
                 amount_count(repair.rows, "row").text,
                 line->dry_run        ? "would be copied again"
                 : repair.ranges == 0 ? "need no new copy"
                                      : "which is more than --max-rows: nothing is copied again");
        return true;
    }
    if (!line->json)
        verify_print(verify, stdout);
    fflush(stdout);
    log_sink(LOG_REPAIR_STARTED, options->sink->sink.name, "copying %s of %s again",
             amount_count(repair.ranges, "range").text, amount_count(repair.tables, "table").text);
    if (!verify_repair_run(&repair, verify, &verifying->arena, ret_repaired, err))
        return false;
    if (!*ret_repaired) {
        log_line(LOG_NO_ENGINE,
                 "no engine runs here: its next start copies the ranges; then run verify again");
        *ret_repaired = !line->json; /* the result is printed */
        take_code(verifying, EXIT_DIFFERENT);
        return true;
    }
    if (!verify_run(&again, line->config, options, &verifying->arena, err))
        return false;
    take_result(verifying, &again, options->sink);
    return true;
}

/* Records are not replaced: consumers have them. */
static void say_unrepaired(const struct config_sink *sink) {
    log_sink(
        LOG_REPAIR_NOT_POSSIBLE, sink->sink.name,
        "--repair changes no records, because consumers may have read them. `pgcdc table copy` "
        "publishes every row of a table once more, which corrects missing and different rows; for the rest "
        "run `pgcdc table remove`, delete the table's topic, and run `pgcdc table add`");
}

/* A copy that was begun before is completed first, then all is compared again. */
static bool complete_begun(struct verifying *verifying, const struct verify_options *options,
                           struct verify *verify, struct error *err) {
    const struct command_line *line = verifying->line;
    struct verify_repair repair = {.config = line->config, .sink = options->sink, .stop = line->stop};
    const size_t count = verify_repair_count_begun(verify);
    bool is_done = false;
    if (!line->repair || line->dry_run || count == 0 || !sink_has_rows(options->sink->ops))
        return true;
    log_sink(LOG_REPAIR_STARTED, options->sink->sink.name,
             "the copy of %s was begun before and is completed first", amount_count(count, "table").text);
    if (!verify_repair_complete(&repair, verify, &verifying->arena, &is_done, err))
        return false;
    if (!is_done) {
        log_line(LOG_NO_ENGINE, "no engine runs here: its next start copies them; then run verify again");
        return true;
    }
    verify_release(verify);
    *verify = (struct verify){0};
    return verify_run(verify, line->config, options, &verifying->arena, err);
}

/* Rows of these keys lack changes, which is no fault of the copy. */
static void say_dead_letters(const struct verifying *verifying, const struct config_sink *sink) {
    struct sink_view view = {0};
    struct error ignored = {0};
    if (!sink_look(sink->ops, &sink->sink, verifying->line->stop, &view, &ignored))
        return;
    const uint64_t count = view.dead.failed + view.dead.waiting;
    if (count > 0)
        log_sink(LOG_DEAD_LETTERS_PRESENT, sink->sink.name,
                 "it has %s, so rows of their keys differ: `pgcdc dead list` shows them",
                 amount_count(count, "dead letter").text);
    if (view.dead.skipped > 0)
        log_sink(LOG_DEAD_LETTERS_PRESENT, sink->sink.name,
                 "%s left out with `pgcdc dead skip`, so rows of their keys may differ",
                 amount_count(view.dead.skipped, "dead letter").text);
}

static bool verify_sink(struct verifying *verifying, const struct config_sink *sink, struct error *err) {
    const struct command_line *line = verifying->line;
    struct verify verify AUTO(verify_release) = {0};
    arena_reset(&verifying->arena);
    const struct verify_options options = {.sink = sink,
                                           .keys_max = line->keys_max,
                                           .tables = line->tables,
                                           .table_count = line->table_count,
                                           .where_sql = line->where_sql,
                                           .rate_bytes = line->rate_bytes,
                                           .resumes = line->resumes,
                                           .stop = line->stop};
    if (!verify_run(&verify, line->config, &options, &verifying->arena, err) ||
        !complete_begun(verifying, &options, &verify, err))
        return error_wrap(err, "sink %s", sink->sink.name);
    if (verify.result == VERIFY_DIFFERENT)
        say_dead_letters(verifying, sink);
    bool is_repaired = false;
    const bool has_rows = sink_has_rows(sink->ops);
    if (verify.result == VERIFY_DIFFERENT && line->repair && has_rows &&
        !repair_sink(verifying, &options, &verify, &is_repaired, err))
        return error_wrap(err, "sink %s: repairing", sink->sink.name);
    if (verify.result == VERIFY_DIFFERENT && line->repair && !has_rows)
        say_unrepaired(sink);
    if (!is_repaired)
        take_result(verifying, &verify, sink);
    return true;
}

static bool is_wanted(const struct command_line *line, const struct config_sink *sink) {
    return line->sink == NULL || strcmp(line->sink, sink->sink.name) == 0;
}

static bool check_wanted(const struct command_line *line, struct error *err) {
    const struct config *config = line->config;
    for (size_t i = 0; i < config->sink_count; i++)
        if (is_wanted(line, &config->sinks[i]))
            return true;
    return error_set(err, ERROR_CONFIG, "%s: no sink has the name %s (--sink)", config->path, line->sink);
}

/* A condition in SQL chooses rows, and records are no rows of a database. */
static bool takes_where(const struct command_line *line, const struct config_sink *sink) {
    if (line->where_sql == NULL || sink_has_rows(sink->ops))
        return true;
    log_sink(LOG_SINK_NOT_COMPARED, sink->sink.name,
             "not compared, because --where cannot choose among its records");
    return false;
}

static bool verify_sinks(struct verifying *verifying, struct error *err) {
    const struct config *config = verifying->line->config;
    if (!check_wanted(verifying->line, err))
        return false;
    for (size_t i = 0; i < config->sink_count; i++) {
        if (!is_wanted(verifying->line, &config->sinks[i]) ||
            sink_admin(config->sinks[i].ops, compare) == NULL ||
            !takes_where(verifying->line, &config->sinks[i]))
            continue;
        verifying->count++;
        if (!verify_sink(verifying, &config->sinks[i], err))
            return false;
    }
    if (verifying->count > 0)
        return true;
    return error_set(err, ERROR_CONFIG, "%s: no sink of type postgres%s, so there is nothing to compare",
                     config->path, verifying->line->where_sql != NULL ? "" : " or kafka");
}

static bool verify_json(struct verifying *verifying, struct error *err) {
    struct json_writer *json = &verifying->json;
    if (!json_writer_init(json, err))
        return false;
    json_writer_begin(json);
    yajl_gen_map_open(json->generator);
    json_put_field(json, "pipeline", verifying->line->config->name);
    json_put_key(json, "sinks");
    yajl_gen_array_open(json->generator);
    if (!verify_sinks(verifying, err))
        return false;
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
    if (!json_writer_print(json, stdout, err))
        return false;
    return fflush(stdout) == 0 ? true : error_errno(err, "standard output");
}

static enum exit_code run(const struct command_line *line) {
    struct verifying verifying AUTO(verifying_release) = {.line = line};
    struct error err = {0};
    arena_init(&verifying.arena, BLOCK_BYTES, CATALOG_BYTES_MAX);
    if (line->json ? verify_json(&verifying, &err) : verify_sinks(&verifying, &err))
        return verifying.code;
    log_failure(&err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED
                                     : exit_code_of(&err); /* stopped before the comparison was complete */
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_KEYS,
     "print the keys of up to N different rows of each table, to standard output only; each such\n"
     "table is read once more. A row is named by its primary key, without one by the replica\n"
     "identity's columns, without that by all columns. Each value is cut after 1000 characters",
     false},
    {&OPTION_TABLE, "compare only this table; may be given more than once", false},
    {&OPTION_SINK, "compare only this sink", false},
    {&OPTION_WHERE, "compare only the rows of each side for which this is true", false},
    {&OPTION_RESUME,
     "go on from an interrupted verify of the same tables: ranges that were proven equal are not\n"
     "compared again",
     false},
    {&OPTION_REPAIR,
     "copy the ranges again in which rows differ, while changes are applied, and compare again.\n"
     "The whole range is copied, of a table without a usable key the whole table. Without a running\n"
     "engine its next start copies them",
     false},
    {&OPTION_DRY_RUN, "with --repair: only say how much would be copied", false},
    {&OPTION_MAX_ROWS, "with --repair: copy nothing when more rows than this differ", false},
    {&OPTION_RATE, "read no more than this of the source's tables, to spare both servers", false},
    {&OPTION_REVERSE, "compare the source with the target in the direction of the way back, after a cutover",
     false},
    {&OPTION_JSON_OUTPUT, "one object", false},
    {0},
};

const struct command command_verify = {
    .name = "verify",
    .uses = USES,
    .summary = "compare source and target, and name the LSN at which they are equal",
    .help = "Compares every published table with its counterpart in each postgres and kafka sink.\n"
            "In a postgres sink that is the number of rows, and a hash that does not depend on their\n"
            "order, computed inside the databases over the columns that both have. No rows leave either\n"
            "database. With a mapping, what the rules make of the source's rows is compared: rows whose\n"
            "values steps make are read, mapped, and laid into a temporary table of the target, whose role\n"
            "needs the right TEMPORARY. Keys are then printed as the target has them.\n"
            "\n"
            "It works while changes are replicated. If the engine runs on this machine and the source is\n"
            "no standby, the engine stops for some milliseconds where the target is exactly a snapshot\n"
            "of the source. Both are compared there, large tables in ranges of their keys, each in\n"
            "snapshots of a few seconds. So every difference is one, whatever the traffic.\n"
            "\n"
            "Otherwise it takes a snapshot of the source, waits until the target has passed it, and\n"
            "takes a snapshot of the target. Rows that differ may just have changed between the two\n"
            "snapshots; they are re-checked in further snapshots until they match, or stay unchanged\n"
            "and different, or a minute has passed. If no engine is running, it does not wait for the\n"
            "target.\n"
            "\n"
            "Interrupted while the engine runs, it keeps in the state directory (NAME.SINK.verify) which\n"
            "ranges of large tables are equal, and at which LSN. --resume goes on from there, unless the\n"
            "table's definition or --where has changed.\n"
            "\n"
            "missing: rows that only the source has; extra: only the target; different: both, with\n"
            "different values, in the columns that are named. Both servers read their tables once; the\n"
            "roles need SELECT on them.\n"
            "\n"
            "narrowed: a column's type on the target can change values; values are compared as that type\n"
            "reads them. The rows of the source that it changes are counted separately, by their text;\n"
            "missing, extra and different are further differences. Exit code 0 with the sink's option\n"
            "narrowing: allow, else 4.\n"
            "\n"
            "partial: a column is generated at the source, which does not send it, and plain at the\n"
            "target, so it was not compared; nothing else of the table differs. Exit code 4: equality is\n"
            "not proved.\n"
            "\n"
            "not compared: the target has not got all rows of the table yet. Exit code 4.\n"
            "\n"
            "In a kafka sink, it reads the rows of the source and all records of the table's topic, and\n"
            "compares the last record of each key with the row; without a key, it counts equal rows.\n"
            "duplicate: the same change was published twice. foreign: a record that is no message of the\n"
            "table. uncounted: a partition has more or fewer records than were published there, or others.\n"
            "partial: the first records are deleted, a large value that an update left unchanged is in no\n"
            "record, or the format leaves a column out. It needs the right to read the topics, and room\n"
            "for temporary files in TMPDIR. With --where such a sink is left out, --resume compares all\n"
            "of it again, and --repair changes no topic.\n"
            "\n"
            "Exit code 0: equal. 4: different. 1: undecided, because some rows changed in every round or\n"
            "a commit is not visible at the source yet, or the comparison failed.",
    .many = MANY_EACH,
    .run = run,
};
