/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - CLOCK_MONOTONIC and CLOCK_REALTIME.
 */
#include "cdc/base/clock.h"

#include <time.h>

#define POSTGRES_EPOCH_S INT64_C(946684800) /* 2000-01-01 in seconds since 1970-01-01 */

static int64_t read_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_now_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_now_ms(void) {
    return clock_now_us() / 1000;
}

int64_t clock_postgres_us(void) {
    return read_us(CLOCK_REALTIME) - POSTGRES_EPOCH_S * 1000000;
}
