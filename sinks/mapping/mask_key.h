/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask_key.h - the secret of masks: the bytes of a file, all of them, an end of line too.
 *
 * What is made of them never changes, because the same value must have the same mask in every run:
 *
 *     hash      HMAC-SHA256; the bytes are its key, so that hmac() of pgcrypto gives the same
 *     digits    FF1 with AES-256; its key is HMAC-SHA256(the bytes, MASK_DIGITS_LABEL)
 *
 * The label is no UTF-8, so no text is equal to it. Otherwise a user who can write a value at the source and
 * read its hash at the sink would have the key of the digits.
 *
 * The bytes are wiped once the keys are made; neither is ever shown. Only read once made: any thread.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "sinks/mapping/ff1.h"
#include "sinks/mapping/hmac.h"

enum { MASK_KEY_BYTES_MIN = 16, MASK_KEY_BYTES_MAX = 1024 };

#define MASK_DIGITS_LABEL                                                                                    \
    "\xff"                                                                                                   \
    "pgcdc digits: FF1, AES-256"

struct mask_key {
    struct hmac_key hash;
    struct ff1_key digits;
};

/*
 * The key is in arena, and the caller releases it. ERROR_CONFIG names the file, never its content: it cannot
 * be read, has too few or too many bytes, or other users may read or change it.
 */
MUST_CHECK bool mask_key_read(const char *path, struct arena *arena, struct mask_key **ret_key,
                              struct error *err);

/* The same from memory, of any size. After false too the caller releases. */
MUST_CHECK bool mask_key_init(struct mask_key *key, struct slice bytes, struct error *err);

/* Wipes it. */
void mask_key_release(struct mask_key *key);
