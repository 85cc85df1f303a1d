/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.c - edit distance: letters inserted, deleted, replaced or swapped.
 */
#include "cdc/base/nearest.h"

#include <string.h>

enum { LENGTH_MAX = 40 };

static size_t nearest_least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment. Only three rows of the table are needed. */
size_t nearest_distance(const char *a, const char *b) {
    size_t rows[3][LENGTH_MAX + 1];
    const size_t a_length = strlen(a);
    const size_t b_length = strlen(b);
    if (a_length > LENGTH_MAX || b_length > LENGTH_MAX)
        return LENGTH_MAX;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] =
                nearest_least(nearest_least(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = nearest_least(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *nearest(const char *text, const char *const *words, size_t count) {
    const char *found = NULL;
    /* a word with more than a third of its letters wrong is another word */
    size_t found_distance = strlen(text) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const size_t word_distance = nearest_distance(text, words[i]);
        if (word_distance <= found_distance && (found == NULL || word_distance < found_distance)) {
            found = words[i];
            found_distance = word_distance;
        }
    }
    return found;
}
