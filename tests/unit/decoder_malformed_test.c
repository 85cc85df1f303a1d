/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder_malformed_test.c - what is no pgoutput, or not what we asked for, is refused and says why.
 */
#include "decoder/decoder.h"
#include "tests/support/decoder_session.h"
#include "tests/support/random.h"

#define IN_TRANSACTION()                                                                                     \
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_in_transaction()
#define RAW(bytes) pgoutput_raw(&session.out, (bytes), sizeof(bytes) - 1)

static void expect_reason(struct decoder_session *session, struct slice message, const char *reason) {
    const char *text = refuse(session, message);
    cr_assert_not_null(strstr(text, reason), "\"%s\" does not say \"%s\"", text, reason);
}

/* One of every message that a decoder inside T1 takes; the builder owns them. */
#define VALID_COUNT 16

static void build_valid(struct pgoutput *out, struct slice *valid) {
    const oid_t oids[] = {ORDERS, LINES};
    struct tuple order = TUPLE(TEXT("1"), BINARY("\0\1"), NULL_VALUE);
    struct tuple key = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    struct tuple line = TUPLE(TEXT("17"), TEXT("a line"));
    struct type_name mood = {.oid = 16500, .schema = slice_of("public"), .name = slice_of("mood")};
    size_t n = 0;
    valid[n++] = pgoutput_relation(out, &orders);
    valid[n++] = pgoutput_relation(out, &bare);
    valid[n++] = pgoutput_type(out, &mood);
    valid[n++] = pgoutput_origin(out, 7, "upstream");
    valid[n++] = pgoutput_insert(out, ORDERS, order);
    valid[n++] = pgoutput_insert(out, BARE, NO_TUPLE);
    valid[n++] = pgoutput_update(out, ORDERS, OLD_NONE, NO_TUPLE, TUPLE(TEXT("1"), UNCHANGED, NULL_VALUE));
    valid[n++] = pgoutput_update(out, ORDERS, OLD_KEY, key, order);
    valid[n++] = pgoutput_update(out, LINES, OLD_FULL, line, line);
    valid[n++] = pgoutput_delete(out, ORDERS, OLD_KEY, key);
    valid[n++] = pgoutput_delete(out, LINES, OLD_FULL, line);
    valid[n++] = pgoutput_truncate(out, TRUNCATE_CASCADE, 2, oids);
    valid[n++] = pgoutput_message(out, 0, 0xABC, "prefix", "content");
    valid[n++] = pgoutput_message(out, 1, 0xABC, "prefix", "");
    valid[n++] = pgoutput_message(out, 1, 0xABC, "", "content");
    valid[n++] = pgoutput_commit(out, &T1, T1_END);
    cr_assert_eq(n, VALID_COUNT);
}

Test(decoder_malformed, the_valid_ones_are_valid) {
    IN_TRANSACTION();
    struct slice valid[VALID_COUNT];
    build_valid(&session.out, valid);
    for (size_t i = 0; i < VALID_COUNT; i++)
        take(&session, valid[i]);
}

Test(decoder_malformed, every_truncation_fails) {
    struct slice valid[VALID_COUNT];
    for (size_t i = 0; i < VALID_COUNT; i++) {
        for (size_t size = 0;; size++) {
            IN_TRANSACTION();
            build_valid(&session.out, valid);
            if (size == valid[i].size)
                break;
            refuse(&session, pgoutput_raw(&session.out, valid[i].data, size));
        }
    }
}

Test(decoder_malformed, every_trailing_byte_fails) {
    struct slice valid[VALID_COUNT];
    for (size_t i = 0; i < VALID_COUNT; i++) {
        for (int trailing = 0; trailing < 256; trailing++) {
            IN_TRANSACTION();
            build_valid(&session.out, valid);
            char longer[256];
            memcpy(longer, valid[i].data, valid[i].size);
            longer[valid[i].size] = (char) trailing;
            refuse(&session, pgoutput_raw(&session.out, longer, valid[i].size + 1));
        }
    }
}

