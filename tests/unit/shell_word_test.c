/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_word_test.c - what is printed is one word, and pasted into a shell it is what it was.
 */
#include "cdc/base/shell_word.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(shell_word, what_a_shell_takes_stays_as_it_is) {
    cr_expect_str_eq(shell_word("/var/lib/pgcdc/shop-1.yaml").text, "/var/lib/pgcdc/shop-1.yaml");
    cr_expect_str_eq(shell_word("").text, "''");
    cr_expect_str_eq(shell_word("/a b/it's").text, "'/a b/it'\\''s'");
    cr_expect_str_eq(shell_word("~/x").text, "'~/x'", "a shell would make a home of it");
    cr_expect_str_eq(shell_word_of_file("-c").text, "./-c");
    cr_expect_str_eq(shell_word("Größe").text, "'Größe'");
    cr_expect_str_eq(shell_word("a\nb").text, "$'a\\x0ab'");
}

Test(shell_word, a_shell_makes_the_word_of_it_again) {
    static const char *const WORDS[] = {"a b", "it's \"so\"",     "$(rm -rf x)`y`\\",    "*?[a]{b}!#;&|<>()~",
                                        "-x",  "a\nb\t\x1b[31mc", "\xff\xfe and 'more'", "=ls",
                                        "ä'ö"};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++) {
        char command[2 * SHELL_WORD_MAX], seen[256];
        snprintf(command, sizeof command, "set -- %s; printf '%%s' \"$#$1\"", shell_word(WORDS[i]).text);
        cr_assert_eq(setenv("COMMAND", command, 1), 0);
        FILE *shell = popen("bash -c \"$COMMAND\"", "r");
        cr_assert_not_null(shell);
        size_t size = fread(seen, 1, sizeof seen - 1, shell);
        pclose(shell);
        seen[size] = '\0';
        cr_expect_eq(seen[0], '1', "one word: %s", command);
        cr_expect_str_eq(seen + 1, WORDS[i]);
    }
}

Test(shell_word, the_longest_path_fits) {
    char path[5000];
    memset(path, '\n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    cr_expect_eq(strlen(shell_word_of_file(path).text), 4 * 4096 + 3);
}
