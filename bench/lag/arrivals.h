/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrivals.h - when each transaction was seen. All memory is had and touched at the start, and the file is
 * written at the end, so that noting costs nothing that shows in a measurement.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "bench/lag/mark.h"
#include "cdc/base/error.h"

/*
 * The transactions are 0, which the harness commits to see that the peer is up, and 1 to count, which are
 * measured.
 */
struct arrivals {
    struct arrival *items; /* count + 1, by number */
    int64_t count;
    int64_t seen;     /* different numbers, 0 included */
    int64_t repeated; /* those that came again */
    int64_t below;    /* every number below this one was seen */
};

MUST_CHECK bool arrivals_init(struct arrivals *arrivals, int64_t count, struct error *err);
void arrivals_release(struct arrivals *arrivals);

/* Seen at now_us. Says "ready" on standard output at the first sight of number 0. */
MUST_CHECK bool arrivals_note(struct arrivals *arrivals, const struct mark *mark, int64_t now_us,
                              struct error *err);

/* Notes every mark in the bytes; *ret_rest is what may be the beginning of another one. */
MUST_CHECK bool arrivals_note_all(struct arrivals *arrivals, const char *bytes, size_t size, int64_t now_us,
                                  const char **ret_rest, struct error *err);

bool arrivals_are_complete(const struct arrivals *arrivals);

/* Into a new file: number, due and seen as three int64_t of the host's order, for each that was seen. */
MUST_CHECK bool arrivals_save(const struct arrivals *arrivals, const char *path, struct error *err);
