/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ff1.h - the encryption of digits to as many digits, FF1 of NIST SP 800-38G.
 *
 * A permutation of all texts of one length: two different ones never become equal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

enum {
    FF1_TWEAK_MAX = 16,
    FF1_RADIX_MAX = 36,
    FF1_DECIMAL_MIN = 6, /* what ff1_takes says of radix 10 */
    FF1_DECIMAL_MAX = 56,
};

/* AES with its key schedule. Only read once initialized: any thread. */
struct ff1_key {
    EVP_CIPHER_CTX *aes;
};

/* The key has 16, 24 or 32 bytes. After false too the caller releases. */
MUST_CHECK bool ff1_key_init(struct ff1_key *key, struct slice bytes, struct error *err);
void ff1_key_release(struct ff1_key *key);

/*
 * Not fewer than a million different texts, as Revision 1 of the standard demands; and not so many that half
 * of the digits is a number of more than 96 bits, which spares this code any number of more than 128.
 */
bool ff1_takes(uint32_t radix, size_t count);

struct ff1_input {
    uint32_t radix; /* 2 … FF1_RADIX_MAX */
    uint8_t *digits;
    size_t count; /* that ff1_takes */
    struct slice tweak;
};

/* In place. Each digit is less than the radix; otherwise it is an error in the program. */
MUST_CHECK bool ff1_encrypt(const struct ff1_key *key, const struct ff1_input *input, struct error *err);
MUST_CHECK bool ff1_decrypt(const struct ff1_key *key, const struct ff1_input *input, struct error *err);
