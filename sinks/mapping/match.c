/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.c - regular expressions are PCRE2's, without its compiler to machine code: a table is matched once.
 */
#include "sinks/mapping/match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/table_pattern.h"
#include "sinks/mapping/owned.h"

enum { NAME_BYTES_MAX = 4096, STEPS_MAX = 1000000, REASON_MAX = 128 };

struct rule_pattern {
    pcre2_code *code; /* NULL: plain */
    uint32_t group_count;
    struct table_pattern plain;
};

/* ---- patterns ---- */

static void *pattern_alloc(size_t size, void *arena) {
    return arena_alloc(arena, size);
}

/* The arena releases it. */
static void pattern_free(void *memory, void *arena) {
    (void) memory, (void) arena;
}

static bool refuse_expression(int code, size_t offset, struct error *err) {
    char reason[REASON_MAX] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *) reason, sizeof reason);
    return error_set(err, ERROR_CONFIG, "the regular expression is wrong at character %zu: %s", offset + 1,
                     reason);
}

static bool compile_expression(const char *text, size_t size, struct arena *arena,
                               struct rule_pattern *pattern, struct error *err) {
    int code = 0;
    size_t offset = 0;
    pcre2_general_context *memory = pcre2_general_context_create(pattern_alloc, pattern_free, arena);
    pcre2_compile_context *context = memory != NULL ? pcre2_compile_context_create(memory) : NULL;
    if (context == NULL)
        return error_no_memory(err);
    pattern->code = pcre2_compile((PCRE2_SPTR) text, size, PCRE2_UTF, &code, &offset, context);
    if (pattern->code == NULL)
        return refuse_expression(code, offset, err);
    pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &pattern->group_count);
    return true;
}

bool rule_pattern_compile(const char *text, struct arena *arena, const struct rule_pattern **ret_pattern,
                          struct error *err) {
    const size_t size = strlen(text);
    struct rule_pattern *pattern = arena_alloc_zero(arena, sizeof *pattern);
    char *copy = arena_copy(arena, slice_of(text));
    if (pattern == NULL || copy == NULL)
        return error_no_memory(err);
    *ret_pattern = pattern;
    if (size > 2 && text[0] == '/' && text[size - 1] == '/')
        return compile_expression(text + 1, size - 2, arena, pattern, err);
    return table_pattern_parse(copy, &pattern->plain) ||
           error_set(err, ERROR_CONFIG, "expected " TABLE_PATTERN_HELP ", or /a regular expression/");
}

/* ---- matching ---- */

static bool refuse_match(const struct rule *rule, int code, struct error *err) {
    char reason[REASON_MAX] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *) reason, sizeof reason);
    return error_set(err, ERROR_CONFIG, "mapping: the regular expression %s cannot be matched: %s",
                     rule->match, reason);
}

static void join_name(const char *schema, const char *table, struct buffer *text) {
    buffer_printf(text, "%s.%s", schema, table);
}

/* Backtracking has a limit. *ret_matches: all of the text. */
static bool run_expression(const struct rule *rule, struct slice text, pcre2_match_data *data,
                           bool *ret_matches, struct error *err) {
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    if (context == NULL)
        return error_no_memory(err);
    pcre2_set_match_limit(context, STEPS_MAX);
    const int code = pcre2_match(rule->pattern->code, (PCRE2_SPTR) text.data, text.size, 0,
                                 PCRE2_ANCHORED | PCRE2_ENDANCHORED, data, context);
    pcre2_match_context_free(context);
    *ret_matches = code > 0;
    return code > 0 || code == PCRE2_ERROR_NOMATCH || refuse_match(rule, code, err);
}

static void free_match(pcre2_match_data **data) {
    pcre2_match_data_free(*data);
}

/* Not from the pattern's memory, which is an arena: several threads match at once, each with its own. */
static pcre2_match_data *new_match(const struct rule *rule) {
    pcre2_general_context *heap = pcre2_general_context_create(NULL, NULL, NULL);
    pcre2_match_data *data =
        heap != NULL ? pcre2_match_data_create_from_pattern(rule->pattern->code, heap) : NULL;
    pcre2_general_context_free(heap);
    return data;
}

static bool matches(const struct rule *rule, const char *schema, const char *table, bool *ret_matches,
                    struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    *ret_matches = false;
    if (rule->pattern->code == NULL) {
        *ret_matches = table_pattern_matches(&rule->pattern->plain, schema, table);
        return true;
    }
    pcre2_match_data *data AUTO(free_match) = new_match(rule);
    join_name(schema, table, &text);
    if (data == NULL || !buffer_ok(&text))
        return error_no_memory(err);
    return run_expression(rule, buffer_slice(&text), data, ret_matches, err);
}

bool rule_is_for(const struct rule *rule, const char *sink) {
    bool is_named = rule->sink_count == 0;
    for (size_t i = 0; i < rule->sink_count; i++)
        is_named = is_named || strcmp(rule->sinks[i], sink) == 0;
    return is_named;
}

bool rule_find(const struct mapping *mapping, const char *sink, const char *schema, const char *table,
               const struct rule **ret_rule, struct error *err) {
    bool is_match = false;
    *ret_rule = NULL;
    for (size_t i = 0; i < mapping->count && !is_match; i++) {
        const struct rule *rule = &mapping->rules[i];
        if (!rule_is_for(rule, sink))
            continue;
        if (!matches(rule, schema, table, &is_match, err))
            return false;
        if (is_match)
            *ret_rule = rule;
    }
    return true;
}

