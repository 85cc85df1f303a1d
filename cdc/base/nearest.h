/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - the word that somebody probably meant.
 */
#pragma once

#include <stddef.h>

/* How many letters to insert, delete, replace or swap; large when one of them is longer than a word. */
size_t nearest_distance(const char *a, const char *b);

/* The one of count words that differs least from text; NULL when none is close. The word is the caller's. */
const char *nearest(const char *text, const char *const *words, size_t count);
