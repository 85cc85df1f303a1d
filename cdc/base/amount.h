/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount.h - quantities as people read them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* By value, so that it can be an argument of printf. */
struct amount {
    char text[48];
};

/* "1 row", "2 rows", "3 batches". noun: in the singular, at most 24 characters. */
struct amount amount_count(uint64_t count, const char *noun);

/* "532 B", "1.2 MB", "81 GB": in steps of 1000. */
struct amount amount_bytes(double bytes);

/* Bytes a second from "20", "20MB" or "20MB/s", which are the same. False: it is no such text. */
bool amount_parse_rate(const char *text, uint64_t *ret_bytes);

/*
 * Bytes from a whole number and a unit, kB, MB or GB, as PostgreSQL's settings have them. False: it is no
 * such text.
 */
bool amount_parse_bytes(const char *text, uint64_t *ret_bytes);

/* "0.4 s", "12 s", "3 min", "5 h", "9 d". */
struct amount amount_duration(int64_t duration_ms);

/*
 * Milliseconds from "500ms", "30s", "5m", "2h", "1d"; a number alone is seconds. False: it is no such text.
 */
bool amount_parse_duration(const char *text, int64_t *ret_ms);
