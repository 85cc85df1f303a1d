/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_sink_test.c - what the Postgres sink does with changes that are unusual, and says of those that do not fit.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "tests/support/sink_session.h"

#define SECRET "s3cr3t-value" /* stands in rows, must stand in no error */

typedef struct sink_session session_t;

static const struct relation *plain_relation(session_t *s) {
    return change_builder_relation(&s->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
}

/* count inserts into t from id first on, in the transaction that is being built. */
static void add_inserts(session_t *s, const struct relation *t, int first, int count) {
    for (int id = first; id < first + count; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_insert(&s->builder, t, ROW(text, SECRET));
    }
}

static void start(session_t *s, const char *ddl) {
    sink_session_init(s, ddl);
    sink_session_open(s);
}

static void expect_no_secret(const session_t *s) {
    cr_expect_null(strstr(s->err.text, SECRET), "a value is in the error: %s", s->err.text);
}

Test(postgres_sink, a_missing_table_is_named) {
    session_t s;
    start(&s, "select 1");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("\"public\".\"t\"", "create it", "0/1000100"));
    sink_session_release(&s);
}

Test(postgres_sink, a_missing_column_comes_with_its_statement) {
    session_t s;
    start(&s, "create table t (id int8 primary key)");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("alter table \"public\".\"t\" add column \"v\" text"));
    sink_session_release(&s);
}

/* The same wrong change, alone and in the middle of so many that a set is tried first. */
static void expect_update_without_row(int others) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text)");
    const struct relation *t = plain_relation(&s);
    change_builder_begin(&s.builder);
    add_inserts(&s, t, 1, others);
    change_builder_update(&s.builder, t, NULL, ROW("999999", SECRET));
    add_inserts(&s, t, 1 + others, others);
    change_builder_commit(&s.builder);
    char index[64];
    snprintf(index, sizeof index, "change %d of the transaction that commits at 0/1000100", others);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("update of", "\"public\".\"t\"", "key \"id\"", index, "pgcdc verify"));
    expect_no_secret(&s);
    sink_session_release(&s);
}

Test(postgres_sink, an_update_without_its_row_is_an_error) {
    expect_update_without_row(0);
    expect_update_without_row(100);
}

static void expect_duplicate(int others) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text); insert into t values (5, 'mine')");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 5, 1 + others);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(
        &s, ERROR_DATA,
        WORDS("insert into", "\"public\".\"t\"", "key \"id\"", "change 0", "23505", "t_pkey"));
    expect_no_secret(&s);
    sink_session_expect_text(&s, "select string_agg(v, ',') from t", "mine");
    sink_session_release(&s);
}

Test(postgres_sink, a_row_that_is_there_already_is_an_error) {
    expect_duplicate(0);
    expect_duplicate(200);
}

Test(postgres_sink, a_value_that_does_not_fit_is_not_told) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v int4)");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 100);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("\"public\".\"t\"", "22P02", "the type that it has at the source"));
    expect_no_secret(&s);
    sink_session_release(&s);
}

static void expect_needs_text(int rows) {
    session_t s;
    start(&s, "create table t (id int4 primary key, v text)");
    s.builder.binary = true;
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, rows);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_RETRY, WORDS("\"id\"", "text"));
    cr_assert(s.sink->needs_text);
    sink_session_release(&s);
}

Test(postgres_sink, binary_values_of_another_type_ask_for_text) {
    expect_needs_text(1);
    expect_needs_text(100);
}

Test(postgres_sink, text_goes_into_another_type_by_its_input_function) {
    session_t s;
    start(
        &s,
        "create domain positive as int4 check (value > 0); create table t (id positive primary key, v varchar(20))");
    change_builder_begin(&s.builder);
    const struct relation *t = plain_relation(&s);
    add_inserts(&s, t, 1, 100);
    change_builder_commit(&s.builder);
    change_builder_begin(&s.builder);
    for (int id = 1; id <= 100; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_update(&s.builder, t, NULL, ROW(text, text));
    }
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select sum(v::int) from t", "5050");
    sink_session_release(&s);
}

/* citext's = is not in pg_catalog, and search_path is empty. */
Test(postgres_sink, a_key_with_an_equality_of_its_own_is_found) {
    session_t s;
    sink_session_init(
        &s, "create schema if not exists odd; drop extension if exists citext cascade;"
            " create extension citext schema odd; create table t (id odd.citext primary key, v text)");
    sink_session_open(&s);
    const struct relation *t =
        change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_DEFAULT, "id 70000 key, v text");
    for (int way = 0; way < 2; way++) {
        change_builder_begin(&s.builder);
        for (int i = 0; i < (way == 0 ? 3 : 100); i++) {
            char key[32];
            snprintf(key, sizeof key, "Key%d-%d", way, i);
            change_builder_insert(&s.builder, t, ROW(key, "a"));
        }
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
        change_builder_begin(&s.builder);
        for (int i = 0; i < (way == 0 ? 3 : 100); i++) {
            char key[32];
            snprintf(key, sizeof key, "Key%d-%d", way, i);
            if (i % 2 == 0)
                change_builder_update(&s.builder, t, NULL, ROW(key, "b"));
            else
                change_builder_delete(&s.builder, t, ROW(key, NULL));
        }
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
    }
    sink_session_expect_text(&s, "select count(*) || ' ' || min(v) from t", "52 b");
    sink_session_release(&s);
}

