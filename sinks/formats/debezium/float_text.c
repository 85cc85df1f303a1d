/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_text.c - a number's decimal text as the JSON number that Java writes for the float.
 *
 * A number is its significant digits and an exponent: 0.digits * 10^exponent.
 */
#include "sinks/formats/debezium/float_text.h"

#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/json_text.h"

enum {
    FLOAT_DIGITS_MAX = 17,     /* the most a float8 needs */
    EXACT_DIGITS = 15,         /* so many digits survive a float8 */
    EXPONENT_MAX = 400,        /* larger than any float8's */
    PLAIN_EXPONENT_MIN = -2,   /* 0.001 is written out */
    PLAIN_EXPONENT_MAX = 7,    /* and so is 9999999.0 */
    NUMERIC_TEXT_MAX = 150000, /* a numeric has 147,455 digits at most */
};

struct digits {
    bool is_negative;
    bool is_cut; /* some digits did not fit */
    int count;   /* 0: zero */
    int exponent;
    char text[FLOAT_DIGITS_MAX + 1];
};

static void add_digit(struct digits *digits, char digit, bool is_fraction) {
    if (digits->count == 0 && digit == '0') {
        digits->exponent -= is_fraction;
        return;
    }
    digits->exponent += !is_fraction;
    if (digits->count < FLOAT_DIGITS_MAX)
        digits->text[digits->count++] = digit;
    else
        digits->is_cut = digits->is_cut || digit != '0';
}

static void strip_zeroes(struct digits *digits) {
    while (digits->count > 0 && digits->text[digits->count - 1] == '0')
        digits->count--;
    if (digits->count == 0)
        digits->exponent = 0;
}

/* The text is a JSON number, so an exponent is well-formed; its size is limited here. */
static int exponent_of(const char *next, const char *end) {
    bool is_negative = *next == '-';
    int exponent = 0;
    for (next += *next == '-' || *next == '+'; next < end && exponent < EXPONENT_MAX * 1000; next++)
        exponent = exponent * 10 + (*next - '0');
    return is_negative ? -exponent : exponent;
}

static bool float_text_parse(struct slice text, struct digits *digits) {
    *digits = (struct digits){0};
    if (!json_is_number(text))
        return false;
    bool is_fraction = false;
    for (const char *next = text.data, *end = next + text.size; next < end; next++) {
        if (*next == 'e' || *next == 'E') {
            digits->exponent += exponent_of(next + 1, end);
            break;
        }
        if (*next == '-')
            digits->is_negative = true;
        else if (*next == '.')
            is_fraction = true;
        else
            add_digit(digits, *next, is_fraction);
    }
    strip_zeroes(digits);
    return true;
}

/* The digits with the numbers from to to, with zeroes for missing ones. */
static void append_digits(struct buffer *json, const struct digits *digits, int from, int to) {
    for (int i = from; i < to; i++)
        buffer_append_u8(json, (uint8_t) (i < digits->count ? digits->text[i] : '0'));
}

static void append_plain(struct buffer *json, const struct digits *digits) {
    int exponent = digits->exponent;
    if (exponent <= 0) {
        buffer_append_text(json, "0.");
        for (int i = exponent; i < 0; i++)
            buffer_append_u8(json, '0');
        append_digits(json, digits, 0, digits->count > 0 ? digits->count : 1);
        return;
    }
    append_digits(json, digits, 0, exponent);
    buffer_append_u8(json, '.');
    append_digits(json, digits, exponent, digits->count > exponent ? digits->count : exponent + 1);
}

static void append_scientific(struct buffer *json, const struct digits *digits) {
    append_digits(json, digits, 0, 1);
    buffer_append_u8(json, '.');
    append_digits(json, digits, 1, digits->count > 1 ? digits->count : 2);
    buffer_append_u8(json, 'E');
    json_append_integer(json, digits->exponent - 1);
}

static void float_text_append(struct buffer *json, const struct digits *digits) {
    if (digits->is_negative)
        buffer_append_u8(json, '-');
    if (digits->exponent >= PLAIN_EXPONENT_MIN && digits->exponent <= PLAIN_EXPONENT_MAX)
        append_plain(json, digits);
    else
        append_scientific(json, digits);
}

static bool append_special(struct buffer *json, struct slice text) {
    if (!slice_equal(text, slice_of("NaN")) && !slice_equal(text, slice_of("Infinity")) &&
        !slice_equal(text, slice_of("-Infinity")))
        return false;
    return json_append_string(json, text);
}

bool float_append_json(struct buffer *json, struct slice text) {
    struct digits digits;
    if (!float_text_parse(text, &digits) || digits.is_cut)
        return append_special(json, text);
    float_text_append(json, &digits);
    return true;
}

/* The fewest digits that give the same float when read back. */
static bool append_shortest(struct buffer *json, double number) {
    char text[40];
    for (int precision = EXACT_DIGITS; precision <= FLOAT_DIGITS_MAX; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, number);
        if (strtod(text, NULL) == number)
            break;
    }
    return float_append_json(json, slice_of(text));
}

bool float_append_json_nearest(struct buffer *json, struct slice text) {
    struct digits digits;
    if (!float_text_parse(text, &digits))
        return append_special(json, text);
    if (digits.count <= EXACT_DIGITS && abs(digits.exponent) < 300) {
        float_text_append(json, &digits);
        return true;
    }
    char *copy = text.size < NUMERIC_TEXT_MAX ? strndup(text.data, text.size) : NULL;
    if (copy == NULL)
        return false;
    double number = strtod(copy, NULL);
    free(copy);
    if (number > 1.7976931348623157e308 || number < -1.7976931348623157e308)
        return json_append_string(json, slice_of(number > 0 ? "Infinity" : "-Infinity"));
    return append_shortest(json, number);
}
