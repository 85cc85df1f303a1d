/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_headers.c - see letter_headers.h.
 */
#include "sinks/kafka/letters/letter_headers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS_TEXT_MAX = 64, HEADERS_USUAL = 16 };

#define PREFIX "pgcdc."

/* ---- writing ---- */

struct making {
    rd_kafka_headers_t *headers;
    bool failed;
};

static void put_bytes(struct making *making, const char *name, struct slice value) {
    if (rd_kafka_header_add(making->headers, name, -1, value.data, (ssize_t) value.size) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        making->failed = true;
}

static void put_header(struct making *making, const char *name, const char *text) {
    put_bytes(making, name, slice_of(text));
}

static void put_number(struct making *making, const char *name, uint64_t number) {
    char text[NUMBERS_TEXT_MAX];
    snprintf(text, sizeof text, "%" PRIu64, number);
    put_header(making, name, text);
}

static void put_two(struct making *making, const char *name, uint64_t one, uint64_t other) {
    char text[NUMBERS_TEXT_MAX];
    snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64, one, other);
    put_header(making, name, text);
}

static void put_change(struct making *making, const struct letter_about *about) {
    const struct transaction *transaction = about->change->transaction;
    put_header(making, PREFIX "topic", about->topic);
    put_bytes(making, PREFIX "schema", about->relation->schema);
    put_bytes(making, PREFIX "table", about->relation->name);
    put_number(making, PREFIX "oid", about->relation->oid);
    put_header(making, PREFIX "commit_lsn", lsn_format(transaction->commit_lsn).text);
    put_number(making, PREFIX "index", about->change->index);
    put_number(making, PREFIX "xid", transaction->xid);
    put_two(making, PREFIX "place", about->place.commit_lsn, about->place.index);
}

rd_kafka_headers_t *letter_headers_make(const struct letter_about *about, const struct message_list *list,
                                        const struct message *message) {
    struct making making = {.headers = rd_kafka_headers_new(HEADERS_USUAL)};
    if (making.headers == NULL)
        return NULL;
    for (uint32_t i = 0; i < message->header_count; i++)
        put_bytes(&making, message->headers[i].name, message_slice(&list->bytes, &message->headers[i].value));
    put_number(&making, PREFIX "letter", about->id);
    put_header(&making, PREFIX "state", about->failed ? "failed" : "waiting");
    if (about->failed)
        put_header(&making, PREFIX "reason", about->reason);
    put_change(&making, about);
    put_number(&making, PREFIX "bytes", about->bytes);
    put_two(&making, PREFIX "message", about->message, about->messages);
    if (about->parts > 1)
        put_two(&making, PREFIX "part", about->part, about->parts);
    if (!making.failed)
        return making.headers;
    rd_kafka_headers_destroy(making.headers);
    return NULL;
}

/* ---- reading ---- */

bool letter_headers_is_about(const char *name) {
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

/* "" when there is none, or it is too long. */
static void get_text(const rd_kafka_headers_t *headers, const char *name, char *text, size_t size) {
    const void *value = NULL;
    size_t length = 0;
    text[0] = '\0';
    if (rd_kafka_header_get_last(headers, name, &value, &length) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        value == NULL || length >= size)
        return;
    memcpy(text, value, length);
    text[length] = '\0';
}

static uint64_t get_number(const rd_kafka_headers_t *headers, const char *name) {
    char text[NUMBERS_TEXT_MAX];
    get_text(headers, name, text, sizeof text);
    return text[strspn(text, "0123456789")] == '\0' ? strtoull(text, NULL, 10) : 0;
}

static bool get_two(const rd_kafka_headers_t *headers, const char *name, uint64_t *one, uint64_t *other) {
    char text[NUMBERS_TEXT_MAX];
    get_text(headers, name, text, sizeof text);
    return sscanf(text, "%" SCNu64 "/%" SCNu64, one, other) == 2;
}

static void get_texts(const rd_kafka_headers_t *headers, struct letter_piece *piece) {
    char state[NUMBERS_TEXT_MAX];
    get_text(headers, PREFIX "state", state, sizeof state);
    piece->failed = strcmp(state, "failed") == 0;
    get_text(headers, PREFIX "reason", piece->reason, sizeof piece->reason);
    get_text(headers, PREFIX "topic", piece->topic, sizeof piece->topic);
    get_text(headers, PREFIX "schema", piece->schema, sizeof piece->schema);
    get_text(headers, PREFIX "table", piece->table, sizeof piece->table);
    get_text(headers, PREFIX "commit_lsn", piece->commit_lsn, sizeof piece->commit_lsn);
    get_text(headers, PREFIX "index", piece->index, sizeof piece->index);
    get_text(headers, PREFIX "xid", piece->xid, sizeof piece->xid);
}

bool letter_headers_read(const rd_kafka_message_t *message, struct letter_piece *ret_piece) {
    rd_kafka_headers_t *headers = NULL;
    uint64_t one = 1, other = 1;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    struct letter_piece piece = {.id = get_number(headers, PREFIX "letter"),
                                 .oid = (oid_t) get_number(headers, PREFIX "oid"),
                                 .bytes = get_number(headers, PREFIX "bytes"),
                                 .part = 1,
                                 .parts = 1};
    if (piece.id == 0 || !get_two(headers, PREFIX "message", &one, &other))
        return false;
    piece.message = (unsigned) one;
    piece.messages = (unsigned) other;
    if (get_two(headers, PREFIX "part", &one, &other)) {
        piece.part = (unsigned) one;
        piece.parts = (unsigned) other;
    }
    if (!get_two(headers, PREFIX "place", &piece.place.commit_lsn, &piece.place.index))
        return false;
    get_texts(headers, &piece);
    *ret_piece = piece;
    return piece.topic[0] != '\0';
}
