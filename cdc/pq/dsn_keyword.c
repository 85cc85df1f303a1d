/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_keyword.c - compares the words before a "=" with libpq's keywords.
 */
#include "cdc/pq/dsn_keyword.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/nearest.h"

enum { WORD_MIN = 4, LETTERS_WRONG_MAX = 2 };

static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz_";

/* Keywords of other programs. */
static const char *const OTHERS[][2] = {
    {"database", "dbname"}, {"username", "user"}, {"hostname", "host"}, {"server", "host"}};

/* The edit distance when the word is probably a slip; else more than any slip has. */
static size_t slip(const char *word, const char *meant) {
    const size_t wrong = nearest_distance(word, meant);
    return wrong * 2 < strlen(meant) + 1 ? wrong : LETTERS_WRONG_MAX + 1;
}

/* False for a keyword itself too, since libpq does not complain about it. */
static bool resembles(const PQconninfoOption *keywords, const char *word,
                      char ret_keyword[static DSN_KEYWORD_MAX]) {
    size_t best = LETTERS_WRONG_MAX + 1;
    for (const PQconninfoOption *keyword = keywords; keyword->keyword != NULL; keyword++) {
        if (strlen(keyword->keyword) >= DSN_KEYWORD_MAX)
            continue;
        const size_t wrong = slip(word, keyword->keyword);
        if (wrong == 0)
            return false;
        if (wrong < best) {
            best = wrong;
            snprintf(ret_keyword, DSN_KEYWORD_MAX, "%s", keyword->keyword);
        }
    }
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        const size_t wrong = slip(word, OTHERS[i][0]);
        if (wrong < best) {
            best = wrong;
            snprintf(ret_keyword, DSN_KEYWORD_MAX, "%s", OTHERS[i][1]);
        }
    }
    return best <= LETTERS_WRONG_MAX;
}

/* The next word before a "="; false when there is none. Moves *place after it. */
static bool next_word(const char *dsn, const char **place, char ret_word[static DSN_KEYWORD_MAX]) {
    while (**place != '\0') {
        const char *start = *place;
        const size_t length = strspn(start, LETTERS);
        const bool begins = start == dsn || strchr(" \t\r\n?&", start[-1]) != NULL;
        *place += length > 0 ? length : 1;
        if (!begins || length < WORD_MIN || length >= DSN_KEYWORD_MAX ||
            start[length + strspn(start + length, " \t\r\n")] != '=')
            continue;
        snprintf(ret_word, DSN_KEYWORD_MAX, "%.*s", (int) length, start);
        return true;
    }
    return false;
}

bool dsn_lacks_memory(const char *message) {
    return message == NULL || strstr(message, "out of memory") != NULL;
}

bool dsn_keyword_find(const char *dsn, const char *message, char ret_word[static DSN_KEYWORD_MAX],
                      char ret_keyword[static DSN_KEYWORD_MAX]) {
    const char *place = dsn;
    bool found = false;
    PQconninfoOption *keywords = message != NULL ? PQconndefaults() : NULL;
    while (keywords != NULL && !found && next_word(dsn, &place, ret_word))
        found = strstr(message, ret_word) != NULL && resembles(keywords, ret_word, ret_keyword);
    PQconninfoFree(keywords);
    return found;
}
