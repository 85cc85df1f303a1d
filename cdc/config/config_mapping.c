/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_mapping.c - reads the list of rules, and puts a mapping before the sinks.
 */
#include <string.h>

#include "cdc/config/column_read.h"
#include "cdc/config/config_policy.h"
#include "cdc/config/config_read.h"
#include "cdc/pq/session.h"
#include "sinks/left_out.h"
#include "sinks/mapping/mapped_sink.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/mode_shape.h"

const struct option_spec MAPPING_OPTIONS[] = {
    {"match", true,
     "the tables of the rule: " TABLE_PATTERN_HELP ", or `/a regular expression/` for all of schema.table",
     OPTION_TEXT, NULL},
    {"to", false, "their name in the sink: schema.table, where `$1` is the first group of the expression",
     OPTION_TEXT, "the same name"},
    {"where", false,
     "an expression of SQL over the table's columns: rows for which it is not true are left out", OPTION_TEXT,
     "all rows"},
    {"sinks", false, "a list of sinks; the rule is not there for others", OPTION_LIST, "all"},
    {"key", false,
     "a list of the key's columns in the sink: those of the source's key, and `const` and `meta: table` "
     "columns "
     "that tell the sources of one table apart",
     OPTION_LIST, "the source's key, and each `const`"},
    {"mode", false,
     "how rows are kept, in sinks of type postgres: merge, as the source has them; append, a row for each "
     "change; soft_delete, deleted rows are marked; history, a row for each version of a row",
     OPTION_TEXT, "merge"},
    {"on_clash", false,
     "in sinks of type postgres: which row stays, where several sources have one with the same key: `error`, "
     "`first_wins`, `last_commit_wins`, or `by_source` with a list of sources; the others are in "
     "`pgcdc.rejected`",
     OPTION_ANY, "error"},
    {"source", false, "the name of the rule's table for `on_clash` and in `_pgcdc_source`", OPTION_TEXT,
     "schema.table"},
    {"dedupe", false,
     "likewise for rows that are equal by a list of expressions, `by`: `keep` says which one stays, `first` "
     "or "
     "`last_commit`",
     OPTION_ANY, "rows are not compared"},
    {"columns", false,
     "what becomes of columns, by their names at the source: `drop`, a list of steps, or `as`, `type`, "
     "`steps`, `mask`, `sql`, `const`, `meta`; the others stay as they are",
     OPTION_ANY, "none"},
    {0},
};

static bool is_sink(const struct config *config, const char *name) {
    bool is_one = false;
    for (size_t i = 0; i < config->sink_count; i++)
        is_one = is_one || strcmp(config->sinks[i].sink.name, name) == 0;
    return is_one;
}

static bool read_sinks(const struct section *section, const struct config *config, struct rule *rule,
                       struct error *err) {
    if (!section_list(section, "sinks", &rule->sinks, &rule->sink_count, err))
        return false;
    for (size_t i = 0; i < rule->sink_count; i++)
        if (!is_sink(config, rule->sinks[i]))
            return section_error(section, "sinks", NULL, err, "entry %zu is not the name of a sink", i + 1);
    return true;
}

bool config_read_match(const struct section *section, const struct config *config, struct rule *rule,
                       struct error *err) {
    if (!section_text(section, "match", &rule->match, err))
        return false;
    if (!rule_pattern_compile(rule->match, section->file->arena, &rule->pattern, err))
        return section_place(section, "match", err);
    return read_sinks(section, config, rule, err);
}

static bool read_key(const struct section *section, struct rule *rule, struct error *err) {
    return !section_has(section, "key") || section_list(section, "key", &rule->key, &rule->key_count, err);
}

static bool read_columns(const struct section *section, struct rule *rule, struct error *err) {
    struct section columns;
    return !section_has(section, "columns") ||
           (section_open(section, "columns", &columns, err) && column_read_all(&columns, rule, err));
}

static bool check_where(const struct section *section, const struct rule *rule, struct error *err) {
    return rule->where == NULL || rule->where[strspn(rule->where, " \t\r\n")] != '\0' ||
           section_error(section, "where", NULL, err, "the expression is empty");
}

static bool read_row_mode(const struct section *section, struct rule *rule, struct error *err) {
    static const enum row_mode MODES[] = {ROWS_MERGED, ROWS_APPENDED, ROWS_SOFT_DELETE, ROWS_HISTORY};
    const char *const words[] = {row_mode_word(MODES[0]), row_mode_word(MODES[1]), row_mode_word(MODES[2]),
                                 row_mode_word(MODES[3]), NULL};
    size_t word = 0;
    if (!section_word(section, "mode", words, &word, err))
        return false;
    rule->mode = MODES[word];
    return mode_shape_rule(rule, section->file->arena, err);
}