Test(decoder_malformed, begin_too_is_taken_to_its_last_byte) {
    AUTO(decoder_session_close) struct decoder_session outside = decoder_session_open();
    struct slice begin = pgoutput_begin(&outside.out, &T1);
    for (size_t size = 0; size < begin.size; size++) {
        AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
        refuse(&session, pgoutput_raw(&session.out, begin.data, size));
    }
    char longer[64] = {0};
    memcpy(longer, begin.data, begin.size);
    refuse(&outside, pgoutput_raw(&outside.out, longer, begin.size + 1));
    cr_assert_not(decoder_in_transaction(outside.decoder), "nothing is published before the last byte");
}

Test(decoder_malformed, no_single_changed_byte_crashes) {
    struct slice valid[VALID_COUNT];
    for (size_t i = 0; i < VALID_COUNT; i++) {
        for (size_t at = 0; at < 100; at++) {
            for (int byte = 0; byte < 256; byte += 5) {
                IN_TRANSACTION();
                build_valid(&session.out, valid);
                if (at >= valid[i].size)
                    break;
                struct slice copy = pgoutput_raw(&session.out, valid[i].data, valid[i].size);
                ((char *) (uintptr_t) copy.data)[at] = (char) byte;
                struct change *change = NULL;
                if (!decoder_decode(session.decoder, 1, copy, &session.arena, &change, &session.err))
                    cr_assert(session.err.kind == ERROR_PROTOCOL || session.err.kind == ERROR_DATA, "%s",
                              session.err.text);
            }
        }
    }
}

Test(decoder_malformed, an_unknown_letter_is_an_error_and_never_a_default) {
    for (int letter = 0; letter < 256; letter++) {
        if (strchr("BCDIMORTUYSEcApbPKr", letter) != NULL && letter != 0)
            continue;
        IN_TRANSACTION();
        char byte = (char) letter;
        expect_reason(&session, pgoutput_raw(&session.out, &byte, 1), "unknown kind");
    }
}

Test(decoder_malformed, an_unknown_value_letter_is_an_error) {
    for (int letter = 0; letter < 256; letter++) {
        if (letter != 0 && strchr("nutb", letter) != NULL)
            continue;
        IN_TRANSACTION();
        char message[] = "I\0\0\x40\0N\0\3nn?";
        message[sizeof message - 2] = (char) letter;
        expect_reason(&session, RAW(message), "malformed Insert");
    }
}

Test(decoder_malformed, unknown_tuple_letters_are_errors) {
    IN_TRANSACTION();
    expect_reason(&session, RAW("I\0\0\x40\0K\0\3nnn"), "malformed Insert");
    expect_reason(&session, RAW("U\0\0\x40\0X\0\3nnn"), "malformed Update");
    expect_reason(&session, RAW("U\0\0\x40\0K\0\3nnnK\0\3nnn"), "malformed Update");
    expect_reason(&session, RAW("D\0\0\x40\0N\0\3nnn"), "malformed Delete");
}

Test(decoder_malformed, a_length_beyond_the_message_is_refused) {
    IN_TRANSACTION();
    expect_reason(&session,
                  RAW("I\0\0\x40\0N\0\3nnt\xff\xff\xff\xff"
                      "1"),
                  "malformed Insert");
    expect_reason(&session,
                  RAW("I\0\0\x40\0N\0\3nnt\x7f\xff\xff\xff"
                      "1"),
                  "malformed Insert");
    expect_reason(&session,
                  RAW("I\0\0\x40\0N\0\3nnt\0\0\0\2"
                      "1"),
                  "malformed Insert");
    expect_reason(&session,
                  RAW("M\1\0\0\0\0\0\0\0\1p\0\xff\xff\xff\xff"
                      "c"),
                  "malformed Message");
}

