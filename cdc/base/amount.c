/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount.c - quantities as people read them.
 */
#include "cdc/base/amount.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RATE_MAX = 1000000, /* MB a second */
    DIGITS_MAX = 8,
    NUMBER_MAX = 1000000000, /* of a duration */
};

struct amount amount_count(uint64_t count, const char *noun) {
    struct amount amount;
    const size_t length = strlen(noun);
    const bool hisses = length >= 2 && strcmp(noun + length - 2, "ch") == 0;
    snprintf(amount.text, sizeof amount.text, "%" PRIu64 " %.24s%s", count, noun,
             count == 1 ? ""
             : hisses   ? "es"
                        : "s");
    return amount;
}

struct amount amount_bytes(double bytes) {
    static const char *const UNITS[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    for (; bytes >= 1000 && unit < sizeof UNITS / sizeof UNITS[0] - 1; unit++)
        bytes /= 1000;
    struct amount amount;
    snprintf(amount.text, sizeof amount.text, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes,
             UNITS[unit]);
    return amount;
}

bool amount_parse_rate(const char *text, uint64_t *ret_bytes) {
    char *end = NULL;
    errno = 0;
    const unsigned long number = strtoul(text, &end, 10);
    *ret_bytes = (uint64_t) number << 20;
    return text[0] >= '0' && text[0] <= '9' && errno == 0 && number > 0 && number <= RATE_MAX &&
           (*end == '\0' || strcmp(end, "MB") == 0 || strcmp(end, "MB/s") == 0);
}

/* The shift of a unit; 0: none. */
static unsigned shift_of(const char *unit) {
    static const struct {
        const char *name;
        unsigned shift;
    } UNITS[] = {{"kB", 10}, {"MB", 20}, {"GB", 30}};
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        if (strcmp(unit, UNITS[i].name) == 0)
            return UNITS[i].shift;
    return 0;
}

bool amount_parse_bytes(const char *text, uint64_t *ret_bytes) {
    const size_t digits = strspn(text, "0123456789");
    const unsigned shift = shift_of(text + digits);
    *ret_bytes = digits > 0 && digits < DIGITS_MAX && shift != 0 ? strtoull(text, NULL, 10) << shift : 0;
    return *ret_bytes > 0;
}

struct amount amount_duration(int64_t duration_ms) {
    static const struct {
        double ms;
        const char *name;
    } UNITS[] = {{1000, "s"}, {60e3, "min"}, {3600e3, "h"}, {86400e3, "d"}};
    size_t unit = 0;
    while (unit < sizeof UNITS / sizeof UNITS[0] - 1 && (double) duration_ms >= 2 * UNITS[unit + 1].ms)
        unit++;
    double count = (double) duration_ms / UNITS[unit].ms;
    struct amount amount;
    snprintf(amount.text, sizeof amount.text, count < 10 && unit == 0 ? "%.1f %s" : "%.0f %s", count,
             UNITS[unit].name);
    return amount;
}

bool amount_parse_duration(const char *text, int64_t *ret_ms) {
    static const struct {
        const char *name;
        int64_t ms;
    } UNITS[] = {{"ms", 1},      {"s", 1000},    {"", 1000},     {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end = NULL;
    errno = 0;
    const long number = strtol(text, &end, 10);
    if (end == text || text[0] < '0' || text[0] > '9' || errno != 0 || number <= 0 || number > NUMBER_MAX)
        return false;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
        if (strcmp(end, UNITS[i].name) == 0) {
            *ret_ms = number * UNITS[i].ms;
            return true;
        }
    return false;
}
