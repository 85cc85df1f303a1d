/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_map.c - pgcdc map: what the rules of the mapping make of each published table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/json_writer.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/map_gaps.h"
#include "cdc/commands/map_sample.h"
#include "cdc/commands/one_sink.h"
#include "cdc/commands/published_tables.h"
#include "cdc/source/catalog.h"
#include "cdc/source/source.h"
#include "sinks/mapping/step.h"
#include "sinks/mapping/table_expressions.h"
#include "sinks/mapping/table_map.h"

enum { BLOCK_BYTES = 64 * 1024, STEPS_TEXT_MAX = 512 };

#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define RED "\033[31m"
#define PLAIN "\033[0m"

/* ---- words ---- */

static const char *source_word(enum column_source source) {
    static const char *const WORDS[] = {[COLUMN_VALUE] = "column",
                                        [COLUMN_CONST] = "const",
                                        [COLUMN_COMMIT_LSN] = "commit_lsn",
                                        [COLUMN_COMMIT_TIME] = "commit_time",
                                        [COLUMN_XID] = "xid",
                                        [COLUMN_INDEX] = "index",
                                        [COLUMN_OPERATION] = "operation",
                                        [COLUMN_TABLE] = "table",
                                        [COLUMN_SQL] = "sql",
                                        [COLUMN_OF_MODE] = "mode"};
    return WORDS[source];
}

static const char *uniqueness_word(enum uniqueness uniqueness) {
    static const char *const WORDS[] = {[UNIQUENESS_PRESERVED] = "preserved",
                                        [UNIQUENESS_LIKELY] = "not guaranteed",
                                        [UNIQUENESS_LOST] = "lost"};
    return WORDS[uniqueness];
}

static const char *severity_word(enum sink_severity severity) {
    static const char *const WORDS[] = {
        [SINK_PROBLEM] = "problem", [SINK_WARNING] = "warning", [SINK_NOTE] = "note"};
    return WORDS[severity];
}

/* "trim, lower, hash", or "" */
static void join_steps(const struct column_rule *rule, char text[STEPS_TEXT_MAX]) {
    struct buffer steps AUTO(buffer_release) = {.bytes_max = STEPS_TEXT_MAX - 1};
    for (size_t i = 0; rule != NULL && i < rule->step_count; i++)
        buffer_printf(&steps, "%s%s", i > 0 ? ", " : "", step_name(rule->steps[i].kind));
    snprintf(text, STEPS_TEXT_MAX, "%.*s", (int) steps.size, steps.size > 0 ? steps.data : "");
}

/* ---- one table ---- */

struct mapped_pair {
    const struct table *source;
    struct table table; /* as the sink gets it */
    struct table_map map;
    const struct map_gaps *gaps; /* of the sink */
};

static const struct map_gap *gap_of(const struct mapped_pair *pair, const char *column) {
    return map_gaps_find(pair->gaps, pair->source->oid, column);
}

/* What stops the pipeline, or changes values; a note does neither. */
static bool is_red(const struct map_gap *gap) {
    return gap != NULL && gap->severity != SINK_NOTE && isatty(STDOUT_FILENO) == 1 &&
           getenv("NO_COLOR") == NULL;
}

/* The column of the source, or what is there instead. */
static const char *from_text(const struct mapped_pair *pair, const struct mapped_column *column) {
    return column->from == COLUMN_ADDED ? source_word(column->rule->source)
                                        : pair->source->columns[column->from].name;
}

static bool is_dropped(const struct mapped_pair *pair, uint32_t column) {
    bool is_taken = false;
    for (uint32_t i = 0; i < pair->map.column_count; i++)
        is_taken = is_taken || pair->map.columns[i].from == (int32_t) column;
    return !is_taken;
}

static void print_column(const struct mapped_pair *pair, uint32_t i) {
    char steps[STEPS_TEXT_MAX];
    const struct mapped_column *column = &pair->map.columns[i];
    const struct table_column *made = &pair->table.columns[i];
    const struct map_gap *gap = gap_of(pair, made->name);
    join_steps(column->rule, steps);
    printf("%s  %-24s -> %-24s %-20s%s%s", is_red(gap) ? RED : "", from_text(pair, column), made->name,
           made->type_sql, made->key_index > 0 ? " key" : "",
           made->not_null && made->key_index == 0 ? " not null" : "");
    if (column->expression != 0)
        printf("  sql: %s", column->rule->sql);
    if (steps[0] != '\0')
        printf("  %s (uniqueness: %s)", steps, uniqueness_word(steps_uniqueness(column->rule)));
    if (column->from == COLUMN_ADDED && column->rule->source == COLUMN_CONST)
        printf("  '%s'", column->rule->text);
    printf("%s\n", is_red(gap) ? PLAIN : "");
}

