/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_time_text.c - PostgreSQL's text of dates, times and intervals as numbers, and back as ISO 8601.
 *
 *     date        := year "-" month "-" day                       year: 4 digits or more
 *     time        := hour ":" minute ":" second ["." 1 to 6 digits]
 *     offset      := ("+" | "-") hour [":" minute [":" second]]
 *     timestamp   := date " " time [" BC"]                        timestamptz: date " " time offset [" BC"]
 *     interval    := part (" " part)*                             part: number unit, or at the end [sign] time
 */
#include "cdc/base/pg_time_text.h"

enum { YEAR_DIGITS_MIN = 4, YEAR_DIGITS_MAX = 7, INTERVAL_DIGITS_MAX = 10, FRACTION_DIGITS_MAX = 6 };

/* ---- what is left of a text ---- */

struct scan {
    const char *next;
    const char *end;
};

static struct scan scan_of(struct slice text) {
    return (struct scan){.next = text.data, .end = text.data + text.size};
}

static bool is_done(const struct scan *scan) {
    return scan->next == scan->end;
}

static bool is_digit(const struct scan *scan) {
    return scan->next < scan->end && *scan->next >= '0' && *scan->next <= '9';
}

static bool pg_time_text_take(struct scan *scan, char letter) {
    if (scan->next == scan->end || *scan->next != letter)
        return false;
    scan->next++;
    return true;
}

static bool take_word(struct scan *scan, const char *word) {
    size_t size = strlen(word);
    if ((size_t) (scan->end - scan->next) < size || memcmp(scan->next, word, size) != 0)
        return false;
    scan->next += size;
    return true;
}

/* Between least and most digits. */
static bool take_number(struct scan *scan, int least, int most, int64_t *ret_number) {
    int64_t number = 0;
    int digits = 0;
    for (; digits < most && is_digit(scan); digits++)
        number = number * 10 + (*scan->next++ - '0');
    *ret_number = number;
    return digits >= least && !is_digit(scan);
}

/* ---- pieces ---- */

static bool is_leap_year(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t month_days(int64_t year, int64_t month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : DAYS[month - 1];
}

/*
 * Years are counted from March, so that a leap day ends one; a cycle of the calendar is 400 years, 146097
 * days.
 */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t cycle = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return cycle * 146097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year -
           719468;
}

struct civil {
    int64_t year;
    int64_t month;
    int64_t day;
};

static struct civil civil_of(int64_t days) {
    days += 719468;
    int64_t cycle = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_cycle = days - cycle * 146097;
    int64_t year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    int64_t day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    return (struct civil){.year = year_of_cycle + cycle * 400 + (month >= 10),
                          .month = month < 10 ? month + 3 : month - 9,
                          .day = day_of_year - (153 * month + 2) / 5 + 1};
}

/* The year as written; BC is at the end of the text. */
static bool take_date(struct scan *scan, struct civil *date) {
    return take_number(scan, YEAR_DIGITS_MIN, YEAR_DIGITS_MAX, &date->year) && pg_time_text_take(scan, '-') &&
           take_number(scan, 2, 2, &date->month) && pg_time_text_take(scan, '-') &&
           take_number(scan, 2, 2, &date->day);
}

static bool date_days(struct civil date, bool is_bc, int64_t *ret_days) {
    int64_t year = is_bc ? 1 - date.year : date.year;
    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > month_days(year, date.month))
        return false;
    *ret_days = days_of(year, date.month, date.day);
    return true;
}

static bool take_fraction(struct scan *scan, int64_t *microseconds) {
    int digits = 0;
    int64_t fraction = 0;
    for (; digits < FRACTION_DIGITS_MAX && is_digit(scan); digits++)
        fraction = fraction * 10 + (*scan->next++ - '0');
    if (digits == 0 || is_digit(scan))
        return false;
    for (; digits < FRACTION_DIGITS_MAX; digits++)
        fraction *= 10;
    *microseconds += fraction;
    return true;
}

static bool take_time(struct scan *scan, int hour_digits_max, int64_t *ret_microseconds) {
    int64_t hour, minute, second;
    if (!take_number(scan, 2, hour_digits_max, &hour) || !pg_time_text_take(scan, ':') ||
        !take_number(scan, 2, 2, &minute) || !pg_time_text_take(scan, ':') ||
        !take_number(scan, 2, 2, &second) || minute > 59 || second > 59)
        return false;
    *ret_microseconds = ((hour * 60 + minute) * 60 + second) * MICROSECONDS_PER_SECOND;
    return !pg_time_text_take(scan, '.') || take_fraction(scan, ret_microseconds);
}

