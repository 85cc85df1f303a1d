/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask_test.c - HMAC-SHA256 as RFC 4231 has it, masks of random texts, and the file of a key.
 */
#include "sinks/mapping/mask.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/random.h"

static struct arena arena;
static struct error err;

static void open_arena(void) {
    arena_init(&arena, 4096, 1 << 24);
}

static void close_arena(void) {
    arena_release(&arena);
}

TestSuite(mask, .init = open_arena, .fini = close_arena);

static struct mask_key key_of(struct slice bytes) {
    struct mask_key key;
    cr_assert(mask_key_init(&key, bytes, &err), "%s", err.text);
    return key;
}

static void expect_hash(struct slice bytes, struct slice text, const char *expected) {
    struct slice got;
    struct mask_key key AUTO(mask_key_release) = key_of(bytes);
    cr_assert(mask_hash(&key, text, (uint32_t) strlen(expected), &arena, &got, &err), "%s", err.text);
    cr_expect(slice_equal(got, slice_of(expected)), "got %.*s, expected %s", (int) got.size, got.data,
              expected);
}

/* That byte, so often. */
static struct slice many(char byte, size_t count) {
    char *bytes = arena_alloc(&arena, count);
    memset(bytes, byte, count);
    return (struct slice){bytes, count};
}

