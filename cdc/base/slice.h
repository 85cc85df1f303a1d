/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h - bytes with a length, not owned.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* never assumed to end in a NUL */
    size_t size;
};

static inline struct slice slice_of(const char *text) {
    return (struct slice){.data = text, .size = strlen(text)};
}

static inline bool slice_equal(struct slice a, struct slice b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
