/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_text.h - a number's decimal text as the JSON number that Java writes for the float.
 *
 * PostgreSQL writes the shortest digits that give the same float again, as Java does; only where the point
 * stands differs: 1e+20 is 1.0E20, 5 is 5.0, 0.0001 is 1.0E-4. So no float is made and nothing is rounded.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* A float4's or float8's text. NaN and the infinities become strings, as the JSON converter has them. */
MUST_CHECK bool float_append_json(struct buffer *json, struct slice text);

/* A numeric's text as the float8 that is nearest to it. */
MUST_CHECK bool float_append_json_nearest(struct buffer *json, struct slice text);
