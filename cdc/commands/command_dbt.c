/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_dbt.c - pgcdc dbt sources: the tables of a sink, declared for dbt.
 *
 * All texts are in double quotes, as in JSON, which YAML 1.2 contains.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/json_text.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/commands/one_sink.h"
#include "cdc/commands/published_tables.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/source.h"
#include "sinks/mapping/step.h"
#include "sinks/mapping/table_map.h"
#include "sinks/row_policy.h"

enum { BLOCK_BYTES = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define YAML_BYTES_MAX ((size_t) 512 << 20)

struct dbt_table {
    const struct table *source;
    struct table table; /* as the sink gets it */
    struct table_map map;
    const char *name; /* of the table that is read */
    bool is_repeated; /* several tables of the source fill it */
};

struct dbt_sources {
    const struct command_line *line;
    struct session source;
    struct arena arena;
    struct buffer yaml;
    struct dbt_table *tables;
    size_t count;
};

static void dbt_sources_release(struct dbt_sources *sources) {
    session_close(&sources->source);
    arena_release(&sources->arena);
    buffer_release(&sources->yaml);
}

/* ---- texts ---- */

/* dbt renders every text as a template, so an opening brace is written as one. */
static bool append_escaped(struct buffer *text, const char *name) {
    for (; *name != '\0'; name++)
        if (*name == '{')
            buffer_append_text(text, "{{ '{' }}");
        else
            buffer_append_u8(text, (uint8_t) *name);
    return buffer_ok(text);
}

static bool append_value(struct dbt_sources *sources, const char *before, const char *value,
                         struct error *err) {
    struct buffer escaped AUTO(buffer_release) = {.bytes_max = YAML_BYTES_MAX};
    buffer_append_text(&sources->yaml, before);
    if (!append_escaped(&escaped, value))
        return error_no_memory(err);
    if (!json_append_string(&sources->yaml, buffer_slice(&escaped)))
        return error_set(err, ERROR_CONFIG, "a name is not UTF-8, so dbt cannot read it");
    buffer_append_text(&sources->yaml, "\n");
    return buffer_ok(&sources->yaml) || error_no_memory(err);
}

/* ---- freshness ---- */

/* The column whose newest value says how fresh the table is, as SQL; NULL: the mode has none. */
static const char *loaded_at(const struct dbt_table *table, struct arena *arena) {
    for (uint32_t i = 0; i < table->map.column_count; i++) {
        const struct mapped_column *column = &table->map.columns[i];
        if (column->from != COLUMN_ADDED)
            continue;
        const bool is_of_mode = column->rule->source == COLUMN_OF_MODE;
        /* a copied row is older than is known */
        if (is_of_mode && column->rule->mode_column == MODE_VALID_FROM)
            return "nullif(_pgcdc_valid_from, '-infinity')";
        if (column->rule->source == COLUMN_COMMIT_TIME ||
            (is_of_mode && column->rule->mode_column == MODE_COMMIT_TIME)) {
            struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
            identifier_append(&sql, slice_of(table->table.columns[i].name));
            return arena_copy(arena, buffer_slice(&sql));
        }
    }
    return NULL;
}

static bool put_freshness(struct dbt_sources *sources, const struct dbt_table *table, struct error *err) {
    const char *column = loaded_at(table, &sources->arena);
    if (column == NULL)
        return true;
    if (!append_value(sources, "        loaded_at_field: ", column, err))
        return false;
    buffer_append_text(&sources->yaml, "        freshness:\n"
                                       "          warn_after: {count: 1, period: hour}\n"
                                       "          error_after: {count: 1, period: day}\n");
    return true;
}

/* ---- tables ---- */

static bool describe_column(struct dbt_sources *sources, const struct dbt_table *table, uint32_t i,
                            struct error *err) {
    const struct mapped_column *column = &table->map.columns[i];
    struct buffer text AUTO(buffer_release) = {.bytes_max = 65536};
    if (column->from == COLUMN_ADDED)
        return true;
    buffer_printf(&text, "%s of %s.%s", table->source->columns[column->from].name, table->source->schema,
                  table->source->name);
    for (size_t k = 0; column->rule != NULL && k < column->rule->step_count; k++)
        buffer_printf(&text, ", %s", step_name(column->rule->steps[k].kind));
    if (buffer_text(&text) == NULL)
        return error_no_memory(err);
    return append_value(sources, "            description: ", text.data, err);
}

/* A table without a rule has the source's columns, which need no list. */
static bool put_columns(struct dbt_sources *sources, const struct dbt_table *table, struct error *err) {
    if (table->map.rule == NULL)
        return true;
    buffer_append_text(&sources->yaml, "        columns:\n");
    for (uint32_t i = 0; i < table->map.column_count; i++)
        if (!append_value(sources, "          - name: ", table->table.columns[i].name, err) ||
            !describe_column(sources, table, i, err))
            return false;
    return true;
}

static bool put_table(struct dbt_sources *sources, const struct dbt_table *table, struct error *err) {
    struct buffer origin AUTO(buffer_release) = {.bytes_max = 65536};
    buffer_printf(&origin, "%s.%s%s, mode %s", table->source->schema, table->source->name,
                  table->is_repeated ? " and others" : "",
                  row_mode_word(table->map.rule != NULL ? table->map.rule->mode : ROWS_MERGED));
    if (buffer_text(&origin) == NULL)
        return error_no_memory(err);
    return append_value(sources, "      - name: ", table->name, err) &&
           append_value(sources, "        description: ", origin.data, err) &&
           put_freshness(sources, table, err) && put_columns(sources, table, err);
}

/* ---- schemas ---- */

static bool is_schema_new(const struct dbt_sources *sources, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(sources->tables[i].table.schema, sources->tables[index].table.schema) == 0)
            return false;
    return true;
}

