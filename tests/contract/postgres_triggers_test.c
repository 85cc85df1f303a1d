/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_triggers_test.c - triggers, foreign keys and the rights of the sink's role.
 */
#include <criterion/criterion.h>

#include "tests/support/sink_session.h"

typedef struct sink_session session_t;

static const char FAMILY[] =
    "create table parent (id int8 primary key, v text);"
    "create table child (id int8 primary key, p int8 references parent on delete cascade, v text);"
    "create table a (id int8 primary key, b int8); create table b (id int8 primary key, a int8 references a);"
    "alter table a add foreign key (b) references b deferrable initially immediate;"
    "create table audit (n int8, v text, seen int8 default 0);"
    "create function note() returns trigger language plpgsql as $$ begin"
    "  insert into public.audit select (coalesce(new, old)).id, tg_op, count(*) from public.parent;"
    "  return coalesce(new, old); end $$;";

struct family {
    const struct relation *parent;
    const struct relation *child;
    const struct relation *a;
    const struct relation *b;
};

static struct family family_of(session_t *s) {
    return (struct family){
        .parent =
            change_builder_relation(&s->builder, "parent", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text"),
        .child = change_builder_relation(&s->builder, "child", REPLICA_IDENTITY_DEFAULT,
                                         "id int8 key, p int8, v text"),
        .a = change_builder_relation(&s->builder, "a", REPLICA_IDENTITY_DEFAULT, "id int8 key, b int8"),
        .b = change_builder_relation(&s->builder, "b", REPLICA_IDENTITY_DEFAULT, "id int8 key, a int8")};
}

/* What the source does with a family: a cycle of references, a delete that cascades. */
static void add_family(session_t *s, const struct family *family, int rows) {
    change_builder_begin(&s->builder);
    for (int i = 1; i <= rows; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        change_builder_insert(&s->builder, family->parent, ROW(id, "p"));
        change_builder_insert(&s->builder, family->child, ROW(id, id, "c"));
    }
    change_builder_insert(&s->builder, family->a, ROW("1", "1"));
    change_builder_insert(&s->builder, family->b, ROW("1", "1"));
    change_builder_delete(&s->builder, family->parent, ROW("1", NULL));
    change_builder_delete(&s->builder, family->child, ROW("1", NULL, NULL));
    change_builder_commit(&s->builder);
}

static void expect_family(const session_t *s, int rows) {
    char expected[32];
    snprintf(expected, sizeof expected, "%d %d 1 1", rows - 1, rows - 1);
    sink_session_expect_text(
        s,
        "select (select count(*) from parent) || ' ' || (select count(*) from child) || ' ' ||"
        " (select count(*) from a) || ' ' || (select count(*) from b)",
        expected);
}

static void expect_replica(int rows) {
    session_t s;
    sink_session_init(&s, FAMILY);
    database_execute(s.conn,
                     "create trigger ordinary after insert on child for each row execute function note()");
    sink_session_open(&s);
    struct family family = family_of(&s);
    add_family(&s, &family, rows);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    expect_family(&s, rows);
    sink_session_expect_text(&s, "select count(*) from audit", "0");
    sink_session_release(&s);
}

Test(postgres_triggers, foreign_keys_and_ordinary_triggers_do_not_act) {
    expect_replica(2);
    expect_replica(100);
}

/* The trigger counts the parents it sees: only the source's order gives these numbers. */
Test(postgres_triggers, a_trigger_that_is_always_on_sees_the_sources_order) {
    session_t s;
    sink_session_init(&s, FAMILY);
    database_execute(s.conn,
                     "create trigger always after insert on child for each row execute function note();"
                     " alter table child enable always trigger always");
    sink_session_open(&s);
    struct family family = family_of(&s);
    add_family(&s, &family, 100);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    expect_family(&s, 100);
    sink_session_expect_text(&s, "select count(*) || ' ' || count(*) filter (where n = seen) from audit",
                             "100 100");
    sink_session_release(&s);
}

static void expect_fire(int rows) {
    session_t s;
    sink_session_init(&s, FAMILY);
    database_execute(s.conn,
                     "create trigger ordinary after insert on child for each row execute function note()");
    s.options[1] = (struct sink_option){"triggers", "fire"};
    s.config.option_count = 2;
    sink_session_open(&s);
    struct family family = family_of(&s);
    add_family(&s, &family, rows);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    expect_family(&s, rows);
    char expected[16];
    snprintf(expected, sizeof expected, "%d", rows);
    sink_session_expect_text(&s, "select count(*) from audit where n = seen", expected);
    sink_session_release(&s);
}

Test(postgres_triggers, with_fire_they_act_and_deferred_ones_wait_for_the_commit) {
    expect_fire(2);
    expect_fire(100);
}

Test(postgres_triggers, a_deferred_constraint_that_fails_at_commit_is_an_error_of_the_data) {
    session_t s;
    sink_session_init(&s, FAMILY);
    s.options[1] = (struct sink_option){"triggers", "fire"};
    s.config.option_count = 2;
    sink_session_open(&s);
    struct family family = family_of(&s);
    change_builder_begin(&s.builder);
    change_builder_insert(&s.builder, family.a, ROW("1", "404"));
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("commit of the transactions up to", "23503", "a_b_fkey"));
    sink_session_expect_text(&s, "select count(*) from a", "0");
    sink_session_release(&s);
}