/* A change that finds no row, or one too many, would be settled against what the mode says. */
static bool check_mode_options(const struct section *section, const struct rule *rule,
                               const struct sink_config *sink, struct error *err) {
    static const char *const KEYS[] = {"on_missing", "on_exists", "detect_origin"};
    static const char *const OFF[] = {"stop", "stop", "off"};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const char *value = sink_config_find(sink, KEYS[i]);
        if (value != NULL && strcmp(value, OFF[i]) != 0)
            return section_error(section, "mode", NULL, err, "%s is not possible with %s: %s of sink %s",
                                 row_mode_word(rule->mode), KEYS[i], value, sink->name);
    }
    return true;
}

static bool check_mode(const struct section *section, const struct config *config, const struct rule *rule,
                       struct error *err) {
    for (size_t i = 0; i < config->sink_count && rule->mode != ROWS_MERGED; i++) {
        const struct config_sink *sink = &config->sinks[i];
        if (!rule_is_for(rule, sink->sink.name))
            continue;
        if (!sink->ops->keeps_modes)
            return section_error(
                section, "mode", NULL, err,
                "%s is not possible for sink %s of type %s: name the other sinks in the rule's "
                "key sinks, or leave the mode out",
                row_mode_word(rule->mode), sink->sink.name, sink->ops->type);
        if (!check_mode_options(section, rule, &sink->sink, err))
            return false;
    }
    return true;
}

static bool check_policy(const struct section *section, const struct config *config, const struct rule *rule,
                         struct error *err) {
    for (size_t i = 0; i < config->sink_count && rule->policy != NULL; i++) {
        const struct config_sink *sink = &config->sinks[i];
        if (rule_is_for(rule, sink->sink.name) && !sink->ops->keeps_modes)
            return section_error(section, config_policy_key(rule), NULL, err,
                                 "is not possible for sink %s of type %s: name the other sinks in the rule's "
                                 "key sinks",
                                 sink->sink.name, sink->ops->type);
    }
    return true;
}

static bool read_rule(const struct section *section, const struct config *config, struct rule *rule,
                      struct error *err) {
    struct arena *arena = section->file->arena;
    if (!section_check(section, MAPPING_OPTIONS, NULL, NULL, err) ||
        !section_text(section, "to", &rule->to, err) || !section_text(section, "where", &rule->where, err) ||
        !check_where(section, rule, err) || !config_read_match(section, config, rule, err) ||
        !read_key(section, rule, err) || !read_columns(section, rule, err))
        return false;
    if (!read_row_mode(section, rule, err) || !config_read_policy(section, rule, err))
        return false;
    if (rule->to != NULL && !rule_check_to(rule, arena, err))
        return section_place(section, "to", err);
    return check_mode(section, config, rule, err) && check_policy(section, config, rule, err);
}

/* Does the mapping do anything for the sink? */
static bool concerns(const struct mapping *mapping, const char *sink) {
    bool is_concerned = false;
    for (size_t i = 0; i < mapping->count; i++)
        is_concerned = is_concerned || rule_is_for(&mapping->rules[i], sink);
    return is_concerned;
}

static bool put_before(struct config_sink *sink, const struct mapping *mapping, struct arena *arena,
                       struct error *err) {
    if (!concerns(mapping, sink->sink.name))
        return true;
    sink->sink.mapping = mapping;
    sink->sink.left_out = left_out_new();
    sink->sink.mapped = sink->ops;
    sink->ops = mapped_sink_ops(sink->ops, arena);
    return (sink->ops != NULL && sink->sink.left_out != NULL) || error_no_memory(err);
}

bool config_name_source(struct config *config, struct error *err) {
    struct session_options *options = NULL;
    if (config->source.dsn != NULL) {
        options = arena_alloc_zero(config_arena(config), sizeof *options);
        if (options == NULL)
            return error_no_memory(err);
        *options = (struct session_options){.dsn = config->source.dsn,
                                            .password_file = config->source.password_file,
                                            .peer = "source",
                                            .application = config->source.application};
    }
    struct config_sink *sinks = (struct config_sink *) (uintptr_t) config->sinks;
    for (size_t i = 0; i < config->sink_count; i++)
        sinks[i].sink.source = options;
    return true;
}

bool config_read_mapping(const struct section *root, struct config *config, struct error *err) {
    struct arena *arena = root->file->arena;
    const size_t count = section_count(root, "mapping");
    struct mapping *mapping = arena_alloc_zero(arena, sizeof *mapping);
    struct rule *rules = arena_alloc_zero(arena, (count + 1) * sizeof *rules);
    if (mapping == NULL || rules == NULL)
        return error_no_memory(err);
    *mapping = (struct mapping){.rules = rules, .count = count};
    config->mapping = mapping;
    for (size_t i = 0; i < count; i++) {
        struct section section;
        if (!section_open_item(root, "mapping", i, &section, err) ||
            !read_rule(&section, config, &rules[i], err))
            return false;
    }
    struct config_sink *sinks = (struct config_sink *) (uintptr_t) config->sinks;
    for (size_t i = 0; i < config->sink_count; i++)
        if (!put_before(&sinks[i], mapping, arena, err))
            return false;
    return config_name_source(config, err);
}