static void print_gaps(const struct mapped_pair *pair) {
    for (const struct map_gap *gap = pair->gaps->first; gap != NULL; gap = gap->next)
        if (gap->table == pair->source->oid)
            printf("%s  %s: %s%s\n", is_red(gap) ? RED : "", severity_word(gap->severity), gap->text,
                   is_red(gap) ? PLAIN : "");
}

/* The name without the prefix is that of the table which is settled. */
static void print_policy(const struct mapped_pair *pair) {
    const struct row_policy *policy = pair->map.rule->policy;
    if (policy == NULL)
        return;
    printf("  candidates for %s.%s  on_clash: %s", pair->table.schema,
           pair->table.name + strlen(CANDIDATES_PREFIX), clash_order_word(policy->on_clash));
    for (size_t i = 0; i < policy->source_count; i++)
        printf("%s%s", i == 0 ? " " : ", ", policy->sources[i]);
    for (size_t i = 0; i < policy->by_count; i++)
        printf("%s%s", i == 0 ? "  dedupe by " : ", ", policy->by[i]);
    if (policy->by_count > 0)
        printf("  keep: %s", policy->keeps_last ? "last_commit" : "first");
    printf("\n");
}

/* A condition that is in the publication, too: the other rows never leave the source. */
static void print_row_filter(const struct mapped_pair *pair) {
    if (pair->source->row_filter_sql != NULL)
        printf("  the publication sends only rows where %s\n", pair->source->row_filter_sql);
}

static void print_pair(const struct mapped_pair *pair) {
    printf("%s.%s -> %s.%s", pair->source->schema, pair->source->name, pair->table.schema, pair->table.name);
    if (pair->map.rule == NULL) {
        printf("  as it is\n");
        print_row_filter(pair);
        print_gaps(pair);
        return;
    }
    printf("  by the rule for %s", pair->map.rule->match);
    if (pair->map.rule->mode != ROWS_MERGED)
        printf(", mode %s", row_mode_word(pair->map.rule->mode));
    printf("\n");
    print_policy(pair);
    if (pair->map.rule->where != NULL)
        printf("  where %s\n", pair->map.rule->where);
    print_row_filter(pair);
    for (uint32_t i = 0; i < pair->map.column_count; i++)
        print_column(pair, i);
    for (uint32_t i = 0; i < pair->source->column_count; i++)
        if (is_dropped(pair, i))
            printf("  %-24s -> dropped\n", pair->source->columns[i].name);
    print_gaps(pair);
}

/* ---- --json ---- */

static void put_known(struct json_writer *json, const char *key, const char *text) {
    json_put_key(json, key);
    if (text != NULL)
        json_put_text(json, slice_of(text));
    else
        yajl_gen_null(json->generator);
}

static void put_flag(struct json_writer *json, const char *key, bool flag) {
    json_put_key(json, key);
    yajl_gen_bool(json->generator, flag);
}

static void put_column(struct json_writer *json, const struct mapped_pair *pair, uint32_t i) {
    const struct mapped_column *column = &pair->map.columns[i];
    yajl_gen_map_open(json->generator);
    put_known(json, "from", column->from == COLUMN_ADDED ? NULL : from_text(pair, column));
    json_put_field(json, "source", source_word(column->rule != NULL ? column->rule->source : COLUMN_VALUE));
    json_put_field(json, "to", pair->table.columns[i].name);
    json_put_field(json, "type", pair->table.columns[i].type_sql);
    put_flag(json, "key", pair->table.columns[i].key_index > 0);
    put_known(json, "sql", column->expression != 0 ? column->rule->sql : NULL);
    json_put_key(json, "steps");
    yajl_gen_array_open(json->generator);
    for (size_t k = 0; column->rule != NULL && k < column->rule->step_count; k++)
        json_put_text(json, slice_of(step_name(column->rule->steps[k].kind)));
    yajl_gen_array_close(json->generator);
    json_put_field(
        json, "uniqueness",
        uniqueness_word(column->rule != NULL ? steps_uniqueness(column->rule) : UNIQUENESS_PRESERVED));
    yajl_gen_map_close(json->generator);
}

static void put_gaps(struct json_writer *json, const struct mapped_pair *pair) {
    json_put_key(json, "gaps");
    if (!pair->gaps->is_known) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_array_open(json->generator);
    for (const struct map_gap *gap = pair->gaps->first; gap != NULL; gap = gap->next) {
        if (gap->table != pair->source->oid)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "column", gap->column);
        json_put_field(json, "code", gap->code);
        json_put_field(json, "severity", severity_word(gap->severity));
        json_put_field(json, "what", gap->text);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
}