Test(decoder_malformed, a_tuple_is_as_wide_as_its_relation) {
    IN_TRANSACTION();
    struct tuple wider = TUPLE(NULL_VALUE, NULL_VALUE, NULL_VALUE, NULL_VALUE);
    struct tuple narrower = TUPLE(NULL_VALUE, NULL_VALUE);
    expect_reason(&session, pgoutput_insert(&session.out, ORDERS, wider),
                  "a tuple of 4 values at 0/F00 for relation public.orders of 3 columns");
    expect_reason(&session, pgoutput_insert(&session.out, ORDERS, narrower), "of 3 columns");
    expect_reason(&session, pgoutput_delete(&session.out, ORDERS, OLD_KEY, narrower), "of 3 columns");
    expect_reason(&session, pgoutput_insert(&session.out, BARE, narrower), "of 0 columns");
}

Test(decoder_malformed, a_change_of_an_unknown_relation_is_refused) {
    IN_TRANSACTION();
    const oid_t oids[] = {ORDERS, NOWHERE};
    expect_reason(&session, pgoutput_insert(&session.out, NOWHERE, TUPLE(TEXT("1"))), "relation 99999");
    expect_reason(&session, pgoutput_truncate(&session.out, 0, 2, oids), "relation 99999");
}

Test(decoder_malformed, unchanged_from_nothing_is_refused) {
    IN_TRANSACTION();
    struct tuple unknown = TUPLE(TEXT("1"), UNCHANGED, NULL_VALUE);
    struct tuple known = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    expect_reason(&session, pgoutput_delete(&session.out, ORDERS, OLD_KEY, unknown),
                  "column note of relation public.orders");
    expect_reason(&session, pgoutput_update(&session.out, ORDERS, OLD_FULL, unknown, known), "column note");
}

Test(decoder_malformed, rows_stand_inside_a_transaction) {
    AUTO(decoder_session_close) struct decoder_session session = decoder_session_open();
    struct pgoutput *out = &session.out;
    const oid_t oids[] = {ORDERS};
    struct tuple row = TUPLE(TEXT("1"), NULL_VALUE, NULL_VALUE);
    take(&session, pgoutput_relation(out, &orders));
    expect_reason(&session, pgoutput_insert(out, ORDERS, row), "outside a transaction");
    expect_reason(&session, pgoutput_update(out, ORDERS, OLD_NONE, NO_TUPLE, row), "outside a transaction");
    expect_reason(&session, pgoutput_delete(out, ORDERS, OLD_KEY, row), "outside a transaction");
    expect_reason(&session, pgoutput_truncate(out, 0, 1, oids), "outside a transaction");
    expect_reason(&session, pgoutput_message(out, 1, 1, "p", "c"), "outside a transaction");
    expect_reason(&session, pgoutput_origin(out, 1, "o"), "outside a transaction");
    expect_reason(&session, pgoutput_commit(out, &T1, T1_END), "outside a transaction");
}

Test(decoder_malformed, transactions_do_not_nest) {
    IN_TRANSACTION();
    expect_reason(&session, pgoutput_begin(&session.out, &T2),
                  "inside the transaction that commits at 0/1000");
}

Test(decoder_malformed, a_commit_is_of_the_transaction_that_began) {
    IN_TRANSACTION();
    expect_reason(&session, pgoutput_commit(&session.out, &T2, T2_END),
                  "was to commit at 0/1000 committed at 0/1040");
    expect_reason(&session, pgoutput_commit(&session.out, &T1, T1.commit_lsn), "malformed Commit");
    expect_reason(&session, pgoutput_commit(&session.out, &T1, 0), "malformed Commit");
}

Test(decoder_malformed, unknown_flags_are_errors) {
    IN_TRANSACTION();
    const oid_t oids[] = {ORDERS};
    expect_reason(&session, pgoutput_truncate(&session.out, 4, 1, oids), "malformed Truncate");
    expect_reason(&session, pgoutput_message(&session.out, 2, 1, "p", "c"), "malformed Message");
    expect_reason(&session, RAW("R\0\0\x40\0s\0t\0d\0\1\2c\0\0\0\0\x17\xff\xff\xff\xff"),
                  "malformed Relation");
    expect_reason(&session, RAW("R\0\0\x40\0s\0t\0x\0\1\1c\0\0\0\0\x17\xff\xff\xff\xff"),
                  "malformed Relation");
    expect_reason(&session, RAW("C\1\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\x40\0\0\0\0\0\0\0\0"),
                  "malformed Commit");
}

