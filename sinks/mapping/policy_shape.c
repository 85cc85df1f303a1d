/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_shape.c - a candidate's key is that of the table, and its source.
 */
#include "sinks/mapping/policy_shape.h"

#include <string.h>

enum { CANDIDATE_COLUMNS = 4 };

bool policy_shape_rule(struct rule *rule, struct arena *arena, struct error *err) {
    /* texts, so that rows can be sent in sets with values in binary */
    static const struct column_rule WRITTEN[] = {
        {.name = MODE_NAME_LSN, .as = MODE_NAME_LSN, .source = COLUMN_COMMIT_LSN},
        {.name = MODE_NAME_INDEX, .as = MODE_NAME_INDEX, .source = COLUMN_INDEX},
        {.name = MODE_NAME_COMMIT_TIME, .as = MODE_NAME_COMMIT_TIME, .source = COLUMN_COMMIT_TIME},
    };
    if (rule->policy == NULL)
        return true;
    struct column_rule *columns =
        arena_alloc_zero(arena, (rule->column_count + CANDIDATE_COLUMNS) * sizeof *columns);
    if (columns == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < rule->column_count; i++)
        columns[i] = rule->columns[i];
    const char *name = rule->policy->source;
    columns[rule->column_count++] = (struct column_rule){.name = MODE_NAME_SOURCE,
                                                         .as = MODE_NAME_SOURCE,
                                                         .source = name != NULL ? COLUMN_CONST : COLUMN_TABLE,
                                                         .text = name,
                                                         .tells_source = true};
    for (size_t i = 0; i < sizeof WRITTEN / sizeof *WRITTEN; i++)
        columns[rule->column_count++] = WRITTEN[i];
    rule->columns = columns;
    return true;
}

static bool refuse_policy(const struct table_map *map, const char *problem, const char *remedy,
                          struct error *err) {
    error_set(err, ERROR_CONFIG,
              "mapping: the rule for %s: table %s cannot be settled by on_clash or dedupe: %s",
              map->rule->match, map->source_name, problem);
    return error_remedy(err, "%s", remedy);
}

static bool is_named(const struct row_policy *policy, const char *source) {
    for (size_t i = 0; i < policy->source_count; i++)
        if (strcmp(policy->sources[i], source) == 0)
            return true;
    return policy->on_clash != CLASH_BY_SOURCE;
}

bool policy_shape_check(const struct table_map *map, const struct table *source, struct error *err) {
    const struct row_policy *policy = map->rule->policy;
    if (policy == NULL)
        return true;
    if (source->key_count == 0)
        return refuse_policy(map, "it has no primary key", "give it a primary key at the source", err);
    if (source->key_is_deferrable)
        return refuse_policy(map, "its primary key is deferrable, so two rows can have one key for a moment",
                             "make the key not deferrable at the source", err);
    return is_named(policy, policy->source != NULL ? policy->source : map->source_name) ||
           refuse_policy(map, "by_source does not name it",
                         "add its name to by_source: what the rule's key source says, or schema.table", err);
}
