/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount.h - quantities as people read them.
 */
#pragma once

#include <stdint.h>

/* By value, so that it can be an argument of printf. */
struct amount {
    char text[32];
};

/* "532 B", "1.2 MB", "81 GB": in steps of 1000. */
struct amount amount_bytes(double bytes);

/* "0.4 s", "12 s", "3 min", "5 h", "9 d". */
struct amount amount_duration(int64_t duration_ms);
