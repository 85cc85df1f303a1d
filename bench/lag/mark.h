/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark.h - the text in every row that says which transaction it is and when it was due: "lag:NUMBER:DUE_US;".
 *
 * A mark is found in any bytes that carry the row as text: a query's result, pgoutput, protobuf, JSON. So one
 * reader does for every sink and every peer. The due time is CLOCK_MONOTONIC's, which all processes of a host
 * share.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARK_BYTES_MAX 48 /* the NUL included */

struct mark {
    int64_t number; /* from 0 */
    int64_t due_us;
};

void mark_write(char text[MARK_BYTES_MAX], const struct mark *mark);

/* The first whole mark in the bytes; the position after it, or NULL when there is none. */
const char *mark_find(const char *bytes, size_t size, struct mark *ret_mark);
