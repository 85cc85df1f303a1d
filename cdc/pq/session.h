/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - a PostgreSQL session in which values look the same on both sides.
 *
 * Every session, at the source and at a target, pins what changes the text of values, what a name means, what
 * could end it and what could refuse or falsify its work, whatever a DBA has set as a default: settings.h has
 * the whole list.
 *
 * Nothing blocks for ever: all waits poll the socket and give up with ERROR_STOPPED when *stop becomes true,
 * and a peer that is gone is found in 30 seconds. Nothing waits without a word: an answer that does not come
 * for 5 seconds is explained in the log, with the holder of the lock that it waits for, and one that the
 * server has given and that does not arrive is given up (silence.h). One thread at a time uses a session.
 */
#pragma once

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/pq/result.h"

struct session {
    PGconn *conn;            /* NULL when closed */
    const atomic_bool *stop; /* may be NULL: never */
    const char *peer;        /* "source", "target": for errors */
    int server_version;      /* 150004 */
    /* As in the options; the texts live as long as the session. */
    const char *dsn;
    const char *password_file;
    const char *application;
    int connect_ms_max;
    bool is_observer;
};

struct session_options {
    const char *dsn;           /* libpq's; password and TLS as libpq has them */
    const char *password_file; /* a file whose first line is the password, or NULL */
    const char *peer;          /* for errors: "source", "target"; static */
    const char *application;   /* application_name, whatever the dsn says; NULL: pgcdc */
    const char *gucs;        /* more settings for the options parameter: "-c work_mem=64MB -c ...", or NULL */
    bool replication;        /* a logical replication connection (replication=database) */
    const atomic_bool *stop; /* may be NULL */
    int connect_ms_max;      /* for each address at most, whatever the dsn says; 0: as the dsn says */
    bool is_observer;        /* looks after another session: its own waits are not explained */
};

/*
 * Connects; each host and address has its own time (connect.h). What only an operator can change (password,
 * pg_hba, no such database) is ERROR_CONFIG, known by its SQLSTATE and never by its words; all else is
 * ERROR_RETRY (refusal.h).
 */
MUST_CHECK bool session_open(struct session *session, const struct session_options *options,
                             struct error *err);

/*
 * In a database of encoding SQL_ASCII, which says nothing of its bytes, lets text through as it is stored,
 * both ways; without it, bytes that are not UTF-8 are an error there. For whoever hands text on without
 * reading it.
 */
MUST_CHECK bool session_take_bytes(struct session *session, struct error *err);

/*
 * The server is in recovery, so it is a hot standby. It tells so when a session begins and, when that has
 * changed, with its next answer.
 */
bool session_is_standby(const struct session *session);

/* Accepts a zeroed or closed session. */
void session_close(struct session *session);

/*
 * Runs one statement (parameters in text format, a NULL is NULL) and takes its last result, which must be
 * PGRES_COMMAND_OK or PGRES_TUPLES_OK and has this shape, or it is ERROR_PROTOCOL. The caller clears
 * *ret_result; both are NULL when nobody wants it.
 */
MUST_CHECK bool session_query(struct session *session, const char *sql, int count,
                              const char *const *parameters, const struct result_shape *shape,
                              PGresult **ret_result, struct error *err);

/* Takes one row of an answer, the only one of row. False and *err: no more are wanted. */
typedef bool session_row_taker(void *context, const PGresult *row, struct error *err);

/*
 * session_query for an answer of very many rows, which are handed over one by one as they come and never held
 * together.
 */
MUST_CHECK bool session_query_rows(struct session *session, const char *sql, int count,
                                   const char *const *parameters, const struct result_shape *shape,
                                   session_row_taker *take, void *context, struct error *err);

/* Parameters and result in the formats of the protocol: 0 text, 1 binary. Arrays of count. */
struct session_parameters {
    int count;
    const oid_t *types; /* 0: the server infers it */
    const char *const *values;
    const int *lengths; /* of values in binary */
    const int *formats;
    int result_format;
};

/* The same with typed parameters. */
MUST_CHECK bool session_query_typed(struct session *session, const char *sql,
                                    const struct session_parameters *parameters,
                                    const struct result_shape *shape, PGresult **ret_result,
                                    struct error *err);

/*
 * The same for one statement or several without parameters, result thrown away; a replication session can do
 * it.
 */
MUST_CHECK bool session_execute(struct session *session, const char *sql, struct error *err);

/* Runs sql without parameters on any session, replication ones included, and hands over its result. */
MUST_CHECK bool session_simple_query(struct session *session, const char *sql,
                                     const struct result_shape *shape, PGresult **ret_result,
                                     struct error *err);

/*
 * Waits for the next result of what was sent (flushing what is unsent) without blocking for ever. NULL in
 * *ret_result is libpq's end mark. Result status is not judged.
 */
MUST_CHECK bool session_next_result(struct session *session, PGresult **ret_result, struct error *err);

/* Waits until something comes, for as long as it takes, and takes it from the socket. */
MUST_CHECK bool session_read(struct session *session, struct error *err);

/*
 * Pushes out everything libpq has buffered; reads meanwhile, so that both sides cannot fill up and stand
 * still.
 */
MUST_CHECK bool session_flush(struct session *session, struct error *err);

/* Waits at most timeout_ms (-1: until stop) for the socket to be readable or, when asked, writable. */
MUST_CHECK bool session_wait(struct session *session, bool writable, int timeout_ms, bool *ret_ready,
                             struct error *err);

/* The same for these poll(2) events alone. */
MUST_CHECK bool session_wait_for(struct session *session, short events, int timeout_ms, bool *ret_ready,
                                 struct error *err);

/*
 * What to do about a server's error code: RETRY for transient ones (08, 40, 53, 55P03, 55006, 57, 58, 25006),
 * CONFIG for missing rights and objects (28, 3D, 3F, 42), DATA for the rest.
 */
enum error_kind session_error_kind(const char *sqlstate);

/*
 * Fills *err from a failed result, or from the connection when result is NULL: primary message, SQLSTATE, and
 * the names of schema, table, column and constraint; never DETAIL, CONTEXT or QUERY, which hold values.
 * Returns false.
 */
bool session_error(const struct session *session, const PGresult *result, struct error *err);

/* For AUTO(session_clear_result). */
void session_clear_result(PGresult **result);
#define AUTO_PGRESULT AUTO(session_clear_result)