static void put_texts(struct json_writer *json, const char *key, const char *const *texts, size_t count) {
    json_put_key(json, key);
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < count; i++)
        json_put_text(json, slice_of(texts[i]));
    yajl_gen_array_close(json->generator);
}

static void put_policy(struct json_writer *json, const struct row_policy *policy) {
    put_known(json, "on_clash", policy != NULL ? clash_order_word(policy->on_clash) : NULL);
    put_texts(json, "by_source", policy != NULL ? policy->sources : NULL,
              policy != NULL ? policy->source_count : 0);
    put_texts(json, "dedupe_by", policy != NULL ? policy->by : NULL, policy != NULL ? policy->by_count : 0);
    const bool dedupes = policy != NULL && policy->by_count > 0;
    put_known(json, "keep", !dedupes ? NULL : policy->keeps_last ? "last_commit" : "first");
}

static void put_pair(struct json_writer *json, const struct mapped_pair *pair) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "schema", pair->source->schema);
    json_put_field(json, "table", pair->source->name);
    json_put_field(json, "to_schema", pair->table.schema);
    json_put_field(json, "to_table", pair->table.name);
    put_known(json, "rule", pair->map.rule != NULL ? pair->map.rule->match : NULL);
    put_known(json, "where", pair->map.rule != NULL ? pair->map.rule->where : NULL);
    put_known(json, "row_filter", pair->source->row_filter_sql);
    json_put_field(json, "mode", row_mode_word(pair->map.rule != NULL ? pair->map.rule->mode : ROWS_MERGED));
    put_policy(json, pair->map.rule != NULL ? pair->map.rule->policy : NULL);
    json_put_key(json, "columns");
    yajl_gen_array_open(json->generator);
    for (uint32_t i = 0; pair->map.rule != NULL && i < pair->map.column_count; i++)
        put_column(json, pair, i);
    yajl_gen_array_close(json->generator);
    json_put_key(json, "dropped");
    yajl_gen_array_open(json->generator);
    for (uint32_t i = 0; pair->map.rule != NULL && i < pair->source->column_count; i++)
        if (is_dropped(pair, i))
            json_put_text(json, slice_of(pair->source->columns[i].name));
    yajl_gen_array_close(json->generator);
    put_gaps(json, pair);
    yajl_gen_map_close(json->generator);
}

/* ---- all tables ---- */

struct mapper {
    const struct command_line *line;
    struct session source;
    struct evaluator evaluator; /* of the sink that is printed: it knows the types of expressions */
    struct arena arena;
    struct json_writer json;
    struct map_gaps gaps; /* of that sink */
};

static void mapper_release(struct mapper *mapper) {
    session_close(&mapper->source);
    evaluator_close(&mapper->evaluator);
    arena_release(&mapper->arena);
    json_writer_release(&mapper->json);
}

static bool prove_pair(struct mapper *mapper, const struct config_sink *sink, const struct table *table,
                       struct mapped_pair *pair, struct error *err) {
    return table_map_table(sink->sink.mapping, sink->sink.name, table, &mapper->arena, &pair->map,
                           &pair->table, err) &&
           table_expressions_of_table(&mapper->evaluator, table, &pair->map, &pair->table, err);
}

static bool take_table(struct mapper *mapper, const struct config_sink *sink, const struct table *table,
                       struct error *err) {
    struct mapped_pair pair = {.source = table, .table = *table, .gaps = &mapper->gaps};
    if (sink->sink.mapping != NULL && !prove_pair(mapper, sink, table, &pair, err))
        return false;
    if (mapper->line->json)
        put_pair(&mapper->json, &pair);
    else
        print_pair(&pair);
    return true;
}

/* --dry-run: rows instead of the map. */
static bool sample_table(struct mapper *mapper, const struct sink_config *sink, const struct table *table,
                         struct error *err) {
    struct table_map map;
    struct table mapped;
    return table_map_table(sink->mapping, sink->name, table, &mapper->arena, &map, &mapped, err) &&
           (map.rule == NULL || map_sample_print(&mapper->source, table, sink, mapper->line->stop, err));
}

static bool sample_tables(struct mapper *mapper, const struct table_list *list, struct error *err) {
    const struct config_sink *sink = NULL;
    if (!one_sink_find(mapper->line, &sink, err))
        return false;
    for (size_t i = 0; sink->sink.mapping != NULL && i < list->count; i++)
        if (!sample_table(mapper, &sink->sink, &list->tables[i], err))
            return false;
    return true;
}

