/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hmac.c - hash(outer pad, hash(inner pad, text)). A value costs two copies of a prepared hash.
 */
#include "sinks/mapping/hmac.h"

#include <string.h>

enum { BLOCK_BYTES = 64, INNER_PAD = 0x36, OUTER_PAD = 0x5c };

static void free_digest(EVP_MD **digest) {
    EVP_MD_free(*digest);
}

static void free_hash(EVP_MD_CTX **hash) {
    EVP_MD_CTX_free(*hash);
}

static bool refuse_hash(struct error *err) {
    return error_set(err, ERROR_SYSTEM, "OpenSSL cannot compute SHA-256");
}

/* A key that is longer than a block counts by its hash; a shorter one is filled up with zeros. */
static bool pad_key(const EVP_MD *sha256, struct slice bytes, uint8_t ret_block[BLOCK_BYTES]) {
    memset(ret_block, 0, BLOCK_BYTES);
    if (bytes.size > BLOCK_BYTES)
        return EVP_Digest(bytes.data, bytes.size, ret_block, NULL, sha256, NULL) == 1;
    memcpy(ret_block, bytes.data, bytes.size);
    return true;
}

static EVP_MD_CTX *begin_hash(const EVP_MD *sha256, const uint8_t block[BLOCK_BYTES], uint8_t pad) {
    uint8_t padded[BLOCK_BYTES];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    for (int i = 0; i < BLOCK_BYTES; i++)
        padded[i] = block[i] ^ pad;
    if (hash != NULL &&
        (EVP_DigestInit_ex2(hash, sha256, NULL) != 1 || EVP_DigestUpdate(hash, padded, sizeof padded) != 1)) {
        EVP_MD_CTX_free(hash);
        hash = NULL;
    }
    explicit_bzero(padded, sizeof padded);
    return hash;
}

bool hmac_key_init(struct hmac_key *key, struct slice bytes, struct error *err) {
    uint8_t block[BLOCK_BYTES];
    EVP_MD *sha256 AUTO(free_digest) = EVP_MD_fetch(NULL, "SHA256", NULL);
    *key = (struct hmac_key){0};
    if (sha256 == NULL || !pad_key(sha256, bytes, block))
        return refuse_hash(err);
    key->inner = begin_hash(sha256, block, INNER_PAD);
    key->outer = begin_hash(sha256, block, OUTER_PAD);
    explicit_bzero(block, sizeof block);
    return key->inner != NULL && key->outer != NULL ? true : refuse_hash(err);
}

void hmac_key_release(struct hmac_key *key) {
    EVP_MD_CTX_free(key->inner);
    EVP_MD_CTX_free(key->outer);
    *key = (struct hmac_key){0};
}

static bool finish_hash(EVP_MD_CTX *hash, const EVP_MD_CTX *begun, struct slice text,
                        uint8_t ret_code[HMAC_BYTES]) {
    return EVP_MD_CTX_copy_ex(hash, begun) == 1 && EVP_DigestUpdate(hash, text.data, text.size) == 1 &&
           EVP_DigestFinal_ex(hash, ret_code, NULL) == 1;
}

bool hmac_sign(const struct hmac_key *key, struct slice text, uint8_t ret_code[HMAC_BYTES],
               struct error *err) {
    uint8_t inner[HMAC_BYTES];
    EVP_MD_CTX *hash AUTO(free_hash) = EVP_MD_CTX_new();
    if (hash == NULL || !finish_hash(hash, key->inner, text, inner) ||
        !finish_hash(hash, key->outer, (struct slice){(const char *) inner, sizeof inner}, ret_code))
        return refuse_hash(err);
    return true;
}
