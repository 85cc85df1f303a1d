/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.c - CLOCK_MONOTONIC and CLOCK_REALTIME.
 */
#include "cdc/base/clock.h"

#include "cdc/base/epoch.h"

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

struct timespec clock_deadline(int timeout_ms) {
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long) (timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

int64_t clock_unix_us(void) {
    return read_us(CLOCK_REALTIME);
}

int64_t clock_postgres_us(void) {
    return clock_unix_us() - POSTGRES_EPOCH_US;
}

void clock_pause_us(int64_t pause_us) {
    const struct timespec pause = {.tv_sec = pause_us / 1000000, .tv_nsec = pause_us % 1000000 * 1000};
    nanosleep(&pause, NULL);
}

void clock_pause_ms(int pause_ms) {
    clock_pause_us((int64_t) pause_ms * 1000);
}