Test(mask, the_vectors_of_rfc_4231) {
    expect_hash(many(0x0b, 20), slice_of("Hi There"),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    expect_hash(slice_of("Jefe"), slice_of("what do ya want for nothing?"),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect_hash(many((char) 0xaa, 20), many((char) 0xdd, 50),
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    expect_hash(slice_of("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14"
                         "\x15\x16\x17\x18\x19"),
                many((char) 0xcd, 50), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    expect_hash(many(0x0c, 20), slice_of("Test With Truncation"), "a3b6167473100ee06e0c796c2955552b");
    expect_hash(many((char) 0xaa, 131), slice_of("Test Using Larger Than Block-Size Key - Hash Key First"),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    expect_hash(
        many((char) 0xaa, 131),
        slice_of("This is a test using a larger than block-size key and a larger than block-size data. "
                 "The key needs to be hashed before being used by the HMAC algorithm."),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

/* Computed by a second program: HMAC, AES and FF1 in Python. A change here would change every mask. */
Test(mask, what_is_made_of_a_key_file_never_changes) {
    struct slice got;
    struct mask_key key AUTO(mask_key_release) = key_of(slice_of("0123456789abcdef"));
    cr_assert(mask_digits(&key, slice_of("4111-1111 1111/1111"), &arena, &got, &err), "%s", err.text);
    cr_expect(slice_equal(got, slice_of("7896-2920 0230/0514")), "%.*s", (int) got.size, got.data);
}

struct shape {
    char text[200];
    size_t size;
};

/* Characters of every width, with the given count of digits somewhere among them. */
static struct slice random_text(struct random *random, size_t digits, struct shape *shape) {
    static const char *const OTHERS[] = {"-", " ", "A", "ä", "€", "😀", "/", ":"};
    shape->size = 0;
    for (size_t left = digits; left > 0 || random_below(random, 3) > 0;) {
        char digit[2] = {(char) ('0' + random_below(random, 10)), '\0'};
        const char *next = OTHERS[random_below(random, 8)];
        if (left > 0 && random_below(random, 4) > 0) {
            next = digit;
            left--;
        }
        if (shape->size + strlen(next) + 2 * left >= sizeof shape->text)
            continue;
        memcpy(shape->text + shape->size, next, strlen(next));
        shape->size += strlen(next);
    }
    return (struct slice){shape->text, shape->size};
}

static bool is_decimal(char byte) {
    return byte >= '0' && byte <= '9';
}

Test(mask, digits_change_only_digits) {
    struct random random = random_start("mask");
    struct mask_key key AUTO(mask_key_release) = key_of(slice_of("0123456789abcdef"));
    for (int round = 0; round < 20000; round++) {
        struct shape shape;
        struct slice got, text = random_text(&random, 6 + random_below(&random, 51), &shape);
        cr_assert(mask_digits(&key, text, &arena, &got, &err), "%s", err.text);
        cr_assert_eq(got.size, text.size);
        for (size_t i = 0; i < text.size; i++)
            cr_assert(is_decimal(text.data[i]) ? is_decimal(got.data[i]) : got.data[i] == text.data[i]);
        arena_reset(&arena);
    }
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* As many different masks as there are different texts. */
static size_t count_distinct(char **texts, size_t count) {
    size_t distinct = count > 0;
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 1; i < count; i++)
        distinct += strcmp(texts[i], texts[i - 1]) != 0;
    return distinct;
}

Test(mask, different_texts_have_different_digits) {
    enum { TEXTS = 50000 };
    static char *given[TEXTS], *masked[TEXTS];
    struct random random = random_start("mask");
    struct mask_key key AUTO(mask_key_release) = key_of(slice_of("0123456789abcdef"));
    for (size_t i = 0; i < TEXTS; i++) {
        struct shape shape;
        struct slice got, text = random_text(&random, 6 + random_below(&random, 2), &shape);
        cr_assert(mask_digits(&key, text, &arena, &got, &err), "%s", err.text);
        given[i] = arena_copy(&arena, text);
        masked[i] = arena_copy(&arena, got);
        cr_assert(given[i] != NULL && masked[i] != NULL);
    }
    cr_expect_eq(count_distinct(masked, TEXTS), count_distinct(given, TEXTS));
}

Test(mask, another_key_gives_another_mask) {
    struct slice one, other, text = slice_of("4111 1111 1111 1111");
    struct mask_key key AUTO(mask_key_release) = key_of(slice_of("0123456789abcdef"));
    struct mask_key second AUTO(mask_key_release) = key_of(slice_of("0123456789abcdeg"));
    cr_assert(mask_digits(&key, text, &arena, &one, &err) &&
              mask_digits(&second, text, &arena, &other, &err));
    cr_expect_not(slice_equal(one, other));
    cr_assert(mask_hash(&key, text, 0, &arena, &one, &err) &&
              mask_hash(&second, text, 0, &arena, &other, &err));
    cr_expect_not(slice_equal(one, other));
}

static void *mask_many(void *argument) {
    struct arena own;
    struct error error;
    struct slice hash, digits;
    arena_init(&own, 4096, 1 << 16);
    size_t right = 0;
    for (int i = 0; i < 5000; i++, arena_reset(&own))
        right += mask_hash(argument, slice_of("123456"), 4, &own, &hash, &error) &&
                 mask_digits(argument, slice_of("123456"), &own, &digits, &error) &&
                 memcmp(hash.data, "6b0c", 4) == 0 && memcmp(digits.data, "953157", 6) == 0;
    arena_release(&own);
    return (void *) right; /* NOLINT */
}

Test(mask, threads_share_a_key) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    struct mask_key key AUTO(mask_key_release) = key_of(slice_of("0123456789abcdef"));
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, mask_many, &key), 0);
    for (int i = 0; i < THREADS; i++) {
        void *right;
        cr_assert_eq(pthread_join(threads[i], &right), 0);
        cr_expect_eq((size_t) right, 5000);
    }
}

/* Reads a file with those bytes and that mode; the key is released. */
static bool read_of(struct slice bytes, mode_t mode) {
    char path[] = "/tmp/pgcdc-mask-XXXXXX";
    struct mask_key *key = NULL;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, bytes.data, bytes.size), (ssize_t) bytes.size);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    bool good = mask_key_read(path, &arena, &key, &err);
    unlink(path);
    if (good)
        mask_key_release(key);
    cr_assert(good || (err.kind == ERROR_CONFIG && strstr(err.text, path) != NULL), "%s", err.text);
    cr_assert(good || err.remedy[0] != '\0', "%s", err.text);
    cr_assert(good || strstr(error_line(&err).text, "kkkk") == NULL, "%s", err.text);
    return good;
}

Test(mask, a_key_file_has_16_to_1024_bytes) {
    cr_expect_not(read_of(many('k', 0), 0600));
    cr_expect_not(read_of(many('k', 15), 0600));
    cr_expect(read_of(many('k', 16), 0600), "%s", err.text);
    cr_expect(read_of(many('k', 1024), 0400), "%s", err.text);
    cr_expect_not(read_of(many('k', 1025), 0600));
}

Test(mask, a_key_file_is_its_owners_alone) {
    static const mode_t OPEN[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666};
    for (size_t i = 0; i < sizeof OPEN / sizeof *OPEN; i++) {
        cr_expect_not(read_of(many('k', 32), OPEN[i]), "%o", OPEN[i]);
        cr_expect_not_null(strstr(err.remedy, "chmod go="), "%s", err.remedy);
    }
}

Test(mask, what_is_no_key_file_is_refused) {
    struct mask_key *key = NULL;
    cr_expect_not(mask_key_read("/nowhere/at all", &arena, &key, &err));
    cr_expect_eq(err.kind, ERROR_CONFIG);
    cr_expect_not_null(strstr(err.remedy, "head -c 32 /dev/urandom > '/nowhere/at all'"), "%s", err.remedy);
    cr_expect_not(mask_key_read("/", &arena, &key, &err));
    cr_expect_not(mask_key_read("/dev/zero", &arena, &key, &err));
    cr_expect_null(key);
}

Test(mask, all_bytes_of_a_file_count) {
    char path[] = "/tmp/pgcdc-mask-XXXXXX";
    struct mask_key *key;
    struct slice read, made;
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "0123456789abcde\n", 16), 16);
    close(fd);
    cr_assert(mask_key_read(path, &arena, &key, &err), "%s", err.text);
    unlink(path);
    struct mask_key same AUTO(mask_key_release) = key_of(slice_of("0123456789abcde\n"));
    cr_assert(mask_hash(key, slice_of("x"), 0, &arena, &read, &err));
    cr_assert(mask_hash(&same, slice_of("x"), 0, &arena, &made, &err));
    cr_expect(slice_equal(read, made));
    mask_key_release(key);
}
