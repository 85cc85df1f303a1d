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
    bool after_value; /* a delimiter or a closing brace must follow */
    bool has_ended;
    struct buffer unescaped; /* the text of an element that has backslashes */
};

/* Skips the bounds. delimiter: ',', or ';' for box. Release it also after a failure. */
MUST_CHECK bool array_text_init(struct array_text *array, struct slice text, char delimiter);
void array_text_release(struct array_text *array);

/*
 * The next piece, and the element's text, valid until the next call. ARRAY_END once, when the last brace is
 * closed and the text ends. False when the text is not an array, or memory is exhausted.
 */
MUST_CHECK bool array_text_next(struct array_text *array, enum array_piece *ret_piece,
                                struct slice *ret_element);