Test(postgres_sink, what_only_the_target_has_survives_a_key_that_moves) {
    session_t s;
    start(&s,
          "create table t (id int8 generated always as identity primary key, v text, mine text default 'd');"
          " insert into t (id, v, mine) overriding system value values (1, 'kept', 'here')");
    change_builder_begin(&s.builder);
    change_builder_update(&s.builder, plain_relation(&s), ROW("1", NULL), ROW("2", UNCHANGED_TEXT));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select id || v || mine from t", "2kepthere");
    sink_session_release(&s);
}

/* Not the key: the source can have set it to DEFAULT, and the change does not say whether it did. */
Test(postgres_sink, an_identity_column_besides_the_key_follows) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v int8 generated always as identity);"
              " insert into t values (1), (2)");
    const struct relation *t =
        change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v int8");
    change_builder_begin(&s.builder);
    change_builder_update(&s.builder, t, NULL, ROW("1", "77"));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select string_agg(id || ':' || v, ' ' order by id) from t", "1:77 2:2");
    sink_session_release(&s);
}

Test(postgres_sink, truncate_empties_several_tables_and_starts_identities_anew) {
    session_t s;
    start(
        &s,
        "create table t (id int8 primary key, v text, n int generated by default as identity);"
        " create table u (id int8 primary key references t, v text); insert into t values (1, 'a'), (2, 'b');"
        " insert into u values (1, 'c')");
    const struct relation *relations[] = {
        plain_relation(&s),
        change_builder_relation(&s.builder, "u", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text")};
    change_builder_begin(&s.builder);
    add_inserts(&s, relations[0], 10, 1);
    change_builder_truncate(&s.builder, TRUNCATE_RESTART_IDENTITY | TRUNCATE_CASCADE, 2, relations);
    add_inserts(&s, relations[0], 3, 1);
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select id || ':' || n || ':' || (select count(*) from u) from t", "3:1:0");
    sink_session_release(&s);
}

Test(postgres_sink, truncate_stops_at_what_the_message_does_not_name) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text); create table mine (id int8 references t);"
              " insert into t values (1, 'a'); insert into mine values (1)");
    const struct relation *t = plain_relation(&s);
    change_builder_begin(&s.builder);
    change_builder_truncate(&s.builder, TRUNCATE_CASCADE, 1, &t);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_CONFIG, WORDS("truncate of \"public\".\"t\"", "0A000"));
    sink_session_expect_text(&s, "select count(*) from mine", "1");
    sink_session_release(&s);
}

/* ALTER TABLE at both sides, between two changes of one write: each row has the columns of its time. */
Test(postgres_sink, a_new_definition_takes_effect_in_the_middle) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text, w text)");
    const struct relation *before = plain_relation(&s);
    change_builder_begin(&s.builder);
    add_inserts(&s, before, 1, 100);
    s.builder.next_oid = before->oid;
    const struct relation *after =
        change_builder_relation(&s.builder, "t", REPLICA_IDENTITY_DEFAULT, "w text, id int8 key, v text");
    for (int id = 1; id <= 100; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_update(&s.builder, after, NULL, ROW("w", text, UNCHANGED_TEXT));
    }
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) from t where v = '" SECRET "' and w = 'w'", "100");
    const struct apply *apply = ((struct postgres_sink *) s.sink)->apply;
    cr_expect_eq(apply_table(apply, after)->set_failures, 0, "it took the row path to put it right");
    sink_session_release(&s);
}

Test(postgres_sink, odd_identifiers_are_only_names) {
    session_t s;
    start(&s, "create table \"T\"\"; drop table x; --\" (\"select\" int8 primary key, \"a\"\"b c\" text)");
    struct relation *t = (struct relation *) (uintptr_t) change_builder_relation(
        &s.builder, "T\"; drop table x; --", REPLICA_IDENTITY_DEFAULT, "select int8 key, placeholder text");
    t->columns[1].name = slice_of("a\"b c");
    change_builder_begin(&s.builder);
    add_inserts(&s, t, 1, 100);
    for (int id = 1; id <= 50; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_update(&s.builder, t, NULL, ROW(text, "x"));
    }
    change_builder_delete(&s.builder, t, ROW("100", NULL));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) from \"T\"\"; drop table x; --\"", "99");
    sink_session_release(&s);
}