static bool take_time_of_day(struct scan *scan, int64_t *ret_microseconds) {
    return take_time(scan, 2, ret_microseconds) && *ret_microseconds <= MICROSECONDS_PER_DAY;
}

static bool take_offset(struct scan *scan, int32_t *ret_offset_s) {
    int64_t hour, minute = 0, second = 0;
    bool is_west = pg_time_text_take(scan, '-');
    if (!is_west && !pg_time_text_take(scan, '+'))
        return false;
    if (!take_number(scan, 2, 2, &hour) ||
        (pg_time_text_take(scan, ':') && !take_number(scan, 2, 2, &minute)) ||
        (pg_time_text_take(scan, ':') && !take_number(scan, 2, 2, &second)) || minute > 59 || second > 59)
        return false;
    int32_t offset_s = (int32_t) ((hour * 60 + minute) * 60 + second);
    *ret_offset_s = is_west ? -offset_s : offset_s;
    return true;
}

static enum pg_infinity infinity_of(struct slice text) {
    if (slice_equal(text, slice_of("infinity")))
        return PG_INFINITY;
    return slice_equal(text, slice_of("-infinity")) ? PG_MINUS_INFINITY : PG_FINITE;
}

/* ---- dates and times ---- */

bool pg_date_parse(struct slice text, struct pg_date *ret_date) {
    *ret_date = (struct pg_date){.infinity = infinity_of(text)};
    if (ret_date->infinity != PG_FINITE)
        return true;
    struct scan scan = scan_of(text);
    struct civil date;
    if (!take_date(&scan, &date))
        return false;
    bool is_bc = take_word(&scan, " BC");
    return is_done(&scan) && date_days(date, is_bc, &ret_date->days);
}

bool pg_time_parse(struct slice text, int64_t *ret_microseconds) {
    struct scan scan = scan_of(text);
    return take_time_of_day(&scan, ret_microseconds) && is_done(&scan);
}

bool pg_timetz_parse(struct slice text, int64_t *ret_microseconds, int32_t *ret_offset_s) {
    struct scan scan = scan_of(text);
    return take_time_of_day(&scan, ret_microseconds) && take_offset(&scan, ret_offset_s) && is_done(&scan);
}

static int64_t floor_days(int64_t microseconds) {
    return microseconds / MICROSECONDS_PER_DAY - (microseconds % MICROSECONDS_PER_DAY < 0);
}

static bool parse_timestamp(struct slice text, bool has_offset, struct pg_timestamp *ret_timestamp) {
    *ret_timestamp = (struct pg_timestamp){.infinity = infinity_of(text)};
    if (ret_timestamp->infinity != PG_FINITE)
        return true;
    struct scan scan = scan_of(text);
    struct civil date;
    int64_t days, time;
    int32_t offset_s = 0;
    if (!take_date(&scan, &date) || !pg_time_text_take(&scan, ' ') || !take_time_of_day(&scan, &time) ||
        (has_offset && !take_offset(&scan, &offset_s)))
        return false;
    bool is_bc = take_word(&scan, " BC");
    if (!is_done(&scan) || !date_days(date, is_bc, &days))
        return false;
    time -= offset_s * MICROSECONDS_PER_SECOND;
    int64_t day = floor_days(time);
    ret_timestamp->days = days + day;
    ret_timestamp->microseconds = time - day * MICROSECONDS_PER_DAY;
    return true;
}

bool pg_timestamp_parse(struct slice text, struct pg_timestamp *ret_timestamp) {
    return parse_timestamp(text, false, ret_timestamp);
}

bool pg_timestamptz_parse(struct slice text, struct pg_timestamp *ret_timestamp) {
    return parse_timestamp(text, true, ret_timestamp);
}

/* ---- intervals ---- */

/* The unit's field, or NULL. "mon" is PostgreSQL's word for a month. */
static int64_t *take_unit(struct scan *scan, struct pg_interval *interval) {
    int64_t *field = take_word(scan, " year")  ? &interval->years
                     : take_word(scan, " mon") ? &interval->months
                     : take_word(scan, " day") ? &interval->days
                                               : NULL;
    pg_time_text_take(scan, 's');
    return field;
}

