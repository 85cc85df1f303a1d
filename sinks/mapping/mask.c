/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.c - see mask.h.
 */
#include "sinks/mapping/mask.h"

static char *write_hex(char *out, const uint8_t *bytes, size_t size) {
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *out++ = HEX[bytes[i] >> 4];
        *out++ = HEX[bytes[i] & 15];
    }
    return out;
}

bool mask_hash(const struct mask_key *key, struct slice text, uint32_t count, struct arena *arena,
               struct slice *ret_text, struct error *err) {
    uint8_t code[HMAC_BYTES];
    if (!hmac_sign(&key->hash, text, code, err))
        return false;
    char *hex = arena_alloc(arena, MASK_HASH_DIGITS);
    if (hex == NULL)
        return error_no_memory(err);
    write_hex(hex, code, sizeof code);
    *ret_text = (struct slice){hex, count == 0 || count > MASK_HASH_DIGITS ? MASK_HASH_DIGITS : count};
    return true;
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* The count of all, of which the first FF1_DECIMAL_MAX are returned. */
static size_t find_digits(struct slice text, uint8_t ret_digits[FF1_DECIMAL_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        if (is_digit(text.data[i]) && count++ < FF1_DECIMAL_MAX)
            ret_digits[count - 1] = (uint8_t) (text.data[i] - '0');
    return count;
}

static void replace_digits(char *text, size_t size, const uint8_t *digits) {
    for (size_t i = 0; i < size; i++)
        if (is_digit(text[i]))
            text[i] = (char) ('0' + *digits++);
}

static bool refuse_digits(size_t count, struct error *err) {
    error_set(err, ERROR_DATA, "the text has %s digits than FF1 can encrypt (6 to 56)",
              count < FF1_DECIMAL_MIN ? "fewer" : "more");
    return error_remedy(err,
                        "mask this column with hash, which takes every text; rows that the sink has keep "
                        "their mask until they are copied again");
}

bool mask_digits(const struct mask_key *key, struct slice text, struct arena *arena, struct slice *ret_text,
                 struct error *err) {
    uint8_t digits[FF1_DECIMAL_MAX];
    const size_t count = find_digits(text, digits);
    if (!ff1_takes(10, count))
        return refuse_digits(count, err);
    if (!ff1_encrypt(&key->digits, &(struct ff1_input){.radix = 10, .digits = digits, .count = count}, err))
        return false;
    char *masked = arena_copy(arena, text);
    if (masked == NULL)
        return error_no_memory(err);
    replace_digits(masked, text.size, digits);
    *ret_text = (struct slice){masked, text.size};
    return true;
}
