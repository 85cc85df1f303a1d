/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pg_time_text_test.c - PostgreSQL's text of dates, times and intervals as numbers, and back as ISO 8601.
 */
#include "cdc/base/pg_time_text.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *text;
    int64_t days;
} DATES[] = {
    {"1970-01-01", 0},
    {"1969-12-31", -1},
    {"2000-02-29", 11016},
    {"2024-02-29", 19782},
    {"0001-01-01", -719162},
    {"0001-12-31 BC", -719163},
    {"0001-01-01 BC", -719528},
    {"0044-03-15 BC", -735160},
    {"4713-01-01 BC", -2440550},
    {"9999-12-31", 2932896},
    {"5874897-12-31", 2145042905},
};

Test(pg_time_text, dates_are_days_since_1970) {
    for (size_t i = 0; i < COUNT(DATES); i++) {
        struct pg_date date;
        cr_assert(pg_date_parse(slice_of(DATES[i].text), &date), "%s", DATES[i].text);
        cr_expect_eq(date.days, DATES[i].days, "%s is %" PRId64, DATES[i].text, date.days);
        cr_expect_eq(date.infinity, PG_FINITE);
    }
}

Test(pg_time_text, infinity_is_no_number) {
    struct pg_date date;
    struct pg_timestamp timestamp;
    struct pg_interval interval;
    cr_assert(pg_date_parse(slice_of("infinity"), &date));
    cr_expect_eq(date.infinity, PG_INFINITY);
    cr_assert(pg_timestamp_parse(slice_of("-infinity"), &timestamp));
    cr_expect_eq(timestamp.infinity, PG_MINUS_INFINITY);
    cr_assert(pg_timestamptz_parse(slice_of("infinity"), &timestamp));
    cr_expect_eq(timestamp.infinity, PG_INFINITY);
    cr_assert(pg_interval_parse(slice_of("-infinity"), &interval));
    cr_expect_eq(interval.infinity, PG_MINUS_INFINITY);
}

Test(pg_time_text, what_is_no_date_is_refused) {
    const char *const texts[] = {
        "",           "2024",           "2024-02-30",    "2023-02-29",     "1900-02-29",
        "2024-13-01", "2024-00-01",     "2024-01-00",    "0000-01-01",     "24-01-01",
        "2024-1-01",  "2024-01-01 ",    "2024-01-01 AD", "2024-01-01 BCE", " 2024-01-01",
        "Infinity",   "12345678-01-01", "-2024-01-01"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct pg_date date;
        cr_expect_not(pg_date_parse(slice_of(texts[i]), &date), "%s", texts[i]);
    }
}

Test(pg_time_text, times_are_microseconds_since_midnight) {
    int64_t time;
    cr_assert(pg_time_parse(slice_of("00:00:00"), &time));
    cr_expect_eq(time, 0);
    cr_assert(pg_time_parse(slice_of("12:34:56.1"), &time));
    cr_expect_eq(time, INT64_C(45296100000));
    cr_assert(pg_time_parse(slice_of("23:59:59.999999"), &time));
    cr_expect_eq(time, MICROSECONDS_PER_DAY - 1);
    cr_assert(pg_time_parse(slice_of("24:00:00"), &time));
    cr_expect_eq(time, MICROSECONDS_PER_DAY);
}

Test(pg_time_text, what_is_no_time_is_refused) {
    const char *const texts[] = {
        "",        "12:34",     "12:34:60",         "12:60:00",    "24:00:01", "24:00:00.000001",
        "1:00:00", "12:34:56.", "12:34:56.1234567", "12:34:56+00", "12:34:5",  "-01:00:00"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        int64_t time;
        cr_expect_not(pg_time_parse(slice_of(texts[i]), &time), "%s", texts[i]);
    }
}

