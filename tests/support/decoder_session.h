/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder_session.h - a decoder with everything around it, and the tables that its tests speak of.
 */
#pragma once

#include <criterion/criterion.h>

#include "decoder/decoder.h"
#include "tests/support/pgoutput.h"

#define NAME(text)                                                                                           \
    { .data = (text), .size = sizeof(text) - 1 }
#define COLUMN(text, oid, key)                                                                               \
    { .name = NAME(text), .type_oid = (oid), .type_modifier = -1, .is_key = (key) }

static const struct transaction T1 = {.commit_lsn = 0x1000, .commit_time_us = 777000111222333, .xid = 740};
static const struct transaction T2 = {.commit_lsn = 0x1040, .commit_time_us = 777000111222444, .xid = 739};
enum { T1_END = 0x1040, T2_END = 0x1080, ORDERS = 16384, LINES = 16390, BARE = 16396, NOWHERE = 99999 };

static struct column order_columns[] = {COLUMN("id", 20, true), COLUMN("note", 25, false),
                                        COLUMN("total", 1700, false)};
static const struct relation orders = {.oid = ORDERS,
                                       .schema = NAME("public"),
                                       .name = NAME("orders"),
                                       .identity = REPLICA_IDENTITY_DEFAULT,
                                       .column_count = 3,
                                       .key_count = 1,
                                       .columns = order_columns};

static struct column line_columns[] = {COLUMN("order_id", 20, true), COLUMN("text", 25, true)};
static const struct relation lines = {.oid = LINES,
                                      .schema = NAME("shop"),
                                      .name = NAME("lines"),
                                      .identity = REPLICA_IDENTITY_FULL,
                                      .column_count = 2,
                                      .key_count = 2,
                                      .columns = line_columns};

static const struct relation bare = {
    .oid = BARE, .schema = NAME("public"), .name = NAME("bare"), .identity = REPLICA_IDENTITY_NOTHING};

struct decoder_session {
    struct decoder *decoder;
    struct arena arena;
    struct pgoutput out;
    struct error err;
    lsn_t lsn; /* that the next message comes with */
};

static inline struct decoder_session decoder_session_open(void) {
    struct decoder_session session = {.decoder = decoder_new(), .lsn = 0xF00};
    cr_assert_not_null(session.decoder);
    arena_init(&session.arena, 64 * 1024, 64 * 1024 * 1024);
    pgoutput_init(&session.out);
    return session;
}

static inline void decoder_session_close(struct decoder_session *session) {
    decoder_free(session->decoder);
    arena_release(&session->arena);
    pgoutput_release(&session->out);
}

/* Decodes a message that must be right. */
static inline struct change *take(struct decoder_session *session, struct slice message) {
    struct change *change = NULL;
    cr_assert(
        decoder_decode(session->decoder, session->lsn, message, &session->arena, &change, &session->err),
        "%s", session->err.text);
    return change;
}

/* Decodes a message that must be refused with an error of the kind, and returns why. */
static inline const char *refuse_as(struct decoder_session *session, struct slice message,
                                    enum error_kind kind) {
    static struct change untouched;
    struct change *change = &untouched;
    session->err = (struct error){0};
    cr_assert_not(
        decoder_decode(session->decoder, session->lsn, message, &session->arena, &change, &session->err));
    cr_assert_eq(change, &untouched, "a result was published though the message failed");
    cr_assert_eq(session->err.kind, kind, "%s", session->err.text);
    return session->err.text;
}

static inline const char *refuse(struct decoder_session *session, struct slice message) {
    return refuse_as(session, message, ERROR_PROTOCOL);
}

/* ... because the server did not send enough of a row. */
static inline const char *refuse_row(struct decoder_session *session, struct slice message) {
    return refuse_as(session, message, ERROR_DATA);
}

/* A session inside T1 that knows orders, lines and bare. */
static inline struct decoder_session decoder_session_in_transaction(void) {
    struct decoder_session session = decoder_session_open();
    take(&session, pgoutput_begin(&session.out, &T1));
    take(&session, pgoutput_relation(&session.out, &orders));
    take(&session, pgoutput_relation(&session.out, &lines));
    take(&session, pgoutput_relation(&session.out, &bare));
    return session;
}
