/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hstore_text.h - reads the text of an hstore, pair by pair: "key"=>"value", "key"=>NULL
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

struct hstore_text {
    const char *next;
    const char *end;
    struct buffer key;
    struct buffer value;
};

void hstore_text_init(struct hstore_text *hstore, struct slice text);
void hstore_text_release(struct hstore_text *hstore);

/*
 * Reads the next pair into hstore->key and hstore->value; *ret_pair is false at the end. False when the text
 * is not an hstore, or memory is exhausted.
 */
MUST_CHECK bool hstore_text_next(struct hstore_text *hstore, bool *ret_pair, bool *ret_value_is_null);
