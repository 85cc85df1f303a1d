/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ff1_test.c - the sample vectors of NIST for FF1, and what holds of any digits.
 */
#include "sinks/mapping/ff1.h"

#include <criterion/criterion.h>
#include <string.h>

#include "tests/support/random.h"

#define KEY_128 "2B7E151628AED2A6ABF7158809CF4F3C"
#define KEY_192 KEY_128 "EF4359D8D580AA4F"
#define KEY_256 KEY_192 "7F036D6F04FC6A94"
#define DIGITS "0123456789"
#define LETTERS "0123456789abcdefghijklmnopqrstuvwxyz"
#define DIGITS_TWEAK "39383736353433323130"
#define LETTERS_TWEAK "3737373770717273373737"

static struct error err;

/* FF1samples.pdf, to which SP 800-38G refers. */
static const struct sample {
    const char *key;
    uint32_t radix;
    const char *tweak;
    const char *plain;
    const char *encrypted;
} SAMPLES[] = {
    {KEY_128, 10, "", DIGITS, "2433477484"},
    {KEY_128, 10, DIGITS_TWEAK, DIGITS, "6124200773"},
    {KEY_128, 36, LETTERS_TWEAK, "0123456789abcdefghi", "a9tv40mll9kdu509eum"},
    {KEY_192, 10, "", DIGITS, "2830668132"},
    {KEY_192, 10, DIGITS_TWEAK, DIGITS, "2496655549"},
    {KEY_192, 36, LETTERS_TWEAK, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"},
    {KEY_256, 10, "", DIGITS, "6657667009"},
    {KEY_256, 10, DIGITS_TWEAK, DIGITS, "1001623463"},
    {KEY_256, 36, LETTERS_TWEAK, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"},
};

static struct slice from_hex(const char *hex, char *bytes) {
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (char) strtoul(pair, NULL, 16);
    }
    return (struct slice){bytes, size};
}

static struct ff1_key key_of(const char *hex) {
    char bytes[32];
    struct ff1_key key;
    cr_assert(ff1_key_init(&key, from_hex(hex, bytes), &err), "%s", err.text);
    return key;
}

static size_t to_digits(const char *text, uint8_t *digits) {
    for (size_t i = 0; i < strlen(text); i++)
        digits[i] = (uint8_t) (strchr(LETTERS, text[i]) - LETTERS);
    return strlen(text);
}

static void expect_digits(const uint8_t *digits, const char *expected) {
    for (size_t i = 0; i < strlen(expected); i++)
        cr_expect_eq(LETTERS[digits[i]], expected[i], "%s: digit %zu is %c", expected, i, LETTERS[digits[i]]);
}

Test(ff1, the_samples_of_nist_are_encrypted_and_decrypted) {
    for (size_t i = 0; i < sizeof SAMPLES / sizeof *SAMPLES; i++) {
        const struct sample *sample = &SAMPLES[i];
        struct ff1_key key AUTO(ff1_key_release) = key_of(sample->key);
        char tweak[FF1_TWEAK_MAX];
        uint8_t digits[64];
        const struct ff1_input input = {.radix = sample->radix,
                                        .digits = digits,
                                        .count = to_digits(sample->plain, digits),
                                        .tweak = from_hex(sample->tweak, tweak)};
        cr_assert(ff1_encrypt(&key, &input, &err), "%s", err.text);
        expect_digits(digits, sample->encrypted);
        cr_assert(ff1_decrypt(&key, &input, &err), "%s", err.text);
        expect_digits(digits, sample->plain);
    }
}

Test(ff1, fewer_than_a_million_texts_and_too_many_are_not_taken) {
    cr_expect_not(ff1_takes(10, 0));
    cr_expect_not(ff1_takes(10, FF1_DECIMAL_MIN - 1));
    cr_expect(ff1_takes(10, FF1_DECIMAL_MIN));
    cr_expect(ff1_takes(10, FF1_DECIMAL_MAX));
    cr_expect_not(ff1_takes(10, FF1_DECIMAL_MAX + 1));
    cr_expect_not(ff1_takes(10, SIZE_MAX));
    cr_expect_not(ff1_takes(2, 19));
    cr_expect(ff1_takes(2, 20));
    cr_expect_not(ff1_takes(36, 3));
    cr_expect(ff1_takes(36, 4));
    cr_expect(ff1_takes(36, 36));
    cr_expect_not(ff1_takes(36, 37));
}

/* What is decrypted is what was encrypted, for every length, at both ends of the numbers too. */
Test(ff1, every_length_comes_back) {
    struct random random = random_start("ff1");
    struct ff1_key key AUTO(ff1_key_release) = key_of(KEY_256);
    for (size_t count = FF1_DECIMAL_MIN; count <= FF1_DECIMAL_MAX; count++) {
        for (int round = 0; round < 300; round++) {
            uint8_t given[FF1_DECIMAL_MAX], digits[FF1_DECIMAL_MAX];
            for (size_t i = 0; i < count; i++)
                given[i] = round == 0 ? 0 : round == 1 ? 9 : (uint8_t) random_below(&random, 10);
            memcpy(digits, given, count);
            const struct ff1_input input = {.radix = 10, .digits = digits, .count = count};
            cr_assert(ff1_encrypt(&key, &input, &err));
            for (size_t i = 0; i < count; i++)
                cr_assert_lt(digits[i], 10);
            cr_assert(ff1_decrypt(&key, &input, &err));
            cr_assert_eq(memcmp(digits, given, count), 0, "%zu digits, round %d", count, round);
        }
    }
}

/* The whole of the smallest domain: each of the million texts is the mask of exactly one. */
Test(ff1, no_two_texts_of_six_digits_become_equal) {
    enum { TEXTS = 1000000 };
    uint8_t *seen = calloc(TEXTS, 1);
    struct ff1_key key AUTO(ff1_key_release) = key_of(KEY_128);
    for (uint32_t text = 0; text < TEXTS; text++) {
        uint8_t digits[6];
        uint32_t number = text, mask = 0;
        for (int i = 5; i >= 0; i--, number /= 10)
            digits[i] = (uint8_t) (number % 10);
        cr_assert(ff1_encrypt(&key, &(struct ff1_input){.radix = 10, .digits = digits, .count = 6}, &err));
        for (int i = 0; i < 6; i++)
            mask = mask * 10 + digits[i];
        cr_assert_lt(mask, TEXTS);
        cr_assert_eq(seen[mask]++, 0, "%06u is masked as another text", text);
    }
    free(seen);
}
