/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_name.c - expands the template part by part.
 */
#include "sinks/formats/topic_name.h"

#include <ctype.h>
#include <string.h>

/* room for the escaped {source}, {schema} and {table}, so that a name that is too long can be measured */
#define NAME_BYTES_MAX 4096

static const char *const PLACEHOLDERS[] = {"{source}", "{schema}", "{table}"};
enum { PLACEHOLDER_COUNT = 3 };

static bool is_plain(char letter) {
    return isascii(letter) && (isalnum((unsigned char) letter) || letter == '_');
}

/* The placeholder with which text begins, or PLACEHOLDER_COUNT. */
static size_t find_placeholder(const char *text) {
    size_t i = 0;
    while (i < PLACEHOLDER_COUNT && strncmp(text, PLACEHOLDERS[i], strlen(PLACEHOLDERS[i])) != 0)
        i++;
    return i;
}

static bool complain_letter(const char *template, const char *at, struct error *err) {
    if (*at == '{' || *at == '}')
        return error_set(err, ERROR_CONFIG,
                         "topic \"%s\": the placeholders are {source}, {schema} and {table}", template);
    return error_set(err, ERROR_CONFIG,
                     "topic \"%s\": a topic's name consists of a-z, A-Z, 0-9, '.', '_' and '-'", template);
}

bool topic_template_check(const char *template, struct error *err) {
    bool needs_dot = false;
    for (const char *at = template; *at != '\0';) {
        size_t placeholder = find_placeholder(at);
        if (placeholder == PLACEHOLDER_COUNT) {
            if (!is_plain(*at) && *at != '.' && *at != '-')
                return complain_letter(template, at, err);
            needs_dot = needs_dot && *at != '.';
            at++;
            continue;
        }
        if (needs_dot)
            return error_set(
                err, ERROR_CONFIG,
                "topic \"%s\": put a '.' between two placeholders, or two tables could share a topic",
                template);
        needs_dot = true;
        at += strlen(PLACEHOLDERS[placeholder]);
    }
    return true;
}

static char without_dot(char letter) {
    return letter == '.' ? '_' : letter;
}

bool topic_names_collide(const char *one, const char *other) {
    while (*one != '\0' && without_dot(*one) == without_dot(*other))
        one++, other++;
    return *one == *other;
}

static void append_escaped(struct buffer *name, struct slice text) {
    for (size_t i = 0; i < text.size; i++) {
        if (is_plain(text.data[i]))
            buffer_append_u8(name, (uint8_t) text.data[i]);
        else
            buffer_printf(name, "-%02x", (unsigned char) text.data[i]);
    }
}

static void append_name(struct buffer *name, const char *template, const struct topic_subject *subject) {
    const struct slice values[PLACEHOLDER_COUNT] = {subject->source, subject->schema, subject->table};
    while (*template != '\0') {
        size_t placeholder = find_placeholder(template);
        if (placeholder < PLACEHOLDER_COUNT) {
            append_escaped(name, values[placeholder]);
            template += strlen(PLACEHOLDERS[placeholder]);
        } else {
            buffer_append_u8(name, (uint8_t) * template ++);
        }
    }
}

bool topic_name_build(const char *template, const struct topic_subject *subject,
                      char ret_name[TOPIC_NAME_MAX + 1], struct error *err) {
    struct buffer name AUTO(buffer_release);
    buffer_init(&name, NAME_BYTES_MAX);
    append_name(&name, template, subject);
    if (!buffer_ok(&name))
        return error_no_memory(err);
    if (name.size == 0 || name.size > TOPIC_NAME_MAX)
        return error_set(err, ERROR_CONFIG,
                         "table %.*s.%.*s: its topic's name would have %zu characters, and Kafka allows 1 to "
                         "%d; choose a shorter template in topic",
                         (int) subject->schema.size, subject->schema.data, (int) subject->table.size,
                         subject->table.data, name.size, TOPIC_NAME_MAX);
    memcpy(ret_name, name.data, name.size);
    ret_name[name.size] = '\0';
    return true;
}
