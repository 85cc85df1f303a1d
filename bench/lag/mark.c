/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark.c - writes marks and finds them.
 */
#include "bench/lag/mark.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char START[] = "lag:";
#define START_SIZE (sizeof START - 1)

void mark_write(char text[MARK_BYTES_MAX], const struct mark *mark) {
    snprintf(text, MARK_BYTES_MAX, "%s%" PRId64 ":%" PRId64 ";", START, mark->number, mark->due_us);
}

/* Digits and the end character after them; the position after it, or NULL. */
static const char *read_number(const char *at, const char *end, char last, int64_t *ret_number) {
    int64_t number = 0;
    const char *const first = at;
    for (; at < end && *at >= '0' && *at <= '9' && number <= INT64_MAX / 10 - 1; at++)
        number = number * 10 + (*at - '0');
    if (at == first || at == end || *at != last)
        return NULL;
    *ret_number = number;
    return at + 1;
}

const char *mark_find(const char *bytes, size_t size, struct mark *ret_mark) {
    const char *const end = bytes + size;
    const char *at = bytes;
    while ((at = memmem(at, (size_t) (end - at), START, START_SIZE)) != NULL) {
        at += START_SIZE;
        struct mark mark;
        const char *due = read_number(at, end, ':', &mark.number);
        const char *after = due != NULL ? read_number(due, end, ';', &mark.due_us) : NULL;
        if (after != NULL) {
            *ret_mark = mark;
            return after;
        }
    }
    return NULL;
}