static const char LATE[] =
    "create table t (id int8 primary key, v int8 unique deferrable initially immediate);"
    " insert into t select g, g from generate_series(1, 100) g";

static const struct relation *late_relation(session_t *s) {
    return change_builder_relation(&s->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v int8");
}

/*
 * update t set v = 101 - v where id between first and 101 - first: legal where the constraint is looked at
 * behind the statement.
 */
static void expect_swap(const char *triggers, int first, bool (*apply)(session_t *)) {
    session_t s;
    sink_session_init(&s, LATE);
    s.options[1] = (struct sink_option){"triggers", triggers};
    s.config.option_count = 2;
    sink_session_open(&s);
    const struct relation *t = late_relation(&s);
    change_builder_begin(&s.builder);
    for (int id = first; id <= 101 - first; id++) {
        char text[16], other[16];
        snprintf(text, sizeof text, "%d", id);
        snprintf(other, sizeof other, "%d", 101 - id);
        change_builder_update(&s.builder, t, NULL, ROW(text, other));
    }
    change_builder_commit(&s.builder);
    char expected[16];
    snprintf(expected, sizeof expected, "%d", 102 - 2 * first);
    cr_assert(apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) from t where v = 101 - id", expected);
    sink_session_release(&s);
}

Test(postgres_triggers, a_swap_that_a_deferrable_constraint_allows_arrives) {
    expect_swap("replica", 1, sink_session_apply);
    expect_swap("replica", 50, sink_session_apply_whole);
    expect_swap("fire", 1, sink_session_apply);
    expect_swap("fire", 50, sink_session_apply_whole);
}

/*
 * session_replication_role = replica switches off the trigger that checks it: a duplicate would have stayed.
 */
Test(postgres_triggers, a_deferrable_constraint_is_still_checked) {
    session_t s;
    sink_session_init(&s, LATE);
    sink_session_open(&s);
    change_builder_begin(&s.builder);
    change_builder_insert(&s.builder, late_relation(&s), ROW("200", "7"));
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("commit of the transactions up to", "23505", "t_v_key"));
    sink_session_release(&s);
}

/* A role that owns nothing and may do nothing but write rows. */
static void become_plain(session_t *s, char *dsn, size_t size) {
    static const char ROLE[] =
        "do $$ begin if exists (select from pg_roles where rolname = 'pgcdc_plain') then"
        " execute 'drop owned by pgcdc_plain'; execute 'drop role pgcdc_plain'; end if; end $$;"
        "create role pgcdc_plain login password 'plain';"
        "grant select, insert, update, delete, truncate on all tables in schema public to pgcdc_plain";
    database_execute(s->conn, ROLE);
    snprintf(dsn, size, "%s user=pgcdc_plain password=plain", database_dsn());
    s->options[0].value = dsn;
}

