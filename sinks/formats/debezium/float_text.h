/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_text.h - a number's decimal text as the JSON number that Java writes for the float.
 *
 * PostgreSQL writes the fewest digits that give the same float when read back, as Java does; only the
 * notation differs: 1e+20 is 1.0E20, 5 is 5.0, 0.0001 is 1.0E-4. So the text is never converted to a float,
 * and nothing is rounded.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* The text of a float4 or float8. NaN and infinities become strings, as in the JSON converter. */
MUST_CHECK bool float_append_json(struct buffer *json, struct slice text);

/* A numeric's text as the nearest float8. */
MUST_CHECK bool float_append_json_nearest(struct buffer *json, struct slice text);
