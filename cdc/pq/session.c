/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - libpq without endless blocking, with pinned settings.
 */
#include "cdc/pq/session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/password_file.h"
#include "cdc/pq/connect.h"
#include "cdc/pq/dsn_keyword.h"
#include "cdc/pq/server_message.h"
#include "cdc/pq/settings.h"
#include "cdc/pq/silence.h"

#define STOP_POLL_MS 100 /* how soon a wait notices the stop flag */
#define OBSERVER_MAX_MS 10000
#define REPLICATION_MAX_MS                                                                                   \
    300000 /* before START_REPLICATION the server may have to remove the spilled files of a large slot */

/* The DSN's settings come after these in the list and win, except where ours must win. */
static void add_defaults(struct connect_parameters *parameters, bool replication) {
    connect_parameters_add(parameters, "keepalives_idle", "10");
    connect_parameters_add(parameters, "keepalives_interval", "5");
    connect_parameters_add(parameters, "keepalives_count", "4");
    if (replication) /* a walsender always reads; other sessions wait for locks, see silence.h */
        connect_parameters_add(parameters, "tcp_user_timeout", "30000");
}

/*
 * An unescaped @, slash or question mark ends a password for libpq. The rest becomes the name of a host, a
 * port or a database, which libpq's messages quote. So such a name is refused before it is used.
 */
static bool check_dsn_part(const PQconninfoOption *option, const char *peer, struct error *err) {
    const char *value = option->val;
    if (value == NULL)
        return true;
    bool is_host = strcmp(option->keyword, "host") == 0 && value[0] != '@';
    bool good = !(is_host || strcmp(option->keyword, "dbname") == 0) || strchr(value, '@') == NULL;
    if (strcmp(option->keyword, "port") == 0)
        good = strspn(value, "0123456789,") == strlen(value);
    if (good)
        return true;
    return error_set(
        err, ERROR_CONFIG,
        "the %s's dsn has a character in its %s that is not allowed there; in a password of a URI "
        "write @ as %%40, / as %%2F and %% as %%25, or use password_file",
        peer, option->keyword);
}

/* The DSN may contain options of its own; ours come after them, so that they win. */
static bool build_options(const struct session_options *options, struct buffer *text, struct error *err) {
    char *message = NULL;
    PQconninfoOption *parsed = PQconninfoParse(options->dsn, &message);
    /* libpq's message can quote a part of the DSN, which may be the password. */
    char word[DSN_KEYWORD_MAX], keyword[DSN_KEYWORD_MAX];
    const bool lacks_memory = parsed == NULL && dsn_lacks_memory(message);
    const bool is_misspelt = parsed == NULL && dsn_keyword_find(options->dsn, message, word, keyword);
    PQfreemem(message);
    if (lacks_memory)
        return error_no_memory(err);
    if (is_misspelt)
        return error_set(err, ERROR_CONFIG, "the %s's dsn has the unknown keyword %s", options->peer, word) ||
               error_remedy(err, "write %s in the dsn for %s", keyword, word);
    if (parsed == NULL)
        return error_set(err, ERROR_CONFIG, "the %s's dsn is not a valid connection string", options->peer);
    bool good = true;
    for (const PQconninfoOption *option = parsed; good && option->keyword != NULL; option++) {
        good = check_dsn_part(option, options->peer, err);
        if (strcmp(option->keyword, "options") == 0 && option->val != NULL)
            buffer_printf(text, "%s ", option->val);
    }
    PQconninfoFree(parsed);
    if (!good)
        return false;
    buffer_printf(text, "%s %s", SETTINGS_PINNED, options->gucs != NULL ? options->gucs : "");
    return buffer_text(text) != NULL ? true : error_no_memory(err);
}

static bool is_stopped(const struct session *session) {
    return session->stop != NULL && atomic_load_explicit(session->stop, memory_order_relaxed);
}

