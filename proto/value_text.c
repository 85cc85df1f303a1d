/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_text.c - numbers, booleans and bytes as PostgreSQL prints them.
 *
 *     integer := "0" | "-"? [1-9] [0-9]*
 *     float   := "NaN" | "-"? "Infinity" | "-"? [0-9]+ ("." [0-9]+)? ("e" [+-] [0-9]+)?
 *     bytea   := "\x" ([0-9a-f] [0-9a-f])*
 *
 * Floats are the shortest decimals that represent the value (extra_float_digits = 3). A decimal of few digits
 * is computed from two exact numbers with one rounding (Clinger's method); the others go to strtod.
 */
#include "proto/value_text.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MANTISSA_MAX (UINT64_C(1) << 53)
enum { EXACT_POWER_MAX = 22, MANTISSA_DIGITS_MAX = 19 };

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

bool value_text_to_bool(struct slice text, bool *ret_value) {
    if (text.size != 1 || (text.data[0] != 't' && text.data[0] != 'f'))
        return false;
    *ret_value = text.data[0] == 't';
    return true;
}

/* ---- integers ---- */

bool value_text_to_integer(struct slice text, int64_t min, int64_t max, int64_t *ret_value) {
    const char *at = text.data, *end = at + text.size;
    bool negative = at < end && *at == '-';
    at += negative;
    if (at == end || end - at > MANTISSA_DIGITS_MAX || (*at == '0' && (negative || end - at > 1)))
        return false;
    uint64_t magnitude = 0;
    for (; at < end; at++) {
        if (!is_digit(*at))
            return false;
        magnitude = magnitude * 10 + (uint64_t) (*at - '0');
    }
    if (magnitude > (uint64_t) INT64_MAX + negative)
        return false;
    int64_t value = (int64_t) (negative ? -magnitude : magnitude);
    if (value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

size_t value_text_of_integer(int64_t value, char text[VALUE_TEXT_MAX]) {
    return (size_t) snprintf(text, VALUE_TEXT_MAX, "%lld", (long long) value);
}

/* ---- floats ---- */

struct decimal {
    uint64_t mantissa;
    int exponent; /* power of 10 */
    int digits;   /* of the mantissa, without leading zeroes */
    bool negative;
};

static void add_digit(struct decimal *decimal, char digit) {
    if (decimal->digits > 0 || digit != '0')
        decimal->digits++;
    if (decimal->digits <= MANTISSA_DIGITS_MAX)
        decimal->mantissa = decimal->mantissa * 10 + (uint64_t) (digit - '0');
}

/* Returns the place after the digits, or NULL when there was no digit. */
static const char *scan_digits(const char *at, const char *end, struct decimal *decimal) {
    const char *start = at;
    for (; at < end && is_digit(*at); at++)
        add_digit(decimal, *at);
    return at > start ? at : NULL;
}

static const char *scan_fraction(const char *at, const char *end, struct decimal *decimal) {
    if (at == NULL || at == end || *at != '.')
        return at;
    const char *start = at + 1;
    at = scan_digits(start, end, decimal);
    if (at != NULL)
        decimal->exponent -= (int) (at - start);
    return at;
}

static const char *scan_exponent(const char *at, const char *end, struct decimal *decimal) {
    if (at == NULL || at == end || *at != 'e')
        return at;
    if (end - at < 3 || end - at > 5 || (at[1] != '+' && at[1] != '-'))
        return NULL;
    bool negative = at[1] == '-';
    int exponent = 0;
    for (at += 2; at < end; at++) {
        if (!is_digit(*at))
            return NULL;
        exponent = exponent * 10 + (*at - '0');
    }
    decimal->exponent += negative ? -exponent : exponent;
    return at;
}

/* Parses a finite number up to its last byte. */
static bool scan(struct slice text, struct decimal *decimal) {
    const char *at = text.data, *end = at + text.size;
    *decimal = (struct decimal){.negative = text.size > 0 && *at == '-'};
    if (text.size >= VALUE_TEXT_MAX)
        return false;
    at = scan_digits(at + decimal->negative, end, decimal);
    at = scan_fraction(at, end, decimal);
    return scan_exponent(at, end, decimal) == end;
}

static bool to_special(struct slice text, double *ret_value) {
    if (slice_equal(text, slice_of("NaN")))
        *ret_value = (double) NAN;
    else if (slice_equal(text, slice_of("Infinity")))
        *ret_value = (double) INFINITY;
    else if (slice_equal(text, slice_of("-Infinity")))
        *ret_value = (double) -INFINITY;
    else
        return false;
    return true;
}

/* True when the nearest double is certain. */
static bool to_exact(const struct decimal *decimal, double *ret_value) {
    if (decimal->digits > MANTISSA_DIGITS_MAX || decimal->mantissa > EXACT_MANTISSA_MAX ||
        abs(decimal->exponent) > EXACT_POWER_MAX)
        return false;
    double value = (double) decimal->mantissa;
    value = decimal->exponent < 0 ? value / POWERS[-decimal->exponent] : value * POWERS[decimal->exponent];
    *ret_value = decimal->negative ? -value : value;
    return true;
}

/*
 * scan has accepted the text, so strtod and strtof read it as intended whatever the locale, or stop before
 * its end.
 */
static const char *terminate(struct slice text, char terminated[VALUE_TEXT_MAX]) {
    memcpy(terminated, text.data, text.size);
    terminated[text.size] = '\0';
    return terminated + text.size;
}

bool value_text_to_float8(struct slice text, double *ret_value) {
    struct decimal decimal;
    if (!scan(text, &decimal))
        return to_special(text, ret_value);
    if (to_exact(&decimal, ret_value))
        return true;
    char terminated[VALUE_TEXT_MAX], *end = NULL;
    const char *expected_end = terminate(text, terminated);
    double value = strtod(terminated, &end);
    if (end != expected_end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

/*
 * Rounding twice gives a wrong value only if the first rounding moved the value exactly between two floats.
 */
static bool rounds_once(double value) {
    const uint64_t below_float = (UINT64_C(1) << (DBL_MANT_DIG - FLT_MANT_DIG)) - 1;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    double magnitude = fabs(value);
    return (bits & below_float) != (below_float + 1) / 2 &&
           (value == 0 || (magnitude >= (double) FLT_MIN && magnitude <= (double) FLT_MAX));
}

bool value_text_to_float4(struct slice text, float *ret_value) {
    struct decimal decimal;
    double wide;
    if (!scan(text, &decimal)) {
        if (!to_special(text, &wide))
            return false;
        *ret_value = (float) wide;
        return true;
    }
    if (to_exact(&decimal, &wide) && rounds_once(wide)) {
        *ret_value = (float) wide;
        return true;
    }
    char terminated[VALUE_TEXT_MAX], *end = NULL;
    const char *expected_end = terminate(text, terminated);
    float value = strtof(terminated, &end);
    if (end != expected_end || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

/* ---- floats as text ---- */

/* The server's layout of a decimal: like %g, where "1e+15" and "1e+06" are the first with an exponent. */
struct float_layout {
    int digits_max;
    int exponent_max;
};

static const struct float_layout FLOAT4_LAYOUT = {.digits_max = FLT_DECIMAL_DIG, .exponent_max = 6};
static const struct float_layout FLOAT8_LAYOUT = {.digits_max = DBL_DECIMAL_DIG, .exponent_max = 15};

static size_t put_special(double value, char text[VALUE_TEXT_MAX]) {
    const char *name = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
    return (size_t) snprintf(text, VALUE_TEXT_MAX, "%s", name);
}

/* Is the decimal exactly the middle? Nearness, as a long double sees it, is not enough. */
static bool is_middle(long double decimal, long double middle) {
    enum { DIGITS = 40 };
    char digits[DIGITS + 16];
    if (decimal != middle)
        return false;
    snprintf(digits, sizeof digits, "%.*Le", DIGITS, middle);
    return strspn(digits + DBL_DECIMAL_DIG + 1, "0") == DIGITS - DBL_DECIMAL_DIG + 1;
}

/* A decimal half way to the next value may be read as this one (to even); the server has another rule. */
static bool is_half_way(const char *text, double value, const struct float_layout *layout) {
    const bool is_float4 = layout == &FLOAT4_LAYOUT;
    const long double decimal = strtold(text, NULL), wide = (long double) value;
    const double below =
        is_float4 ? (double) nextafterf((float) value, -FLT_MAX) : nextafter(value, -DBL_MAX);
    const double above = is_float4 ? (double) nextafterf((float) value, FLT_MAX) : nextafter(value, DBL_MAX);
    return is_middle(decimal, (wide + (long double) below) / 2) ||
           is_middle(decimal, (wide + (long double) above) / 2);
}

static bool stands_for(const struct decimal *decimal, double value, const struct float_layout *layout) {
    char text[VALUE_TEXT_MAX];
    snprintf(text, sizeof text, "%llue%d", (unsigned long long) decimal->mantissa, decimal->exponent);
    const bool is_nearest =
        layout == &FLOAT4_LAYOUT ? strtof(text, NULL) == (float) value : strtod(text, NULL) == value;
    return is_nearest && !is_half_way(text, value, layout);
}

/* The nearest decimal of that many digits. */
static struct decimal nearest(double value, int digits) {
    char text[VALUE_TEXT_MAX];
    snprintf(text, sizeof text, "%.*e", digits - 1, value);
    struct decimal decimal = {0};
    const char *end = text + strlen(text);
    const char *at = scan_digits(text, end, &decimal);
    scan_exponent(scan_fraction(at, end, &decimal), end, &decimal);
    return decimal;
}

/*
 * The shortest decimal that represents the value, which is not negative. Above a power of two the values are
 * farther apart than below, so the next decimal may represent it where the nearest one does not.
 */
static struct decimal shortest(double value, const struct float_layout *layout) {
    for (int digits = 1; digits < layout->digits_max; digits++) {
        struct decimal decimal = nearest(value, digits);
        if (stands_for(&decimal, value, layout))
            return decimal;
        decimal.mantissa++;
        if (stands_for(&decimal, value, layout))
            return decimal;
    }
    return nearest(value, layout->digits_max);
}

static size_t put_decimal(const struct decimal *decimal, const char *sign, const struct float_layout *layout,
                          char text[VALUE_TEXT_MAX]) {
    static const char ZEROES[] = "0000000000000000";
    char digits[VALUE_TEXT_MAX];
    int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long) decimal->mantissa);
    int point = decimal->mantissa == 0 ? 1 : count + decimal->exponent; /* digits before it */
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (point <= -4 || point > layout->exponent_max)
        return (size_t) snprintf(text, VALUE_TEXT_MAX, "%s%c%s%.*se%+03d", sign, digits[0],
                                 count > 1 ? "." : "", count - 1, digits + 1, point - 1);
    if (point <= 0)
        return (size_t) snprintf(text, VALUE_TEXT_MAX, "%s0.%.*s%.*s", sign, -point, ZEROES, count, digits);
    if (point >= count)
        return (size_t) snprintf(text, VALUE_TEXT_MAX, "%s%.*s%.*s", sign, count, digits, point - count,
                                 ZEROES);
    return (size_t) snprintf(text, VALUE_TEXT_MAX, "%s%.*s.%.*s", sign, point, digits, count - point,
                             digits + point);
}

static size_t put_float(double value, const struct float_layout *layout, char text[VALUE_TEXT_MAX]) {
    if (!isfinite(value))
        return put_special(value, text);
    struct decimal decimal = shortest(fabs(value), layout);
    return put_decimal(&decimal, signbit(value) ? "-" : "", layout, text);
}

size_t value_text_of_float4(float value, char text[VALUE_TEXT_MAX]) {
    return put_float((double) value, &FLOAT4_LAYOUT, text);
}

size_t value_text_of_float8(double value, char text[VALUE_TEXT_MAX]) {
    return put_float(value, &FLOAT8_LAYOUT, text);
}

/* ---- bytes ---- */

bool value_text_bytea_size(struct slice text, size_t *ret_size) {
    if (text.size < 2 || text.size % 2 != 0 || text.data[0] != '\\' || text.data[1] != 'x')
        return false;
    *ret_size = (text.size - 2) / 2;
    return true;
}

/* Above 15: not a digit. */
static unsigned digit_of(char letter) {
    if (is_digit(letter))
        return (unsigned) (letter - '0');
    return letter >= 'a' && letter <= 'f' ? (unsigned) (letter - 'a') + 10 : 0xFF;
}

bool value_text_put_bytea(struct slice text, char *at) {
    unsigned seen = 0;
    for (size_t i = 2; i + 1 < text.size; i += 2) {
        unsigned high = digit_of(text.data[i]), low = digit_of(text.data[i + 1]);
        seen |= high | low;
        *at++ = (char) (high << 4 | low);
    }
    return seen <= 15;
}

size_t value_text_of_bytea_size(struct slice bytes) {
    return 2 + 2 * bytes.size;
}

void value_text_of_bytea(struct slice bytes, char *text) {
    static const char DIGITS[] = "0123456789abcdef";
    *text++ = '\\';
    *text++ = 'x';
    for (size_t i = 0; i < bytes.size; i++) {
        *text++ = DIGITS[(unsigned char) bytes.data[i] >> 4];
        *text++ = DIGITS[bytes.data[i] & 15];
    }
}
