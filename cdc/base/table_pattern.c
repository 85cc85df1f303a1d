/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_pattern.c - takes a pattern apart, and compares it with names.
 */
#include "cdc/base/table_pattern.h"

#include <string.h>

/*
 * The text after the opening quote; doubled quotes inside become one. NULL if the closing quote is missing.
 */
static char *take_quoted(char *text) {
    char *to = text;
    for (; *text != '"' || text[1] == '"'; text++) {
        if (*text == '\0')
            return NULL;
        *to++ = *text;
        text += *text == '"';
    }
    *to = '\0';
    return text + 1;
}

/* Reads a name in place, without its quotes, and the dot after it where one must follow. */
static bool take_part(char **rest, bool has_dot, const char **ret_part, bool *ret_is_exact) {
    char *text = *rest;
    char *end = NULL;
    *ret_is_exact = text[0] == '"';
    *ret_part = text + *ret_is_exact;
    if (*ret_is_exact)
        end = take_quoted(text + 1);
    else
        end = has_dot ? strchr(text, '.') : text + strlen(text);
    if (end == NULL || *end != (has_dot ? '.' : '\0'))
        return false;
    *end = '\0';
    *rest = end + has_dot;
    *ret_is_exact = *ret_is_exact || strchr(*ret_part, '*') == NULL;
    return (*ret_part)[0] != '\0';
}

bool table_pattern_parse(char *text, struct table_pattern *ret_pattern) {
    return take_part(&text, true, &ret_pattern->schema, &ret_pattern->schema_is_exact) &&
           take_part(&text, false, &ret_pattern->name, &ret_pattern->name_is_exact);
}

/* A star matches any run of characters. After a mismatch the last star takes one character more. */
static bool glob_matches(const char *pattern, const char *text) {
    const char *star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static bool part_matches(const char *pattern, bool is_exact, const char *text) {
    return is_exact ? strcmp(pattern, text) == 0 : glob_matches(pattern, text);
}

bool table_pattern_matches(const struct table_pattern *pattern, const char *schema, const char *name) {
    return part_matches(pattern->schema, pattern->schema_is_exact, schema) &&
           part_matches(pattern->name, pattern->name_is_exact, name);
}

bool table_pattern_is_exact(const struct table_pattern *pattern) {
    return pattern->schema_is_exact && pattern->name_is_exact;
}