/* Waits in short steps. True also after a time-out, with *ret_revents 0. */
static bool wait_socket(struct session *session, short events, int timeout_ms, short *ret_revents,
                        struct error *err) {
    int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : clock_now_ms() + timeout_ms;
    for (;;) {
        if (is_stopped(session))
            return error_set(err, ERROR_STOPPED, "stopped while waiting for the %s", session->peer);
        int64_t left_ms = deadline_ms - clock_now_ms();
        if (left_ms < 0)
            left_ms = 0;
        struct pollfd fd = {.fd = PQsocket(session->conn), .events = events};
        if (fd.fd < 0)
            return error_set(err, ERROR_RETRY, "the connection to the %s is closed", session->peer);
        int count = poll(&fd, 1, left_ms < STOP_POLL_MS ? (int) left_ms : STOP_POLL_MS);
        if (count < 0 && errno != EINTR)
            return error_errno(err, "poll");
        if (count > 0 || left_ms == 0) {
            *ret_revents = count > 0 ? fd.revents : 0;
            return true;
        }
    }
}

bool session_wait(struct session *session, bool writable, int timeout_ms, bool *ret_ready,
                  struct error *err) {
    short revents = 0;
    if (!wait_socket(session, (short) (POLLIN | (writable ? POLLOUT : 0)), timeout_ms, &revents, err))
        return false;
    *ret_ready = revents != 0;
    return true;
}

bool session_wait_for(struct session *session, short events, int timeout_ms, bool *ret_ready,
                      struct error *err) {
    short revents = 0;
    if (!wait_socket(session, events, timeout_ms, &revents, err))
        return false;
    *ret_ready = revents != 0;
    return true;
}

/* Waits for an answer without a limit; a silence is examined. */
static bool wait_answer(struct session *session, short events, short *ret_revents, struct error *err) {
    struct silence silence = {0};
    for (;;) {
        if (!wait_socket(session, events, SILENCE_STEP_MS, ret_revents, err))
            return false;
        if (*ret_revents != 0)
            return true;
        if (!silence_bear(&silence, session, err))
            return false;
    }
}

/* Notices have no use here, and libpq would write them, and its own complaints, to standard error. */
static void ignore_notice(void *context, const PGresult *result) {
    (void) context;
    (void) result;
}

static bool set_up(struct session *session, struct error *err) {
    session->server_version = PQserverVersion(session->conn);
    PQsetNoticeReceiver(session->conn, ignore_notice, NULL);
    if (PQsetnonblocking(session->conn, 1) != 0)
        return session_error(session, NULL, err);
    return settings_pin(session, err);
}

bool session_open(struct session *session, const struct session_options *options, struct error *err) {
    *session = (struct session){.stop = options->stop,
                                .peer = options->peer,
                                .dsn = options->dsn,
                                .password_file = options->password_file,
                                .application = options->application,
                                .connect_ms_max = options->connect_ms_max,
                                .is_observer = options->is_observer};
    struct buffer text AUTO(buffer_release) = {.bytes_max = 65536};
    char password[PASSWORD_BYTES_MAX + 1] = "";
    if (!build_options(options, &text, err))
        return false;
    struct connect_parameters parameters = {0};
    add_defaults(&parameters, options->replication);
    connect_parameters_add(&parameters, "dbname", options->dsn);
    connect_parameters_add(&parameters, "options", text.data);
    connect_parameters_add(&parameters, "client_encoding", "UTF8");
    connect_parameters_add(&parameters, "application_name",
                           options->application != NULL ? options->application : "pgcdc");
    if (options->replication)
        connect_parameters_add(&parameters, "replication", "database");
    if (options->password_file != NULL) {
        if (!password_file_read(options->password_file, password, err))
            return false;
        connect_parameters_add(&parameters, "password", password);
    }
    bool connected = connect_session(session, &parameters, options->dsn, err);
    explicit_bzero(password, sizeof password);
    if (connected && set_up(session, err))
        return true;
    session_close(session);
    return false;
}

