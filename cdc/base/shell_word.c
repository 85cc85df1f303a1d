/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_word.c - quotes for a shell.
 */
#include "cdc/base/shell_word.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/visible.h"

#define WORD_MAX 4096

static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./,:@%+=";

static bool is_plain(struct slice word) {
    for (size_t i = 0; i < word.size; i++)
        if (memchr(PLAIN, word.data[i], sizeof PLAIN - 1) == NULL)
            return false;
    return word.size > 0;
}

/* Is every character of it visible to a reader? */
static bool is_visible(struct slice word) {
    char seen[SHELL_WORD_MAX];
    return visible_write(seen, sizeof seen, word) == word.size && memcmp(seen, word.data, word.size) == 0;
}

static void put(struct shell_word *to, size_t *size, const char *text, size_t length) {
    memcpy(to->text + *size, text, length);
    *size += length;
    to->text[*size] = '\0';
}

static void put_quoted(struct shell_word *to, size_t *size, struct slice word) {
    put(to, size, "'", 1);
    for (size_t i = 0; i < word.size; i++)
        if (word.data[i] == '\'')
            put(to, size, "'\\''", 4);
        else
            put(to, size, word.data + i, 1);
    put(to, size, "'", 1);
}

static void put_spelled(struct shell_word *to, size_t *size, struct slice word) {
    put(to, size, "$'", 2);
    for (size_t i = 0; i < word.size; i++) {
        char spelled[5];
        snprintf(spelled, sizeof spelled, "\\x%02x", (unsigned char) word.data[i]);
        if (memchr(PLAIN, word.data[i], sizeof PLAIN - 1) == NULL)
            put(to, size, spelled, 4);
        else
            put(to, size, word.data + i, 1);
    }
    put(to, size, "'", 1);
}

static struct shell_word quoted(const char *before, struct slice word) {
    struct shell_word to = {0};
    size_t size = 0;
    if (word.size > WORD_MAX)
        word.size = WORD_MAX;
    put(&to, &size, before, strlen(before));
    if (is_plain(word))
        put(&to, &size, word.data, word.size);
    else if (is_visible(word))
        put_quoted(&to, &size, word);
    else
        put_spelled(&to, &size, word);
    return to;
}

struct shell_word shell_word(const char *word) {
    return quoted("", slice_of(word));
}

struct shell_word shell_word_of_file(const char *path) {
    return quoted(path[0] == '-' ? "./" : "", slice_of(path));
}
