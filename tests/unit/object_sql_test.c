/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object_sql_test.c - what pg_dump's statements say: keys, checks that can be made later, roles.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/schema/object.h"

#define BYTES_MAX ((size_t) 1 << 20)

Test(object_sql, a_primary_key_and_an_index_of_a_replica_identity_are_keys) {
    static const struct {
        const char *kind, *sql;
        bool is_key;
    } CASES[] = {
        {"CONSTRAINT", "ALTER TABLE ONLY \"a\".\"t\"\n    ADD CONSTRAINT \"k\" PRIMARY KEY (\"id\");\n",
         true},
        {"CONSTRAINT", "ALTER TABLE ONLY \"a\".\"t\"\n    ADD CONSTRAINT \" PRIMARY KEY\" UNIQUE (\"id\");\n",
         false},
        {"CONSTRAINT",
         "ALTER TABLE ONLY \"a\".\"t \"\"\n    ADD CONSTRAINT \"\n    ADD CONSTRAINT \"k\" PRIMARY KEY "
         "(\"id\")",
         true},
        {"INDEX",
         "CREATE UNIQUE INDEX \"i\" ON \"a\".\"t\" (\"id\");\n\nALTER TABLE ONLY \"a\".\"t\" REPLICA "
         "IDENTITY USING INDEX \"i\"",
         true},
        {"INDEX", "CREATE UNIQUE INDEX \"i\" ON \"a\".\"t\" (\"id\")", false},
        {"COMMENT", "COMMENT ON TABLE \"a\".\"t\" IS ' REPLICA IDENTITY USING INDEX '", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct object object = {.kind = CASES[i].kind, .sql = CASES[i].sql};
        cr_assert_eq(object_is_key(&object), CASES[i].is_key, "case %zu", i);
    }
}

Test(object_sql, a_foreign_key_is_added_first_and_checked_later) {
    static const struct {
        const char *sql, *add, *check;
    } CASES[] = {
        {"ALTER TABLE ONLY \"a\".\"t;\"\n    ADD CONSTRAINT \"f\" FOREIGN KEY (\"x\") REFERENCES "
         "\"b\"(\"id\");\n\n",
         "ALTER TABLE ONLY \"a\".\"t;\"\n    ADD CONSTRAINT \"f\" FOREIGN KEY (\"x\") REFERENCES "
         "\"b\"(\"id\") NOT VALID",
         "ALTER TABLE ONLY \"a\".\"t;\" VALIDATE CONSTRAINT \"f\""},
        {"ALTER TABLE ONLY \"a\".\"t\"\n    ADD CONSTRAINT \"f\" FOREIGN KEY (\"x\") REFERENCES "
         "\"b\"(\"id\") NOT VALID;\n",
         NULL, NULL},
        /* a partitioned table, of which PostgreSQL checks all at once */
        {"ALTER TABLE \"a\".\"t\"\n    ADD CONSTRAINT \"f\" FOREIGN KEY (\"x\") REFERENCES \"b\"(\"id\");\n",
         NULL, NULL},
    };
    struct arena arena;
    arena_init(&arena, 4096, BYTES_MAX);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct object object = {.kind = "FK CONSTRAINT", .sql = CASES[i].sql};
        const char *add = NULL;
        const char *check = NULL;
        cr_assert(object_split_check(&object, &arena, &add, &check));
        cr_assert_eq(add == NULL, CASES[i].add == NULL, "case %zu", i);
        if (add != NULL) {
            cr_assert_str_eq(add, CASES[i].add);
            cr_assert_str_eq(check, CASES[i].check);
        }
    }
    arena_release(&arena);
}

static bool append_role(void *context, struct slice role) {
    buffer_append_slice(context, role);
    buffer_append_text(context, "|");
    return true;
}

Test(object_sql, roles_are_found_and_nothing_else_is) {
    static const struct {
        const char *kind, *sql, *roles;
    } CASES[] = {
        {"ACL",
         "GRANT SELECT ON TABLE \"a\".\"TO\" TO \"reader\" WITH GRANT OPTION;\nREVOKE ALL ON TABLE "
         "\"a\".\"t\" FROM PUBLIC;\n",
         "reader|"},
        {"ACL",
         "SET SESSION AUTHORIZATION \"a \"\"b\";\nGRANT ALL ON TABLE \"t\" TO \"c\";\nRESET SESSION "
         "AUTHORIZATION;\n",
         "a \"b|c|"},
        {"DEFAULT ACL",
         "ALTER DEFAULT PRIVILEGES FOR ROLE \"o\" IN SCHEMA \"s\" GRANT SELECT ON TABLES TO \"r\";\n",
         "o|r|"},
        {"POLICY",
         "CREATE POLICY \"p\" ON \"t\" FOR SELECT TO \"a\", \"b\" USING (((\"x\" = 'to \"c\"'::\"text\") AND "
         "(\"y\" <> ')')));\n",
         "a|b|"},
        {"USER MAPPING", "CREATE USER MAPPING FOR \"u\" SERVER \"s\" OPTIONS (\"password\" 'TO \"x\"');\n",
         "u|"},
        {"TABLE", "CREATE TABLE \"t\" (\"a\" int) TO \"x\"", ""},
        {"ACL", "GRANT SELECT ON TABLE \"t\" TO \"unended", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct object object = {.kind = CASES[i].kind, .sql = CASES[i].sql};
        struct buffer roles;
        buffer_init(&roles, BYTES_MAX);
        cr_assert(object_each_role(&object, append_role, &roles));
        const char *text = buffer_text(&roles);
        cr_assert_str_eq(text, CASES[i].roles, "case %zu: %s", i, text);
        buffer_release(&roles);
    }
}