/* dbt knows a table as source('SCHEMA', 'TABLE'). */
static bool put_schema(struct dbt_sources *sources, const char *schema, struct error *err) {
    buffer_append_text(&sources->yaml, "\n");
    if (!append_value(sources, "  - name: ", schema, err) ||
        !append_value(sources, "    schema: ", schema, err))
        return false;
    buffer_append_text(&sources->yaml, "    loader: pgcdc\n"
                                       "    quoting: {schema: true, identifier: true}\n"
                                       "    tables:\n");
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->tables[i].table.schema, schema) == 0 &&
            !put_table(sources, &sources->tables[i], err))
            return false;
    return true;
}

static bool put_sources(struct dbt_sources *sources, const struct config_sink *sink, struct error *err) {
    buffer_printf(&sources->yaml,
                  "# Written by `pgcdc dbt sources` for pipeline %s, sink %s.\n"
                  "version: 2\n\nsources:%s",
                  sources->line->config->name, sink->sink.name, sources->count == 0 ? " []\n" : "");
    for (size_t i = 0; i < sources->count; i++)
        if (is_schema_new(sources, i) && !put_schema(sources, sources->tables[i].table.schema, err))
            return false;
    return buffer_text(&sources->yaml) != NULL || error_no_memory(err);
}

/* ---- reading ---- */

/* Of candidates, the table that is settled from them is the one to read. */
static const char *read_name(const struct dbt_table *table) {
    const bool has_policy = table->map.rule != NULL && table->map.rule->policy != NULL;
    return table->table.name + (has_policy ? strlen(CANDIDATES_PREFIX) : 0);
}

static struct dbt_table *find_dbt_table(const struct dbt_sources *sources, const struct dbt_table *wanted) {
    for (size_t i = 0; i < sources->count; i++)
        if (strcmp(sources->tables[i].table.schema, wanted->table.schema) == 0 &&
            strcmp(sources->tables[i].name, wanted->name) == 0)
            return &sources->tables[i];
    return NULL;
}

static bool take_dbt_table(struct dbt_sources *sources, const struct config_sink *sink,
                           const struct table *table, struct error *err) {
    struct dbt_table taken = {.source = table, .table = *table};
    if (sink->sink.mapping != NULL && !table_map_table(sink->sink.mapping, sink->sink.name, table,
                                                       &sources->arena, &taken.map, &taken.table, err))
        return false;
    taken.name = read_name(&taken);
    struct dbt_table *same = find_dbt_table(sources, &taken);
    if (same != NULL)
        same->is_repeated = true;
    else
        sources->tables[sources->count++] = taken;
    return true;
}

static bool read_dbt_tables(struct dbt_sources *sources, const struct config_sink *sink, struct error *err) {
    struct table_list list;
    const struct command_line *line = sources->line;
    arena_init(&sources->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (!source_open(&sources->source, &line->config->source, line->stop, err) ||
        !published_tables_read(&sources->source, &line->config->source, &sources->arena, &list, err))
        return false;
    sources->tables = arena_alloc_zero(&sources->arena, (list.count + 1) * sizeof *sources->tables);
    if (sources->tables == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < list.count; i++)
        if (!take_dbt_table(sources, sink, &list.tables[i], err))
            return false;
    return true;
}

/* ---- the command ---- */

static bool find_database(const struct command_line *line, const struct config_sink **ret_sink,
                          struct error *err) {
    if (line->config->source.archive != NULL)
        return error_set(err, ERROR_CONFIG, "the pipeline reads archive %s, and there is no source to ask",
                         line->config->source.archive);
    if (!one_sink_find(line, ret_sink, err))
        return false;
    const struct sink_admin_ops *admin = (*ret_sink)->ops->admin;
    return (admin != NULL && admin->target != NULL) ||
           error_set(err, ERROR_CONFIG, "sink %s is not a database, and has no tables for dbt",
                     (*ret_sink)->sink.name);
}

static enum exit_code run_sources(const struct command_line *line) {
    struct dbt_sources sources AUTO(dbt_sources_release) = {.line = line,
                                                            .yaml = {.bytes_max = YAML_BYTES_MAX}};
    const struct config_sink *sink = NULL;
    struct error err = {0};
    if (find_database(line, &sink, &err) && read_dbt_tables(&sources, sink, &err) &&
        put_sources(&sources, sink, &err)) {
        fputs(sources.yaml.data, stdout);
        return EXIT_DONE;
    }
    log_command_failure("dbt sources", &err);
    return err.kind == ERROR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

static const struct command_use DBT_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "the sink whose tables are declared; needed if there are several", false},
    {0},
};

const struct command command_dbt_sources = {
    .name = "dbt sources",
    .uses = DBT_USES,
    .summary = "print the tables of a Postgres sink as sources for dbt",
    .help = "Prints a sources.yml: for each schema a source of its name, with the tables that the pipeline\n"
            "fills, the columns that a rule of the mapping makes, and from where each comes. A table that\n"
            "has the commit's time, by its mode or by a column with meta: commit_time, gets loaded_at_field\n"
            "and a freshness, which `dbt source freshness` checks: a warning after an hour, an error after\n"
            "a day. Change these in your project as you need them.\n"
            "\n"
            "It asks the source for the tables and changes nothing. The sink is not asked.\n",
    .many = MANY_EACH,
    .run = run_sources,
};
