/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgoutput.h - the messages a server would send, byte by byte, for tests of those who read them.
 *
 * Every message is a piece of memory of exactly its size, so that a sanitizer sees a read past its end; it
 * lives until pgoutput_release. Running out of memory aborts: it is a test.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "decoder/change.h"

struct pgoutput {
    struct buffer bytes;    /* of the message being built */
    struct slice *messages; /* all that were built */
    size_t message_count;
};

struct tuple {
    const struct value *values;
    uint32_t count;
};

void pgoutput_init(struct pgoutput *pgoutput);
void pgoutput_release(struct pgoutput *pgoutput);

/* TUPLE(TEXT("1"), NULL_VALUE, UNCHANGED), NO_TUPLE */
#define TUPLE(...)                                                                                           \
    ((struct tuple){(const struct value[]){__VA_ARGS__},                                                     \
                    sizeof(struct value[]){__VA_ARGS__} / sizeof(struct value)})
#define NO_TUPLE ((struct tuple){0})
#define TEXT(text)                                                                                           \
    { .kind = VALUE_TEXT, .data = (text), .size = sizeof(text) - 1 }
#define BINARY(bytes)                                                                                        \
    { .kind = VALUE_BINARY, .data = (bytes), .size = sizeof(bytes) - 1 }
#define NULL_VALUE                                                                                           \
    { .kind = VALUE_NULL }
#define UNCHANGED                                                                                            \
    { .kind = VALUE_UNCHANGED }

struct slice pgoutput_begin(struct pgoutput *pgoutput, const struct transaction *transaction);
struct slice pgoutput_commit(struct pgoutput *pgoutput, const struct transaction *transaction, lsn_t end_lsn);
struct slice pgoutput_origin(struct pgoutput *pgoutput, lsn_t lsn, const char *name);
struct slice pgoutput_relation(struct pgoutput *pgoutput, const struct relation *relation);
struct slice pgoutput_type(struct pgoutput *pgoutput, const struct type_name *type);
struct slice pgoutput_insert(struct pgoutput *pgoutput, oid_t oid, struct tuple new_tuple);
/* old_kind OLD_NONE: no old tuple is sent. */
struct slice pgoutput_update(struct pgoutput *pgoutput, oid_t oid, enum old_kind old_kind,
                             struct tuple old_tuple, struct tuple new_tuple);
struct slice pgoutput_delete(struct pgoutput *pgoutput, oid_t oid, enum old_kind old_kind,
                             struct tuple old_tuple);
struct slice pgoutput_truncate(struct pgoutput *pgoutput, uint8_t flags, uint32_t count, const oid_t *oids);
struct slice pgoutput_message(struct pgoutput *pgoutput, uint8_t flags, lsn_t lsn, const char *prefix,
                              const char *content);

/* Any bytes as a message. */
struct slice pgoutput_raw(struct pgoutput *pgoutput, const void *bytes, size_t size);
