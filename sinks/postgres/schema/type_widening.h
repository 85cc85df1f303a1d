/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_widening.h - does a type keep every value of another one, so that the server's own cast changes none?
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"

struct type_and_modifier {
    oid_t oid;
    int32_t modifier;
};

/* Also when both are the same. Only integers, texts with a length, and numeric. */
bool type_widens(struct type_and_modifier from, struct type_and_modifier to);

/* Both are integers: a narrower one refuses a value rather than change it. */
bool type_is_integer_pair(struct type_and_modifier from, struct type_and_modifier to);
