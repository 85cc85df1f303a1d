/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_position_test.c - the table in which the Postgres sink stores the position: older and newer
 * layouts, tables made by hand, and transactions in the way.
 */
#include <criterion/criterion.h>

#include "tests/support/sink_calls.h"
#include "tests/support/sink_session.h"

typedef struct sink_session session_t;

/* As layout 1 had them: the table, and the statement that opens it. */
#define LAYOUT_1                                                                                             \
    "create schema pgcdc; create table pgcdc.position (pipeline text, sink text, end_lsn pg_lsn not null,"   \
    " commit_lsn pg_lsn not null, index bigint not null, system_id numeric not null, timeline bigint not "   \
    "null,"                                                                                                  \
    " epoch bigint not null, updated_at timestamptz not null, primary key (pipeline, sink))"
#define OPEN_1                                                                                               \
    "insert into pgcdc.position as p values ('p', 's', '0/0', '0/0', 0, 0, 0, 1, clock_timestamp())"         \
    " on conflict (pipeline, sink) do update set updated_at = excluded.updated_at, epoch = p.epoch + 1"

Test(postgres_position, a_position_of_an_older_build_is_taken_over_and_that_build_refuses) {
    session_t s;
    struct position position = {0};
    sink_session_init(&s, LAYOUT_1);
    database_execute(s.conn, "create role pgcdc_reader; grant select on pgcdc.position to pgcdc_reader");
    database_execute(s.conn, OPEN_1);
    char sql[256];
    snprintf(sql, sizeof sql,
             "update pgcdc.position set pipeline = '%s', sink = '%s', end_lsn = '0/ABC', commit_lsn = "
             "'0/DEF', index = 7,"
             " system_id = 12, timeline = 3",
             s.config.pipeline, s.config.name);
    database_execute(s.conn, sql);
    struct sink *sink = s.sink;
    struct sink_view view = {0};
    cr_assert(sink->ops->admin->look(sink, &view, &s.err), "%s", s.err.text);
    cr_assert_eq(view.position.end_lsn, 0xABC, "looking works, and changes nothing");
    database_execute(s.conn, OPEN_1);
    for (int i = 0; i < 2; i++) {
        cr_assert(sink->ops->open(sink, &position, &s.err), "%s", s.err.text);
        cr_assert_eq(position.end_lsn, 0xABC);
        cr_assert_eq(position.commit_lsn, 0xDEF);
        cr_assert_eq(position.index, 7);
        cr_assert_eq(position.system_id, 12);
        cr_assert_eq(position.timeline, 3);
        sink->ops->close(sink);
    }
    PGresult *result = PQexec(s.conn, OPEN_1);
    cr_assert_not_null(strstr(PQresultErrorMessage(result), "needs_a_newer_pgcdc"), "%s",
                       PQresultErrorMessage(result));
    PQclear(result);
    sink_session_expect_text(
        &s, "select has_table_privilege('pgcdc_reader', 'pgcdc.position', 'select')::text", "true");
    database_execute(s.conn, "update pgcdc.position set layout = 4");
    cr_assert_not(sink->ops->open(sink, &position, &s.err));
    sink_session_expect(&s, ERROR_CONFIG, WORDS("layout 4", "knows 3"));
    database_execute(s.conn, "drop owned by pgcdc_reader; drop role pgcdc_reader");
    sink_session_release(&s);
}

/* Opens the sink, which must fail. */
static void refuse_open(session_t *s, enum error_kind kind, const char *const *words) {
    struct position position;
    s->err = (struct error){0};
    cr_assert_not(s->sink->ops->open(s->sink, &position, &s->err));
    sink_session_expect(s, kind, words);
    s->sink->ops->close(s->sink);
}

/* The wait had no limit before the table was prepared, and nobody said for whom it was. */
Test(postgres_position, an_older_transaction_that_locks_the_table_is_named_and_waited_for) {
    static const char *const LOCKS[] = {"select from pgcdc.position",
                                        "lock table pgcdc.position in access exclusive mode"};
    for (size_t i = 0; i < sizeof LOCKS / sizeof LOCKS[0]; i++) {
        session_t s;
        struct position position;
        sink_session_init(&s, LAYOUT_1);
        PGconn *other = database_connect();
        database_execute(other, "set application_name = 'a report'; begin");
        database_execute(other, LOCKS[i]);
        refuse_open(&s, ERROR_RETRY, WORDS("table pgcdc.\"position\" is locked by pid", "a report"));
        database_execute(other, "rollback");
        cr_assert(s.sink->ops->open(s.sink, &position, &s.err), "%s", s.err.text);
        PQfinish(other);
        sink_session_release(&s);
    }
}

Test(postgres_position, a_frozen_engine_of_layout_1_is_taken_over) {
    session_t s;
    struct position position;
    sink_session_init(&s, LAYOUT_1);
    PGconn *other = database_connect();
    char sql[256];
    snprintf(sql, sizeof sql, "update pgcdc.position set pipeline = '%s', sink = '%s'", s.config.pipeline,
             s.config.name);
    database_execute(other, OPEN_1);
    database_execute(other, sql);
    database_execute(other, "set application_name = 'pgcdc'; begin; update pgcdc.position set index = 1");
    cr_assert(s.sink->ops->open(s.sink, &position, &s.err), "%s", s.err.text);
    PQfinish(other);
    sink_session_release(&s);
}

#define WITHOUT_KEY "; alter table pgcdc.position drop constraint position_pkey"

Test(postgres_position, a_table_by_hand_without_a_key_gets_one) {
    session_t s;
    struct position position;
    sink_session_init(&s, LAYOUT_1 WITHOUT_KEY);
    cr_assert(s.sink->ops->open(s.sink, &position, &s.err), "%s", s.err.text);
    s.sink->ops->close(s.sink);
    database_execute(s.conn, "alter table pgcdc.position drop constraint position_pkey");
    refuse_open(&s, ERROR_CONFIG, WORDS("has no primary key", "add primary key (pipeline, sink, stream);"));
    database_execute(s.conn, "alter table pgcdc.position add primary key (pipeline, sink, stream);");
    cr_assert(s.sink->ops->open(s.sink, &position, &s.err), "%s", s.err.text);
    sink_session_release(&s);
}

Test(postgres_position, two_rows_of_one_sink_are_not_guessed_between) {
    session_t s;
    sink_session_init(&s, LAYOUT_1 WITHOUT_KEY);
    for (int i = 0; i < 2; i++)
        database_execute(s.conn,
                         "insert into pgcdc.position values ('p', 's', '0/0', '0/0', 0, 0, 0, 1, now())");
    refuse_open(&s, ERROR_CONFIG, WORDS("more than one row", "updated_at"));
    sink_session_expect_text(&s, "select count(*) from pgcdc.position", "2");
    sink_session_release(&s);
}

Test(postgres_position, a_newer_layout_is_noticed_without_any_row) {
    session_t s;
    struct position position;
    sink_session_start(&s, "select 1");
    s.sink->ops->close(s.sink);
    database_execute(s.conn,
                     "delete from pgcdc.position; alter table pgcdc.position alter layout set default 4");
    refuse_open(&s, ERROR_CONFIG, WORDS("layout 4", "knows 3"));
    database_execute(s.conn, "alter table pgcdc.position alter layout set default 2");
    cr_assert(s.sink->ops->open(s.sink, &position, &s.err), "%s", s.err.text);
    sink_session_release(&s);
}