/* The second round finds none of the first one's statements. */
Test(postgres_sink, more_tables_than_statements_are_kept) {
    session_t s;
    enum { TABLES = 30 };
    const struct relation *relations[TABLES];
    start(
        &s,
        "do $$ begin for i in 1..30 loop execute format('create table t%s (id int8 primary key, v text)', i);"
        " end loop; end $$");
    ((struct postgres_sink *) s.sink)->apply->statements.count_max = 7;
    for (int i = 0; i < TABLES; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i + 1);
        relations[i] =
            change_builder_relation(&s.builder, name, REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    }
    for (int round = 0; round < 2; round++) {
        change_builder_begin(&s.builder);
        for (int i = 0; i < TABLES; i++)
            add_inserts(&s, relations[i], round, 1);
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
    }
    sink_session_expect_text(&s,
                             "select count(*) from (select from t1 union all select from t13 union all"
                             " select from t30) t",
                             "6");
    PGresult *result = NULL;
    cr_assert(session_query(&((struct postgres_sink *) s.sink)->session,
                            "select count(*) from pg_prepared_statements", 0, NULL, &result, &s.err));
    cr_expect_leq(atoi(PQgetvalue(result, 0, 0)), 7 + 2, "the position's two and those of the last tables");
    PQclear(result);
    sink_session_release(&s);
}

static char *large_text(size_t size) {
    char *text = malloc(size + 1);
    cr_assert_not_null(text);
    for (size_t i = 0; i < size; i++)
        text[i] = "abc\\\t\n\"'"[i % 8];
    text[size] = '\0';
    return text;
}

static void expect_large_values(bool binary) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text)");
    s.builder.binary = binary;
    const struct relation *t = plain_relation(&s);
    char *text = large_text(20u << 20);
    char sql[128];
    snprintf(sql, sizeof sql, "select count(*) from t where length(v) = %u and right(v, 3) = E'\\n\"'''",
             20u << 20);
    change_builder_begin(&s.builder);
    add_inserts(&s, t, 10, 100);
    change_builder_insert(&s.builder, t, ROW("1", text));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, sql, "1");
    change_builder_begin(&s.builder);
    change_builder_update(&s.builder, t, NULL, ROW("10", text));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, sql, "2");
    free(text);
    sink_session_release(&s);
}

Test(postgres_sink, values_of_many_megabytes_arrive_whole) {
    expect_large_values(false);
    expect_large_values(true);
}

/* A swap in a unique column, over and over: sets fail, rows work, and sets are not tried each time. */
Test(postgres_sink, a_table_where_sets_fail_is_spared_them) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text unique)");
    const struct relation *t = plain_relation(&s);
    change_builder_begin(&s.builder);
    for (int id = 0; id < 100; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_insert(&s.builder, t, ROW(text, text));
    }
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    for (int round = 0; round < 9; round++) {
        change_builder_begin(&s.builder);
        for (int id = 0; id < 100; id += 2) {
            char a[16], b[16];
            snprintf(a, sizeof a, "%d", id);
            snprintf(b, sizeof b, "%d", id + 1);
            change_builder_update(&s.builder, t, NULL, ROW(a, NULL));
            change_builder_update(&s.builder, t, NULL, ROW(b, round % 2 == 0 ? a : b));
            change_builder_update(&s.builder, t, NULL, ROW(a, round % 2 == 0 ? b : a));
        }
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
    }
    sink_session_expect_text(&s, "select count(*) from t where id = v::int", "0");
    const struct target_table *table = apply_table(((struct postgres_sink *) s.sink)->apply, t);
    cr_assert_geq(table->set_failures, 2);
    cr_assert_leq(table->set_failures, 4, "failed %u times in 9 spans", table->set_failures);
    sink_session_release(&s);
}

/*
 * What stood behind the statement that failed was never prepared; it was remembered as if it had been, so the other
 * table's next set failed for no reason of its own.
 */
