/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - the contract of a format, which encodes a change as messages for consumers.
 *
 * A format does no I/O, reads no clock and knows nothing of Kafka. A format is used by one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "decoder/change.h"
#include "proto/schema_record.h"
#include "sinks/formats/transaction_tally.h"
#include "sinks/sink.h"

enum { MESSAGES_PER_CHANGE_MAX = 4, MESSAGE_HEADERS_MAX = 4 };

/* A range of the list's buffer; offsets, because the buffer may move while messages are added. */
struct message_span {
    size_t offset;
    size_t size;
    bool is_null; /* no key: a table without replica identity. No value: a tombstone. */
};

struct message {
    const struct relation *relation; /* the table whose topic it goes to; NULL: the transaction topic */
    struct message_span key;
    struct message_span value;
    uint32_t header_count;
    struct {
        const char *name; /* static */
        struct message_span value;
    } headers[MESSAGE_HEADERS_MAX];
};

static inline struct slice message_slice(const struct buffer *bytes, const struct message_span *span) {
    if (span->is_null)
        return (struct slice) {0};
    return (struct slice) {.data = span->size > 0 ? bytes->data + span->offset : "", .size = span->size};
}

/* The messages of one change, in order. Reused from change to change. */
struct message_list {
    struct buffer bytes;
    size_t count;
    struct message messages[MESSAGES_PER_CHANGE_MAX];
};

struct format;

struct format_options {
    const struct sink_config *config; /* the sink's section, for the format's own keys */
    /*
     * The tally of the current transaction, to which encode adds; NULL without a transaction topic. Outlives
     * the format.
     */
    struct transaction_tally *tally;
};

/* Where a change is among all: its transaction's commit LSN, and a number that grows within it. */
struct message_place {
    lsn_t commit_lsn;
    uint64_t index;
};

/* A message, read back. Texts and values are in the arena, or in the message. */
struct format_reading {
    struct slice key;  /* the same bytes for the same row's key, whatever its type was; data NULL: none */
    bool is_tombstone; /* nothing else is set */
    /*
     * The relation has the columns that the message names, without OIDs; a column's is_key may be false. Of
     * the transaction only commit_lsn is set.
     */
    struct change change;
    struct message_place place; /* set by the reader of the topic: the change's, whatever the headers say */
    bool has_index;             /* else change.index is the change's LSN: rows of one COPY share it */
};

struct format_ops {
    const char *name;                  /* the value of `format:` */
    const struct option_spec *options; /* the format's own keys, ended by key NULL */
    /* ERROR_CONFIG names the key and the expected values. Release with free, which accepts NULL. */
    bool (*create)(const struct format_options *options, struct format **ret_format, struct error *err);
    void (*free)(struct format *format);
    /*
     * Fills the list with the messages of a row change, or of a truncate for its relation number
     * relation_index (0 for rows). now_us: microseconds since 1970, for formats that record when they wrote.
     * ERROR_DATA names table, key columns and LSN, never a value.
     */
    bool (*encode)(struct format *format, const struct change *change, uint32_t relation_index,
                   int64_t now_us, struct message_list *list, struct error *err);
    /*
     * The record that the tally's transaction begins, is split or ends: one message, or none if the format
     * has no such record.
     */
    bool (*encode_transaction)(struct format *format, enum transaction_status status,
                               struct message_list *list, struct error *err);
    /* A table's columns, for consumers: one message, without a relation. */
    bool (*encode_schema)(struct format *format, const struct schema_record *record,
                          struct message_list *list, struct error *err);
    /*
     * The reverse of encode, for one message. Equal values are read as equal texts. ERROR_PROTOCOL: it is no
     * message of this format.
     */
    bool (*read)(struct format *format, struct slice key, struct slice value, struct arena *arena,
                 struct format_reading *ret_reading, struct error *err);
    /* The place that read finds in each message of the change, tombstones aside. */
    struct message_place (*place)(const struct change *change);
    /*
     * The texts that read returns are PostgreSQL's, and an unchanged value is VALUE_UNCHANGED. Otherwise the
     * texts are the format's own, and what encode writes for an unchanged value is read as any other.
     */
    bool reads_text;
    /* NULL: never. Does encode leave out all changes of this kind, as the options want? */
    bool (*skips)(const struct format *format, enum change_kind kind);
};

extern const struct format_ops format_protobuf;
extern const struct format_ops format_debezium_json;

/* format.c: the format with this name, or NULL; the format by index, NULL after the last. */
const struct format_ops *format_find(const char *name);
const struct format_ops *format_at(size_t index);
