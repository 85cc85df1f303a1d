/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_time.c - dates, times and intervals as Debezium writes them.
 *
 * For infinity, the JDBC driver and Debezium use large numbers:
 *
 *     date         the day that a Java date overflows to
 *     timestamp    9223372036825200000 and -9223372036832400000 microseconds
 *     timestamptz  the words
 */
#include "sinks/formats/debezium/debezium_time.h"

#include <assert.h>

#include "cdc/base/json_text.h"
#include "cdc/base/pg_time_text.h"

#define INFINITY_US INT64_C(9223372036825200000)
#define MINUS_INFINITY_US INT64_C(-9223372036832400000)
#define INFINITY_DAYS INT64_C(-2147472692)
#define MINUS_INFINITY_DAYS INT64_C(-2147472691)

/* 365.25 / 12 days, a whole number of seconds. */
#define MICROSECONDS_PER_MONTH (INT64_C(2629800) * MICROSECONDS_PER_SECOND)

enum { MILLISECOND_DIGITS = 3 };

__extension__ typedef __int128 wide_t; /* for values that exceed an int64_t before they are scaled down */

static wide_t floor_thousandth(wide_t number) {
    return number / 1000 - (number % 1000 < 0);
}

/*
 * The day of minus infinity begins before the range of microseconds, so the number is not computed from the
 * day.
 */
static struct pg_timestamp infinite_timestamp(enum pg_infinity infinity) {
    const int64_t microseconds = infinity == PG_INFINITY ? INFINITY_US : MINUS_INFINITY_US;
    const bool borrows = microseconds % MICROSECONDS_PER_DAY < 0;
    return (struct pg_timestamp){.days = microseconds / MICROSECONDS_PER_DAY - borrows,
                                 .microseconds = microseconds % MICROSECONDS_PER_DAY +
                                                 (borrows ? MICROSECONDS_PER_DAY : 0)};
}

static int64_t saturate(wide_t number) {
    return number > INT64_MAX ? INT64_MAX : number < INT64_MIN ? INT64_MIN : (int64_t) number;
}

/* The declared digits after the decimal point, or -1. An interval's modifier has another form. */
static int32_t precision_of(const struct debezium_type *type) {
    return type->modifier >= 0 && type->modifier <= 6 ? type->modifier : -1;
}

bool debezium_time_is_milliseconds(const struct debezium_type *type) {
    int32_t precision = precision_of(type);
    return precision >= 0 && precision <= MILLISECOND_DIGITS;
}

/* ---- without a zone ---- */

static bool append_date(const struct debezium_options *options, struct slice text, struct buffer *json) {
    struct pg_date date;
    if (!pg_date_parse(text, &date))
        return false;
    int64_t days = date.infinity == PG_FINITE     ? date.days
                   : date.infinity == PG_INFINITY ? INFINITY_DAYS
                                                  : MINUS_INFINITY_DAYS;
    if (options->time == TIME_ISOSTRING) {
        buffer_append_u8(json, '"');
        pg_time_append_date(json, days);
        buffer_append_text(json, "Z\"");
        return true;
    }
    json_append_integer(json, days);
    return true;
}

static bool append_time(const struct debezium_options *options, const struct debezium_type *type,
                        struct slice text, struct buffer *json) {
    int64_t microseconds;
    if (!pg_time_parse(text, &microseconds))
        return false;
    switch (options->time) {
    case TIME_CONNECT:
        json_append_integer(json, microseconds / 1000);
        return true;
    case TIME_ADAPTIVE:
        json_append_integer(json, debezium_time_is_milliseconds(type) ? microseconds / 1000 : microseconds);
        return true;
    case TIME_ADAPTIVE_TIME_MICROSECONDS:
    case TIME_MICROSECONDS:
        json_append_integer(json, microseconds);
        return true;
    case TIME_NANOSECONDS:
        json_append_integer(json, microseconds * 1000);
        return true;
    case TIME_ISOSTRING:
        buffer_append_u8(json, '"');
        pg_time_append_time(json, microseconds % MICROSECONDS_PER_DAY, -1);
        buffer_append_text(json, "Z\"");
        return true;
    }
    return false;
}

/* An int64_t holds the years 1677 to 2262; Debezium writes null for others, but numbers for infinity. */
static void append_nanoseconds(struct buffer *json, wide_t nanoseconds) {
    const int64_t held = saturate(nanoseconds);
    const wide_t furthest = (wide_t) MINUS_INFINITY_US * 1000;
    if (held == nanoseconds || nanoseconds == (wide_t) INFINITY_US * 1000 || nanoseconds == furthest)
        json_append_integer(json, held);
    else
        buffer_append_text(json, "null");
}