/* One part: "-3 days", or the time with its own sign. */
static bool take_part(struct scan *scan, struct pg_interval *interval) {
    const struct scan start = *scan;
    int64_t sign = pg_time_text_take(scan, '-') ? -1 : 1, number;
    if (sign == 1)
        pg_time_text_take(scan, '+');
    const struct scan digits = *scan;
    if (!take_number(scan, 1, INTERVAL_DIGITS_MAX, &number))
        return false;
    int64_t *field = take_unit(scan, interval);
    if (field != NULL) {
        *field = sign * number;
        return start.next < scan->next;
    }
    *scan = digits;
    if (!take_time(scan, INTERVAL_DIGITS_MAX, &interval->microseconds))
        return false;
    interval->microseconds *= sign;
    return is_done(scan);
}

bool pg_moment_parse(const char *text, int64_t *ret_us) {
    enum { EPOCH_DAYS = 10957, DAYS_MAX = 10 * 1000 * 1000, MOMENT_MAX = 64 }; /* 2000-01-01 since 1970 */
    char copy[MOMENT_MAX + sizeof "+00"];
    struct pg_timestamp moment;
    size_t size = strlen(text);
    if (size < sizeof "2024-02-29T" || size > MOMENT_MAX)
        return false;
    memcpy(copy, text, size);
    if (copy[10] == 'T')
        copy[10] = ' ';
    if (copy[size - 1] == 'Z') {
        memcpy(copy + size - 1, "+00", 3);
        size += 2;
    }
    if (!pg_timestamptz_parse((struct slice){.data = copy, .size = size}, &moment) ||
        moment.infinity != PG_FINITE || moment.days < -DAYS_MAX || moment.days > DAYS_MAX)
        return false;
    *ret_us = (moment.days - EPOCH_DAYS) * MICROSECONDS_PER_DAY + moment.microseconds;
    return true;
}

bool pg_interval_parse(struct slice text, struct pg_interval *ret_interval) {
    *ret_interval = (struct pg_interval){.infinity = infinity_of(text)};
    if (ret_interval->infinity != PG_FINITE)
        return true;
    struct scan scan = scan_of(text);
    do {
        if (!take_part(&scan, ret_interval))
            return false;
    } while (pg_time_text_take(&scan, ' '));
    return is_done(&scan);
}

/* ---- ISO 8601 ---- */

static void append_padded(struct buffer *text, int64_t number, int digits) {
    char bytes[20];
    size_t at = sizeof bytes;
    for (; number > 0 || digits > 0; number /= 10, digits--)
        bytes[--at] = (char) ('0' + number % 10);
    buffer_append(text, bytes + at, sizeof bytes - at);
}

static void append_fraction(struct buffer *text, int64_t microseconds, int digits) {
    char bytes[1 + FRACTION_DIGITS_MAX + 3] = ".000000000";
    for (int at = FRACTION_DIGITS_MAX; at > 0; at--, microseconds /= 10)
        bytes[at] = (char) ('0' + microseconds % 10);
    if (digits < 0)
        for (digits = FRACTION_DIGITS_MAX; digits > 0 && bytes[digits] == '0';)
            digits--;
    if (digits > 0)
        buffer_append(text, bytes, (size_t) digits + 1);
}

void pg_time_append_time(struct buffer *text, int64_t microseconds, int fraction_digits) {
    int64_t seconds = microseconds / MICROSECONDS_PER_SECOND;
    append_padded(text, seconds / 3600, 2);
    buffer_append_u8(text, ':');
    append_padded(text, seconds / 60 % 60, 2);
    buffer_append_u8(text, ':');
    append_padded(text, seconds % 60, 2);
    append_fraction(text, microseconds % MICROSECONDS_PER_SECOND, fraction_digits);
}

void pg_time_append_date(struct buffer *text, int64_t days) {
    struct civil date = civil_of(days);
    if (date.year < 0 || date.year > 9999)
        buffer_append_u8(text, date.year < 0 ? '-' : '+');
    append_padded(text, date.year < 0 ? -date.year : date.year, 4);
    buffer_append_u8(text, '-');
    append_padded(text, date.month, 2);
    buffer_append_u8(text, '-');
    append_padded(text, date.day, 2);
}

void pg_time_append_datetime(struct buffer *text, int64_t days, int64_t microseconds, int fraction_digits) {
    pg_time_append_date(text, days);
    buffer_append_u8(text, 'T');
    pg_time_append_time(text, microseconds, fraction_digits);
}
