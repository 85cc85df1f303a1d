/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_format_test.c - whatever a text contains, a line is one line, and in JSON one object.
 */
#include "cdc/base/log_format.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "cdc/base/utf8.h"
#include "tests/support/random.h"

#define MOMENT_US INT64_C(1795000000123456)
#define MOMENT "2026-11-18T11:06:40.123Z"

static char *format(const struct log_entry *entry, bool is_json) {
    static char line[LOG_LINE_MAX + 1];
    const size_t size = is_json ? log_format_json(entry, line) : log_format_text(entry, line);
    cr_assert(size <= LOG_LINE_MAX && line[size - 1] == '\n');
    line[size - 1] = '\0';
    cr_assert(utf8_is_valid((struct slice){line, size - 1}));
    for (const char *at = line; *at != '\0'; at++)
        cr_assert((unsigned char) *at >= ' ', "a control character at %td", at - line);
    return line;
}

static const char *get(yajl_val object, const char *key) {
    return YAJL_GET_STRING(yajl_tree_get(object, (const char *[]){key, NULL}, yajl_t_string));
}

Test(log_format, text_has_moment_level_and_pipeline) {
    const struct log_entry entry = {
        .event = LOG_RETRY, .unix_us = MOMENT_US, .pipeline = "shop", .text = "gone", .fix = "start it"};
    cr_assert_str_eq(format(&entry, false), MOMENT " warn  shop: gone; start it");
}

Test(log_format, what_a_command_says_has_neither) {
    struct log_entry entry = {.event = LOG_USAGE, .unix_us = MOMENT_US, .text = "no", .command = "drop"};
    cr_assert_str_eq(format(&entry, false), "pgcdc drop: no");
    entry.command = "";
    cr_assert_str_eq(format(&entry, false), "pgcdc: no");
}

Test(log_format, json_has_a_key_for_each_field) {
    const struct log_entry entry = {.event = LOG_RETRY,
                                    .unix_us = MOMENT_US,
                                    .pipeline = "shop",
                                    .sink = "s",
                                    .table = "public.\"t\"",
                                    .lsn = 0x16B3748,
                                    .sqlstate = "57P03",
                                    .text = "gone",
                                    .fix = "start it"};
    cr_assert_str_eq(
        format(&entry, true),
        "{\"ts\":\"" MOMENT "\",\"level\":\"warning\",\"event\":\"retry\",\"pipeline\":\"shop\","
        "\"sink\":\"s\",\"table\":\"public.\\\"t\\\"\",\"lsn\":\"0/16B3748\",\"sqlstate\":\"57P03\","
        "\"msg\":\"gone\",\"fix\":\"start it\"}");
}

Test(log_format, json_leaves_out_what_is_not_known) {
    const struct log_entry entry = {.event = LOG_USAGE, .unix_us = MOMENT_US, .sqlstate = "", .text = ""};
    cr_assert_str_eq(format(&entry, true),
                     "{\"ts\":\"" MOMENT "\",\"level\":\"error\",\"event\":\"usage\",\"msg\":\"\"}");
}

Test(log_format, a_text_of_a_megabyte_is_cut_and_the_remedy_stays) {
    char *text = malloc(1 << 20), problem[256];
    memset(text, '"', (1 << 20) - 1);
    text[(1 << 20) - 1] = '\0';
    const struct log_entry entry = {.event = LOG_FAILED, .text = text, .fix = "do this"};
    yajl_val object = yajl_tree_parse(format(&entry, true), problem, sizeof problem);
    cr_assert(object != NULL, "%s", problem);
    cr_assert_str_eq(get(object, "fix"), "do this");
    cr_assert(strlen(get(object, "msg")) > 1000);
    yajl_tree_free(object);
    format(&entry, false);
    free(text);
}

/* Bytes of every kind: controls, halves of characters, quotes, characters that turn the text around. */
static void random_text(struct random *random, char *text, size_t size) {
    static const char *const PIECES[] = {
        "\"",   "\\",   "\x1b[2J",      "\n",    "\xe2\x80\xae", "\xf0\x9f\x98\x80",
        "\xc3", "\xff", "\xe2\x82\xac", "plain", "\x7f",         "\xc2\x9b"};
    size_t length = 0;
    while (length + 8 < size) {
        const char *piece = PIECES[random_below(random, sizeof PIECES / sizeof PIECES[0])];
        memcpy(text + length, piece, strlen(piece));
        length += strlen(piece);
    }
    text[length] = '\0';
}

Test(log_format, random_texts_are_one_json_object_each) {
    struct random random = random_start("log_format");
    char text[LOG_TEXT_MAX], name[700], problem[256];
    for (int round = 0; round < 2000; round++) {
        random_text(&random, text, 10 + random_below(&random, sizeof text - 10));
        random_text(&random, name, 10 + random_below(&random, sizeof name - 10));
        const struct log_entry entry = {.event = (enum log_event) random_below(&random, LOG_EVENTS),
                                        .sink = name,
                                        .table = name,
                                        .text = text,
                                        .fix = random_below(&random, 2) == 0 ? text : NULL};
        yajl_val object = yajl_tree_parse(format(&entry, true), problem, sizeof problem);
        cr_assert(object != NULL, "%s", problem);
        cr_assert_str_eq(get(object, "event"), log_event_word(entry.event));
        cr_assert(get(object, "msg") != NULL);
        yajl_tree_free(object);
        format(&entry, false);
    }
}

Test(log_event, each_has_a_word_of_its_own) {
    for (int i = 0; i < LOG_EVENTS; i++) {
        const char *word = log_event_word((enum log_event) i);
        cr_assert(word != NULL && strspn(word, "abcdefghijklmnopqrstuvwxyz_") == strlen(word));
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(word, log_event_word((enum log_event) j));
    }
}

Test(log_event, a_level_is_found_by_its_name) {
    enum log_level level;
    for (enum log_level i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++)
        cr_assert(log_level_parse(log_level_name(i), &level) && level == i);
    cr_assert_not(log_level_parse("warn", &level));
    cr_assert_not(log_level_parse("", &level));
}