/* A map can be read without its sink. */
static bool read_gaps(struct mapper *mapper, const struct config_sink *sink, const struct table_list *list,
                      struct error *err) {
    const char *reason = NULL;
    if (!map_gaps_read(sink, &mapper->source, list->tables, list->count, mapper->line->stop, &mapper->arena,
                       &mapper->gaps, &reason, err))
        return false;
    if (reason != NULL)
        log_command(LOG_GAPS_UNKNOWN, "map", "sink %s: its tables cannot be read, so gaps are not known: %s",
                    sink->sink.name, reason);
    return true;
}

static bool take_sink(struct mapper *mapper, const struct config_sink *sink, const struct table_list *list,
                      struct error *err) {
    struct json_writer *json = &mapper->json;
    evaluator_close(&mapper->evaluator);
    evaluator_init(&mapper->evaluator, &sink->sink, mapper->line->stop);
    if (!read_gaps(mapper, sink, list, err))
        return false;
    if (!mapper->line->json)
        printf("sink %s:\n", sink->sink.name);
    if (mapper->line->json) {
        yajl_gen_map_open(json->generator);
        json_put_field(json, "sink", sink->sink.name);
        json_put_key(json, "tables");
        yajl_gen_array_open(json->generator);
    }
    for (size_t i = 0; i < list->count; i++)
        if (!take_table(mapper, sink, &list->tables[i], err))
            return false;
    if (mapper->line->json) {
        yajl_gen_array_close(json->generator);
        yajl_gen_map_close(json->generator);
    }
    return true;
}

static bool take_sinks(struct mapper *mapper, const struct table_list *list, struct error *err) {
    const struct config *config = mapper->line->config;
    struct json_writer *json = &mapper->json;
    if (mapper->line->json) {
        json_writer_begin(json);
        yajl_gen_map_open(json->generator);
        json_put_field(json, "pipeline", config->name);
        json_put_key(json, "sinks");
        yajl_gen_array_open(json->generator);
    }
    for (size_t i = 0; i < config->sink_count; i++)
        if (!take_sink(mapper, &config->sinks[i], list, err))
            return false;
    if (!mapper->line->json)
        return true;
    yajl_gen_array_close(json->generator);
    yajl_gen_map_close(json->generator);
    return json_writer_print(json, stdout, err);
}

static bool map_all(struct mapper *mapper, struct error *err) {
    struct table_list list;
    arena_init(&mapper->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    return json_writer_init(&mapper->json, err) &&
           source_open(&mapper->source, &mapper->line->config->source, mapper->line->stop, err) &&
           published_tables_read(&mapper->source, &mapper->line->config->source, &mapper->arena, &list,
                                 err) &&
           (mapper->line->dry_run ? sample_tables(mapper, &list, err) : take_sinks(mapper, &list, err));
}

static enum exit_code run_map(const struct command_line *line) {
    struct mapper mapper AUTO(mapper_release) = {.line = line};
    struct error err = {0};
    if (line->config->source.archive != NULL) {
        log_command(LOG_USAGE, "map", "the pipeline reads archive %s, and there is no source to ask",
                    line->config->source.archive);
        return EXIT_USAGE;
    }
    if (line->sink != NULL && !line->dry_run) {
        log_command(LOG_USAGE, "map", "--sink needs --dry-run");
        return EXIT_USAGE;
    }
    if (map_all(&mapper, &err))
        return EXIT_DONE;
    log_command_failure("map", &err);
    return err.kind == ERROR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

static const struct command_use USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_JSON_OUTPUT,
     "one object: pipeline, sinks (sink, tables: schema, table, to_schema, to_table, rule, where, "
     "row_filter, mode, "
     "columns, dropped, gaps)",
     false},
    {&OPTION_DRY_RUN, "some rows of each mapped table instead, as lines of JSON, as the sink would get them",
     false},
    {&OPTION_SINK, "with --dry-run: the sink whose rules are used; needed if there are several", false},
    {0},
};

const struct command command_map = {
    .name = "map",
    .uses = USES,
    .summary = "print what the mapping makes of each table and column; changes nothing",
    .help = "For each sink and each published table: its name in the sink, each column of the sink with the\n"
            "column of the source or the value that it gets, its type in a table that the sink creates, and\n"
            "its steps. uniqueness says whether values that differ at the source can be equal in the sink.\n"
            "A column that the sink's table lacks, one that gets no value, and one whose type does not hold\n"
            "all values of the source are printed after the table, and in red on a terminal. `pgcdc check`\n"
            "has them with their remedies.\n"
            "\n"
            "With --dry-run it reads up to five rows of each table that has a rule, and prints them mapped.\n"
            "It does not ask the sink.\n"
            "\n"
            "Exit code 2 if a rule does not fit a table: a column that does not exist, a name twice, a step\n"
            "that can make two keys equal.\n",
    .run = run_map,
};
