/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal.c - a numeric's text as an integer and a scale.
 *
 * The integer is built from 18 digits at a time: all limbs times 10^18, plus the piece. That is quadratic in
 * the number of digits, at most 147,455: 20 ms for the largest numeric, a few nanoseconds for usual ones.
 */
#include "sinks/formats/debezium/decimal.h"

#include <assert.h>

__extension__ typedef unsigned __int128 product_t;

enum { PIECE_DIGITS = 18 }; /* the most that fit a 64-bit limb */

bool decimal_parse(struct slice text, struct decimal *ret_decimal) {
    *ret_decimal =
        (struct decimal){.kind = slice_equal(text, slice_of("NaN"))         ? DECIMAL_NAN
                                 : slice_equal(text, slice_of("Infinity"))  ? DECIMAL_INFINITY
                                 : slice_equal(text, slice_of("-Infinity")) ? DECIMAL_MINUS_INFINITY
                                                                            : DECIMAL_FINITE};
    if (ret_decimal->kind != DECIMAL_FINITE)
        return true;
    if (text.size > 0 && text.data[0] == '-') {
        ret_decimal->is_negative = true;
        text = (struct slice){.data = text.data + 1, .size = text.size - 1};
    }
    const char *point = text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
    size_t whole = point != NULL ? (size_t) (point - text.data) : text.size;
    ret_decimal->whole = (struct slice){.data = text.data, .size = whole};
    if (point != NULL)
        ret_decimal->fraction = (struct slice){.data = point + 1, .size = text.size - whole - 1};
    for (size_t i = 0; i < text.size; i++)
        if (i != whole && (text.data[i] < '0' || text.data[i] > '9'))
            return false;
    return whole > 0 && (point == NULL || ret_decimal->fraction.size > 0);
}

void decimal_strip(struct decimal *decimal) {
    struct slice *fraction = &decimal->fraction;
    while (fraction->size > 0 && fraction->data[fraction->size - 1] == '0')
        fraction->size--;
}

/* Digit number at of the unscaled integer; zero after the end of the fraction. */
static unsigned digit_at(const struct decimal *decimal, size_t at) {
    if (at < decimal->whole.size)
        return (unsigned) (decimal->whole.data[at] - '0');
    at -= decimal->whole.size;
    return at < decimal->fraction.size ? (unsigned) (decimal->fraction.data[at] - '0') : 0;
}

/* limbs * factor + addend, least significant limb first. The caller has room for one more. */
static size_t multiply_add(uint64_t *limbs, size_t count, uint64_t factor, uint64_t addend) {
    product_t carry = addend;
    for (size_t i = 0; i < count; i++) {
        carry += (product_t) limbs[i] * factor;
        limbs[i] = (uint64_t) carry;
        carry >>= 64;
    }
    if (carry > 0)
        limbs[count++] = (uint64_t) carry;
    return count;
}

static size_t fill_limbs(const struct decimal *decimal, size_t digit_count, uint64_t *limbs) {
    size_t count = 0;
    for (size_t at = 0; at < digit_count;) {
        uint64_t piece = 0, factor = 1;
        for (size_t i = 0; i < PIECE_DIGITS && at < digit_count; i++, at++) {
            piece = piece * 10 + digit_at(decimal, at);
            factor *= 10;
        }
        count = multiply_add(limbs, count, factor, piece);
    }
    return count;
}

static void negate(uint64_t *limbs, size_t count) {
    bool carry = true;
    for (size_t i = 0; i < count; i++) {
        limbs[i] = ~limbs[i] + carry;
        carry = carry && limbs[i] == 0;
    }
}

static uint8_t byte_at(const uint64_t *limbs, size_t at) {
    return (uint8_t) (limbs[at / 8] >> (at % 8 * 8));
}

/* Omits leading bytes that only repeat the sign. */
static void append_limbs(const uint64_t *limbs, size_t count, struct buffer *bytes) {
    size_t size = count * 8;
    uint8_t sign = byte_at(limbs, size - 1) >> 7 != 0 ? 0xff : 0;
    while (size > 1 && byte_at(limbs, size - 1) == sign && byte_at(limbs, size - 2) >> 7 == sign >> 7)
        size--;
    while (size > 0)
        buffer_append_u8(bytes, byte_at(limbs, --size));
}

bool decimal_append_unscaled(const struct decimal *decimal, uint32_t scale, struct buffer *scratch,
                             struct buffer *bytes) {
    assert(decimal->kind == DECIMAL_FINITE);
    struct decimal value = *decimal;
    if (value.fraction.size > scale)
        decimal_strip(&value);
    if (value.fraction.size > scale)
        return false;
    size_t digit_count = value.whole.size + scale;
    /* A piece adds at most one limb; two more for the sign and for zero. */
    size_t limb_max = digit_count / PIECE_DIGITS + 3;
    buffer_reset(scratch);
    if (!buffer_reserve(scratch, limb_max * sizeof(uint64_t))) {
        bytes->failed = true;
        return true;
    }
    uint64_t *limbs = (uint64_t *) (void *) scratch->data;
    size_t count = fill_limbs(&value, digit_count, limbs);
    limbs[count++] = 0;
    assert(count <= limb_max);
    if (value.is_negative)
        negate(limbs, count);
    append_limbs(limbs, count, bytes);
    return true;
}
