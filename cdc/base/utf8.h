/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.h - is a text UTF-8, as JSON and protobuf require of strings?
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/slice.h"

/* No misplaced byte, no overlong form, no surrogate, nothing above U+10FFFF. */
bool utf8_is_valid(struct slice text);

/* The size of the character that text begins with; 0 when it begins with none. */
size_t utf8_character_size(struct slice text);
