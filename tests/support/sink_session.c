/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_session.c - see sink_session.h.
 */
#include "tests/support/sink_session.h"
#include "tests/support/sink_calls.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const char RESET[] =
    "drop schema if exists pgcdc cascade; drop schema if exists public cascade; create schema public;"
    " grant all on schema public to public";

void sink_session_init(struct sink_session *session, const char *ddl) {
    if (database_dsn() == NULL)
        cr_skip_test("PGCDC_TEST_DSN is not set: there is no PostgreSQL to test against");
    *session = (struct sink_session){.options = {{"dsn", database_dsn()}}};
    session->config = (struct sink_config){
        .pipeline = "test", .name = "target", .options = session->options, .option_count = 1};
    session->conn = database_connect();
    database_execute(session->conn, RESET);
    database_execute(session->conn, ddl);
    change_builder_init(&session->builder);
    session->sink = sink_new(sink_ops_find("postgres"), &session->config, &session->stop);
    cr_assert_not_null(session->sink);
}

void sink_session_release(struct sink_session *session) {
    session->sink->ops->close(session->sink);
    sink_free(session->sink);
    change_builder_release(&session->builder);
    PQfinish(session->conn);
}

void sink_session_open(struct sink_session *session) {
    struct position position;
    cr_assert(session->sink->ops->open(session->sink, &position, &session->err), "%s", session->err.text);
}

void sink_session_start(struct sink_session *session, const char *ddl) {
    sink_session_init(session, ddl);
    sink_session_open(session);
}

void sink_session_start_narrow(struct sink_session *session, const char *ddl) {
    sink_session_init(session, ddl);
    session->options[1] = (struct sink_option){"narrowing", "allow"};
    session->config.option_count = 2;
    sink_session_open(session);
}

const struct relation *sink_session_plain(struct sink_session *session) {
    return change_builder_relation(&session->builder, "t", REPLICA_IDENTITY_DEFAULT, "id int8 key, v text");
}

void sink_session_add_inserts(struct sink_session *session, const struct relation *relation, int first,
                              int count) {
    for (int id = first; id < first + count; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        change_builder_insert(&session->builder, relation, ROW(text, SESSION_VALUE));
    }
}

bool sink_session_write(struct sink_session *session) {
    struct change_builder *builder = &session->builder;
    bool written = sink_write(session->sink, builder->changes, builder->count, &session->err);
    change_builder_clear(builder);
    return written;
}

bool sink_session_apply(struct sink_session *session) {
    const struct position position = change_builder_position(&session->builder);
    return sink_session_write(session) && sink_flush(session->sink, &position, &session->err);
}

bool sink_session_apply_whole(struct sink_session *session) {
    const struct position position = change_builder_position(&session->builder);
    struct change_builder *builder = &session->builder;
    struct sink *sink = session->sink;
    bool written = sink_write_until(sink, builder->changes, builder->count, &position, &session->err);
    bool applied = written && sink_flush(sink, &position, &session->err);
    change_builder_clear(builder);
    return applied;
}

void sink_session_expect(const struct sink_session *session, enum error_kind kind, const char *const *words) {
    cr_expect_eq(session->err.kind, kind, "kind is %s: %s", error_kind_name(session->err.kind),
                 session->err.text);
    const struct error_line line = error_line(&session->err);
    for (; *words != NULL; words++)
        cr_expect_not_null(strstr(line.text, *words), "\"%s\" is not in: %s", *words, line.text);
}

void sink_session_expect_text(const struct sink_session *session, const char *sql, const char *expected) {
    char *text = database_text(session->conn, sql);
    cr_expect_str_eq(text, expected, "%s: is %s, should be %s", sql, text, expected);
    free(text);
}