static const char GRANT_CREATE[] =
    "do $$ begin execute format('grant create on database %I to pgcdc_plain', current_database()); end $$";

static void drop_plain(const session_t *s) {
    database_execute(s->conn, "drop owned by pgcdc_plain cascade; drop role pgcdc_plain");
}

Test(postgres_triggers, a_role_that_may_not_create_is_told_what_to_grant) {
    session_t s;
    char dsn[512];
    struct position position;
    sink_session_init(&s, FAMILY);
    become_plain(&s, dsn, sizeof dsn);
    cr_assert_not(s.sink->ops->open(s.sink, &position, &s.err));
    sink_session_expect(&s, ERROR_CONFIG, WORDS("grant create on database", "pgcdc_plain", "pgcdc.position"));
    s.sink->ops->close(s.sink);
    drop_plain(&s);
    sink_session_release(&s);
}

Test(postgres_triggers, a_role_that_may_not_create_uses_what_is_there) {
    session_t s;
    char dsn[512];
    sink_session_init(&s, FAMILY);
    sink_session_open(&s);
    s.sink->ops->close(s.sink);
    become_plain(&s, dsn, sizeof dsn);
    database_execute(s.conn, "grant usage on schema pgcdc to pgcdc_plain;"
                             " grant select, insert, update, delete on pgcdc.position to pgcdc_plain");
    sink_session_open(&s);
    s.sink->ops->close(s.sink);
    drop_plain(&s);
    sink_session_release(&s);
}

Test(postgres_triggers, without_the_right_tables_with_triggers_are_refused_and_others_work) {
    session_t s;
    char dsn[512];
    sink_session_init(&s, FAMILY);
    become_plain(&s, dsn, sizeof dsn);
    database_execute(s.conn, GRANT_CREATE);
    sink_session_open(&s);
    struct family family = family_of(&s);
    const struct relation *audit =
        change_builder_relation(&s.builder, "audit", REPLICA_IDENTITY_DEFAULT, "n int8, v text");
    change_builder_begin(&s.builder);
    change_builder_insert(&s.builder, audit, ROW("1", "x"));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    add_family(&s, &family, 2);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_CONFIG,
                        WORDS("\"public\".\"parent\"", "grant set on parameter session_replication_role to",
                              "pgcdc_plain", "triggers: fire"));
    s.sink->ops->close(s.sink);
    drop_plain(&s);
    sink_session_release(&s);
}

Test(postgres_triggers, with_the_granted_parameter_a_plain_role_works) {
    session_t s;
    char dsn[512];
    sink_session_init(&s, FAMILY);
    if (PQserverVersion(s.conn) < 150000)
        cr_skip_test("GRANT SET ON PARAMETER came with PostgreSQL 15");
    become_plain(&s, dsn, sizeof dsn);
    database_execute(s.conn, GRANT_CREATE);
    database_execute(s.conn, "grant set on parameter session_replication_role to pgcdc_plain");
    sink_session_open(&s);
    struct family family = family_of(&s);
    add_family(&s, &family, 100);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    expect_family(&s, 100);
    s.sink->ops->close(s.sink);
    drop_plain(&s);
    sink_session_release(&s);
}

Test(postgres_triggers, with_fire_the_same_role_works_too) {
    session_t s;
    char dsn[512];
    sink_session_init(&s, FAMILY);
    become_plain(&s, dsn, sizeof dsn);
    database_execute(s.conn, GRANT_CREATE);
    s.options[1] = (struct sink_option){"triggers", "fire"};
    s.config.option_count = 2;
    sink_session_open(&s);
    struct family family = family_of(&s);
    add_family(&s, &family, 100);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    expect_family(&s, 100);
    s.sink->ops->close(s.sink);
    drop_plain(&s);
    sink_session_release(&s);
}
