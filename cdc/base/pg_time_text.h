/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_time_text.h - PostgreSQL's text of dates, times and intervals as numbers, and back as ISO 8601.
 *
 * The text is that of datestyle ISO and intervalstyle postgres, which the session sets. Covers the whole
 * proleptic Gregorian calendar, including BC years and years beyond 9999; exact, without locale or time zone
 * database. Parsers accept the whole text or return false.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

#define MICROSECONDS_PER_SECOND INT64_C(1000000)
#define MICROSECONDS_PER_DAY (86400 * MICROSECONDS_PER_SECOND)

enum pg_infinity {
    PG_FINITE = 0,
    PG_INFINITY = 1,
    PG_MINUS_INFINITY = -1,
};

struct pg_date {
    enum pg_infinity infinity;
    int64_t days; /* since 1970-01-01 */
};

/* In two parts, because microseconds since 1970 do not hold the last years of PostgreSQL's range. */
struct pg_timestamp {
    enum pg_infinity infinity;
    int64_t days;         /* since 1970-01-01, in UTC when the text had an offset */
    int64_t microseconds; /* of the day */
};

struct pg_interval {
    enum pg_infinity infinity; /* since PostgreSQL 17 */
    int64_t years;
    int64_t months;
    int64_t days;
    int64_t microseconds;
};

/* "2024-02-29", "0044-03-15 BC", "infinity" */
MUST_CHECK bool pg_date_parse(struct slice text, struct pg_date *ret_date);

/* "23:59:59.999999", "24:00:00": microseconds since midnight. */
MUST_CHECK bool pg_time_parse(struct slice text, int64_t *ret_microseconds);

/* "12:00:00+05:30": microseconds since midnight in local time, and the offset in seconds east of UTC. */
MUST_CHECK bool pg_timetz_parse(struct slice text, int64_t *ret_microseconds, int32_t *ret_offset_s);

/* "2024-02-29 12:00:00.5", "0044-03-15 12:00:00 BC", "-infinity" */
MUST_CHECK bool pg_timestamp_parse(struct slice text, struct pg_timestamp *ret_timestamp);

/* "2024-02-29 12:00:00.5+00" */
MUST_CHECK bool pg_timestamptz_parse(struct slice text, struct pg_timestamp *ret_timestamp);

/*
 * A moment as people give it: "2024-02-29T12:00:00Z", "2024-02-29 12:00:00.5+01". Microseconds since
 * 2000-01-01 UTC. A time zone is required.
 */
MUST_CHECK bool pg_moment_parse(const char *text, int64_t *ret_us);

/* "1 year 2 mons -3 days +04:05:06.789" */
MUST_CHECK bool pg_interval_parse(struct slice text, struct pg_interval *ret_interval);

/*
 * "2024-02-29T12:00:00.5", "2024-02-29" and "12:00:00.5". fraction_digits: exactly so many; -1: as many as
 * needed. Years beyond 9999 get a sign; year 0 is 1 BC.
 */
void pg_time_append_datetime(struct buffer *text, int64_t days, int64_t microseconds, int fraction_digits);
void pg_time_append_date(struct buffer *text, int64_t days);
void pg_time_append_time(struct buffer *text, int64_t microseconds, int fraction_digits);
