/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - monotonic time and wall time.
 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Never goes back; for intervals and deadlines. Milliseconds and microseconds since an arbitrary moment. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* In that many milliseconds from now, for a condition variable whose clock is CLOCK_MONOTONIC. */
struct timespec clock_deadline(int timeout_ms);

/* Wall time in microseconds: since 1970-01-01 UTC, and as PostgreSQL counts it, since 2000-01-01 UTC. */
int64_t clock_unix_us(void);
int64_t clock_postgres_us(void);

/* One step of a wait whose condition is checked between steps; a signal may end the step early. */
void clock_pause_ms(int pause_ms);
void clock_pause_us(int64_t pause_us); /* about 50 longer than requested */
