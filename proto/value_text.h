/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_text.h - PostgreSQL's text of a value and the value itself, in both directions, exactly.
 *
 * Accepts only what the server prints with the settings that every session pins; false for anything else.
 * "007" is no integer, because it would not be printed that way again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/slice.h"

enum { VALUE_TEXT_MAX = 40 }; /* longest text of a number, with its NUL */

MUST_CHECK bool value_text_to_bool(struct slice text, bool *ret_value);
MUST_CHECK bool value_text_to_integer(struct slice text, int64_t min, int64_t max, int64_t *ret_value);
MUST_CHECK bool value_text_to_float4(struct slice text, float *ret_value);
MUST_CHECK bool value_text_to_float8(struct slice text, double *ret_value);

/* bytea_output = hex. The number of bytes, and the bytes themselves, written to `at`. */
MUST_CHECK bool value_text_bytea_size(struct slice text, size_t *ret_size);
MUST_CHECK bool value_text_put_bytea(struct slice text, char *at);

/* The text that the server prints, NUL-terminated, and its size. */
size_t value_text_of_integer(int64_t value, char text[VALUE_TEXT_MAX]);
size_t value_text_of_float4(float value, char text[VALUE_TEXT_MAX]);
size_t value_text_of_float8(double value, char text[VALUE_TEXT_MAX]);

/* Writes to text, which has room for value_text_of_bytea_size. */
size_t value_text_of_bytea_size(struct slice bytes);
void value_text_of_bytea(struct slice bytes, char *text);
