/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.h - values that are the same for the same value and key, and do not show it.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "sinks/mapping/mask_key.h"

enum { MASK_HASH_DIGITS = 2 * HMAC_BYTES };

/*
 * The first `count` lower-case hexadecimal digits of the text's HMAC-SHA256, in arena; 0: all. Each four bits
 * of two values are equal by chance once in 16.
 */
MUST_CHECK bool mask_hash(const struct mask_key *key, struct slice text, uint32_t count, struct arena *arena,
                          struct slice *ret_text, struct error *err);

/*
 * The digits 0 to 9 become other digits by FF1, without a tweak; every other character keeps its place. Two
 * texts never become equal. In arena. ERROR_DATA, without the text: it has fewer than 6 digits, which could
 * be guessed, or more than 56.
 */
MUST_CHECK bool mask_digits(const struct mask_key *key, struct slice text, struct arena *arena,
                            struct slice *ret_text, struct error *err);
