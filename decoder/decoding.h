/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoding.h - one message on its way through the decoder. For the files of decoder/ only.
 *
 * Every decode_… takes a message's fields off d->cursor in the order of the wire, asks decoding_finish
 * whether they were all there and nothing more, and only then publishes: d->change, a relation, the
 * transaction.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/cursor.h"
#include "cdc/base/error.h"
#include "decoder/change.h"
#include "decoder/decoder.h"
#include "decoder/partition_tree.h"
#include "decoder/relation.h"

struct decoder {
    struct relation_cache *relations;
    struct partition_trees trees;
    struct unsent_keys unsent_keys;
    oid_t announced[2]; /* the last two Relation messages since the last row, the newest last; 0: none */
    /* of the last row, in force, or NULL: most rows have that one again */
    const struct relation *last_relation;
    bool in_transaction;            /* between Begin and Commit */
    struct transaction transaction; /* the open one */
    /* its copy that the changes in one arena point to; NULL when there is none … */
    struct transaction *shared;
    const struct arena *shared_in; /* … in that arena, as long as it was not reset since */
    uint64_t shared_generation;
    uint64_t next_index;                         /* of the next change of the transaction */
    struct column columns[RELATION_COLUMNS_MAX]; /* of the Relation message being decoded */
};

struct decoding {
    struct decoder *decoder;
    struct cursor cursor; /* what follows the letter */
    struct arena *arena;
    lsn_t lsn;
    char letter;
    struct change *change; /* the result; NULL when there is nothing to hand on */
    struct error *err;
};

/* ERROR_PROTOCOL that names the message; returns false. */
bool decoding_malformed(struct decoding *d);

/* True when every byte of the message was taken and none was missing. */
MUST_CHECK bool decoding_finish(struct decoding *d);

/* An error unless the message stands between Begin and Commit. */
MUST_CHECK bool decoding_expect_transaction(struct decoding *d);

/*
 * Makes d->change, of the current transaction if there is one, and returns it. NULL, and *err, without
 * memory.
 */
MUST_CHECK struct change *decoding_add_change(struct decoding *d, enum change_kind kind);

/* An empty schema stands for pg_catalog. */
struct slice decoding_take_schema(struct decoding *d);

/* transaction.c */
MUST_CHECK bool decode_begin(struct decoding *d);
MUST_CHECK bool decode_commit(struct decoding *d);
MUST_CHECK bool decode_origin(struct decoding *d);
MUST_CHECK bool decode_logical_message(struct decoding *d);

/* definition.c */
MUST_CHECK bool decode_relation(struct decoding *d);
MUST_CHECK bool decode_type(struct decoding *d);

/* row.c */
MUST_CHECK bool decode_insert(struct decoding *d);
MUST_CHECK bool decode_update(struct decoding *d);
MUST_CHECK bool decode_delete(struct decoding *d);
MUST_CHECK bool decode_truncate(struct decoding *d);

/* refusal.c: always false. */
bool decode_refused(struct decoding *d);
