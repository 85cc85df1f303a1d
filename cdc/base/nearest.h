/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nearest.h - the word that somebody probably meant.
 */
#pragma once

#include <stddef.h>

/* The one of count words that differs least from text; NULL when none is close. The word is the caller's. */
const char *nearest(const char *text, const char *const *words, size_t count);
