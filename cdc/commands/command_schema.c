/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_schema.c - pgcdc schema apply and pgcdc schema compare.
 */
#include "cdc/base/amount.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/migrate/globals/globals.h"
#include "cdc/migrate/schema/schema.h"

static enum exit_code schema_failed(const struct error *err) {
    log_failure(err);
    return err->kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(err);
}

static bool refuse_schema_archive(const struct command_line *line, struct error *err) {
    if (line->config->source.archive == NULL)
        return true;
    error_set(err, ERROR_CONFIG, "the pipeline reads archive %s, which has no definitions of objects",
              line->config->source.archive);
    return error_remedy(err, "give this command a configuration whose source is the database");
}

/* ---- apply ---- */

static bool apply_schema_stage(const struct command_line *line, const struct config_sink *sink,
                               enum schema_stage stage, struct steps *steps, struct error *err) {
    const struct schema_task task = {line->config, sink, stage, steps, line->stop};
    struct schema_counts counts;
    if (!schema_apply(&task, NULL, &counts, err))
        return false;
    static const char *const NAMES[] = {[SCHEMA_BEFORE_COPY] = "before the copy",
                                        [SCHEMA_AFTER_COPY] = "after the copy",
                                        [SCHEMA_WHOLE] = "the schema"};
    printf("%s: %s made, %zu there already, %zu left out\n", NAMES[stage],
           amount_count(counts.made, "object").text, counts.present, counts.left_out);
    return fflush(stdout) == 0 ? true : error_errno(err, "standard output");
}

static bool apply_schema(const struct command_line *line, struct error *err) {
    const struct config_sink *sink = NULL;
    struct steps steps = {0};
    const enum schema_stage stage = line->before_copy == line->after_copy ? SCHEMA_WHOLE
                                    : line->before_copy                   ? SCHEMA_BEFORE_COPY
                                                                          : SCHEMA_AFTER_COPY;
    if (!refuse_schema_archive(line, err) || !schema_find_sink(line->config, line->sink, &sink, err))
        return false;
    const bool is_applied = globals_make(line->config, sink, line->stop, err) &&
                            steps_open(&steps, line->config, sink, line->stop, err) &&
                            steps_lock(&steps, "pgcdc schema apply", err) &&
                            apply_schema_stage(line, sink, stage, &steps, err);
    steps_close(&steps);
    return is_applied;
}

static enum exit_code run_apply(const struct command_line *line) {
    struct error err = {0};
    return apply_schema(line, &err) ? EXIT_DONE : schema_failed(&err);
}

static const struct command_use APPLY_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_BEFORE_COPY,
     "only what the rows need: schemas, extensions, types, functions, tables, sequences, views,\n"
     "primary keys, owners and rights; one transaction",
     false},
    {&OPTION_AFTER_COPY,
     "only the rest: indexes, unique and foreign keys, triggers, rules, policies, the rows of\n"
     "materialized views, statistics, event triggers; each object is one transaction",
     false},
    {&OPTION_SINK, "the sink whose database gets the schema; not needed if there is only one", false},
    {0},
};

const struct command command_schema_apply = {
    .name = "schema apply",
    .uses = APPLY_USES,
    .summary = "make the source's tables, indexes, functions and other objects at the target",
    .help =
        "Describes both databases with pg_dump and makes at the target what is missing there. Without\n"
        "one of the two options, both stages are done, which is right for a target without rows.\n"
        "\n"
        "Nothing that exists is replaced: an object with the same definition is left as it is, and one\n"
        "with another definition ends the command before anything is changed. Roles, the right to give\n"
        "objects to them, and extensions are checked first.\n"
        "\n"
        "It can be interrupted at any time and run again: it goes on with the objects that are missing.\n"
        "pgcdc.migration in the target has a row for each object that was made.\n"
        "\n"
        "Tables that source.tables leaves out stay behind, with what depends on them. The schema pgcdc,\n"
        "publications, subscriptions, tablespaces and security labels do not move.\n"
        "\n"
        "Exit code 0: all is there. 2: a role, an extension or pg_dump is missing, or an object differs.\n"
        "6: another process works on this pipeline's schema. 1: anything else; it can be run again.",
    .many = MANY_IN_ORDER,
    .run = run_apply,
};

/* ---- compare ---- */

static bool print_schema_json(const struct command_line *line, const struct config_sink *sink,
                              const struct schema_comparison *comparison, struct error *err) {
    struct json_writer json AUTO(json_writer_release) = {0};
    if (!json_writer_init(&json, err))
        return false;
    json_writer_begin(&json);
    yajl_gen_map_open(json.generator);
    json_put_field(&json, "pipeline", line->config->name);
    json_put_field(&json, "sink", sink->sink.name);
    schema_put(comparison, &json);
    yajl_gen_map_close(json.generator);
    return json_writer_print(&json, stdout, err);
}

static bool compare_schemas(const struct command_line *line, bool *ret_equal, struct error *err) {
    const struct config_sink *sink = NULL;
    struct schema_comparison comparison AUTO(schema_comparison_release) = {0};
    if (!refuse_schema_archive(line, err) || !schema_find_sink(line->config, line->sink, &sink, err) ||
        !schema_compare(line->config, sink, line->stop, &comparison, err))
        return false;
    *ret_equal = comparison.count == 0;
    if (line->json)
        return print_schema_json(line, sink, &comparison, err);
    schema_print(&comparison, stdout);
    return true;
}

static enum exit_code run_compare(const struct command_line *line) {
    struct error err = {0};
    bool is_equal = false;
    if (!compare_schemas(line, &is_equal, &err))
        return schema_failed(&err);
    return is_equal ? EXIT_DONE : EXIT_DIFFERENT;
}

static const struct command_use COMPARE_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "the sink whose database is compared; not needed if there is only one", false},
    {&OPTION_JSON_OUTPUT, "one object: pipeline, sink, objects, missing, different, extra, differences",
     false},
    {0},
};

const struct command command_schema_compare = {
    .name = "schema compare",
    .uses = COMPARE_USES,
    .summary = "whether the target has the source's objects, with the same definitions",
    .help =
        "Describes both databases with pg_dump, and prints each object that only the source has (missing),\n"
        "that only the target has (extra), or that is defined otherwise (different). Owners and rights\n"
        "count unless schema.owners and schema.grants are no.\n"
        "\n"
        "Servers of two versions write the same definition in different words. When something seems to\n"
        "differ, the source's objects are made, empty, in a database of their own at the target, which\n"
        "is described and removed: pgcdc_schema_NAME. The target's role needs CREATEDB for that.\n"
        "\n"
        "Exit code 0: equal. 4: not equal. 1 or 2: they could not be compared.",
    .many = MANY_EACH,
    .run = run_compare,
};