Test(postgres_sink, a_failure_does_not_spoil_the_statements_of_other_tables) {
    session_t s;
    start(&s,
          "create table t (id int8 primary key, v text unique); create table u (id int8 primary key, v text);"
          " insert into t select g, g from generate_series(1, 100) g; insert into u select * from t");
    const struct relation *t = plain_relation(&s);
    const struct relation *u =
        change_builder_relation(&s.builder, "u", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
    change_builder_begin(&s.builder);
    change_builder_update(&s.builder, t, NULL, ROW("1", NULL));
    change_builder_update(&s.builder, t, NULL, ROW("2", "1"));
    change_builder_update(&s.builder, t, NULL, ROW("1", "2"));
    for (int round = 0; round < 2; round++) {
        for (int id = 1; id <= 50; id++) {
            char text[16];
            snprintf(text, sizeof text, "%d", id);
            change_builder_update(&s.builder, u, NULL, ROW(text, "new"));
        }
        change_builder_commit(&s.builder);
        cr_assert(sink_session_apply(&s), "%s", s.err.text);
        change_builder_begin(&s.builder);
    }
    const struct apply *apply = ((struct postgres_sink *) s.sink)->apply;
    cr_expect_eq(apply_table(apply, t)->set_failures, 1, "the swap was to fail");
    cr_expect_eq(apply_table(apply, u)->set_failures, 0);
    sink_session_expect_text(&s, "select count(*) from u where v = 'new'", "50");
    sink_session_release(&s);
}

Test(postgres_sink, a_terminated_session_asks_for_a_retry) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text)");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 10);
    change_builder_commit(&s.builder);
    cr_assert(sink_session_write(&s));
    database_execute(
        s.conn,
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'pgcdc' and datname = current_database()");
    const struct position position = change_builder_position(&s.builder);
    cr_assert_not(s.sink->ops->flush(s.sink, &position, &s.err));
    sink_session_expect(&s, ERROR_RETRY, WORDS("target"));
    sink_session_expect_text(&s, "select count(*) from t", "0");
    sink_session_release(&s);
}

/* Not only at commit: a fenced engine must not wait for, or hold, the locks of rows. */
Test(postgres_sink, a_fenced_sink_stops_at_its_first_write) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text)");
    struct position position;
    struct sink *newer = sink_new(s.sink->ops, &s.config);
    cr_assert_not_null(newer);
    cr_assert(newer->ops->open(newer, &position, &s.err), "%s", s.err.text);
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_write(&s));
    sink_session_expect(&s, ERROR_REFUSE, WORDS("another engine"));
    newer->ops->close(newer);
    sink_free(newer);
    sink_session_release(&s);
}

/* The source sends each table's own rows; a table that inherits from it has changes of its own. */
Test(postgres_sink, rows_of_an_inheriting_table_are_not_touched) {
    session_t s;
    start(&s,
          "create table t (id int8 primary key, v text); create table heir () inherits (t);"
          " insert into t select g, 'a' from generate_series(1, 100) g; insert into heir select * from t");
    const struct relation *t = plain_relation(&s);
    change_builder_begin(&s.builder);
    change_builder_delete(&s.builder, t, ROW("1", NULL));
    change_builder_update(&s.builder, t, NULL, ROW("2", "b"));
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    change_builder_begin(&s.builder);
    for (int id = 3; id <= 100; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        if (id % 2 == 0)
            change_builder_delete(&s.builder, t, ROW(text, NULL));
        else
            change_builder_update(&s.builder, t, NULL, ROW(text, "b"));
    }
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) || ' ' || max(v) from heir", "100 a");
    sink_session_expect_text(&s, "select count(*) || ' ' || min(v) from only t", "50 b");
    change_builder_begin(&s.builder);
    change_builder_truncate(&s.builder, 0, 1, &t);
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply(&s), "%s", s.err.text);
    sink_session_expect_text(&s, "select count(*) || ' ' || (select count(*) from only t) from heir",
                             "100 0");
    sink_session_release(&s);
}

static void *stop_soon(void *sink) {
    usleep(300000);
    atomic_store(&((struct sink *) sink)->stop, true);
    return NULL;
}

Test(postgres_sink, a_stop_ends_the_wait_for_a_lock) {
    session_t s;
    start(&s, "create table t (id int8 primary key, v text)");
    database_execute(s.conn, "begin; lock table t in access exclusive mode");
    change_builder_begin(&s.builder);
    add_inserts(&s, plain_relation(&s), 1, 10);
    change_builder_commit(&s.builder);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, s.sink), 0);
    int64_t start_ms = clock_now_ms();
    cr_assert_not(sink_session_apply(&s));
    cr_assert_lt(clock_now_ms() - start_ms, 5000);
    pthread_join(thread, NULL);
    sink_session_expect(&s, ERROR_STOPPED, WORDS("target"));
    sink_session_release(&s);
}

Test(postgres_sink, a_commit_is_durable_where_the_default_is_not) {
    session_t s;
    sink_session_init(&s, "alter role current_user set synchronous_commit = off");
    sink_session_open(&s);
    PGresult *result = NULL;
    struct session *session = &((struct postgres_sink *) s.sink)->session;
    cr_assert(session_query(session, "show synchronous_commit", 0, NULL, &result, &s.err), "%s", s.err.text);
    cr_assert_str_eq(PQgetvalue(result, 0, 0), "local");
    PQclear(result);
    database_execute(s.conn, "alter role current_user reset synchronous_commit");
    sink_session_release(&s);
}
