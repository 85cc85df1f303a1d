/* SPDX-License-Identifier: Apache-2.0 */
/*
 * password_file_test.c - what is read, and what is refused without being shown.
 */
#include "cdc/base/password_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char password[PASSWORD_BYTES_MAX + 1];
static struct error err;

static bool read_of(const char *text, size_t size) {
    char path[] = "/tmp/pgcdc-password-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, size), (ssize_t) size);
    close(fd);
    bool good = password_file_read(path, password, &err);
    cr_assert(good || strstr(err.text, path) != NULL, "%s", err.text);
    cr_assert(good || err.kind == ERROR_CONFIG, "%s", err.text);
    unlink(path);
    return good;
}

static void expect(const char *text, const char *expected) {
    cr_assert(read_of(text, strlen(text)), "%s", err.text);
    cr_assert_str_eq(password, expected);
}

Test(password_file, the_first_line_is_the_password) {
    expect("secret\nmore\n", "secret");
    expect("secret", "secret");
    expect("secret\r\n", "secret");
    expect(" with blanks \n", " with blanks ");
    expect("pa\rss\r\n", "pa\rss");
}

Test(password_file, what_is_no_password_is_refused) {
    cr_assert_not(read_of("", 0));
    cr_assert_not(read_of("\nsecret\n", 8), "libpq would look elsewhere for an empty one");
    cr_assert_not(read_of("\r\n", 2));
    cr_assert_not(read_of("sec\0ret\n", 8));
    cr_assert_null(strstr(err.text, "sec"), "%s", err.text);
    cr_assert_not(password_file_read("/nowhere/at/all", password, &err));
    cr_assert_not(password_file_read("/", password, &err), "a folder");
}

/* It was once cut, and the server said that it was wrong. */
Test(password_file, a_line_that_is_too_long_is_refused_and_not_cut) {
    static char text[PASSWORD_BYTES_MAX + 2];
    memset(text, 'x', sizeof text);
    cr_assert_not(read_of(text, sizeof text));
    cr_assert_null(strstr(err.text, "xxx"), "%s", err.text);
    text[PASSWORD_BYTES_MAX] = '\n';
    cr_assert(read_of(text, sizeof text), "%s", err.text);
    cr_assert_eq(strlen(password), PASSWORD_BYTES_MAX);
}
