/* SPDX-License-Identifier: Apache-2.0 */
/*
 * findings_test.c - findings keep their order, their place and their words, and print them for people and
 * programs.
 */
#include "cdc/check/findings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct findings made(void) {
    struct findings findings;
    findings_init(&findings);
    findings.where = "source";
    findings_add(&findings, SEVERITY_WARNING, "slow", "it is %d ms", 7);
    findings.where = "sink warehouse";
    findings_add(&findings, SEVERITY_PROBLEM, "closed", "the \"door\" is closed");
    findings_fix(&findings, "open %s;\nwalk in", "it");
    return findings;
}

static char *printed(const struct findings *findings, bool json) {
    char *text = NULL;
    size_t size = 0;
    struct error err = {0};
    FILE *file = open_memstream(&text, &size);
    if (json)
        cr_assert(findings_print_json(findings, "shop", file, &err), "%s", err.text);
    else
        findings_print(findings, "shop", file);
    fclose(file);
    return text;
}

Test(findings, print_problems_first_and_each_fix_below) {
    struct findings findings = made();
    char *text = printed(&findings, false);
    cr_assert_str_eq(text, "problem  sink warehouse: the \"door\" is closed\n"
                           "         open it;\n"
                           "         walk in\n"
                           "warning  source: it is 7 ms\n"
                           "shop: not ready, 1 problem, 1 warning\n");
    free(text);
    findings_release(&findings);
}

Test(findings, are_one_line_of_json_in_the_order_of_discovery) {
    struct findings findings = made();
    char *text = printed(&findings, true);
    cr_assert_str_eq(
        text, "{\"pipeline\":\"shop\",\"ready\":false,\"problems\":1,\"warnings\":1,\"findings\":["
              "{\"severity\":\"warning\",\"code\":\"slow\",\"where\":\"source\",\"what\":\"it is 7 ms\","
              "\"fix\":\"\",\"objects\":[]},"
              "{\"severity\":\"problem\",\"code\":\"closed\",\"where\":\"sink warehouse\","
              "\"what\":\"the \\\"door\\\" is closed\",\"fix\":\"open it;\\nwalk in\",\"objects\":[]}]}\n");
    free(text);
    findings_release(&findings);
}

Test(findings, warnings_alone_do_not_stop_a_pipeline) {
    struct findings findings;
    findings_init(&findings);
    char *text = printed(&findings, false);
    cr_assert_str_eq(text, "shop: ready\n");
    free(text);
    findings.where = "source";
    findings_add(&findings, SEVERITY_WARNING, "slow", "slow");
    text = printed(&findings, false);
    cr_assert_str_eq(text, "warning  source: slow\nshop: ready, 0 problems, 1 warning\n");
    free(text);
    findings_release(&findings);
}

Test(findings, take_the_remedy_off_an_error) {
    struct findings findings;
    struct error err = {0};
    findings_init(&findings);
    error_set(&err, ERROR_REFUSE, "slot shop is lost; it was idle");
    error_remedy(&err, "raise it; then start over");
    findings_add_error(&findings, SEVERITY_PROBLEM, "refusal", &err);
    cr_assert_str_eq(findings.last->what, "slot shop is lost; it was idle");
    cr_assert_str_eq(findings.last->fix, "raise it; then start over");
    error_set(&err, ERROR_REFUSE, "no remedy at all");
    findings_add_error(&findings, SEVERITY_PROBLEM, "refusal", &err);
    cr_assert_str_eq(findings.last->what, "no remedy at all");
    cr_assert_str_eq(findings.last->fix, "");
    findings_release(&findings);
}

static void add_table(struct findings *findings, const char *table, const char *code, const char *what,
                      const char *fix) {
    findings_add(findings, SEVERITY_PROBLEM, code, "table %s %s", table, what);
    if (strcmp(fix, "grant") == 0)
        findings_fix(findings, "grant select on table %s to r;", table);
    else
        findings_fix(findings, "alter table %s %s;  -- or not", table, fix);
    findings_object(findings, table);
}

