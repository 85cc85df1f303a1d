/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_ddl.c - reads the list of what sinks do when tables of the source are altered.
 */
#include <string.h>

#include "cdc/config/config_read.h"
#include "sinks/ddl_policy.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/rule.h"

const struct option_spec DDL_OPTIONS[] = {
    {"match", true,
     "the tables, by their names at the source: " TABLE_PATTERN_HELP
     ", or `/a regular expression/` for all of schema.table",
     OPTION_TEXT, NULL},
    {"sinks", false, "a list of sinks of type postgres; the rule is not there for others", OPTION_LIST,
     "all"},
    {"add_column", false, "apply, ignore or stop, as the sink's option of this name", OPTION_TEXT,
     "the sink's"},
    {"drop_column", false, "keep, apply or stop", OPTION_TEXT, "the sink's"},
    {"rename_column", false, "apply or stop", OPTION_TEXT, "the sink's"},
    {"widen_type", false, "apply or stop", OPTION_TEXT, "the sink's"},
    {"truncate", false, "apply, ignore or stop", OPTION_TEXT, "the sink's"},
    {0},
};

static bool read_events(const struct section *section, struct ddl_rule *rule, struct error *err) {
    for (enum ddl_event event = 0; event < DDL_EVENTS; event++) {
        const char *key = ddl_event_key(event);
        size_t word = 0;
        rule->actions[event] = DDL_UNSAID;
        if (!section_has(section, key))
            continue;
        if (!section_word(section, key, ddl_event_words(event), &word, err))
            return false;
        rule->actions[event] = ddl_event_action(event, word);
    }
    return true;
}

/* A rule for a sink that alters nothing would say what does not happen. */
static bool check_followers(const struct section *section, const struct config *config,
                            const struct rule *tables, struct error *err) {
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct config_sink *sink = &config->sinks[i];
        if (tables->sink_count > 0 && rule_is_for(tables, sink->sink.name) && !sink->ops->follows_columns)
            return section_error(section, "sinks", NULL, err,
                                 "sink %s of type %s alters no tables: leave it out", sink->sink.name,
                                 sink->ops->type);
    }
    return true;
}

static bool read_ddl_rule(const struct section *section, const struct config *config, struct rule *tables,
                          struct ddl_rule *rule, struct error *err) {
    return section_check(section, DDL_OPTIONS, NULL, NULL, err) &&
           config_read_match(section, config, tables, err) && check_followers(section, config, tables, err) &&
           read_events(section, rule, err);
}

bool config_read_ddl(const struct section *root, struct config *config, struct error *err) {
    struct arena *arena = root->file->arena;
    const size_t count = section_count(root, "ddl");
    struct mapping *mapping = arena_alloc_zero(arena, sizeof *mapping);
    struct rule *tables = arena_alloc_zero(arena, (count + 1) * sizeof *tables);
    struct ddl_rule *rules = arena_alloc_zero(arena, (count + 1) * sizeof *rules);
    struct ddl_rules *ddl = arena_alloc_zero(arena, sizeof *ddl);
    if (mapping == NULL || tables == NULL || rules == NULL || ddl == NULL)
        return error_no_memory(err);
    *mapping = (struct mapping){.rules = tables, .count = count};
    *ddl = (struct ddl_rules){.tables = mapping, .rules = rules};
    for (size_t i = 0; i < count; i++) {
        struct section section;
        if (!section_open_item(root, "ddl", i, &section, err) ||
            !read_ddl_rule(&section, config, &tables[i], &rules[i], err))
            return false;
    }
    struct config_sink *sinks = (struct config_sink *) (uintptr_t) config->sinks;
    for (size_t i = 0; i < config->sink_count && count > 0; i++)
        sinks[i].sink.ddl = ddl;
    return true;
}
