/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hstore_text.c - reads the text of an hstore.
 *
 *     text   := [pair (", " pair)*]
 *     pair   := quoted "=>" (quoted | NULL)        quoted: backslash before a quote or a backslash
 */
#include "sinks/formats/debezium/hstore_text.h"

#define TEXT_BYTES_MAX ((size_t) 1 << 30) /* the limit of a value */

void hstore_text_init(struct hstore_text *hstore, struct slice text) {
    *hstore = (struct hstore_text){.next = text.data, .end = text.data + text.size};
    buffer_init(&hstore->key, TEXT_BYTES_MAX);
    buffer_init(&hstore->value, TEXT_BYTES_MAX);
}

void hstore_text_release(struct hstore_text *hstore) {
    buffer_release(&hstore->key);
    buffer_release(&hstore->value);
}

static bool take_word(struct hstore_text *hstore, const char *word) {
    size_t size = strlen(word);
    if ((size_t) (hstore->end - hstore->next) < size || memcmp(hstore->next, word, size) != 0)
        return false;
    hstore->next += size;
    return true;
}

static bool take_quoted(struct hstore_text *hstore, struct buffer *text) {
    buffer_reset(text);
    if (!take_word(hstore, "\""))
        return false;
    while (hstore->next < hstore->end && *hstore->next != '"') {
        if (*hstore->next == '\\' && ++hstore->next == hstore->end)
            return false;
        buffer_append(text, hstore->next++, 1);
    }
    return take_word(hstore, "\"") && buffer_ok(text);
}

bool hstore_text_next(struct hstore_text *hstore, bool *ret_pair, bool *ret_value_is_null) {
    *ret_pair = hstore->next < hstore->end;
    if (!*ret_pair)
        return true;
    if (!take_quoted(hstore, &hstore->key) || !take_word(hstore, "=>"))
        return false;
    *ret_value_is_null = take_word(hstore, "NULL");
    if (!*ret_value_is_null && !take_quoted(hstore, &hstore->value))
        return false;
    return hstore->next == hstore->end || (take_word(hstore, ", ") && hstore->next < hstore->end);
}
