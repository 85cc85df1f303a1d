/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_expand.c - replaces the variables in a text.
 */
#include "cdc/config/config_expand.h"

#include <stdlib.h>

#include "cdc/base/buffer.h"

#define EXPANDED_BYTES_MAX ((size_t) 1 << 20)
#define VARIABLE_NAME_MAX 256

static size_t variable_length(const char *name) {
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

/* text begins after "${"; *ret_text is set to the text after "}". */
static bool expand_variable(const char *text, struct buffer *expanded, const char **ret_text,
                            struct error *err) {
    char name[VARIABLE_NAME_MAX];
    size_t length = variable_length(text);
    if (length == 0 || length >= sizeof name || text[length] != '}')
        return error_set(err, ERROR_CONFIG,
                         "\"${\" does not begin a ${VARIABLE}; write \"$${\" for the characters themselves");
    memcpy(name, text, length);
    name[length] = '\0';
    const char *value = getenv(name);
    if (value == NULL)
        return error_set(err, ERROR_CONFIG, "the environment variable %s is not set", name);
    buffer_append_text(expanded, value);
    *ret_text = text + length + 1;
    return true;
}

static bool expand(const char *text, struct buffer *expanded, struct error *err) {
    while (*text != '\0') {
        size_t plain = strcspn(text, "$");
        buffer_append(expanded, text, plain);
        text += plain;
        if (text[0] == '$' && text[1] == '{') {
            if (!expand_variable(text + 2, expanded, &text, err))
                return false;
        } else if (text[0] == '$') {
            buffer_append_u8(expanded, '$');
            text += text[1] == '$' ? 2 : 1;
        }
    }
    return true;
}

bool config_expand(const char *text, struct arena *arena, const char **ret_text, struct error *err) {
    struct buffer expanded AUTO(buffer_release);
    buffer_init(&expanded, EXPANDED_BYTES_MAX);
    if (!expand(text, &expanded, err))
        return false;
    char *copy = buffer_ok(&expanded) ? arena_copy(arena, buffer_slice(&expanded)) : NULL;
    if (expanded.data != NULL)
        explicit_bzero(expanded.data, expanded.size); /* it may contain a password */
    if (copy == NULL && (buffer_ok(&expanded) || expanded.lacks_memory))
        return error_no_memory(err);
    if (copy == NULL)
        return error_set(err, ERROR_CONFIG, "the value is too long");
    *ret_text = copy;
    return true;
}
