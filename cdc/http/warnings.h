/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warnings.h - what a person should know first: what /readyz says, and more that only the page says.
 */
#pragma once

#include "cdc/http/history.h"

enum warning_level {
    WARNING_STOP, /* changes do not arrive */
    WARNING_COST, /* they do, and it costs something */
    WARNING_NOTE,
};

const char *warning_level_name(enum warning_level level);

/* Appends lines, the worst first; *ret_ends: where those of each level end in words. True: ready. */
bool warnings_put(const struct view *view, struct history *history, struct buffer *words,
                  size_t ret_ends[WARNING_NOTE + 1]);
