/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_text.h - reads the text of a PostgreSQL array, piece by piece.
 *
 *     {1,NULL,"with \"quotes\", and a comma"}     {{1,2},{3,4}}     [0:1]={1,2}     {}
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

enum array_piece {
    ARRAY_OPEN,
    ARRAY_CLOSE,
    ARRAY_NULL,
    ARRAY_ELEMENT,
    ARRAY_END,
};

struct array_text {
    const char *next;
    const char *end;
    char delimiter;
    unsigned depth;
    bool after_value; /* what comes next is a delimiter or a closing brace */
    bool has_ended;
    struct buffer unescaped; /* of an element with backslashes */
};

/* Skips the bounds. delimiter: ',' but for box, ';'. Release it whatever is returned. */
MUST_CHECK bool array_text_init(struct array_text *array, struct slice text, char delimiter);
void array_text_release(struct array_text *array);

/*
 * The next piece, and the element's text, which lives until the next call. ARRAY_END once, when the last
 * brace is closed and nothing is left. False when the text is none of an array, or memory is exhausted.
 */
MUST_CHECK bool array_text_next(struct array_text *array, enum array_piece *ret_piece,
                                struct slice *ret_element);
