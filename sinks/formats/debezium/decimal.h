/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal.h - a numeric's text as an integer and a scale, exact for any size.
 *
 *     "-12.340"  ->  -12340 with scale 3  ->  CF CC
 *
 * The text is as PostgreSQL writes numerics: digits and a point, never an exponent.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

enum decimal_kind {
    DECIMAL_FINITE,
    DECIMAL_NAN,
    DECIMAL_INFINITY,
    DECIMAL_MINUS_INFINITY,
};

/* Points into the text. */
struct decimal {
    enum decimal_kind kind;
    bool is_negative;
    struct slice whole;
    struct slice fraction;
};

MUST_CHECK bool decimal_parse(struct slice text, struct decimal *ret_decimal);

/* Removes trailing zeroes of the fraction. */
void decimal_strip(struct decimal *decimal);

/*
 * Appends value * 10^scale in two's complement, network byte order, in the fewest bytes. False when the
 * value has more decimal digits than scale. scratch is left in an undefined state.
 */
MUST_CHECK bool decimal_append_unscaled(const struct decimal *decimal, uint32_t scale, struct buffer *scratch,
                                        struct buffer *bytes);
