/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - bytes as base64 (RFC 4648), padded; and PostgreSQL's hexadecimal bytea back to bytes.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

enum base64_alphabet {
    BASE64_STANDARD,
    BASE64_URL_SAFE, /* - and _ for + and / */
};

void base64_append(struct buffer *text, enum base64_alphabet alphabet, struct slice bytes);

/* Pairs of hexadecimal digits; false, with undefined bytes appended, for other text. */
MUST_CHECK bool hex_append_bytes(struct buffer *bytes, struct slice digits);