bool session_take_bytes(struct session *session, struct error *err) {
    const char *encoding = PQparameterStatus(session->conn, "server_encoding");
    if (encoding == NULL || strcmp(encoding, "SQL_ASCII") != 0)
        return true;
    return session_execute(session, "set client_encoding = 'SQL_ASCII'", err);
}

bool session_is_standby(const struct session *session) {
    const char *standby = PQparameterStatus(session->conn, "in_hot_standby");
    return standby != NULL && strcmp(standby, "on") == 0;
}

void session_close(struct session *session) {
    PQfinish(session->conn);
    session->conn = NULL;
}

bool session_flush(struct session *session, struct error *err) {
    for (;;) {
        int left = PQflush(session->conn);
        if (left == 0)
            return true;
        if (left < 0)
            return session_error(session, NULL, err);
        short revents = 0;
        if (!wait_answer(session, POLLIN | POLLOUT, &revents, err))
            return false;
        if ((revents & POLLIN) != 0 && PQconsumeInput(session->conn) == 0)
            return session_error(session, NULL, err);
    }
}

bool session_read(struct session *session, struct error *err) {
    short revents = 0;
    if (!wait_answer(session, POLLIN, &revents, err))
        return false;
    return PQconsumeInput(session->conn) == 1 ? true : session_error(session, NULL, err);
}

bool session_next_result(struct session *session, PGresult **ret_result, struct error *err) {
    if (!session_flush(session, err))
        return false;
    while (PQisBusy(session->conn) != 0)
        if (!session_read(session, err))
            return false;
    *ret_result = PQgetResult(session->conn);
    return true;
}

static bool result_is_good(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* Reads all results up to the end mark; keeps the first error, or else the last result. */
static bool take_results(struct session *session, const struct result_shape *shape, PGresult **ret_result,
                         struct error *err) {
    assert((shape == NULL) == (ret_result == NULL));
    PGresult *kept AUTO_PGRESULT = NULL;
    for (;;) {
        PGresult *result = NULL;
        if (!session_next_result(session, &result, err))
            return false;
        if (result == NULL)
            break;
        if (kept != NULL && !result_is_good(kept)) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
            break;
    }
    if (!result_is_good(kept))
        return session_error(session, kept, err);
    if (shape != NULL) {
        if (!result_check(kept, session->peer, shape, err))
            return false;
        *ret_result = kept;
        kept = NULL;
    }
    return true;
}

bool session_query(struct session *session, const char *sql, int count, const char *const *parameters,
                   const struct result_shape *shape, PGresult **ret_result, struct error *err) {
    if (PQsendQueryParams(session->conn, sql, count, NULL, parameters, NULL, NULL, 0) == 0)
        return session_error(session, NULL, err);
    return take_results(session, shape, ret_result, err);
}

/* The rest is read in any case, so that the session can continue. */
static bool take_rows(struct session *session, const struct result_shape *shape, session_row_taker *take,
                      void *context, struct error *err) {
    bool good = true;
    struct error ignored;
    for (;;) {
        PGresult *result AUTO_PGRESULT = NULL;
        if (!session_next_result(session, &result, good ? err : &ignored))
            return false;
        if (result == NULL)
            return good;
        if (!good)
            continue;
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE)
            good = result_check(result, session->peer, shape, err) && take(context, result, err);
        else if (PQresultStatus(result) == PGRES_TUPLES_OK)
            good = result_check(result, session->peer, shape, err);
        else
            good = session_error(session, result, err);
    }
}

bool session_query_rows(struct session *session, const char *sql, int count, const char *const *parameters,
                        const struct result_shape *shape, session_row_taker *take, void *context,
                        struct error *err) {
    if (PQsendQueryParams(session->conn, sql, count, NULL, parameters, NULL, NULL, 0) == 0 ||
        PQsetSingleRowMode(session->conn) == 0)
        return session_error(session, NULL, err);
    return take_rows(session, shape, take, context, err);
}

