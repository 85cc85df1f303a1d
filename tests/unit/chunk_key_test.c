/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key_test.c - text and binary give the same key, keys have PostgreSQL's order, and nothing else is
 * a key.
 */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "cdc/copy/chunk_key.h"
#include "tests/support/random.h"

enum { INT8 = 20, INT2 = 21, INT4 = 23, OID = 26, UUID = 2950 };

static struct value text_of(const char *text) {
    return (struct value){.data = text, .size = (uint32_t) strlen(text), .kind = VALUE_TEXT};
}

static struct chunk_key key_of(oid_t type, struct value value) {
    struct chunk_key key;
    cr_assert(chunk_key_read(type, &value, &key), "%.*s", (int) value.size, value.data);
    return key;
}

static int compare(struct chunk_key a, struct chunk_key b) {
    return chunk_key_is_less(&b, &a) - chunk_key_is_less(&a, &b);
}

/* Each list rises. */
static const struct list {
    oid_t type;
    const char *texts[8];
} LISTS[] = {
    {INT2, {"-32768", "-1", "0", "1", "32767"}},
    {INT4, {"-2147483648", "-1", "0", "9", "10", "2147483647"}},
    {INT8, {"-9223372036854775808", "-10", "-9", "0", "4294967296", "9223372036854775807"}},
    {OID, {"0", "9", "10", "2147483648", "4294967295"}},
    {UUID,
     {"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-00000000000a",
      "00000000-0000-0001-0000-000000000000", "7fffffff-0000-0000-8000-000000000000",
      "80000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
};

Test(chunk_key, keys_rise_as_values_do) {
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        for (size_t a = 0; LISTS[i].texts[a] != NULL; a++)
            for (size_t b = 0; LISTS[i].texts[b] != NULL; b++)
                cr_assert_eq(compare(key_of(LISTS[i].type, text_of(LISTS[i].texts[a])),
                                     key_of(LISTS[i].type, text_of(LISTS[i].texts[b]))),
                             (a > b) - (a < b), "%s, %s", LISTS[i].texts[a], LISTS[i].texts[b]);
}

static void expect_same(oid_t type, const void *bytes, uint32_t size, const char *text) {
    const struct value binary = {.data = bytes, .size = size, .kind = VALUE_BINARY};
    cr_assert_eq(compare(key_of(type, binary), key_of(type, text_of(text))), 0, "%s", text);
}

Test(chunk_key, text_and_binary_are_the_same_key) {
    struct random random = random_start("chunk_key");
    char text[40];
    for (int i = 0; i < 1000; i++) {
        const uint64_t number = random_next(&random) >> random_below(&random, 64);
        const uint64_t wide = htobe64(number);
        const uint32_t middle = htobe32((uint32_t) number);
        const uint16_t narrow = htobe16((uint16_t) number);
        snprintf(text, sizeof text, "%" PRId64, (int64_t) number);
        expect_same(INT8, &wide, 8, text);
        snprintf(text, sizeof text, "%" PRId32, (int32_t) number);
        expect_same(INT4, &middle, 4, text);
        snprintf(text, sizeof text, "%d", (int16_t) number);
        expect_same(INT2, &narrow, 2, text);
        snprintf(text, sizeof text, "%" PRIu32, (uint32_t) number);
        expect_same(OID, &middle, 4, text);
    }
}

Test(chunk_key, a_uuid_is_its_bytes) {
    static const unsigned char BYTES[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                          0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
    expect_same(UUID, BYTES, sizeof BYTES, "01234567-89ab-cdef-fedc-ba9876543210");
}

Test(chunk_key, what_is_no_value_of_the_type_is_no_key) {
    static const struct {
        oid_t type;
        const char *text;
    } WRONG[] = {{INT4, ""},
                 {INT4, "1x"},
                 {INT4, "99999999999999999999"},
                 {UUID, "01234567-89ab-cdef-fedc-ba987654321"},
                 {UUID, "01234567-89ab-cdef-fedc-ba987654321g"}};
    struct chunk_key key;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        const struct value value = text_of(WRONG[i].text);
        cr_assert_not(chunk_key_read(WRONG[i].type, &value, &key), "%s", WRONG[i].text);
    }
    cr_assert_not(chunk_key_read(INT4, &(const struct value){.kind = VALUE_NULL}, &key));
    cr_assert_not(chunk_key_read(INT4, &(const struct value){.kind = VALUE_UNCHANGED}, &key));
    cr_assert_not(chunk_key_read(
        INT4, &(const struct value){.data = "12345678", .size = 8, .kind = VALUE_BINARY}, &key));
    cr_assert_not(chunk_key_read(
        UUID, &(const struct value){.data = "12345678", .size = 8, .kind = VALUE_BINARY}, &key));
}

Test(chunk_key, other_types_are_not_ordered_here) {
    cr_assert_not(chunk_key_has_type(1042));
    cr_assert_not(chunk_key_has_type(1700));
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        cr_assert(chunk_key_has_type(LISTS[i].type));
}
