/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_errors_test.c - what the Postgres sink says when a change does not fit or the target does not
 * answer.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "tests/support/sink_calls.h"
#include "tests/support/sink_session.h"

typedef struct sink_session session_t;

static void expect_no_value(const session_t *s) {
    cr_expect_null(strstr(s->err.text, SESSION_VALUE), "a value is in the error: %s", s->err.text);
}

Test(postgres_errors, a_missing_table_is_named) {
    session_t s;
    sink_session_start(&s, "select 1");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("\"public\".\"t\"", "prints the SQL that creates it", "0/1000100"));
    sink_session_release(&s);
}

Test(postgres_errors, a_missing_column_is_named_with_what_prints_its_statement) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key)");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("has no column \"v\"", "pgcdc check prints the statement"));
    sink_session_release(&s);
}

/* All are looked up together; narrow lacks a column. */
Test(postgres_errors, of_tables_that_do_not_fit_the_first_is_named_with_its_transaction) {
    session_t s;
    sink_session_start(
        &s, "create table t (id int8 primary key, v text); create table narrow (id int8 primary key)");
    const struct relation *relations[] = {
        sink_session_plain(&s),
        change_builder_relation(&s.builder, "absent", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text"),
        change_builder_relation(&s.builder, "narrow", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text"),
    };
    for (size_t i = 0; i < 3; i++) {
        change_builder_begin(&s.builder);
        sink_session_add_inserts(&s, relations[i], 1, 1);
        change_builder_commit(&s.builder);
    }
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("table \"public\".\"absent\" is missing", "commits at 0/1000303"));
    sink_session_release(&s);
}

/* The same wrong change, alone and in the middle of so many that a set is tried first. */
static void expect_update_without_row(int others, bool (*apply)(session_t *)) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text)");
    const struct relation *t = sink_session_plain(&s);
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, t, 1, others);
    change_builder_update(&s.builder, t, NULL, ROW("999999", SESSION_VALUE));
    sink_session_add_inserts(&s, t, 1 + others, others);
    change_builder_commit(&s.builder);
    char index[64];
    snprintf(index, sizeof index, "change %d of the transaction that commits at 0/1000100", others);
    cr_assert_not(apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("update of", "\"public\".\"t\"", "key \"id\"", index, "pgcdc verify"));
    expect_no_value(&s);
    sink_session_expect_text(&s, "select count(*) from t", "0");
    sink_session_release(&s);
}

Test(postgres_errors, an_update_without_its_row_is_an_error) {
    expect_update_without_row(0, sink_session_apply);
    expect_update_without_row(100, sink_session_apply);
    expect_update_without_row(0, sink_session_apply_whole);
    expect_update_without_row(3, sink_session_apply_whole);
}

/* What an answer would have told is told by the server itself, when nobody waits for the answer. */
static void expect_stopped_by_itself(const char *ddl, const char *words, void (*add)(session_t *)) {
    session_t s;
    sink_session_start(&s, ddl);
    change_builder_begin(&s.builder);
    add(&s);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply_whole(&s), "%s: %s", ddl, words);
    sink_session_expect(&s, ERROR_DATA, WORDS("\"public\".\"t\"", "change 1", words));
    expect_no_value(&s);
    sink_session_expect_text(&s, "select count(*) || ' ' || (select end_lsn from pgcdc.position) from t",
                             "2 0/0");
    sink_session_release(&s);
}

static void add_delete(session_t *s) {
    const struct relation *t = sink_session_plain(s);
    sink_session_add_inserts(s, t, 1, 1);
    change_builder_delete(&s->builder, t, ROW("5", NULL));
    sink_session_add_inserts(s, t, 2, 1);
}

static void add_update(session_t *s) {
    const struct relation *t = sink_session_plain(s);
    sink_session_add_inserts(s, t, 1, 1);
    change_builder_update(&s->builder, t, NULL, ROW("5", SESSION_VALUE));
    sink_session_add_inserts(s, t, 2, 1);
}

static void add_insert_that_a_rule_takes(session_t *s) {
    sink_session_add_inserts(s, sink_session_plain(s), 1, 3);
}

Test(postgres_errors, a_small_transaction_stops_at_the_row_that_does_not_fit) {
    static const char NONE[] =
        "create table t (id int8 primary key, v text); insert into t values (7, ''), (8, '')";
    static const char TWICE[] = "create table t (id int8, v text); insert into t values (5, ''), (5, '')";
    expect_stopped_by_itself(NONE, "no row found", add_delete);
    expect_stopped_by_itself(NONE, "no row found", add_update);
    expect_stopped_by_itself(TWICE, "more than one row found", add_delete);
    expect_stopped_by_itself(TWICE, "make it a primary key", add_update);
    expect_stopped_by_itself("create table t (id int8, v text); insert into t values (7, ''), (8, '');"
                             " create rule r as on insert to t where new.id = 2 do instead nothing; alter "
                             "table t enable always rule r",
                             "a rule of the target suppressed the row", add_insert_that_a_rule_takes);
}

/* A constraint that came after the table was looked up, and speaks when all answers are there. */
Test(postgres_errors, a_small_transaction_that_fails_at_its_end_leaves_nothing) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text);"
                           "create function refuse() returns trigger language plpgsql as"
                           " $$ begin raise check_violation; end $$");
    const struct relation *t = sink_session_plain(&s);
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, t, 1, 1);
    change_builder_commit(&s.builder);
    cr_assert(sink_session_apply_whole(&s), "%s", s.err.text);
    database_execute(s.conn,
                     "create constraint trigger c after insert on t deferrable initially deferred"
                     " for each row execute function refuse(); alter table t enable always trigger c");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, t, 2, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply_whole(&s));
    sink_session_expect(&s, ERROR_DATA, WORDS("commit of the transactions up to", "23514"));
    sink_session_expect_text(&s, "select string_agg(id::text, ',') from t", "1");
    sink_session_release(&s);
}