Test(pg_time_text, an_offset_is_seconds_east) {
    int64_t time;
    int32_t offset_s;
    cr_assert(pg_timetz_parse(slice_of("12:00:00+05:30"), &time, &offset_s));
    cr_expect_eq(offset_s, 19800);
    cr_assert(pg_timetz_parse(slice_of("12:00:00.5-01:02:03"), &time, &offset_s));
    cr_expect_eq(offset_s, -3723);
    cr_assert(pg_timetz_parse(slice_of("12:00:00+00"), &time, &offset_s));
    cr_expect_eq(offset_s, 0);
    cr_expect_not(pg_timetz_parse(slice_of("12:00:00"), &time, &offset_s));
    cr_expect_not(pg_timetz_parse(slice_of("12:00:00+5"), &time, &offset_s));
    cr_expect_not(pg_timetz_parse(slice_of("12:00:00+05:3"), &time, &offset_s));
}

static const struct {
    const char *text;
    int64_t days;
    int64_t microseconds;
} TIMESTAMPS[] = {
    {"1970-01-01 00:00:00", 0, 0},
    {"1969-12-31 23:59:59.999999", -1, MICROSECONDS_PER_DAY - 1},
    {"2024-02-29 12:34:56.123456", 19782, INT64_C(45296123456)},
    {"4713-01-01 00:00:00 BC", -2440550, 0},
    {"294276-12-31 23:59:59.999999", 106762939, MICROSECONDS_PER_DAY - 1},
};

Test(pg_time_text, timestamps_are_days_and_microseconds) {
    for (size_t i = 0; i < COUNT(TIMESTAMPS); i++) {
        struct pg_timestamp timestamp;
        cr_assert(pg_timestamp_parse(slice_of(TIMESTAMPS[i].text), &timestamp), "%s", TIMESTAMPS[i].text);
        cr_expect_eq(timestamp.days, TIMESTAMPS[i].days, "%s is day %" PRId64, TIMESTAMPS[i].text,
                     timestamp.days);
        cr_expect_eq(timestamp.microseconds, TIMESTAMPS[i].microseconds, "%s", TIMESTAMPS[i].text);
    }
}

Test(pg_time_text, a_timestamp_with_an_offset_is_utc) {
    struct pg_timestamp timestamp;
    cr_assert(pg_timestamptz_parse(slice_of("1970-01-01 01:00:00+02"), &timestamp));
    cr_expect_eq(timestamp.days, -1);
    cr_expect_eq(timestamp.microseconds, MICROSECONDS_PER_DAY / 24 * 23);
    cr_assert(pg_timestamptz_parse(slice_of("0044-03-15 12:00:00+00 BC"), &timestamp));
    cr_expect_eq(timestamp.days, -735160);
    cr_expect_eq(timestamp.microseconds, MICROSECONDS_PER_DAY / 2);
    cr_expect_not(pg_timestamptz_parse(slice_of("1970-01-01 00:00:00"), &timestamp));
    cr_expect_not(pg_timestamp_parse(slice_of("1970-01-01 00:00:00+00"), &timestamp));
    cr_expect_not(pg_timestamp_parse(slice_of("1970-01-01T00:00:00"), &timestamp));
    cr_expect_not(pg_timestamp_parse(slice_of("1970-01-01"), &timestamp));
}

static void expect_interval(const char *text, struct pg_interval expected) {
    struct pg_interval interval;
    cr_assert(pg_interval_parse(slice_of(text), &interval), "%s", text);
    cr_expect_eq(interval.years, expected.years, "%s", text);
    cr_expect_eq(interval.months, expected.months, "%s", text);
    cr_expect_eq(interval.days, expected.days, "%s", text);
    cr_expect_eq(interval.microseconds, expected.microseconds, "%s", text);
}

