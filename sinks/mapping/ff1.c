/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ff1.c - ten rounds of a Feistel network over the two halves of the digits, each half a number.
 *
 * The names are those of SP 800-38G, algorithm 7: n digits, u of them in the half A and v in B; b bytes for a
 * half; d bytes of a round's code y. A half fits in 96 bits, so b <= 12 and d <= 16: y is part of one block.
 */
#include "sinks/mapping/ff1.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 number_t;

enum { ROUNDS = 10, AES_BYTES = 16, HALF_BYTES_MAX = 12, TEXTS_MIN = 1000000 };

_Static_assert(FF1_TWEAK_MAX + 1 + HALF_BYTES_MAX <= 2 * AES_BYTES, "Q has two blocks at most");

struct ff1_run {
    EVP_CIPHER_CTX *aes;
    struct slice tweak;
    number_t moduli[2];       /* radix^u, radix^v: of the even rounds, and of the odd ones */
    number_t a, b;            /* the halves */
    size_t half_bytes;        /* b */
    size_t code_bytes;        /* d */
    uint8_t begun[AES_BYTES]; /* the code of the block P, with which each round's begins */
};

static void free_cipher_context(EVP_CIPHER_CTX **context) {
    EVP_CIPHER_CTX_free(*context);
}

static void free_cipher(EVP_CIPHER **cipher) {
    EVP_CIPHER_free(*cipher);
}

static bool refuse_cipher(struct error *err) {
    return error_set(err, ERROR_SYSTEM, "OpenSSL cannot encrypt with AES");
}

bool ff1_key_init(struct ff1_key *key, struct slice bytes, struct error *err) {
    assert(bytes.size == 16 || bytes.size == 24 || bytes.size == 32);
    const char *name = bytes.size == 16 ? "AES-128-ECB" : bytes.size == 24 ? "AES-192-ECB" : "AES-256-ECB";
    EVP_CIPHER *cipher AUTO(free_cipher) = EVP_CIPHER_fetch(NULL, name, NULL);
    key->aes = EVP_CIPHER_CTX_new();
    if (cipher == NULL || key->aes == NULL ||
        EVP_EncryptInit_ex2(key->aes, cipher, (const unsigned char *) bytes.data, NULL, NULL) != 1 ||
        EVP_CIPHER_CTX_set_padding(key->aes, 0) != 1)
        return refuse_cipher(err);
    return true;
}

void ff1_key_release(struct ff1_key *key) {
    EVP_CIPHER_CTX_free(key->aes);
    key->aes = NULL;
}

/* 0: it has more than 96 bits. */
static number_t power_of(uint32_t radix, size_t exponent) {
    number_t power = 1;
    while (exponent-- > 0 && power != 0)
        power = (power * radix) >> (8 * HALF_BYTES_MAX) == 0 ? power * radix : 0;
    return power;
}

bool ff1_takes(uint32_t radix, size_t count) {
    number_t half = power_of(radix, count - count / 2), other = power_of(radix, count / 2);
    return half != 0 && (half >= TEXTS_MIN || half * other >= TEXTS_MIN);
}

static number_t number_of(const uint8_t *digits, size_t count, uint32_t radix) {
    number_t number = 0;
    for (size_t i = 0; i < count; i++) {
        assert(digits[i] < radix);
        number = number * radix + digits[i];
    }
    return number;
}

static void write_digits(number_t number, uint8_t *digits, size_t count, uint32_t radix) {
    while (count-- > 0) {
        digits[count] = (uint8_t) (number % radix);
        number /= radix;
    }
}

static number_t number_of_bytes(const uint8_t *bytes, size_t size) {
    number_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | bytes[i];
    return number;
}

static void write_bytes(number_t number, uint8_t *bytes, size_t size) {
    while (size-- > 0) {
        bytes[size] = (uint8_t) number;
        number >>= 8;
    }
}

static size_t bytes_for(number_t largest) {
    size_t size = 0;
    for (; largest > 0; largest >>= 8)
        size++;
    return size;
}

/* code = AES(code xor block): one block of a CBC-MAC. */
static bool add_block(EVP_CIPHER_CTX *aes, uint8_t code[AES_BYTES], const uint8_t block[AES_BYTES]) {
    int size;
    for (int i = 0; i < AES_BYTES; i++)
        code[i] ^= block[i];
    return EVP_EncryptUpdate(aes, code, &size, code, AES_BYTES) == 1;
}

