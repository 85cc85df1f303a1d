/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.h - what JSON allows, and its strings, straight into a buffer.
 *
 * Who needs a whole document with its grammar kept uses cdc/print/json_writer.h; this is for those who write
 * a lot of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* Is it a number as JSON writes them? */
bool json_is_number(struct slice text);

/* The text as a string with its quotes; false, with nothing appended, when it is not UTF-8. */
MUST_CHECK bool json_append_string(struct buffer *json, struct slice text);

void json_append_integer(struct buffer *json, int64_t number);