static bool append_timestamp(const struct debezium_options *options, const struct debezium_type *type,
                             struct slice text, struct buffer *json) {
    struct pg_timestamp timestamp;
    if (!pg_timestamp_parse(text, &timestamp))
        return false;
    if (timestamp.infinity != PG_FINITE)
        timestamp = infinite_timestamp(timestamp.infinity);
    const wide_t microseconds = (wide_t) timestamp.days * MICROSECONDS_PER_DAY + timestamp.microseconds;
    bool is_millisecond = options->time == TIME_CONNECT;
    switch (options->time) {
    case TIME_ADAPTIVE:
    case TIME_ADAPTIVE_TIME_MICROSECONDS:
        is_millisecond = debezium_time_is_milliseconds(type);
        break;
    case TIME_NANOSECONDS:
        append_nanoseconds(json, microseconds * 1000);
        return true;
    case TIME_ISOSTRING:
        buffer_append_u8(json, '"');
        pg_time_append_datetime(json, timestamp.days, timestamp.microseconds, -1);
        buffer_append_text(json, "Z\"");
        return true;
    case TIME_CONNECT:
    case TIME_MICROSECONDS:
        break;
    }
    json_append_integer(json, saturate(is_millisecond ? floor_thousandth(microseconds) : microseconds));
    return true;
}

/* ---- with a zone: always the text of UTC ---- */

static bool append_timestamptz(const struct debezium_type *type, struct slice text, struct buffer *json) {
    struct pg_timestamp timestamp;
    if (!pg_timestamptz_parse(text, &timestamp))
        return false;
    if (timestamp.infinity != PG_FINITE)
        return json_append_string(json, text);
    int32_t precision = precision_of(type);
    buffer_append_u8(json, '"');
    pg_time_append_datetime(json, timestamp.days, timestamp.microseconds, precision < 0 ? 6 : precision);
    buffer_append_text(json, "Z\"");
    return true;
}

static bool append_timetz(struct slice text, struct buffer *json) {
    int64_t microseconds;
    int32_t offset_s;
    if (!pg_timetz_parse(text, &microseconds, &offset_s))
        return false;
    int64_t utc = microseconds - offset_s * MICROSECONDS_PER_SECOND;
    buffer_append_u8(json, '"');
    pg_time_append_time(json, (utc % MICROSECONDS_PER_DAY + MICROSECONDS_PER_DAY) % MICROSECONDS_PER_DAY, -1);
    buffer_append_text(json, "Z\"");
    return true;
}

/* ---- intervals ---- */

static void append_interval_number(const struct pg_interval *interval, struct buffer *json) {
    wide_t months = (wide_t) interval->years * 12 + interval->months;
    json_append_integer(json,
                        saturate(months * MICROSECONDS_PER_MONTH +
                                 (wide_t) interval->days * MICROSECONDS_PER_DAY + interval->microseconds));
}

static void append_seconds(struct buffer *json, int64_t microseconds) {
    int64_t positive = microseconds < 0 ? -microseconds : microseconds;
    if (microseconds < 0)
        buffer_append_u8(json, '-');
    json_append_integer(json, positive / MICROSECONDS_PER_SECOND);
    int64_t fraction = positive % MICROSECONDS_PER_SECOND;
    if (fraction == 0)
        return;
    int digits = 6;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    buffer_printf(json, ".%0*d", digits, (int) fraction);
}

/* P1Y2M3DT4H5M6.78S, every field with its own sign. */
static void append_interval_text(const struct pg_interval *interval, struct buffer *json) {
    const int64_t minute = 60 * MICROSECONDS_PER_SECOND, time = interval->microseconds;
    const struct {
        int64_t number;
        char unit;
    } fields[] = {{interval->years, 'Y'},
                  {interval->months, 'M'},
                  {interval->days, 'D'},
                  {time / (60 * minute), 'H'},
                  {time / minute % 60, 'M'}};
    buffer_append_text(json, "\"P");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_append_integer(json, fields[i].number);
        buffer_append_u8(json, (uint8_t) fields[i].unit);
        if (fields[i].unit == 'D')
            buffer_append_u8(json, 'T');
    }
    append_seconds(json, time % minute);
    buffer_append_text(json, "S\"");
}

static bool append_interval(const struct debezium_options *options, struct slice text, struct buffer *json) {
    struct pg_interval interval;
    if (!pg_interval_parse(text, &interval))
        return false;
    bool is_string = options->interval == INTERVAL_STRING;
    if (interval.infinity == PG_FINITE && is_string)
        append_interval_text(&interval, json);
    else if (interval.infinity == PG_FINITE)
        append_interval_number(&interval, json);
    else if (is_string)
        return json_append_string(json, text);
    else
        json_append_integer(json, interval.infinity == PG_INFINITY ? INT64_MAX : INT64_MIN);
    return true;
}

bool debezium_time_append(const struct debezium_options *options, const struct debezium_type *type,
                          struct slice text, struct buffer *json) {
    switch (type->kind) {
    case KIND_DATE:
        return append_date(options, text, json);
    case KIND_TIME:
        return append_time(options, type, text, json);
    case KIND_TIMETZ:
        return append_timetz(text, json);
    case KIND_TIMESTAMP:
        return append_timestamp(options, type, text, json);
    case KIND_TIMESTAMPTZ:
        return append_timestamptz(type, text, json);
    case KIND_INTERVAL:
        return append_interval(options, text, json);
    default:
        break;
    }
    assert(false);
    return false;
}
