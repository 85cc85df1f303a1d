/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_session.h - one Postgres sink, a change builder and a plain connection to look from outside.
 */
#pragma once

#include "sinks/postgres/apply/apply.h"
#include "tests/support/change_builder.h"
#include "tests/support/sink_database.h"

struct sink_session {
    struct sink_option options[3];
    struct sink_config config;
    struct sink *sink;
    atomic_bool stop; /* the sink's */
    struct change_builder builder;
    PGconn *conn;
    struct error err; /* of the last call that failed */
};

/* Skips the test without a server. Empties the database, runs the SQL. The sink is not open yet. */
void sink_session_init(struct sink_session *session, const char *ddl);
void sink_session_release(struct sink_session *session);

/* Opens the sink; another dsn than the database's, or triggers, are set in options before. */
void sink_session_open(struct sink_session *session);

/* Both: the SQL, and an open sink. */
void sink_session_start(struct sink_session *session, const char *ddl);

/* The same with narrowing: allow, for a table whose types are not the source's. */
void sink_session_start_narrow(struct sink_session *session, const char *ddl);

#define SESSION_VALUE "s3cr3t-value" /* stands in rows, must stand in no error */

/* t (id int8 primary key, v text) of the source. */
const struct relation *sink_session_plain(struct sink_session *session);

/*
 * Into the transaction that is being built: count rows of such a table, from id first on, with SESSION_VALUE.
 */
void sink_session_add_inserts(struct sink_session *session, const struct relation *relation, int first,
                              int count);

/* Writes what was built and forgets it; true when the sink took it. */
bool sink_session_write(struct sink_session *session);

/* The same and a flush up to the last commit. */
bool sink_session_apply(struct sink_session *session);

/* The same, and the sink knows of the flush when it writes; the changes stay until then. */
bool sink_session_apply_whole(struct sink_session *session);

/* The last call failed with this kind, and its text has every one of the NULL-terminated list of words. */
void sink_session_expect(const struct sink_session *session, enum error_kind kind, const char *const *words);

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* The statement's only value is this text. */
void sink_session_expect_text(const struct sink_session *session, const char *sql, const char *expected);
