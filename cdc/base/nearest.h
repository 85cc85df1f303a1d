/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - the word that a user probably meant.
 */
#pragma once

#include <stddef.h>

/*
 * The number of letters to insert, delete, replace or swap; large when one of the texts is longer than a
 * word.
 */
size_t nearest_distance(const char *a, const char *b);

/*
 * Of count words, the one that differs least from text; NULL when none is close. The word stays the caller's.
 */
const char *nearest(const char *text, const char *const *words, size_t count);
