/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication.c - START_REPLICATION and the messages after it.
 */
#include "cdc/readers/slot/replication.h"

#include "cdc/base/start_over.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/cursor.h"
#include "cdc/pq/identifier.h"

#define COMMAND_BYTES_MAX (1u << 20)

enum { STATUS_BYTES = 1 + 8 + 8 + 8 + 8 + 1 };

/*
 * 1: all versions; 2: 14; 3: 15; 4: 16 and later. We use no feature that the newer ones add, so only the
 * number differs.
 */
static int protocol_version(int server_version) {
    if (server_version >= 160000)
        return 4;
    return server_version >= 150000 ? 3 : 2;
}

/* An object does not exist; the name of the server's function tells which one, in every language. */
static const char *remedy_of_missing(const char *place) {
    if (strcmp(place, "get_publication_oid") == 0 || strcmp(place, "GetPublicationByName") == 0)
        return "the publication was created after the slot or dropped since; changes made in between cannot "
               "be decoded; " START_OVER;
    if (strncmp(place, "ReplicationSlot", strlen("ReplicationSlot")) == 0)
        return "the slot is gone; " START_OVER;
    return "the slot or the publication is gone; " START_OVER;
}

/* 55000 is also the code of a server that is not configured for logical decoding, which is no loss. */
static bool has_lost_wal(const struct error *err) {
    return strcmp(err->sqlstate, "58P01") == 0 ||
           (strcmp(err->sqlstate, "55000") == 0 &&
            strcmp(err->place, "CheckLogicalDecodingRequirements") != 0 &&
            strcmp(err->place, "CheckSlotRequirements") != 0);
}

/* Decides what an error of the walsender means for the pipeline. */
static bool replication_judge(const struct session *session, const PGresult *result, struct error *err) {
    session_error(session, result, err);
    const char *remedy = NULL;
    if (strcmp(err->sqlstate, "42704") == 0)
        remedy = remedy_of_missing(err->place);
    else if (has_lost_wal(err))
        remedy = "the slot lost WAL that it needs; " START_OVER;
    if (remedy == NULL)
        return false;
    err->kind = ERROR_REFUSE;
    return error_remedy(err, "%s", remedy);
}

static bool build_command(const struct session *session, const struct replication_options *options,
                          struct buffer *sql) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = COMMAND_BYTES_MAX};
    for (size_t i = 0; i < options->publication_count; i++) {
        buffer_append_text(&names, i == 0 ? "" : ",");
        identifier_append(&names, slice_of(options->publications[i]));
    }
    buffer_append_text(sql, "START_REPLICATION SLOT ");
    identifier_append(sql, slice_of(options->slot));
    buffer_printf(sql, " LOGICAL %s (proto_version '%d', publication_names ",
                  lsn_format(options->start_lsn).text, protocol_version(session->server_version));
    literal_append(sql, buffer_slice(&names));
    buffer_append_text(sql, options->binary ? ", binary 'true'" : "");
    buffer_append_text(sql, options->origin_is_none ? ", origin 'none'" : "");
    buffer_append_text(sql, options->streams ? ", streaming 'on'" : "");
    buffer_append_text(sql, options->messages ? ", messages 'true')" : ")");
    return buffer_ok(&names) && buffer_text(sql) != NULL;
}

bool replication_start(struct session *session, const struct replication_options *options,
                       struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = COMMAND_BYTES_MAX};
    if (options->origin_is_none && session->server_version < 160000)
        return error_set(
            err, ERROR_CONFIG,
            "source.origin none needs PostgreSQL 16 or later; the source is older, so set it to any");
    if (!build_command(session, options, &sql))
        return error_no_memory(err);
    if (PQsendQuery(session->conn, sql.data) == 0)
        return session_error(session, NULL, err);
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_next_result(session, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_COPY_BOTH)
        return replication_judge(session, result, err);
    return true;
}

/* The last LSN in the context, which is that of the failing change. 0: none. */
static lsn_t change_lsn(const PGresult *result) {
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    const char *word = context != NULL ? strrchr(context, ' ') : NULL;
    lsn_t lsn = 0;
    return word != NULL && lsn_parse(word + 1, &lsn) ? lsn : 0;
}

/* An error of the memory allocator itself: the size was above its limit. */
static bool is_too_large(const struct error *err, const PGresult *result) {
    const char *file = PQresultErrorField(result, PG_DIAG_SOURCE_FILE);
    return strcmp(err->sqlstate, "54000") == 0 ||
           (strcmp(err->sqlstate, "XX000") == 0 && file != NULL && strcmp(file, "mcxt.c") == 0);
}

/* "could not map filenode to relation OID" */
bool replication_lost_table(const struct error *err) {
    return strcmp(err->sqlstate, "XX000") == 0 && strcmp(err->place, "ReorderBufferProcessTXN") == 0;
}