/* P = [1] [2] [1] [radix] [ROUNDS] [u] [n] [tweak's size], of 1, 1, 1, 3, 1, 1, 4 and 4 bytes. */
static bool begin_code(struct ff1_run *run, const struct ff1_input *input) {
    uint8_t block[AES_BYTES] = {1, 2, 1, [6] = ROUNDS, [7] = (uint8_t) (input->count / 2)};
    write_bytes(input->radix, block + 3, 3);
    write_bytes(input->count, block + 8, 4);
    write_bytes(input->tweak.size, block + 12, 4);
    return add_block(run->aes, run->begun, block);
}

/* y, of Q = tweak, zeros up to whole blocks, [round], [half]. */
static bool round_code(struct ff1_run *run, uint8_t round, number_t half, number_t *ret_code) {
    uint8_t code[AES_BYTES], q[2 * AES_BYTES] = {0};
    size_t size = (run->tweak.size + 1 + run->half_bytes + AES_BYTES - 1) / AES_BYTES * AES_BYTES;
    if (run->tweak.size > 0)
        memcpy(q, run->tweak.data, run->tweak.size);
    q[size - run->half_bytes - 1] = round;
    write_bytes(half, q + size - run->half_bytes, run->half_bytes);
    memcpy(code, run->begun, sizeof code);
    for (size_t at = 0; at < size; at += AES_BYTES)
        if (!add_block(run->aes, code, q + at))
            return false;
    *ret_code = number_of_bytes(code, run->code_bytes);
    return true;
}

static bool run_begin(struct ff1_run *run, const struct ff1_key *key, const struct ff1_input *input) {
    const size_t u = input->count / 2, v = input->count - u;
    assert(input->radix >= 2 && input->radix <= FF1_RADIX_MAX);
    assert(input->tweak.size <= FF1_TWEAK_MAX);
    assert(ff1_takes(input->radix, input->count));
    run->tweak = input->tweak;
    run->moduli[0] = power_of(input->radix, u);
    run->moduli[1] = power_of(input->radix, v);
    run->a = number_of(input->digits, u, input->radix);
    run->b = number_of(input->digits + u, v, input->radix);
    run->half_bytes = bytes_for(run->moduli[1] - 1);
    run->code_bytes = (run->half_bytes + 3) / 4 * 4 + 4;
    /* A copy, because AES keeps state in it that is not shared by threads. */
    return run->aes != NULL && EVP_CIPHER_CTX_copy(run->aes, key->aes) == 1 && begin_code(run, input);
}

static void run_end(const struct ff1_run *run, const struct ff1_input *input) {
    const size_t u = input->count / 2;
    write_digits(run->a, input->digits, u, input->radix);
    write_digits(run->b, input->digits + u, input->count - u, input->radix);
}

bool ff1_encrypt(const struct ff1_key *key, const struct ff1_input *input, struct error *err) {
    EVP_CIPHER_CTX *aes AUTO(free_cipher_context) = EVP_CIPHER_CTX_new();
    struct ff1_run run = {.aes = aes};
    number_t y;
    if (!run_begin(&run, key, input))
        return refuse_cipher(err);
    for (uint8_t round = 0; round < ROUNDS; round++) {
        const number_t modulus = run.moduli[round % 2];
        if (!round_code(&run, round, run.b, &y))
            return refuse_cipher(err);
        const number_t c = (run.a + y % modulus) % modulus;
        run.a = run.b;
        run.b = c;
    }
    run_end(&run, input);
    return true;
}

bool ff1_decrypt(const struct ff1_key *key, const struct ff1_input *input, struct error *err) {
    EVP_CIPHER_CTX *aes AUTO(free_cipher_context) = EVP_CIPHER_CTX_new();
    struct ff1_run run = {.aes = aes};
    number_t y;
    if (!run_begin(&run, key, input))
        return refuse_cipher(err);
    for (uint8_t round = ROUNDS; round-- > 0;) {
        const number_t modulus = run.moduli[round % 2];
        if (!round_code(&run, round, run.a, &y))
            return refuse_cipher(err);
        const number_t c = (run.b + modulus - y % modulus) % modulus;
        run.b = run.a;
        run.a = c;
    }
    run_end(&run, input);
    return true;
}
