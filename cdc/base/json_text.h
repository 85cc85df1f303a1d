/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.h - JSON numbers and strings, written straight into a buffer.
 *
 * This is for code that writes a lot of JSON. cdc/base/json_writer.h writes a whole document and keeps its
 * grammar right.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* Is the text a number in JSON's grammar? */
bool json_is_number(struct slice text);

/* Appends the text as a string with quotes. False when the text is not UTF-8; then nothing is appended. */
MUST_CHECK bool json_append_string(struct buffer *json, struct slice text);

void json_append_integer(struct buffer *json, int64_t number);