/* The server failed on a change: no WAL is lost, and it will fail again. */
static bool judge_change(const struct session *session, const PGresult *result, struct error *err) {
    replication_judge(session, result, err);
    const lsn_t lsn = change_lsn(result);
    if (is_too_large(err, result)) {
        char sqlstate[sizeof err->sqlstate];
        memcpy(sqlstate, err->sqlstate, sizeof sqlstate);
        error_set(err, ERROR_DATA,
                  "source: the server cannot send a row: it is larger than 1 GB, the limit of a value and of "
                  "a message (SQLSTATE %s)",
                  sqlstate);
        memcpy(err->sqlstate, sqlstate, sizeof sqlstate);
        error_remedy(err,
                     "make the row smaller at the source, or leave its large column out of the publication "
                     "by a list of columns; the change stays in the slot, so then " START_OVER);
    } else if (strcmp(err->sqlstate, "22021") == 0 || strcmp(err->sqlstate, "22P05") == 0) {
        error_remedy(err, "every sink except a database of encoding SQL_ASCII needs valid UTF-8: correct the "
                          "row at the source; the change stays in the slot, so then " START_OVER);
    }
    if (replication_lost_table(err))
        error_remedy(
            err,
            "the server cannot decode the transaction, and the slot cannot be read beyond it; " START_OVER);
    return lsn == 0 ? false : error_wrap(err, "the change at %s", lsn_format(lsn).text);
}

/* The server ended the stream because of an error, or because it shuts down. */
static bool ended(struct session *session, struct error *err) {
    for (;;) {
        PGresult *result AUTO_PGRESULT = NULL;
        if (!session_next_result(session, &result, err))
            return false;
        if (result == NULL)
            return error_set(err, ERROR_RETRY, "source: the server ended the stream");
        if (PQresultStatus(result) == PGRES_FATAL_ERROR)
            return judge_change(session, result, err);
    }
}

static bool replication_parse(struct slice bytes, struct replication_message *message, struct error *err) {
    struct cursor cursor = cursor_over(bytes);
    message->kind = (enum replication_message_kind) cursor_u8(&cursor);
    message->lsn = cursor_u64(&cursor);
    lsn_t end_lsn = message->lsn;
    switch (message->kind) {
    case REPLICATION_DATA:
        end_lsn = cursor_u64(&cursor);
        cursor_bytes(&cursor, 8);
        message->payload = cursor_bytes(&cursor, cursor_left(&cursor));
        break;
    case REPLICATION_KEEPALIVE:
        cursor_bytes(&cursor, 8);
        message->reply_requested = cursor_u8(&cursor) != 0;
        break;
    default:
        return error_set(err, ERROR_PROTOCOL, "source: an unknown replication message 0x%02x",
                         (unsigned) message->kind);
    }
    if (!cursor_finish(&cursor))
        return error_set(err, ERROR_PROTOCOL, "source: a malformed replication message '%c' of %zu bytes",
                         (int) message->kind, bytes.size);
    /* A walsender that decodes sends the same LSN twice, so a damaged bit is noticed. */
    if (end_lsn != message->lsn)
        return error_set(err, ERROR_PROTOCOL, "source: a replication message at %s says that it is at %s",
                         lsn_format(message->lsn).text, lsn_format(end_lsn).text);
    return true;
}

bool replication_receive(struct session *session, struct replication_message *ret_message, bool *ret_got,
                         struct error *err) {
    char *raw = NULL;
    int size = PQgetCopyData(session->conn, &raw, 1);
    *ret_got = size > 0;
    if (size == 0)
        return true;
    if (size == -1)
        return ended(session, err);
    if (size < 0)
        return session_error(session, NULL, err);
    struct replication_message message = {.raw = raw};
    if (!replication_parse((struct slice){.data = raw, .size = (size_t) size}, &message, err)) {
        PQfreemem(raw);
        return false;
    }
    *ret_message = message;
    return true;
}

void replication_message_release(struct replication_message *message) {
    PQfreemem(message->raw);
    message->raw = NULL;
}

static char *put_u64(char *bytes, uint64_t value) {
    value = htobe64(value);
    memcpy(bytes, &value, sizeof value);
    return bytes + sizeof value;
}

bool replication_send_status(struct session *session, lsn_t received_lsn, lsn_t flushed_lsn, bool ask_reply,
                             bool *ret_sent, struct error *err) {
    char message[STATUS_BYTES];
    char *next = message;
    *next++ = 'r';
    next = put_u64(next, received_lsn);
    next = put_u64(next, flushed_lsn);
    next = put_u64(next, flushed_lsn);
    next = put_u64(next, (uint64_t) clock_postgres_us());
    *next = (char) ask_reply;
    int put = PQputCopyData(session->conn, message, STATUS_BYTES);
    if (put < 0 || PQflush(session->conn) < 0)
        return session_error(session, NULL, err);
    *ret_sent = put == 1;
    return true;
}

bool replication_end(struct session *session, int timeout_ms, struct error *err) {
    int64_t deadline_ms = clock_now_ms() + timeout_ms;
    if (PQputCopyEnd(session->conn, NULL) < 0)
        return session_error(session, NULL, err);
    while (clock_now_ms() < deadline_ms) {
        char *raw = NULL;
        int left = PQflush(session->conn);
        int size = PQgetCopyData(session->conn, &raw, 1);
        PQfreemem(raw);
        if (size < 0 || left < 0)
            return true;
        bool ready = false;
        if (size == 0 && !session_wait(session, left > 0, 100, &ready, err))
            return false;
        if (PQconsumeInput(session->conn) == 0)
            return true;
    }
    return true;
}
