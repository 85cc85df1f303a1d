/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_name_test.c - names that Kafka takes, one for each table.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sinks/formats/topic_name.h"

static const char *name_of(const char *template, const char *schema, const char *table) {
    static char name[TOPIC_NAME_MAX + 1];
    struct error err = {0};
    const struct topic_subject subject = {
        .source = slice_of("shop"), .schema = slice_of(schema), .table = slice_of(table)};
    cr_assert(topic_name_build(template, &subject, name, &err), "%s", err.text);
    return name;
}

Test(topic_name, an_ordinary_name_stays_readable) {
    cr_assert_str_eq(name_of(TOPIC_TEMPLATE_DEFAULT, "public", "order_items"), "shop.public.order_items");
    cr_assert_str_eq(name_of("cdc-{table}", "public", "Order"), "cdc-Order");
}

Test(topic_name, every_other_byte_is_escaped) {
    cr_assert_str_eq(name_of(TOPIC_TEMPLATE_DEFAULT, "a.b", "c-d e"), "shop.a-2eb.c-2dd-20e");
    cr_assert_str_eq(name_of("{table}", "public",
                             "gr\xc3\xb6\xc3\x9f"
                             "e"),
                     "gr-c3-b6-c3-9fe");
    cr_assert_str_eq(name_of("{table}", "public", ".."), "-2e-2e");
}

/*
 * All names of up to two of these letters, in schema and table: more than enough to find an escape that is
 * not injective.
 */
Test(topic_name, two_tables_never_share_a_topic) {
    static const char *const PARTS[] = {"a",  "2e", "-2e",  ".",  "-",  "_",
                                        "a.", ".a", "a-2e", "--", "-2", "2d"};
    enum { COUNT = sizeof PARTS / sizeof *PARTS };
    char names[COUNT * COUNT][TOPIC_NAME_MAX + 1];
    for (size_t i = 0; i < COUNT * COUNT; i++)
        snprintf(names[i], sizeof names[i], "%s",
                 name_of(TOPIC_TEMPLATE_DEFAULT, PARTS[i / COUNT], PARTS[i % COUNT]));
    for (size_t i = 0; i < COUNT * COUNT; i++)
        for (size_t k = 0; k < i; k++) {
            bool same_table = strcmp(PARTS[i / COUNT], PARTS[k / COUNT]) == 0 &&
                              strcmp(PARTS[i % COUNT], PARTS[k % COUNT]) == 0;
            cr_assert_eq(strcmp(names[i], names[k]) == 0, same_table, "%s", names[i]);
        }
}

Test(topic_name, a_name_that_kafka_does_not_take_is_refused) {
    char name[TOPIC_NAME_MAX + 1], table[64 * 3];
    struct error err = {0};
    memset(table, '.', sizeof table - 1);
    table[sizeof table - 1] = '\0';
    const struct topic_subject subject = {
        .source = slice_of("shop"), .schema = slice_of("public"), .table = slice_of(table)};
    cr_assert_not(topic_name_build(TOPIC_TEMPLATE_DEFAULT, &subject, name, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
}

Test(topic_name, kafka_does_not_tell_dots_from_underscores) {
    cr_assert(topic_names_collide("a.b_c", "a_b.c"));
    cr_assert(topic_names_collide("a", "a"));
    cr_assert_not(topic_names_collide("a.b", "a-b"));
    cr_assert_not(topic_names_collide("a.b", "a.b."));
    cr_assert_not(topic_names_collide("a.b.", "a.b"));
}

Test(topic_name, a_template_keeps_names_apart) {
    struct error err = {0};
    cr_assert(topic_template_check(TOPIC_TEMPLATE_DEFAULT, &err), "%s", err.text);
    cr_assert(topic_template_check("everything", &err), "%s", err.text);
    cr_assert(topic_template_check("x-{schema}-.{table}", &err), "%s", err.text);
    static const char *const BAD[] = {"{schema}{table}",
                                      "{schema}-{table}",
                                      "{schema}_{table}.",
                                      "{database}.x",
                                      "a b",
                                      "{table",
                                      "}",
                                      "a/b"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        cr_assert_not(topic_template_check(BAD[i], &err), "%s", BAD[i]);
        cr_assert_eq(err.kind, ERROR_CONFIG);
    }
}
