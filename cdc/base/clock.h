/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - time in the two senses that are needed.
 */
#pragma once

#include <stdint.h>

/* Never goes back; for intervals and deadlines. Milliseconds and microseconds of an arbitrary origin. */
int64_t clock_now_ms(void);
int64_t clock_now_us(void);

/* Wall time: microseconds since 1970-01-01 UTC; as PostgreSQL counts it, since 2000-01-01 UTC. */
int64_t clock_unix_us(void);
int64_t clock_postgres_us(void);

/* A step of a wait that looks in between for what it waits for; a signal may cut it short. */
void clock_pause_ms(int pause_ms);
void clock_pause_us(int64_t pause_us); /* some 50 longer than asked for */
