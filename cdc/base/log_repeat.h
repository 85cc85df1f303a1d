/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_repeat.h - which lines say nothing new. Pure: the caller has the clock and the lock.
 *
 * The first line of its kind is written. The same line again within a minute is counted, and a minute later
 * one line says how often. A line of level info is a state that was entered: three of them in a minute are
 * written before the rest is counted. Debug lines are all written.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/log_format.h"

enum {
    LOG_REPEAT_WINDOW_MS = 60000,
    LOG_REPEATS_MAX = 32, /* different lines that are remembered */
    LOG_REPEAT_TEXT_MAX = 600,
    LOG_REPEAT_NAME_MAX = 160,
};

struct log_repeat {
    uint64_t hash; /* of what makes a line the same again; 0: the place is free */
    enum log_event event;
    int64_t window_ms;         /* when the window began */
    int64_t since_ms, last_ms; /* the first and the last that was counted */
    unsigned written;          /* in the window */
    unsigned long long counted;
    lsn_t lsn;
    char sink[LOG_REPEAT_NAME_MAX], table[LOG_REPEAT_NAME_MAX], sqlstate[6];
    char text[LOG_REPEAT_TEXT_MAX];
};

struct log_repeats {
    struct log_repeat items[LOG_REPEATS_MAX];
};

/* True: write the entry. key: as in struct log_subject, not NULL. There must be a free place. */
bool log_repeat_take(struct log_repeats *repeats, const struct log_entry *entry, const char *key,
                     int64_t now_ms);

/*
 * Removes one that is due and was counted, the one that occurred first before the others; false: there is
 * none. for_all: also one that is not due yet. Call it until it is false.
 */
bool log_repeat_due(struct log_repeats *repeats, int64_t now_ms, bool for_all, struct log_repeat *ret_due);

/* Makes a place free when there is none; true: *ret_lost was counted, and has to be written. */
bool log_repeat_make_room(struct log_repeats *repeats, struct log_repeat *ret_lost);

/* "text; repeated 59 times in 60 s" */
void log_repeat_text(const struct log_repeat *repeat, char text[static LOG_TEXT_MAX]);