/* ---- names ---- */

static bool parse_to(const struct rule *rule, struct arena *arena, struct table_pattern *ret_to,
                     struct error *err) {
    char *copy = arena_copy(arena, slice_of(rule->to));
    if (copy == NULL)
        return error_no_memory(err);
    return (table_pattern_parse(copy, ret_to) && table_pattern_is_exact(ret_to)) ||
           error_set(err, ERROR_CONFIG,
                     "expected schema.table, where $1 is the first group of the pattern and a name "
                     "may be in double quotes");
}

static bool check_groups(const struct rule *rule, const char *part, struct error *err) {
    for (; (part = strchr(part, '$')) != NULL; part++)
        if (isdigit((unsigned char) part[1]) && (uint32_t) (part[1] - '0') > rule->pattern->group_count)
            return error_set(err, ERROR_CONFIG, "$%c refers to a group that the pattern has not", part[1]);
    return true;
}

/* Without a group of the expression, all tables that the pattern matches would have one name. */
static bool check_distinguishes(const struct rule *rule, struct error *err) {
    bool has_group = (rule->pattern->code == NULL && table_pattern_is_exact(&rule->pattern->plain)) ||
                     owned_has_table(rule);
    for (const char *at = rule->to; (at = strchr(at, '$')) != NULL; at++)
        has_group =
            has_group || (rule->pattern->code != NULL && isdigit((unsigned char) at[1]) && at[1] != '0');
    return has_group ||
           error_set(err, ERROR_CONFIG,
                     "several tables would have this name in the sink; match one table, use a group of a "
                     "regular expression, as $1, or put a column with meta: table into the key");
}

bool rule_check_to(const struct rule *rule, struct arena *arena, struct error *err) {
    struct table_pattern to;
    if (!check_distinguishes(rule, err))
        return false;
    return parse_to(rule, arena, &to, err) && check_groups(rule, to.schema, err) &&
           check_groups(rule, to.name, err);
}

/* A group that took no part in the match is empty. */
static void append_group(const pcre2_match_data *data, struct slice text, uint32_t group,
                         struct buffer *part) {
    const size_t *ends = pcre2_get_ovector_pointer((pcre2_match_data *) (uintptr_t) data);
    if (ends[2 * group] != PCRE2_UNSET)
        buffer_append(part, text.data + ends[2 * group], ends[2 * group + 1] - ends[2 * group]);
}

/* In arena. Without an expression a $ is a character like others. */
static bool expand_part(const struct rule *rule, const char *template, const pcre2_match_data *data,
                        struct slice text, struct arena *arena, const char **ret_part, struct error *err) {
    struct buffer part AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    for (const char *at = template; *at != '\0'; at++) {
        if (data != NULL && *at == '$' && isdigit((unsigned char) at[1]))
            append_group(data, text, (uint32_t) (*++at - '0'), &part);
        else
            buffer_append(&part, at, 1);
    }
    if (part.size == 0)
        return error_set(err, ERROR_CONFIG,
                         "mapping: by the rule for %s, the name of table %.*s in the sink is empty",
                         rule->match, (int) text.size, text.data);
    *ret_part = buffer_ok(&part) ? arena_copy(arena, buffer_slice(&part)) : NULL;
    return *ret_part != NULL || error_no_memory(err);
}

/* A rule with a policy writes the table of candidates. */
static bool name_candidates(const struct rule *rule, struct arena *arena, struct mapped_name *name,
                            struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    if (rule->policy == NULL)
        return true;
    if (strlen(name->table) > SETTLED_NAME_MAX)
        return error_set(err, ERROR_CONFIG,
                         "mapping: the rule for %s: with on_clash or dedupe the name %s may have %d bytes",
                         rule->match, name->table, SETTLED_NAME_MAX);
    buffer_printf(&text, CANDIDATES_PREFIX "%s", name->table);
    name->table = buffer_ok(&text) ? arena_copy(arena, buffer_slice(&text)) : NULL;
    return name->table != NULL || error_no_memory(err);
}

bool rule_name(const struct rule *rule, const char *schema, const char *table, struct arena *arena,
               struct mapped_name *ret_name, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    struct table_pattern to;
    bool is_match = false;
    *ret_name = (struct mapped_name){.schema = schema, .table = table};
    if (rule->to == NULL)
        return name_candidates(rule, arena, ret_name, err);
    pcre2_match_data *data AUTO(free_match) = rule->pattern->code != NULL ? new_match(rule) : NULL;
    join_name(schema, table, &text);
    if (!buffer_ok(&text) || (rule->pattern->code != NULL && data == NULL))
        return error_no_memory(err);
    const struct slice name = buffer_slice(&text);
    if (data != NULL && !run_expression(rule, name, data, &is_match, err))
        return false;
    return parse_to(rule, arena, &to, err) &&
           expand_part(rule, to.schema, data, name, arena, &ret_name->schema, err) &&
           expand_part(rule, to.name, data, name, arena, &ret_name->table, err) &&
           name_candidates(rule, arena, ret_name, err);
}
