/* SPDX-License-Identifier: Apache-2.0 */
/*
 * characters.h - what steps do to the characters of a text.
 *
 * A character is a code point. Every text given is valid UTF-8 (see utf8_is_valid), and so is every result. A
 * result that equals the text is the text itself, or a part of it; otherwise it is in the arena.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

size_t characters_count(struct slice text);

/* The first `count` characters, or all. */
struct slice characters_first(struct slice text, size_t count);

/* Without the first `count` characters. */
struct slice characters_after(struct slice text, size_t count);

/* Without white space at both ends. White space is what has Unicode's property White_Space. */
struct slice characters_trim(struct slice text);

/* Runs of white space become one blank. */
MUST_CHECK bool characters_squeeze(struct slice text, struct arena *arena, struct slice *ret_text,
                                   struct error *err);

/*
 * Unicode's simple mapping: one character becomes one, in every language and at every place of a word alike.
 */
MUST_CHECK bool characters_lower(struct slice text, struct arena *arena, struct slice *ret_text,
                                 struct error *err);
MUST_CHECK bool characters_upper(struct slice text, struct arena *arena, struct slice *ret_text,
                                 struct error *err);
