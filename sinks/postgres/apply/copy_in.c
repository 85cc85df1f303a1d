/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_in.c - libpq's COPY, never more than a piece ahead of the socket.
 */
#include "sinks/postgres/apply/copy_in.h"

#include <stdlib.h>

#define PIECE_BYTES (64u * 1024u)
/* a row of 1600 columns in text, each value just below the size that is sent by itself */
#define BUFFER_BYTES_MAX (256u * 1024u * 1024u)

void copy_in_init(struct copy_in *copy, struct session *session) {
    *copy = (struct copy_in){.session = session};
    buffer_init(&copy->buffer, BUFFER_BYTES_MAX);
}

void copy_in_release(struct copy_in *copy) {
    buffer_release(&copy->buffer);
}

/* After a failure, so that the session can be used again if the connection is intact. */
static void take_end_mark(struct session *session) {
    PGresult *end AUTO_PGRESULT = NULL;
    struct error broken;
    if (!session_next_result(session, &end, &broken))
        return; /* the earlier failure is reported */
}

bool copy_in_begin(struct copy_in *copy, const char *sql, struct error *err) {
    struct session *session = copy->session;
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_reset(&copy->buffer);
    if (PQsendQuery(session->conn, sql) == 0)
        return session_error(session, NULL, err);
    if (!session_next_result(session, &result, err))
        return false;
    if (PQresultStatus(result) == PGRES_COPY_IN)
        return true;
    session_error(session, result, err);
    take_end_mark(session);
    return false;
}

/* PQputCopyData buffers without a limit what the socket does not accept, so we wait after each piece. */
static bool send_piece(struct copy_in *copy, const char *data, size_t size, struct error *err) {
    if (PQputCopyData(copy->session->conn, data, (int) size) != 1)
        return session_error(copy->session, NULL, err);
    return session_flush(copy->session, err);
}

static bool send_buffer(struct copy_in *copy, struct error *err) {
    if (!buffer_ok(&copy->buffer))
        return error_no_memory(err);
    if (copy->buffer.size > 0 && !send_piece(copy, copy->buffer.data, copy->buffer.size, err))
        return false;
    buffer_reset(&copy->buffer);
    return true;
}

bool copy_in_push(struct copy_in *copy, struct error *err) {
    return (buffer_ok(&copy->buffer) && copy->buffer.size < PIECE_BYTES) || send_buffer(copy, err);
}

bool copy_in_send(struct copy_in *copy, struct slice bytes, struct error *err) {
    if (!send_buffer(copy, err))
        return false;
    for (size_t at = 0; at < bytes.size; at += PIECE_BYTES) {
        size_t left = bytes.size - at;
        if (!send_piece(copy, bytes.data + at, left < PIECE_BYTES ? left : PIECE_BYTES, err))
            return false;
    }
    return true;
}

bool copy_in_end(struct copy_in *copy, uint64_t *ret_rows, struct error *err) {
    struct session *session = copy->session;
    PGresult *result AUTO_PGRESULT = NULL;
    if (!send_buffer(copy, err))
        return false;
    if (PQputCopyEnd(session->conn, NULL) != 1)
        return session_error(session, NULL, err);
    if (!session_next_result(session, &result, err))
        return false;
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (good)
        *ret_rows = strtoull(PQcmdTuples(result), NULL, 10);
    else
        session_error(session, result, err);
    take_end_mark(session);
    return good;
}
