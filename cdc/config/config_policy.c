/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_policy.c - the keys on_clash, source and dedupe of a rule.
 *
 *     on_clash: error | first_wins | last_commit_wins | {by_source: [NAME, ...]}
 *     dedupe:   {by: [EXPRESSION, ...], keep: first | last_commit}
 */
#include "cdc/config/config_policy.h"

#include <string.h>

#include "sinks/mapping/policy_shape.h"

static const struct option_spec CLASH_KEYS[] = {
    {"by_source", true, "", OPTION_LIST, NULL},
    {0},
};

static const struct option_spec DEDUPE_KEYS[] = {
    {"by", true, "", OPTION_LIST, NULL},
    {"keep", true, "", OPTION_TEXT, NULL},
    {0},
};

static bool read_order(const struct section *section, struct row_policy *policy, struct error *err) {
    const char *const words[] = {clash_order_word(CLASH_STOPS), clash_order_word(CLASH_FIRST),
                                 clash_order_word(CLASH_LAST_COMMIT), NULL};
    struct section keys;
    size_t word = 0;
    const yaml_node_t *node = config_document_get(&section->file->document, section->node, "on_clash");
    if (node == NULL)
        return true;
    if (config_document_text(node) != NULL) {
        if (!section_word(section, "on_clash", words, &word, err))
            return false;
        policy->on_clash = (enum clash_order) word;
        return true;
    }
    policy->on_clash = CLASH_BY_SOURCE;
    return section_open(section, "on_clash", &keys, err) &&
           section_check(&keys, CLASH_KEYS, NULL, NULL, err) &&
           section_list(&keys, "by_source", &policy->sources, &policy->source_count, err) &&
           (policy->source_count > 0 || section_error(&keys, "by_source", NULL, err, "the list is empty"));
}

static bool read_dedupe(const struct section *section, struct row_policy *policy, struct error *err) {
    static const char *const WORDS[] = {"first", "last_commit", NULL};
    struct section keys;
    size_t word = 0;
    if (!section_has(section, "dedupe"))
        return true;
    if (!section_open(section, "dedupe", &keys, err) || !section_check(&keys, DEDUPE_KEYS, NULL, NULL, err) ||
        !section_list(&keys, "by", &policy->by, &policy->by_count, err) ||
        !section_word(&keys, "keep", WORDS, &word, err))
        return false;
    policy->keeps_last = word == 1;
    if (policy->by_count == 0)
        return section_error(&keys, "by", NULL, err, "the list is empty");
    for (size_t i = 0; i < policy->by_count; i++)
        if (policy->by[i][strspn(policy->by[i], " \t\r\n")] == '\0')
            return section_error(&keys, "by", NULL, err, "expression %zu is empty", i + 1);
    return true;
}

bool config_read_policy(const struct section *section, struct rule *rule, struct error *err) {
    struct row_policy *policy = arena_alloc_zero(section->file->arena, sizeof *policy);
    if (policy == NULL)
        return error_no_memory(err);
    if (!section_text(section, "source", &policy->source, err) || !read_order(section, policy, err) ||
        !read_dedupe(section, policy, err))
        return false;
    if (policy->on_clash == CLASH_STOPS && policy->by_count == 0)
        return policy->source == NULL ||
               section_error(section, "source", NULL, err, "has no use without on_clash or dedupe");
    if (rule->mode != ROWS_MERGED)
        return section_error(section, "mode", NULL, err, "%s is not possible with on_clash or dedupe",
                             row_mode_word(rule->mode));
    rule->policy = policy;
    return policy_shape_rule(rule, section->file->arena, err);
}

const char *config_policy_key(const struct rule *rule) {
    return rule->policy->on_clash != CLASH_STOPS ? "on_clash" : "dedupe";
}