Test(findings, of_one_cause_are_one_finding_with_every_object) {
    static const char *const TABLES[] = {"t.a", "t.b", "t.c", "t.d", "t.e", "t.f", "t.g"};
    struct findings findings;
    findings_init(&findings);
    findings.where = "source";
    for (size_t i = 0; i < 7; i++)
        add_table(&findings, TABLES[i], "rights", "is closed", "grant");
    add_table(&findings, "t.a", "identity", "has none", "replica identity full");
    add_table(&findings, "t.b", "identity", "has none", "replica identity full");
    add_table(&findings, "t.c", "identity", "has another", "replica identity full");
    findings_group(&findings);
    char *text = printed(&findings, false);
    cr_assert_str_eq(text, "problem  source: tables t.a, t.b, t.c, t.d, t.e and 2 more are closed\n"
                           "         grant select on table t.a, t.b, t.c, t.d, t.e, t.f, t.g to r;\n"
                           "problem  source: tables t.a, t.b have none\n"
                           "         alter table t.a replica identity full;  -- or not\n"
                           "         alter table t.b replica identity full;  -- or not\n"
                           "problem  source: table t.c has another\n"
                           "         alter table t.c replica identity full;  -- or not\n"
                           "shop: not ready, 3 problems, 0 warnings\n");
    free(text);
    text = printed(&findings, true);
    cr_assert_not_null(strstr(text, "\"objects\":[\"t.a\",\"t.b\",\"t.c\",\"t.d\",\"t.e\",\"t.f\",\"t.g\"]"),
                       "%s", text);
    free(text);
    findings_release(&findings);
}

/* A topic "a" is no part of the word "authorization", nor of a topic "a.b". */
Test(findings, about_topics_are_one_command_with_all_of_them) {
    static const char *const TOPICS[] = {"a", "a.b"};
    struct findings findings;
    findings_init(&findings);
    findings.where = "sink a";
    for (size_t i = 0; i < 2; i++) {
        findings_add(&findings, SEVERITY_PROBLEM, "rights", "topic %s: no authorization for a.b.c",
                     TOPICS[i]);
        findings_fix(&findings, "kafka-acls --add --operation Read --topic %s", TOPICS[i]);
        findings_object(&findings, TOPICS[i]);
    }
    findings_group(&findings);
    char *text = printed(&findings, false);
    cr_assert_str_eq(text, "problem  sink a: topics a, a.b: no authorization for a.b.c\n"
                           "         kafka-acls --add --operation Read --topic a --topic a.b\n"
                           "shop: not ready, 1 problem, 0 warnings\n");
    free(text);
    findings_release(&findings);
}

Test(findings, sql_is_what_psql_takes_and_nothing_that_empties_a_table) {
    struct findings findings;
    findings_init(&findings);
    findings.where = "sink a";
    findings_add(&findings, SEVERITY_PROBLEM, "one", "one is wrong");
    findings_fix(&findings, "alter table t add column c int;  -- now\ngrant it, or not");
    findings_add(&findings, SEVERITY_PROBLEM, "two", "two is full");
    findings_fix(&findings, "truncate t;");
    findings.where = "source";
    findings_add(&findings, SEVERITY_PROBLEM, "three", "three");
    findings_fix(&findings, "alter table u;");
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    findings_print_sql(&findings, "sink ", file);
    fclose(file);
    cr_assert_str_eq(text, "-- problem, sink a: one is wrong\n"
                           "alter table t add column c int;  -- now\n"
                           "-- grant it, or not\n"
                           "-- problem, sink a: two is full\n"
                           "-- truncate t;\n");
    free(text);
    findings_release(&findings);
}

Test(findings, a_name_from_a_catalog_is_neither_a_line_nor_a_statement_of_its_own) {
    struct findings findings;
    findings_init(&findings);
    findings.where = "source";
    findings_add(&findings, SEVERITY_PROBLEM, "x", "table %s", "\"a\nproblem  source: \x1b[2Jb\"");
    findings_fix(&findings, "alter table %s add primary key (id);\nalter table y;",
                 "\"a;  -- \ndrop table y;  -- \x1b\"");
    char *text = printed(&findings, false);
    cr_assert_null(strchr(text, 0x1b));
    cr_assert_null(strstr(text, "\nproblem  source: \\x1b"), "%s", text);
    free(text);
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    findings_print_sql(&findings, "source", file);
    fclose(file);
    cr_assert_null(strchr(text, 0x1b));
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        cr_assert(*line == '\0' || strncmp(line, "--", 2) == 0, "%s", text);
    }
    free(text);
    findings_release(&findings);
}