static void expect_duplicate(int others, bool (*apply)(session_t *)) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text); insert into t values (5, 'mine')");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 5, 1 + others);
    change_builder_commit(&s.builder);
    cr_assert_not(apply(&s));
    sink_session_expect(
        &s, ERROR_DATA,
        WORDS("insert into", "\"public\".\"t\"", "key \"id\"", "change 0", "23505", "t_pkey"));
    expect_no_value(&s);
    sink_session_expect_text(&s, "select string_agg(v, ',') from t", "mine");
    sink_session_release(&s);
}

Test(postgres_errors, a_row_that_is_there_already_is_an_error) {
    expect_duplicate(0, sink_session_apply);
    expect_duplicate(200, sink_session_apply);
    expect_duplicate(2, sink_session_apply_whole);
}

Test(postgres_errors, a_value_that_does_not_fit_is_not_told) {
    session_t s;
    sink_session_start_narrow(&s, "create table t (id int8 primary key, v int4)");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 100);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_DATA,
                        WORDS("\"public\".\"t\"", "22P02", "the type that it has at the source"));
    expect_no_value(&s);
    sink_session_release(&s);
}

static void expect_needs_text(int rows) {
    session_t s;
    sink_session_start(&s, "create table t (id int4 primary key, v text)");
    s.builder.binary = true;
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, rows);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_NEEDS_TEXT, WORDS("\"id\"", "text"));
    sink_session_release(&s);
}

Test(postgres_errors, binary_values_of_another_type_ask_for_text) {
    expect_needs_text(1);
    expect_needs_text(100);
}

Test(postgres_errors, truncate_stops_at_what_the_message_does_not_name) {
    session_t s;
    sink_session_start(
        &s, "create table t (id int8 primary key, v text); create table mine (id int8 references t);"
            " insert into t values (1, 'a'); insert into mine values (1)");
    const struct relation *t = sink_session_plain(&s);
    change_builder_begin(&s.builder);
    change_builder_truncate(&s.builder, TRUNCATE_CASCADE, 1, &t);
    change_builder_commit(&s.builder);
    cr_assert_not(sink_session_apply(&s));
    sink_session_expect(&s, ERROR_CONFIG, WORDS("truncate of \"public\".\"t\"", "0A000"));
    sink_session_expect_text(&s, "select count(*) from mine", "1");
    sink_session_release(&s);
}

Test(postgres_errors, a_terminated_session_asks_for_a_retry) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text)");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 10);
    change_builder_commit(&s.builder);
    cr_assert(sink_session_write(&s));
    database_execute(s.conn, "select pg_terminate_backend(pid, 5000) from pg_stat_activity where "
                             "application_name = 'pgcdc' and datname = current_database()");
    const struct position position = change_builder_position(&s.builder);
    cr_assert_not(sink_flush(s.sink, &position, &s.err));
    sink_session_expect(&s, ERROR_RETRY, WORDS("target"));
    sink_session_expect_text(&s, "select count(*) from t", "0");
    sink_session_release(&s);
}

/* Not only at commit: a fenced engine must not wait for, or hold, the locks of rows. */
static void expect_fenced(bool (*apply)(session_t *)) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text)");
    struct position position;
    struct sink *newer = sink_new(s.sink->ops, &s.config, &NEVER_STOPPED);
    cr_assert_not_null(newer);
    cr_assert(newer->ops->open(newer, &position, &s.err), "%s", s.err.text);
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 1);
    change_builder_commit(&s.builder);
    cr_assert_not(apply(&s));
    sink_session_expect(&s, ERROR_REFUSE, WORDS("another engine"));
    newer->ops->close(newer);
    sink_free(newer);
    sink_session_release(&s);
}

Test(postgres_errors, a_fenced_sink_stops_at_its_first_write) {
    expect_fenced(sink_session_write);
    expect_fenced(sink_session_apply_whole);
}

/* Only an engine's session is ended to get at its lock; anybody else's is waited for, and told of. */
Test(postgres_errors, a_position_that_somebody_else_locks_is_waited_for) {
    session_t s;
    struct position position;
    sink_session_start(&s, "create table t (id int8 primary key, v text)");
    s.sink->ops->close(s.sink);
    database_execute(s.conn, "begin; select from pgcdc.position for update");
    cr_assert_not(s.sink->ops->open(s.sink, &position, &s.err));
    sink_session_expect(&s, ERROR_RETRY, WORDS("pgcdc.position", "is locked by pid"));
    s.sink->ops->close(s.sink);
    database_execute(s.conn, "commit");
    sink_session_open(&s);
    sink_session_release(&s);
}

static void *stop_soon(void *stop) {
    usleep(300000);
    atomic_store((atomic_bool *) stop, true);
    return NULL;
}

Test(postgres_errors, a_stop_ends_the_wait_for_a_lock) {
    session_t s;
    sink_session_start(&s, "create table t (id int8 primary key, v text)");
    database_execute(s.conn, "begin; lock table t in access exclusive mode");
    change_builder_begin(&s.builder);
    sink_session_add_inserts(&s, sink_session_plain(&s), 1, 10);
    change_builder_commit(&s.builder);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, stop_soon, &s.stop), 0);
    int64_t start_ms = clock_now_ms();
    cr_assert_not(sink_session_apply(&s));
    cr_assert_lt(clock_now_ms() - start_ms, 5000);
    pthread_join(thread, NULL);
    sink_session_expect(&s, ERROR_STOPPED, WORDS("target"));
    sink_session_release(&s);
}
