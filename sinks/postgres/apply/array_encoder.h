/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_encoder.h - many values as one parameter: an array of one dimension, in its text or its binary form.
 *
 * Values keep the format in which they were received: nothing is converted.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "sinks/postgres/catalog/target_table.h"

/* begin, count values, end */
struct array_encoder {
    struct buffer *buffer;
    bool is_binary;
    char delimiter;
    uint32_t left;
};

void array_encoder_begin(struct array_encoder *array, struct buffer *buffer,
                         const struct target_column *column, bool is_binary, uint32_t count);
void array_encoder_add(struct array_encoder *array, const struct value *value);
/* The text form ends with a NUL, which libpq requires. */
void array_encoder_end(struct array_encoder *array);