Test(pg_time_text, every_part_of_an_interval_has_its_sign) {
    expect_interval("00:00:00", (struct pg_interval){0});
    expect_interval(
        "1 year 2 mons 3 days 04:05:06.78",
        (struct pg_interval){.years = 1, .months = 2, .days = 3, .microseconds = INT64_C(14706780000)});
    expect_interval(
        "-1 years -2 mons +3 days -04:05:06.7",
        (struct pg_interval){.years = -1, .months = -2, .days = 3, .microseconds = -INT64_C(14706700000)});
    expect_interval("1 mon", (struct pg_interval){.months = 1});
    expect_interval("-178000000 years", (struct pg_interval){.years = -178000000});
    expect_interval("2562047788:00:54.775807", (struct pg_interval){.microseconds = INT64_MAX});
    expect_interval("-00:00:00.000001", (struct pg_interval){.microseconds = -1});
}

Test(pg_time_text, what_is_no_interval_is_refused) {
    const char *const texts[] = {"",
                                 " ",
                                 "1",
                                 "1 week",
                                 "1 year ",
                                 "1 year2 mons",
                                 "00:00",
                                 "00:00:00 1 day",
                                 "days",
                                 "-",
                                 "1 day  1 mon",
                                 "99999999999 days",
                                 "P1D"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct pg_interval interval;
        cr_expect_not(pg_interval_parse(slice_of(texts[i]), &interval), "%s", texts[i]);
    }
}

static void expect_datetime(const char *text, int digits, const char *expected) {
    struct buffer found AUTO(buffer_release) = {.bytes_max = 100};
    struct pg_timestamp timestamp;
    cr_assert(pg_timestamp_parse(slice_of(text), &timestamp), "%s", text);
    pg_time_append_datetime(&found, timestamp.days, timestamp.microseconds, digits);
    cr_expect_str_eq(buffer_text(&found), expected);
}

Test(pg_time_text, iso_8601_has_the_same_calendar) {
    expect_datetime("2024-02-29 12:34:56.120000", -1, "2024-02-29T12:34:56.12");
    expect_datetime("2024-02-29 12:34:56", -1, "2024-02-29T12:34:56");
    expect_datetime("2024-02-29 12:34:56.5", 3, "2024-02-29T12:34:56.500");
    expect_datetime("1969-12-31 23:59:59.999999", -1, "1969-12-31T23:59:59.999999");
    expect_datetime("12345-06-07 01:02:03", -1, "+12345-06-07T01:02:03");
    expect_datetime("0001-12-31 00:00:00 BC", -1, "0000-12-31T00:00:00");
    expect_datetime("0044-03-15 12:00:00 BC", -1, "-0043-03-15T12:00:00");
    expect_datetime("4713-01-01 00:00:00 BC", -1, "-4712-01-01T00:00:00");
}

Test(pg_time_text, every_day_is_found_again) {
    for (int64_t days = -2440550; days < 4000000; days += 13) {
        struct buffer text AUTO(buffer_release) = {.bytes_max = 100};
        struct pg_date date;
        pg_time_append_date(&text, days);
        if (text.data[0] == '-' || text.data[0] == '+' || memcmp(text.data, "0000", 4) == 0)
            continue;
        cr_assert(pg_date_parse(buffer_slice(&text), &date));
        cr_assert_eq(date.days, days, "day %" PRId64, days);
    }
}

Test(pg_time_text, a_moment_needs_a_time_zone) {
    static const char *const WRONG[] = {"",
                                        "now",
                                        "2024-02-29",
                                        "2024-02-29T12:00:00",
                                        "2024-02-30T12:00:00Z",
                                        "2024-02-29T12:00:00ZZ",
                                        "infinity+00"};
    int64_t us = -1;
    cr_assert(pg_moment_parse("2000-01-01T00:00:01Z", &us) && us == 1000000);
    cr_assert(pg_moment_parse("2000-01-02 00:00:00.5+00", &us) && us == MICROSECONDS_PER_DAY + 500000);
    cr_assert(pg_moment_parse("2000-01-01T01:00:00+01", &us) && us == 0);
    cr_assert(pg_moment_parse("1999-12-31T23:59:59Z", &us) && us == -1000000);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(pg_moment_parse(WRONG[i], &us), "%s", WRONG[i]);
}
