/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_rows.h - what a record says of its table's rows, as an entry of a fixed size.
 */
#pragma once

#include "cdc/base/hash.h"
#include "sinks/kafka/account/partition_account.h"
#include "sinks/kafka/verify/row_image.h"

enum {
    RECORD_ALIVE = 1,      /* the row is there after it */
    RECORD_TAKES_AWAY = 2, /* of a table without a key: one row fewer */
    RECORD_IDENTIFIED = 4, /* commit_lsn and index are of no other record of the key */
    RECORD_PARTIAL = 8,    /* see struct row_image */
    RECORD_DOUBTFUL = 16,
    RECORD_PLACED = 32, /* commit_lsn and index are known: no tombstone */
};

struct record_entry {
    struct row_key key;
    uint64_t hash;
    lsn_t commit_lsn;
    uint64_t index;
    int64_t offset;
    int32_t partition;
    uint32_t flags;
    uint64_t apart[];
};

struct source_entry {
    struct row_key key;
    uint64_t hash;
    uint64_t apart[];
};

/* Which change: they increase in the order of the source's commits. */
struct record_place {
    lsn_t commit_lsn;
    uint64_t index;
};

static inline int record_place_compare(const struct record_place *a, const struct record_place *b) {
    if (a->commit_lsn != b->commit_lsn)
        return a->commit_lsn < b->commit_lsn ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* From messages to entries. */
struct record_rows {
    const struct topic_table *table;
    struct topic_codec *codec;
    const struct image_layout *layout;
    const struct comparison_keys *only; /* sorted: these keys alone; NULL: all */
    struct row_store *store;
    struct record_entry *entry;      /* with room for the layout's columns */
    struct partition_account *found; /* by partition: records at `from` or above; NULL: none are counted */
    uint64_t foreign;
    uint64_t unusable;
    struct record_place truncated; /* the last TRUNCATE; commit_lsn 0: none */
};

/* A topic_message_taker; context: a struct record_rows. */
MUST_CHECK bool record_rows_take(void *context, const rd_kafka_message_t *message, struct error *err);

enum record_kind {
    RECORD_OF_ROW,
    RECORD_OF_TRUNCATE,
    RECORD_TOMBSTONE,
    RECORD_OF_OTHERS, /* of another table in a topic that tables share */
    RECORD_FOREIGN,
};

/* Reads a message of the table's topic. *ret_reading is valid until the codec's next use. */
MUST_CHECK bool record_read_message(const struct topic_table *table, struct topic_codec *codec,
                                    const rd_kafka_message_t *message, struct format_reading *ret_reading,
                                    enum record_kind *ret_kind, struct error *err);

/* Is the key one of these, or are they NULL? */
bool record_key_is_among(const struct comparison_keys *only, const struct row_key *key);
