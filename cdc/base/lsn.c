/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsn.c - an LSN and its text form.
 */
#include "cdc/base/lsn.h"

#include <inttypes.h>
#include <stdio.h>

struct lsn_text lsn_format(lsn_t lsn) {
    struct lsn_text result;
    snprintf(result.text, sizeof result.text, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32), (uint32_t) lsn);
    return result;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Reads 1 to 8 hexadecimal digits and returns what follows them, or NULL. */
static const char *parse_half(const char *text, uint32_t *ret_half) {
    uint32_t half = 0;
    int count = 0;
    for (; hex_digit(text[count]) >= 0; count++) {
        if (count == 8)
            return NULL;
        half = half << 4 | (uint32_t) hex_digit(text[count]);
    }
    if (count == 0)
        return NULL;
    *ret_half = half;
    return text + count;
}

bool lsn_parse(const char *text, lsn_t *ret_lsn) {
    uint32_t high = 0, low = 0;
    text = parse_half(text, &high);
    if (text == NULL || *text != '/')
        return false;
    text = parse_half(text + 1, &low);
    if (text == NULL || *text != '\0')
        return false;
    *ret_lsn = (lsn_t) high << 32 | low;
    return true;
}