Test(decoder_malformed, counts_are_compared_with_the_bytes_left) {
    IN_TRANSACTION();
    expect_reason(&session, RAW("T\xff\xff\xff\xff\0\0\0\x40\0"), "malformed Truncate");
    expect_reason(&session, RAW("T\x40\0\0\1\0\0\0\x40\0"),
                  "malformed Truncate"); /* wraps in 32 bits to one */
    expect_reason(&session, RAW("T\0\0\0\0\0"), "malformed Truncate");
    expect_reason(&session, RAW("I\0\0\x40\0N\xff\xffn"), "malformed Insert");
    expect_reason(&session, RAW("R\0\0\x40\0s\0t\0d\xff\xff"), "malformed Relation");
}

static struct slice relation_of(struct decoder_session *session, uint32_t column_count) {
    static struct column columns[RELATION_COLUMNS_MAX + 1];
    for (uint32_t i = 0; i < column_count; i++)
        columns[i] = (struct column) COLUMN("c", 23, false);
    struct relation wide = orders;
    wide.columns = columns;
    wide.column_count = column_count;
    return pgoutput_relation(&session->out, &wide);
}

Test(decoder_malformed, a_relation_is_as_wide_as_postgres_allows) {
    IN_TRANSACTION();
    take(&session, relation_of(&session, RELATION_COLUMNS_MAX));
    expect_reason(&session, relation_of(&session, RELATION_COLUMNS_MAX + 1), "malformed Relation");
}

#define INT64 "\0\0\0\0\0\0\0\1"

Test(decoder_malformed, streamed_transactions_are_refused_by_name) {
    IN_TRANSACTION();
    static const char reason[] = "streamed transactions were not requested";
    expect_reason(&session, RAW("S\0\0\2\xe4\1"), "a Stream Start message");
    expect_reason(&session, RAW("S\0\0\2\xe4\1"), reason);
    expect_reason(&session, RAW("E"), reason);
    expect_reason(&session, RAW("c\0\0\2\xe4\0" INT64 INT64 INT64), reason);
    expect_reason(&session, RAW("A\0\0\2\xe4\0\0\2\xe5"), reason);
    expect_reason(&session, RAW("A\0\0\2\xe4\0\0\2\xe5" INT64 INT64), reason);
    expect_reason(&session, RAW("p\0" INT64 INT64 INT64 "\0\0\2\xe4gid\0"), reason);
}

Test(decoder_malformed, two_phase_transactions_are_refused_by_name) {
    IN_TRANSACTION();
    static const char reason[] = "two-phase transactions were not requested";
    expect_reason(&session, RAW("b" INT64 INT64 INT64 "\0\0\2\xe4gid\0"), "a Begin Prepare message");
    expect_reason(&session, RAW("b" INT64 INT64 INT64 "\0\0\2\xe4gid\0"), reason);
    expect_reason(&session, RAW("P\0" INT64 INT64 INT64 "\0\0\2\xe4gid\0"), reason);
    expect_reason(&session, RAW("K\0" INT64 INT64 INT64 "\0\0\2\xe4gid\0"), reason);
    expect_reason(&session, RAW("r\0" INT64 INT64 INT64 INT64 "\0\0\2\xe4gid\0"), reason);
}

Test(decoder_malformed, a_lost_place_is_not_taken_for_a_streaming_server) {
    IN_TRANSACTION();
    expect_reason(&session, RAW("S\0\0\2\xe4"), "a malformed Stream Start message");
    expect_reason(&session, RAW("E\0"), "a malformed Stream Stop message");
    expect_reason(&session, RAW("A\0\0\2\xe4\0\0\2\xe5" INT64), "a malformed Stream Abort message");
    expect_reason(&session, RAW("b" INT64 INT64 INT64 "\0\0\2\xe4gid"), "a malformed Begin Prepare message");
    expect_reason(&session, RAW(""), "an empty message");
}
