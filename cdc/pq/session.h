/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - a PostgreSQL session in which values look the same on both sides.
 *
 * Every session, at the source and at a target, pins all settings that change the text of values or the
 * meaning of a name, that could end the session, or that could refuse or falsify its work. The defaults of a
 * DBA do not matter. settings.h has the whole list.
 *
 * Nothing blocks for ever: all waits poll the socket and return ERROR_STOPPED when *stop becomes true, and a
 * peer that is gone is noticed within 30 seconds. No wait is silent: when an answer does not arrive for 5
 * seconds, the log explains why, with the holder of the lock. When the server has answered but the answer
 * does not arrive, the session is given up (silence.h). One thread at a time uses a session.
 */
#pragma once

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/pq/result.h"

/* The versions of PostgreSQL that are tested, and the first one that no test has seen. */
enum { SERVER_VERSION_MIN = 140000, SERVER_VERSION_UNTESTED = 190000 };

struct session {
    PGconn *conn;            /* NULL when closed */
    const atomic_bool *stop; /* may be NULL: never stopped */
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
    const char *dsn;           /* in libpq's form; password and TLS as in libpq */
    const char *password_file; /* a file whose first line is the password, or NULL */
    const char *peer;          /* for errors: "source", "target"; static */
    const char *application;   /* application_name, which wins over the dsn's; NULL: pgcdc */
    const char *gucs;        /* more settings for the options parameter: "-c work_mem=64MB -c ...", or NULL */
    bool replication;        /* a logical replication connection (replication=database) */
    const atomic_bool *stop; /* may be NULL */
    int connect_ms_max;      /* at most, for each address, whatever the dsn says; 0: as in the dsn */
    bool is_observer;        /* this session examines another one; its own waits are not explained */
};

/*
 * Connects; each host and address has its own time limit (connect.h). A reason that only an operator can
 * remove (password, pg_hba, no such database) is ERROR_CONFIG, recognised by its SQLSTATE and never by its
 * words; any other is ERROR_RETRY (refusal.h).
 */
MUST_CHECK bool session_open(struct session *session, const struct session_options *options,
                             struct error *err);

/*
 * In a database of encoding SQL_ASCII, which does not define the meaning of bytes, passes text as it is
 * stored, in both directions. Without it, bytes that are not UTF-8 are an error there. For callers that pass
 * text on without reading it.
 */
MUST_CHECK bool session_take_bytes(struct session *session, struct error *err);

/*
 * The server is in recovery, so it is a hot standby. The server reports this when a session begins and, after
 * a change, with its next answer.
 */
bool session_is_standby(const struct session *session);

/* Accepts a zeroed or closed session. */
void session_close(struct session *session);

/*
 * Runs one statement (parameters in text format, NULL for a null) and returns its last result, which must be
 * PGRES_COMMAND_OK or PGRES_TUPLES_OK and have this shape; otherwise the error is ERROR_PROTOCOL. The caller
 * clears *ret_result. shape and ret_result are both NULL when the result has no use.
 */
MUST_CHECK bool session_query(struct session *session, const char *sql, int count,
                              const char *const *parameters, const struct result_shape *shape,
                              PGresult **ret_result, struct error *err);

/* Receives one row of an answer, the only one in row. False and *err: stop. */
typedef bool session_row_taker(void *context, const PGresult *row, struct error *err);

/*
 * session_query for an answer of very many rows, which are passed on one by one as they arrive and never held
 * together.
 */
MUST_CHECK bool session_query_rows(struct session *session, const char *sql, int count,
                                   const char *const *parameters, const struct result_shape *shape,
                                   session_row_taker *take, void *context, struct error *err);

/* Parameters and result in the protocol's formats: 0 text, 1 binary. The arrays have count elements. */
struct session_parameters {
    int count;
    const oid_t *types; /* 0: the server infers it */
    const char *const *values;
    const int *lengths; /* of binary values */
    const int *formats;
    int result_format;
};

/* session_query with typed parameters. */
MUST_CHECK bool session_query_typed(struct session *session, const char *sql,
                                    const struct session_parameters *parameters,
                                    const struct result_shape *shape, PGresult **ret_result,
                                    struct error *err);

/*
 * Runs one or several statements without parameters and discards the result; also on a replication session.
 */
MUST_CHECK bool session_execute(struct session *session, const char *sql, struct error *err);

/* Runs sql without parameters on any session, including replication, and returns its result. */
MUST_CHECK bool session_simple_query(struct session *session, const char *sql,
                                     const struct result_shape *shape, PGresult **ret_result,
                                     struct error *err);

/*
 * Waits for the next result of what was sent, flushing the rest, without blocking for ever. NULL in
 * *ret_result is libpq's end mark. The result's status is not checked.
 */
MUST_CHECK bool session_next_result(struct session *session, PGresult **ret_result, struct error *err);

/* Waits without a limit until bytes arrive, and reads them from the socket. */
MUST_CHECK bool session_read(struct session *session, struct error *err);

/*
 * Sends everything that libpq has buffered. Reads at the same time, so that the two sides cannot block each
 * other with full buffers.
 */
MUST_CHECK bool session_flush(struct session *session, struct error *err);

/* Waits at most timeout_ms (-1: until stop) for the socket to be readable or, when asked, writable. */
MUST_CHECK bool session_wait(struct session *session, bool writable, int timeout_ms, bool *ret_ready,
                             struct error *err);

/* The same for exactly these poll(2) events. */
MUST_CHECK bool session_wait_for(struct session *session, short events, int timeout_ms, bool *ret_ready,
                                 struct error *err);

/*
 * The kind of a server's error code: RETRY for transient ones (08, 40, 53, 55P03, 55006, 57, 58, 25006),
 * CONFIG for missing rights and objects (28, 3D, 3F, 42), DATA for the rest.
 */
enum error_kind session_error_kind(const char *sqlstate);

/*
 * Fills *err from a failed result, or from the connection when result is NULL: the primary message, the
 * SQLSTATE, and the names of schema, table, column and constraint. Never DETAIL, CONTEXT or QUERY, which
 * contain values. Returns false.
 */
bool session_error(const struct session *session, const PGresult *result, struct error *err);

/*
 * From now on the server ends a statement, also one that waits for a lock, soon after this process has died.
 * Only servers on Linux can; elsewhere nothing changes.
 */
MUST_CHECK bool session_notice_our_end(struct session *session, struct error *err);

/* For AUTO(session_clear_result). */
void session_clear_result(PGresult **result);
#define AUTO_PGRESULT AUTO(session_clear_result)