bool session_query_typed(struct session *session, const char *sql,
                         const struct session_parameters *parameters, const struct result_shape *shape,
                         PGresult **ret_result, struct error *err) {
    if (PQsendQueryParams(session->conn, sql, parameters->count, parameters->types, parameters->values,
                          parameters->lengths, parameters->formats, parameters->result_format) == 0)
        return session_error(session, NULL, err);
    return take_results(session, shape, ret_result, err);
}

bool session_simple_query(struct session *session, const char *sql, const struct result_shape *shape,
                          PGresult **ret_result, struct error *err) {
    if (PQsendQuery(session->conn, sql) == 0)
        return session_error(session, NULL, err);
    return take_results(session, shape, ret_result, err);
}

bool session_execute(struct session *session, const char *sql, struct error *err) {
    return session_simple_query(session, sql, NULL, NULL, err);
}

static bool is_in(const char *sqlstate, const char *const *prefixes) {
    for (; *prefixes != NULL; prefixes++)
        if (strncmp(sqlstate, *prefixes, strlen(*prefixes)) == 0)
            return true;
    return false;
}

enum error_kind session_error_kind(const char *sqlstate) {
    static const char *const TRANSIENT[] = {"08", "40", "53",    "55P03", "55006",
                                            "57", "58", "25006", "25P03", NULL};
    static const char *const OPERATOR[] = {"28", "3D", "3F", "42", "0A", "55000", NULL};
    if (sqlstate == NULL || sqlstate[0] == '\0' || is_in(sqlstate, TRANSIENT))
        return ERROR_RETRY;
    return is_in(sqlstate, OPERATOR) ? ERROR_CONFIG : ERROR_DATA;
}

static void append_field(struct error *err, const PGresult *result, int field, const char *label) {
    const char *value = PQresultErrorField(result, field);
    size_t length = strlen(err->text);
    if (value != NULL && length < sizeof err->text)
        snprintf(err->text + length, sizeof err->text - length, ", %s \"%s\"", label, value);
}

/* The server's text contains the character's bytes. */
static void write_encodings(const struct session *session, const char *sqlstate, char *message, size_t size) {
    const char *client = PQparameterStatus(session->conn, "client_encoding");
    const char *server = PQparameterStatus(session->conn, "server_encoding");
    const char *what =
        strcmp(sqlstate, "22P05") == 0 ? "a character has no equivalent" : "bytes are no character";
    snprintf(message, size, "%s between %s and the database's encoding %s", what,
             client != NULL ? client : "?", server != NULL ? server : "?");
}

bool session_error(const struct session *session, const PGresult *result, struct error *err) {
    const char *sqlstate = result != NULL ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (sqlstate == NULL) {
        const char *message = PQerrorMessage(session->conn);
        error_set(err, ERROR_RETRY, "%s: %s", session->peer,
                  message != NULL && message[0] != '\0' ? message : "the connection was lost");
        return false;
    }
    char message[1024];
    server_message_write(result, sqlstate, message, sizeof message);
    if (strcmp(sqlstate, "22P05") == 0 || strcmp(sqlstate, "22021") == 0)
        write_encodings(session, sqlstate, message, sizeof message);
    error_set(err, session_error_kind(sqlstate), "%s: %s (SQLSTATE %s)", session->peer, message, sqlstate);
    snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
    const char *place = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    snprintf(err->place, sizeof err->place, "%s", place != NULL ? place : "");
    if (server_message_is_raised(result))
        return false;
    append_field(err, result, PG_DIAG_SCHEMA_NAME, "schema");
    append_field(err, result, PG_DIAG_TABLE_NAME, "table");
    append_field(err, result, PG_DIAG_COLUMN_NAME, "column");
    append_field(err, result, PG_DIAG_CONSTRAINT_NAME, "constraint");
    return false;
}

void session_clear_result(PGresult **result) {
    PQclear(*result);
    *result = NULL;
}

bool session_notice_our_end(struct session *session, struct error *err) {
    struct error answer = {0};
    if (session_execute(session, "set client_connection_check_interval = '5s'", &answer) ||
        answer.sqlstate[0] != '\0')
        return true;
    *err = answer;
    return false;
}
