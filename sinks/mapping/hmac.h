/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmac.h - HMAC-SHA256 (RFC 2104), with a key that is prepared once.
 *
 * OpenSSL's own HMAC prepares the key anew for each value, which takes most of the time.
 */
#pragma once

#include <stdint.h>

#include <openssl/evp.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

enum { HMAC_BYTES = 32 };

/* Two hashes, each after its first block, which is the padded key. Only read once initialized: any thread. */
struct hmac_key {
    EVP_MD_CTX *inner;
    EVP_MD_CTX *outer;
};

/* The key has any size. After false too the caller releases. */
MUST_CHECK bool hmac_key_init(struct hmac_key *key, struct slice bytes, struct error *err);
void hmac_key_release(struct hmac_key *key);

MUST_CHECK bool hmac_sign(const struct hmac_key *key, struct slice text, uint8_t ret_code[HMAC_BYTES],
                          struct error *err);
